"""What is known of the files that have a shadow (a sound copy), and which of them must be copied anew: pure rules."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from hotsync.changes.seen import HEAD
from hotsync.changes.verbs import is_coarse
from hotsync.model import sqlite_files
from hotsync.system.files import write_atomic

SCHEMA = 1
Format = Literal["sqlite", "tdb"]
SQLITE: Format = "sqlite"
TDB: Format = "tdb"
FORMATS: tuple[Format, ...] = (SQLITE, TDB)

SIDES: tuple[bytes, ...] = tuple(map(os.fsencode, sqlite_files.SIDES))

_SQLITE_MAGIC, _TDB_MAGIC = b"SQLite format 3\0", b"TDB file\n"
_TDB_FEATURES, _TDB_MUTEXES = 0x0BAD1A52, 1
_MAPPED_NS = 300 * 10**9

Look = tuple[int, int, int, int]
"""Of one file: inode, size, mtime_ns, ctime_ns."""
Looks = tuple[Look | None, Look | None, Look | None]
"""Of a file, its log and its journal; of those two without the ctime, which copying itself may move."""


@dataclass(frozen=True, slots=True)
class Known:
    """One file that was recognised: how it looked when it was last copied, or was found not to be copyable.

    `young`: it could have changed since and look the same. `taken_at` is when its shadow was taken, 0 if it has none;
    `trouble` says why the last attempt failed, `damaged` that another one is only worth it when the file has changed.
    """

    path: str
    format: Format
    looks: Looks
    young: bool
    taken_at: float
    trouble: str = ""
    damaged: bool = False

    @property
    def has_shadow(self) -> bool:
        """Say whether there is a sound copy."""
        return self.taken_at > 0


def format_of(head: bytes) -> Format | None:
    """Given the first bytes of a file, return what it is.

    A TDB file that is locked by mutexes in itself lives for one boot only and lets no other program in: it is no case
    for a copy.
    """
    if head.startswith(_SQLITE_MAGIC):
        return SQLITE
    if not head.startswith(_TDB_MAGIC):
        return None
    if len(head) >= HEAD:
        for order in "<>":
            marked, features = (
                struct.unpack_from(f"{order}I", head, 40)[0],
                struct.unpack_from(f"{order}I", head, 60)[0],
            )
            if marked == _TDB_FEATURES and features & _TDB_MUTEXES:
                return None
    return TDB


def look_of(status: os.stat_result) -> Look:
    """Given a file's stat, return what is remembered of it."""
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def look_beside(status: os.stat_result | None) -> Look | None:
    """Given the stat of a log or journal, if there is one, return what is remembered of it."""
    return None if status is None else (status.st_ino, status.st_size, status.st_mtime_ns, 0)


def is_young(format: Format, looks: Looks, read_ns: int) -> bool:
    """Say whether a file that looked so at a moment could change after it and look the same.

    TDB files are written through memory: their time moves with the first write only, until the kernel has written back.
    """
    times = [max(found[2], found[3]) for found in looks if found is not None]
    if format == TDB:
        return any(time > read_ns - _MAPPED_NS for time in times)
    return any(is_coarse(time, time, read_ns) for time in times)


def must_copy(known: Known, looks: Looks) -> bool:
    """Given what is known of a file and how it looks now, say whether it is to be copied anew."""
    return known.young or known.looks != looks or (bool(known.trouble) and not known.damaged)


def load_index(path: Path) -> dict[str, Known]:
    """Return what is known, by path; damage counts as nothing: all is found and copied again."""
    try:
        document = json.loads(path.read_bytes())
        if document["schema"] != SCHEMA:
            return {}
        return {known.path: known for known in map(_known, document["files"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def save_index(path: Path, known: Iterable[Known]) -> None:
    """Remember what is known; raise OSError."""
    files = [
        {
            "path": one.path, "format": one.format, "looks": one.looks, "young": one.young, "taken_at": one.taken_at,
            "trouble": one.trouble, "damaged": one.damaged,
        }
        for one in sorted(known, key=lambda one: one.path)
    ]  # fmt: skip
    data = json.dumps({"schema": SCHEMA, "files": files}).encode("ascii")
    if not path.exists() or path.read_bytes() != data:
        write_atomic(path, data, mode=0o600)


def _known(row: Mapping[str, object]) -> Known:
    path, format, looks, taken_at = row["path"], row["format"], row["looks"], row["taken_at"]
    if not isinstance(path, str) or not isinstance(taken_at, int | float):
        raise TypeError
    if format not in FORMATS or path.startswith("/") or ".." in path.split("/"):
        raise ValueError
    main, log, journal = (_look(found) if found else None for found in cast("list[list[int]]", looks))
    return Known(
        path,
        format,
        (main, log, journal),
        bool(row["young"]),
        float(taken_at),
        str(row["trouble"]),
        bool(row["damaged"]),
    )


def _look(found: list[int]) -> Look:
    inode, size, mtime, ctime = (int(number) for number in found)
    return (inode, size, mtime, ctime)
