"""Which standbys a promotion has taken over, so that one that was cut knows it; what cannot be read was not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from hotsync.system import files
from hotsync.system.paths import Paths

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class _Document:
    schema: int = SCHEMA
    taken_over: Mapping[str, int] = field(default_factory=dict[str, int])


_DOCUMENT = TypeAdapter(_Document)


def taken_over_at(paths: Paths, name: str) -> int:
    """Given a dataset, return the epoch of the promotion that took its standby over (0: none)."""
    return _load(paths).get(name, 0)


def note_taken_over(paths: Paths, name: str, epoch: int) -> None:
    """Note durably that the promotion to this epoch takes the standby of a dataset over."""
    document = _Document(taken_over={**_load(paths), name: epoch})
    files.write_atomic(paths.streamed, _DOCUMENT.dump_json(document, indent=1) + b"\n", mode=0o600)


def _load(paths: Paths) -> dict[str, int]:
    try:
        document = _DOCUMENT.validate_json(paths.streamed.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
    return dict(document.taken_over) if document.schema == SCHEMA else {}
