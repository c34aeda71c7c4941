"""One protected path with all its metadata, and what a run does with it.

Paths are relative to `/` and have no slash at either end; bytes that are not UTF-8 live on as surrogates.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """What lies at a path. Sockets are no entries: they belong to a running process."""

    FILE = "f"
    DIRECTORY = "d"
    SYMLINK = "l"
    FIFO = "p"
    CHARACTER = "c"
    BLOCK = "b"


KIND_OF_MODE = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
}


class Verb(StrEnum):
    """What the next generation does with a path.

    CONTENT: it arrives whole. META: the same inode with the same content, only attributes changed.
    MOVED: the same inode under a new name (`Change.source` is the old one). DELETE: it is gone.
    """

    CONTENT = "content"
    META = "meta"
    MOVED = "moved"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path as it was when it was read on the MASTER.

    `mode` holds permission bits only; `size` is 0 but for files; times are nanoseconds since 1970; `inode`, `device`
    and `ctime_ns` are the MASTER's; `rdev` is the number of a device node; `target` that of a symbolic link;
    `attributes` is a hash of ACL and extended attributes ("" = none); `flags` the file attributes of chattr that are
    carried (i, a, d, C, P) and the project of quotas, from bit 30 on (0 = none). `unsettled`: it would not hold still,
    or its time stamps are too young to be trusted, so the next run treats it as changed.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int
    links: int
    rdev: int = 0
    target: str = ""
    attributes: str = ""
    flags: int = 0
    unsettled: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a changeset. `entry` is None for DELETE only; `source` is set for MOVED only."""

    verb: Verb
    path: str
    entry: Entry | None = None
    source: str = ""


def as_implied(entry: Entry) -> Entry:
    """Given the entry of a folder that is carried only because something inside it is, return it without its times.

    What else is written into it moves them at every moment (in /var/lib/hotsync, HotSync itself does), and nobody
    wants a generation for that: only owner and mode count, and the replica gives it the time 0.
    """
    return replace(entry, mtime_ns=0, ctime_ns=0, inode=0)


def is_implied(entry: Entry) -> bool:
    """Return whether an entry is that of such a folder."""
    return entry.kind is Kind.DIRECTORY and entry.mtime_ns == entry.ctime_ns == entry.inode == 0


def sort_key(path: str) -> bytes:
    """Given a path, return the key whose byte order is the order of a walk: a folder right before what it holds."""
    return path.encode("utf-8", "surrogateescape").replace(b"/", b"\0")


def path_of_key(key: bytes) -> str:
    """Given a sort key, return its path."""
    return key.replace(b"\0", b"/").decode("utf-8", "surrogateescape")


def parent_of(path: str) -> str:
    """Given a path, return its folder ("" for the root)."""
    return path.rpartition("/")[0]
