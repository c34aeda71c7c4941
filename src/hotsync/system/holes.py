"""Holes: what a file's size counts and no disk holds (thin images of virtual machines, lastlog)."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from hotsync.system.trees import opened

WORTH = 16 * 1024 * 1024
"""A file is asked for its holes where its blocks say that they may be so large at least."""


def holes_in(descriptor: int) -> int:
    """Given an open file, return how many bytes of it are holes that a copy has, too; 0 where they are small.

    Few blocks alone do not say it: a file system that compresses has few of them, and the one of a copy may not.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size - status.st_blocks * 512 < WORTH:
        return 0
    holes = place = 0
    with suppress(OSError):  # a file system that cannot tell: then it has none
        while place < status.st_size:
            start = _next_data(descriptor, place, status.st_size)
            holes += start - place
            place = os.lseek(descriptor, start, os.SEEK_HOLE) if start < status.st_size else start
    return holes


def holes_at(root: Path, path: str, size: int) -> int:
    """Given a path below `root` and its size, return the same; 0 also if it cannot be opened."""
    if size < WORTH:
        return 0
    with suppress(OSError), opened(root, path, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
        return min(size, holes_in(descriptor))
    return 0


def _next_data(descriptor: int, place: int, size: int) -> int:
    try:
        return min(size, os.lseek(descriptor, place, os.SEEK_DATA))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size  # nothing but a hole up to the end
