"""Room: how much there is, how much a generation will need, and the ballast that is let go when it was not enough."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from hotsync.errors import HotSyncError, NoSpace
from hotsync.replica.effects import Effects
from hotsync.replica.layout import Layout
from hotsync.system.files import sync_filesystem

_FULL = (errno.ENOSPC, errno.EDQUOT)
_BALLAST_LEAST = 2 * 1024 * 1024
_BALLAST_A_CHANGE = 1024
_MARGIN = 16 * 1024 * 1024
_A_FILE = 4096
_NOTHING = 128 * 1024
Result = TypeVar("Result")


def free_bytes(path: Path) -> int:
    """Return how many bytes can still be written to the file system that holds `path`."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def free_inodes(path: Path) -> int | None:
    """Return how many files can still be made there, or None where there is no such limit."""
    found = os.statvfs(path)
    return found.f_favail if found.f_files else None


def ballast_for(changes: int) -> int:
    """Given the number of changes of a commit, return what its apply may need besides what has arrived."""
    return _BALLAST_LEAST + changes * _BALLAST_A_CHANGE


def needed_for(expected_bytes: int, files: int) -> int:
    """Given what is still to arrive, return the room that receiving and committing it takes."""
    return expected_bytes + files * _A_FILE + ballast_for(files) + _MARGIN


def write_ballast(layout: Layout, changes: int, effects: Effects) -> None:
    """Make the ballast as large as a commit of so many changes needs it; raise OSError if there is no room for it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with effects("ballast"):
        descriptor = os.open(layout.ballast, flags, 0o600)
        try:
            size = ballast_for(changes)
            if os.fstat(descriptor).st_size > size:
                os.ftruncate(descriptor, size)
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)


def with_room(layout: Layout, act: Callable[[], Result]) -> Result:
    """Do something and return what it returns; on a full disk, let the ballast go and do it again.

    Raise NoSpace if that is not enough.
    """
    while True:
        try:
            return act()
        except (OSError, HotSyncError) as error:
            if not is_full(error, layout.root):
                raise
            if not _release_ballast(layout):
                raise NoSpace(needed=ballast_for(0), free=free_bytes(layout.root)) from error


def _release_ballast(layout: Layout) -> bool:
    try:
        os.unlink(layout.ballast)
    except FileNotFoundError:
        return False
    with suppress(OSError):  # some file systems give room back only once this is on the disk
        sync_filesystem(layout.root)
    return True


def is_short(layout: Layout) -> bool:
    """Return whether "no space left" may be meant as it is said: the disk is full, or ballast can be let go yet."""
    return layout.ballast.exists() or free_bytes(layout.root) < _NOTHING


def is_full(error: BaseException, root: Path) -> bool:
    """Return whether an error says that the disk below `root` is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    if isinstance(error, NoSpace):
        return True
    cause = error if isinstance(error, sqlite3.Error) else error.__cause__
    if not isinstance(cause, sqlite3.Error):
        return False
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    # where SQLite cannot make the file that it shares its log by, it says "disk I/O error"
    return code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and free_bytes(root) < _NOTHING)
