"""Copies SQLite files with the rights of their owner: a program of its own, of the standard library only.

Run as root as `python -I -S sqlite_child.py UID GID`; it drops its rights before it reads a word. Each line on stdin is
a request, each line on stdout its answer, both JSON with paths as percent-encoded bytes:

    {"folder": F, "name": N, "inode": [DEVICE, INODE], "target": T, "limit": BYTES}
    {"ok": true, "checked": "integrity" | "quick" | "none"}, or {"trouble": "damaged" | "passing", "reason": TEXT}

`inode` is what the file must be: whatever else lies at its name by now is refused once it is open, before a byte of it
is copied. The copy lies at T/copy, which must not be there yet.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import sqlite3
import stat
import sys
import time
from contextlib import closing, suppress
from urllib.parse import quote_from_bytes, unquote_to_bytes

BUSY_SECONDS = 5.0
TRIES = 8
PAUSE_SECONDS = 0.15
QUICK_FROM = 1 << 30
YOUNG_NS = 20_000_000
WHOLE_NS = 2_020_000_000  # as in hotsync.model.stamps, of which this program knows nothing
_NO_NEW_PRIVILEGES = 38
_WAL_VERSION = 2
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL = (sqlite3.SQLITE_FULL,)
_ELSEWISE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
             sqlite3.SQLITE_PROTOCOL)  # fmt: skip
# what the check says of rows that break a rule of their own application's, in a file that is sound
_RULES = re.compile(r"(?:CHECK constraint failed|(?:non-)?[A-Z]+ value) in ")
_SIDES = (b"", b"-wal", b"-shm", b"-journal")

Look = tuple[int, int, int, int, int]


class Trouble(Exception):
    """A file that could not be copied; `damaged`: trying again would not help."""

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


class Moved(Exception):
    """The file changed while it was copied: once more."""


def uri_of(path: bytes, options: str) -> str:
    """Given a path of any bytes, return it as SQLite's URI with options behind it."""
    return f"file:{quote_from_bytes(path)}?{options}"


