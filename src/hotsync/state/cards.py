"""The mapping of network cards that an administrator confirmed, for a promotion to come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import ConfigError
from hotsync.model.network.cards import Pairs
from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1
_PAIRS: TypeAdapter[Pairs] = TypeAdapter(Pairs)


def cards_path(paths: Paths) -> Path:
    """Return where the mapping lies."""
    return paths.state / "cards.json"


def load_pairs(paths: Paths) -> Pairs:
    """Return the confirmed mapping, empty if there is none; raise ConfigError if it cannot be read."""
    path = cards_path(paths)
    try:
        document: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ()
    except ValueError as error:
        raise ConfigError(document=str(path), faults=str(error)) from error
    fields = cast("dict[str, object]", document) if isinstance(document, dict) else {}
    if fields.get("schema") != SCHEMA:
        raise ConfigError(document=str(path), faults=f"its schema is {fields.get('schema')}, not {SCHEMA}")
    try:
        return _PAIRS.validate_python(fields.get("cards"))
    except ValidationError as error:
        raise ConfigError(document=str(path), faults=str(error.errors()[0]["msg"])) from error


def save_pairs(paths: Paths, pairs: Pairs) -> None:
    """Make this the confirmed mapping, durably."""
    text = json.dumps({"schema": SCHEMA, "cards": pairs}, indent=1) + "\n"
    files.write_atomic(cards_path(paths), text.encode(), mode=0o600)
