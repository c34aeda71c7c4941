"""One run at a time: `flock`, which the kernel lets go when its owner dies; who holds it is written inside."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hotsync.errors import Busy


@contextmanager
def held(path: Path, what: str, *, wait: bool = False) -> Iterator[None]:
    """Given a lock file, hold it for the block; raise Busy with owner and age if it is taken (unless `wait`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise _busy(descriptor, what) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "since": time.time()}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _busy(descriptor: int, what: str) -> Busy:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        age = max(0, round(time.time() - float(owner["since"])))
        return Busy(what=what, pid=int(owner["pid"]), age=f"{age} s")
    except (ValueError, KeyError, TypeError):
        return Busy(what=what, pid="unknown", age="a moment")
