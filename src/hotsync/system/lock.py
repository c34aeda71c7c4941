"""One run at a time: `flock`, which the kernel lets go when its owner dies; who holds it is written inside."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import Busy

_LOOKS, _LOOK_SECONDS = 20, 0.01


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock: a process, since when (seconds since 1970)."""

    pid: int
    since: float


@contextmanager
def held(path: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Given a lock file, hold it for the block; raise Busy with owner and age if it is taken (unless `wait`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _taken(path, what, wait)
    try:
        with suppress(OSError):  # a full disk may keep the name of who has the lock from people, not the lock from him
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "since": time.time()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(path: Path, what: str, wait: bool) -> int:
    """Return the lock file open and locked; raise Busy.

    Who had it before us may have removed it, as e-smith's own library does: then another has a lock of this name, or
    will have, and ours is worth nothing.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            busy = _busy(descriptor, what)
            os.close(descriptor)
            raise busy from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def owner(path: Path, table: Path = Path("/proc/locks")) -> Owner | None:
    """Given a lock file, return who holds it now, or None. It is not touched: whoever wants it must not meet us."""
    try:
        status = path.stat()
        place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        # 1: FLOCK  ADVISORY  WRITE 4711 00:19:2217 0 EOF; a line with -> is of one who waits
        rows = [line.split() for line in table.read_text().splitlines() if "->" not in line]
        if not any(row[1:4] == ["FLOCK", "ADVISORY", "WRITE"] and row[5] == place for row in rows if len(row) > 5):
            return None
        return _owner(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _owner(content: bytes) -> Owner:
    document = json.loads(content)
    return Owner(int(document["pid"]), float(document["since"]))


def _busy(descriptor: int, what: str) -> Busy:
    for _ in range(_LOOKS):
        try:
            found = _owner(os.pread(descriptor, 4096, 0))
            return Busy(what=what, pid=found.pid, age=f"{max(0, round(time.time() - found.since))} s")
        except (ValueError, KeyError, TypeError):
            time.sleep(_LOOK_SECONDS)  # it has just taken the lock, and is about to write who it is
    return Busy(what=what, pid="unknown", age="a moment")
