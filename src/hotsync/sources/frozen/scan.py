"""What lies in a folder of a database server: read through open handles, so that nothing in it leads anywhere else."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field

from hotsync.system.files import open_beneath

MOST = 200_000
"""More than so many files are no database that can be copied in a moment."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

Look = tuple[int, int, int, int]
"""Of one file: inode, size, mtime_ns, ctime_ns."""


class TooMany(Exception):
    """There are more files than can be looked at in a moment."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What lies in a folder, by path in it ("" is the folder itself): folders, files, and links with their targets."""

    folders: dict[str, os.stat_result] = field(default_factory=dict[str, os.stat_result])
    files: dict[str, os.stat_result] = field(default_factory=dict[str, os.stat_result])
    links: dict[str, tuple[os.stat_result, str]] = field(default_factory=dict[str, tuple[os.stat_result, str]])


def look_of(status: os.stat_result) -> Look:
    """Given a file's stat, return what is remembered of it."""
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def scan(top: int) -> Seen:
    """Given an open folder, return all that lies in it; sockets, FIFOs and devices are no data of a database.

    What vanishes meanwhile is not there. Raise OSError for what cannot be read, TooMany if it is too much.
    """
    seen = Seen({"": os.fstat(top)})
    waiting = [""]
    while waiting:
        above = waiting.pop()
        with suppress(FileNotFoundError):
            folder = open_beneath(top, above, _FOLDER)
            try:
                waiting += _look_into(folder, above, seen)
            finally:
                os.close(folder)
    return seen


def _look_into(folder: int, above: str, seen: Seen) -> list[str]:
    """Note what lies in an open folder; return the folders in it."""
    inner: list[str] = []
    for name in os.listdir(folder):
        path = f"{above}/{name}" if above else name
        with suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                seen.folders[path] = status
                inner.append(path)
            elif stat.S_ISREG(status.st_mode):
                seen.files[path] = status
            elif stat.S_ISLNK(status.st_mode):
                seen.links[path] = (status, os.readlink(name, dir_fd=folder))
        if len(seen.files) + len(seen.folders) > MOST:
            raise TooMany
    return inner


def shape_of(seen: Seen) -> str:
    """Given what lies in a folder, return a digest of all but the content of files."""
    folders = [(path, *_worn(status)) for path, status in sorted(seen.folders.items())]
    links = [(path, target, *_worn(status)) for path, (status, target) in sorted(seen.links.items())]
    shape = repr((folders, links, sorted(seen.files)))
    return hashlib.sha256(shape.encode("utf-8", "surrogateescape")).hexdigest()


def _worn(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)