def look(path: bytes) -> Look | None:
    """Return what one stat tells of a path, or None."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def copy(folder: bytes, name: bytes, inode: tuple[int, int], target: bytes) -> str:
    """Make a sound copy of a file at `target`/copy and return how it was checked; raise Trouble."""
    source, out = folder + b"/" + name, target + b"/copy"
    reason = "it would not hold still"
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
            clear(target)
        before = looks(source)
        try:
            main = before[0]
            if main is None or main[:2] != inode:
                raise Trouble("it was replaced meanwhile")
            way(source, before, target, out, inode)
            return checked(out)
        except Moved as error:
            reason = str(error) or reason
        except BlockingIOError:
            reason = "the client of a file server keeps it"  # a lease on it is being broken (a Samba oplock)
        except (Trouble, sqlite3.Error) as error:
            trouble = error if isinstance(error, Trouble) else named(error)
            # what is damaged while it moves may have been caught half written: only what stays so is
            if not trouble.damaged or attempt + 1 == TRIES or looks(source) == before:
                raise trouble from error
    raise Trouble(reason)


def way(source: bytes, before: list[Look | None], target: bytes, out: bytes, inode: tuple[int, int]) -> None:
    """Copy in the way that the file asks for; raise Moved, Trouble or sqlite3.Error."""
    logged = is_logged(source)
    log, shared = before[1], before[2]
    if logged and (log is None or (not log[2] and shared is None)):
        # nobody has it open, and all is in the file: opening it as usual would leave a -wal and a -shm beside it
        still(source, before)
        backup(uri_of(source, "immutable=1"), out, inode, source)
        if looks(source) != before:
            raise Moved
        return
    if not (logged and shared is None):
        try:
            backup(uri_of(source, "mode=ro"), out, inode, source)
            return
        except sqlite3.OperationalError as error:
            if primary(error) not in _ELSEWISE:
                raise
            excuse = "it was locked all the time" if primary(error) == sqlite3.SQLITE_BUSY else str(error)
            clear(target)
    else:
        excuse = "it has a log that nobody shares"
    by_hand(source, before, target, inode, excuse)
    backup(uri_of(target + b"/raw", "mode=rw"), out, None, b"")


def by_hand(source: bytes, before: list[Look | None], target: bytes, inode: tuple[int, int], excuse: str) -> None:
    """Copy the file with its log and its journal, byte by byte, while nothing moves; SQLite repairs the copy."""
    still(source, before)
    for side in (b"", b"-wal", b"-journal"):
        found = before[_SIDES.index(side)]
        if found is None:
            continue
        descriptor = os.open(source + side, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or (not side and (status.st_dev, status.st_ino) != inode):
                raise Trouble("it was replaced meanwhile")
            with open(target + b"/raw" + side, "xb") as file:
                while chunk := os.read(descriptor, 1 << 20):
                    file.write(chunk)
        finally:
            os.close(descriptor)
    if looks(source) != before:
        raise Moved(f"{excuse}, and would not hold still")


def still(source: bytes, before: list[Look | None]) -> None:
    """Raise Moved if a file is so young that a change could bear the same time; where that takes seconds, wait."""
    stamps = [stamp for found in (before[0], before[1], before[3]) if found is not None for stamp in found[3:5]]
    is_whole = not any(stamp % 10**9 for stamp in stamps)
    left = max(stamps) + (WHOLE_NS if is_whole else YOUNG_NS) - time.time_ns()
    if left > WHOLE_NS or (left > 0 and not is_whole):
        raise Moved
    time.sleep(max(0, left) / 1e9)


def backup(uri: str, out: bytes, inode: tuple[int, int] | None, source: bytes) -> None:
    """Copy what an URI names into a new file, as of one moment; raise Trouble, Moved or sqlite3.Error.

    With `inode`, what SQLite opened must be that file, and its log and journal those that lie beside it.
    """
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as live:
        live.execute("PRAGMA trusted_schema=OFF")
        live.execute("BEGIN")
        live.execute("PRAGMA schema_version").fetchone()  # takes the lock, or the snapshot of the log
        if inode is not None:
            only_opened(inode, source)
        with closing(sqlite3.connect(uri_of(out, "mode=rwc"), uri=True, isolation_level=None)) as copied:
            copied.execute("PRAGMA journal_mode=OFF")
            copied.execute("PRAGMA synchronous=OFF")
            live.backup(copied)
        live.execute("ROLLBACK")


def only_opened(inode: tuple[int, int], source: bytes) -> None:
    """Raise unless what this process holds open is the file that was meant, and what lies beside it."""
    sides = {found[:2] for found in looks(source)[1:] if found is not None}
    held = held_files() - _OWN
    if inode not in held:
        raise Trouble("it was replaced meanwhile")
    if held - sides - {inode}:
        raise Moved


def held_files() -> set[tuple[int, int]]:
    """Return the files that this process holds open."""
    found: set[tuple[int, int]] = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            status = os.stat(f"/proc/self/fd/{name}")
            if stat.S_ISREG(status.st_mode):
                found.add((status.st_dev, status.st_ino))
    return found


_OWN = held_files()


def checked(out: bytes) -> str:
    """Return how a copy was checked; raise Trouble if it is damaged."""
    quick = os.stat(out).st_size >= QUICK_FROM
    # nobody else has it, and without a lock SQLite leaves nothing beside it
    with closing(sqlite3.connect(uri_of(out, "immutable=1"), uri=True, isolation_level=None)) as copied:
        copied.execute("PRAGMA trusted_schema=OFF")
        copied.execute("PRAGMA cell_size_check=ON")
        try:
            rows = copied.execute("PRAGMA quick_check" if quick else "PRAGMA integrity_check").fetchall()
        except sqlite3.DatabaseError as error:
            if primary(error) == sqlite3.SQLITE_ERROR:
                return "none"  # it needs functions or modules of its application's
            raise
    faults = [str(row[0]) for row in rows if row[0] != "ok" and not _RULES.match(str(row[0]))]
    if faults:
        raise Trouble(f"SQLite finds it damaged: {faults[0].strip().splitlines()[-1]}", damaged=True)
    return "quick" if quick else "integrity"


def looks(source: bytes) -> list[Look | None]:
    """Return what lies at a file's name and beside it.

    Of what lies beside it without the ctime: SQLite, run by root, gives it the file's owner each time it opens it.
    """
    main, *sides = (look(source + side) for side in _SIDES)
    return [main, *(None if found is None else (*found[:4], 0) for found in sides)]


def is_logged(source: bytes) -> bool:
    """Return whether a file has a write-ahead log."""
    # closed before SQLite opens it: closing it afterwards would drop SQLite's locks
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, 1, 18) == bytes((_WAL_VERSION,))
    finally:
        os.close(descriptor)


def primary(error: sqlite3.Error) -> int:
    """Return the primary code of an error of SQLite's."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def named(error: sqlite3.Error) -> Trouble:
    """Given an error of SQLite's, return it as ours."""
    if primary(error) in _DAMAGED:
        return Trouble(f"SQLite finds it damaged: {error}", damaged=True)
    if primary(error) in _FULL:
        return Trouble("the disk for the copy is full")
    return Trouble(f"SQLite: {error}")


def clear(target: bytes) -> None:
    """Remove what an attempt left."""
    for name in os.listdir(target):
        os.unlink(target + b"/" + name)


def answer(line: str) -> dict[str, object]:
    """Given a request, do it and return the answer."""
    request = json.loads(line)
    folder, name, target = (unquote_to_bytes(request[key]) for key in ("folder", "name", "target"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(request["limit"]), resource.RLIM_INFINITY))
    device, inode = request["inode"]
    try:
        return {"ok": True, "checked": copy(folder, name, (int(device), int(inode)), target)}
    except Trouble as error:
        return {"trouble": "damaged" if error.damaged else "passing", "reason": str(error)}
    except OSError as error:
        return {"trouble": "passing", "reason": error.strerror or str(error)}


def drop(uid: int, gid: int) -> None:
    """Become a user for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError("no_new_privs was refused")


def main() -> int:
    """Answer requests until stdin ends."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    drop(int(sys.argv[1]), int(sys.argv[2]))
    for line in sys.stdin:
        print(json.dumps(answer(line)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
