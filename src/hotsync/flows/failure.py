"""Whatever ends a run becomes an error of the tree, so that no run ends unrecorded and unmailed."""

from __future__ import annotations

import errno
import logging
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hotsync.errors import Bug, DiskFull, HotSyncError, RunEnded, SystemFault

_log = logging.getLogger("hotsync.failure")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Terminated(BaseException):
    """Somebody ended the run, as systemd does with one that takes too long; no handler of errors swallows it."""


@contextmanager
def noticing_the_end() -> Iterator[None]:
    """Make SIGTERM an exception for the block, so that a run which is ended has time to say so."""

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what follows keeps record and mail
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def named(error: Exception | Terminated) -> HotSyncError:
    """Given what ended a run, return it as an error of the tree; what nobody foresaw is logged with its traces."""
    if isinstance(error, HotSyncError):
        return error
    if isinstance(error, Terminated):
        return RunEnded()
    _log.error("a run ended unforeseen", exc_info=error)
    if isinstance(error, OSError):
        kind = DiskFull if error.errno in _FULL else SystemFault
        return kind(reason=str(error))
    if isinstance(error, sqlite3.Error):
        full = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
        return (DiskFull if full else SystemFault)(reason=f"SQLite: {error}")
    return Bug(reason=f"{type(error).__name__}: {error}")


@contextmanager
def deaf_to_the_end() -> Iterator[None]:
    """Let SIGTERM end nothing within the block: what it does is the way back."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
