"""The document of a rejoin: what it fixed, and what its journal proves. Whole or not at all, synced."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import ConfigError
from hotsync.model.plan import StepRecord
from hotsync.model.rejoin import REPLICA, Rejoin
from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1
_REJOIN = TypeAdapter(Rejoin)


def document_path(paths: Paths) -> Path:
    """Return where the document lies."""
    return paths.state / "rejoin.json"


def load_rejoin(paths: Paths) -> Rejoin | None:
    """Return the last rejoin of this server, or None; raise ConfigError if it cannot be read."""
    path = document_path(paths)
    try:
        document: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError(document=str(path), faults=str(error)) from error
    fields = dict(cast("dict[str, object]", document)) if isinstance(document, dict) else {}
    schema = fields.pop("schema", None)
    if schema != SCHEMA:
        raise ConfigError(
            document=str(path),
            faults=f"its schema is {schema}, this HotSync knows {SCHEMA}",
            hint="Install the HotSync version again that began this rejoin.",
        )
    try:
        return _REJOIN.validate_python(fields)
    except ValidationError as error:
        raise ConfigError(document=str(path), faults=str(error.errors()[0]["msg"])) from error


def unfinished_rejoin(paths: Paths) -> Rejoin | None:
    """Return the rejoin that waits for being continued, or None."""
    rejoin = load_rejoin(paths)
    return None if rejoin is None or rejoin.finished_at else rejoin


def save_rejoin(paths: Paths, rejoin: Rejoin) -> None:
    """Make this the rejoin on disk, durably."""
    fields = cast("dict[str, object]", _REJOIN.dump_python(rejoin, mode="json"))
    text = json.dumps({"schema": SCHEMA, **fields}, indent=1) + "\n"
    files.write_atomic(document_path(paths), text.encode(), mode=0o600)


def add_record(paths: Paths, record: StepRecord) -> None:
    """Add the outcome of a step to the journal; nothing happens while there is no document."""
    if rejoin := load_rejoin(paths):
        save_rejoin(paths, replace(rejoin, records=(*rejoin.records, record)))


def is_moving(paths: Paths) -> bool:
    """Return whether a rejoin has begun to move this server's data, and is not finished."""
    rejoin = unfinished_rejoin(paths)
    return rejoin is not None and REPLICA in rejoin.done


def drop_rejoin(paths: Paths) -> None:
    """Forget a rejoin; nothing happens if there is none."""
    document_path(paths).unlink(missing_ok=True)
    if paths.state.is_dir():
        files.sync_directory(paths.state)


def add_note(paths: Paths, note: str) -> None:
    """Keep a sentence for the report, once."""
    rejoin = load_rejoin(paths)
    if rejoin is not None and note not in rejoin.notes:
        save_rejoin(paths, replace(rejoin, notes=(*rejoin.notes, note)))


def set_copied(paths: Paths, path: str) -> None:
    """Remember that the copy of a part is complete."""
    rejoin = load_rejoin(paths)
    if rejoin is not None and path not in rejoin.copied:
        save_rejoin(paths, replace(rejoin, copied=(*rejoin.copied, path)))
