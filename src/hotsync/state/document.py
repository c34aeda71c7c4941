"""A journalled document of one piece of work (promotion, undo, rejoin): whole or not at all, synced, with its schema.

One that cannot be read is never taken for none: the work that it tells of has begun.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from hotsync.errors import ConfigError
from hotsync.system import files

SCHEMA = 1
T = TypeVar("T")


class Document(Generic[T]):
    """How the document of one kind of work is read and written; `work` is its name in a hint."""

    def __init__(self, adapter: TypeAdapter[T], work: str) -> None:
        self._adapter = adapter
        self._work = work

    def load(self, path: Path) -> T | None:
        """Return what the document says, None if there is none; raise ConfigError if it cannot be read."""
        try:
            document: object = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ConfigError(document=str(path), faults=str(error)) from error
        fields = cast("dict[str, object]", document) if isinstance(document, dict) else {}
        schema = fields.pop("schema", None)
        if schema != SCHEMA:
            raise ConfigError(
                document=str(path),
                faults=f"its schema is {schema}, this HotSync knows {SCHEMA}",
                hint=f"Install the HotSync version again that began this {self._work}.",
            )
        try:
            return self._adapter.validate_python(fields)
        except ValidationError as error:
            raise ConfigError(document=str(path), faults=str(error.errors()[0]["msg"])) from error

    def save(self, path: Path, value: T) -> None:
        """Make this the document on disk, durably."""
        fields = cast("dict[str, object]", self._adapter.dump_python(value, mode="json"))
        text = json.dumps({"schema": SCHEMA, **fields}, indent=1) + "\n"
        files.write_atomic(path, text.encode(), mode=0o600)
