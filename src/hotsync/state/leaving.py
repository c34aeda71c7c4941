"""On the MASTER: that its former MASTER has begun to move its data into a replica, and cannot serve again by itself.

The daemon writes it before it answers; an undo holds the same lock from its first look to its end. So either the other
server's data stays where it is, or this server stays the MASTER.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.system import files, lock
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class Leaving:
    """At which epoch of this MASTER it was told, and when."""

    epoch: int
    at: float


_LEAVING = TypeAdapter(Leaving)


def document_path(paths: Paths) -> Path:
    """Return where the document lies."""
    return paths.state / "rejoining.json"


def load_leaving(paths: Paths) -> Leaving | None:
    """Return what was told, None if nothing was. One that cannot be read counts, with an epoch of 0."""
    try:
        return _LEAVING.validate_json(document_path(paths).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        return Leaving(0, 0.0)


def save_leaving(paths: Paths, leaving: Leaving) -> None:
    """Write it down, durably; raise OSError."""
    files.write_atomic(document_path(paths), json.dumps(asdict(leaving)).encode("ascii"), mode=0o600)


@contextmanager
def locked(paths: Paths, *, wait: bool) -> Iterator[None]:
    """Hold what keeps an undo and a rejoin of the other server from crossing; raise Busy without `wait`."""
    with lock.held(paths.run / "rejoining.lock", "undo of a promotion", wait=wait):
        yield
