"""Documents that say something of each dataset, by its name: whole or not at all; what cannot be read says nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from hotsync.system import files

SCHEMA = 1
_ANY = TypeAdapter(dict[str, object])
T = TypeVar("T")


class ByName(Generic[T]):
    """How one such document looks: the key that holds the names, and what is said of each."""

    def __init__(self, key: str, values: TypeAdapter[dict[str, T]]) -> None:
        self._key = key
        self._values = values

    def load(self, path: Path) -> dict[str, T]:
        """Return what is said, by name; nothing where the document is missing or of no use."""
        try:
            document = _ANY.validate_json(path.read_bytes())
            return self._values.validate_python(document.get(self._key)) if document.get("schema") == SCHEMA else {}
        except (FileNotFoundError, ValidationError):
            return {}

    def note(self, path: Path, name: str, value: T | None) -> None:
        """Change durably what is said of one name; None: nothing is."""
        values = self.load(path)
        values.pop(name, None)
        if value is not None:
            values[name] = value
        document = {"schema": SCHEMA, self._key: self._values.dump_python(values, mode="json")}
        files.write_atomic(path, json.dumps(document, indent=1).encode() + b"\n", mode=0o600)
