"""Is there room for what a rejoin copies into the replica: data on other file systems, and what this server needs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from hotsync.engine.promotion.room import SPARE, free_at
from hotsync.errors import ReplicaError
from hotsync.model.rejoin import Part
from hotsync.system.paths import Paths

HINT = (
    "Free space there, or give /var/lib/hotsync a larger disk, then run the same command again. No data has left its "
    "place: if the other server is off, `hotsync rejoin --as-master` makes this one the MASTER again."
)
_BLOCK = 4096


def check_room(paths: Paths, parts: Iterable[Part]) -> None:
    """Given parts that are to be copied into the replica, raise ReplicaError if there is no room for them."""
    copied = tuple(parts)
    if not copied:
        return
    needed = sum(bytes_of(paths.root / part.path) for part in copied) + SPARE
    free = free_at(paths.state)
    if free < needed:
        shown = ", ".join(f"/{part.path}" for part in copied[:5]) + (" and more" if len(copied) > 5 else "")
        raise ReplicaError(
            reason=f"{shown} must be copied to the file system of {paths.state}, which lacks "
            f"{-(-(needed - free) >> 20)} MiB for it",
            hint=HINT,
        )


def bytes_of(place: Path) -> int:
    """Return how much room a copy of a path takes, with all that it holds; a file of several names counts once."""
    seen: set[int] = set()
    return sum(_room_of(status) for status in _below(place) if not _is_known(status, seen))


def _room_of(status: os.stat_result) -> int:
    # some file systems keep what is small beside the inode; others may not
    return max(status.st_blocks * 512, _BLOCK if status.st_size else 0)


def _is_known(status: os.stat_result, seen: set[int]) -> bool:
    if status.st_nlink < 2 or stat.S_ISDIR(status.st_mode):
        return False
    known = status.st_ino in seen
    seen.add(status.st_ino)
    return known


def _below(place: Path) -> Iterator[os.stat_result]:
    status = os.lstat(place)
    yield status
    folders = [os.fspath(place)] if stat.S_ISDIR(status.st_mode) else []
    while folders:
        with os.scandir(folders.pop()) as found:
            for item in found:
                yield item.stat(follow_symlinks=False)
                if item.is_dir(follow_symlinks=False):
                    folders.append(item.path)
