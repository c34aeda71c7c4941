"""Looks at a live SQLite or TDB file and at what lies beside it, by names in an open folder; no link is followed."""

from __future__ import annotations

import os
import stat
from typing import Literal

from hotsync.changes.seen import HEAD
from hotsync.sources.shadows.index import TDB, Format, Looks, format_of, look_beside, look_of

LEASED: Literal["leased"] = "leased"
"""A file server's client has a right to it that must be taken back first (a Samba oplock)."""


def looks_at(folder: int, name: bytes, format: Format, status: os.stat_result) -> Looks:
    """Given a file and its stat, return how it looks, with its log and its journal."""
    if format == TDB:
        return (look_of(status), None, None)
    log, journal = (look_beside(_stat(folder, name + side)) for side in (b"-wal", b"-journal"))
    return (look_of(status), log, journal)


def may_be_hidden(folder: int, name: bytes) -> bool:
    """Say whether what lies at a name is a file, or nothing: then it is a part of the SQLite file beside it."""
    status = _stat(folder, name)
    return status is None or stat.S_ISREG(status.st_mode)


def format_at(folder: int, name: bytes) -> Format | Literal["leased"] | None:
    """Return what the first bytes of a file say that it is, or that nobody can tell now; raise OSError."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except BlockingIOError:
        return LEASED
    try:
        return format_of(os.pread(descriptor, HEAD, 0))
    finally:
        os.close(descriptor)


def _stat(folder: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
