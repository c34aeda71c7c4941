"""On the MASTER: that the former MASTER came back as SLAVE, as it told; there until the settings follow."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.system import files
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Returned:
    """The address at which the SLAVE can be called, and when it told that."""

    address: str
    at: float


_RETURNED = TypeAdapter(Returned)


def document_path(paths: Paths) -> Path:
    """Return where the document lies."""
    return paths.state / "returned.json"


def load_returned(paths: Paths) -> Returned | None:
    """Return what was told, None if nothing waits; damage counts as nothing: the SLAVE tells it again."""
    try:
        return _RETURNED.validate_json(document_path(paths).read_bytes())
    except (OSError, ValidationError):
        return None


def save_returned(paths: Paths, returned: Returned) -> None:
    """Write it down, durably; raise OSError."""
    files.write_atomic(document_path(paths), json.dumps(asdict(returned)).encode("ascii"), mode=0o600)


def drop_returned(paths: Paths) -> None:
    """Forget it: the settings follow."""
    files.forget(document_path(paths))
