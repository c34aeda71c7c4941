"""The manifest file: sorted entries, and the number and digest of the generation that they describe.

A crash leaves the last transaction or the one before it: SQLite's write-ahead log, synchronous=FULL. Rows come out as
plain tuples and are compared as such, so that an entry that did not change costs no object of ours.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Self

from hotsync.errors import ManifestDamaged, ReplicaError
from hotsync.manifest.seals import LOOKS, UNFIT, batches_of_rows, seal
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.model.entry import Change, Entry, Kind, Verb, parent_of, path_of_key, sort_key

SCHEMA = 1
_BATCH = 2000
_LOG_LIMIT = 64 * 1024 * 1024
_COLUMNS = (
    "kind", "mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "inode", "device", "links",
    "rdev", "target", "attributes", "flags", "unsettled",
)  # fmt: skip
_CREATE = f"""
CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, {", ".join(_COLUMNS)}) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seal (folder BLOB PRIMARY KEY, seal BLOB) WITHOUT ROWID;
"""
_SELECT = f"SELECT key, {', '.join(_COLUMNS)} FROM entry"  # noqa: S608 - constants only
_STAMPS = (
    "SELECT key, kind, mode, uid, gid, size, mtime_ns, ctime_ns, inode, links, unsettled FROM entry"
    " WHERE key >= ? ORDER BY key"
)
_INSERT = f"INSERT OR REPLACE INTO entry VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})"  # noqa: S608
_OWNERS = "SELECT DISTINCT uid, gid FROM entry"
_WANTED = "SELECT key FROM entry WHERE links > 1 AND inode IN (SELECT inode FROM temp.wanted) ORDER BY key"
_DELETE = "DELETE FROM entry WHERE key = ?"
_UNSEAL = "DELETE FROM seal WHERE folder = ?"
# the inode tells the row that moved away from a new one that took its place in the same changeset
_DELETE_MOVED = "DELETE FROM entry WHERE key = ? AND inode = ?"

Row = tuple[bytes, str, int, int, int, int, int, int, int, int, int, int, bytes, str, int, int]
"""One entry as it is stored: its sort key, then the fields of Entry in their order; the target as bytes."""

Stamp = tuple[bytes, str, int, int, int, int, int, int, int, int, int]
"""What one stat tells of a path: key, kind, mode, uid, gid, size, mtime_ns, ctime_ns, inode, links, and 1 if unsettled.

Two equal stamps mean: nothing changed. The device is left out, as its number may differ after a boot.
"""


class Manifest:
    """An open manifest; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            with _named(path):
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(f"PRAGMA journal_size_limit={_LOG_LIMIT}")
        self._db.executescript(_CREATE)
        schema = self.meta("schema")
        if schema is None:
            self.set_meta("schema", SCHEMA)
        elif int(str(schema)) > SCHEMA:
            raise ReplicaError(
                reason=f"{self.path} was written by a newer HotSync", hint="Upgrade HotSync on this server."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def generation(self) -> int:
        """Return the number of the generation that the entries describe (0: none yet)."""
        return int(str(self.meta("generation") or 0))

    @property
    def digest(self) -> str:
        """Return that generation's chained digest."""
        return str(self.meta("digest") or EMPTY_DIGEST)

    def rows(self, below: str = "") -> Iterator[Row]:
        """Return the stored rows in walk order; with `below`, that path and what it holds."""
        with _named(self.path):
            if not below:
                yield from self._db.execute(f"{_SELECT} ORDER BY key")
                return
            key = sort_key(below)
            yield from self._db.execute(f"{_SELECT} WHERE key = ?", (key,))
            yield from self._db.execute(f"{_SELECT} WHERE key > ? AND key < ? ORDER BY key", (key + b"\0", key + b"\1"))

    def stamps(self, start: bytes = b"") -> Generator[Stamp, None, None]:
        """Return of every entry from a key on what a walk compares, in walk order; of millions in flat memory."""
        with _named(self.path):
            yield from self._db.execute(_STAMPS, (start,))

    def owners(self) -> tuple[frozenset[int], frozenset[int]]:
        """Return the users and the groups that own an entry; every entry is looked at."""
        with _named(self.path):
            pairs = self._db.execute(_OWNERS).fetchall()
        return frozenset(uid for uid, _ in pairs), frozenset(gid for _, gid in pairs)

    def seal_of(self, folder: bytes) -> bytes | None:
        """Return the seal of a folder, given its key, or None."""
        with _named(self.path):
            row = self._db.execute("SELECT seal FROM seal WHERE folder = ?", (folder,)).fetchone()
        return None if row is None else bytes(row[0])

    def keep_seals(self, folders: Iterable[bytes]) -> None:
        """Given keys of folders, keep the seals of those that can have one."""
        with self.transaction():
            for folder in folders:
                inside = (folder + b"\0", folder + b"\1")
                if not self._db.execute(UNFIT, inside).fetchone()[0]:
                    found = seal(batches_of_rows(folder, self._db.execute(LOOKS, inside)))
                    self._db.execute("INSERT OR REPLACE INTO seal VALUES (?, ?)", (folder, found))

    def entries(self, below: str = "") -> Iterator[Entry]:
        """Return the entries in walk order; with `below`, that path's and what it holds."""
        return map(entry_of_row, self.rows(below))

    def get(self, path: str) -> Entry | None:
        """Return the entry of a path, or None."""
        return self.at(sort_key(path))

    def at(self, key: bytes) -> Entry | None:
        """Return the entry of a sort key, or None."""
        with _named(self.path):
            row: Row | None = self._db.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone()
        return None if row is None else entry_of_row(row)

    def flagged(self) -> Iterator[Entry]:
        """Return the entries that have file attributes of chattr, in walk order."""
        with _named(self.path):
            yield from map(entry_of_row, self._db.execute(f"{_SELECT} WHERE flags != 0 ORDER BY key"))

    def count(self, kind: Kind | None = None) -> int:
        """Return the number of entries, or of those of one kind."""
        with _named(self.path):
            if kind is None:
                return int(self._db.execute("SELECT count(*) FROM entry").fetchone()[0])
            return int(self._db.execute("SELECT count(*) FROM entry WHERE kind = ?", (kind.value,)).fetchone()[0])

    def count_below(self, path: str) -> int:
        """Return the number of entries below a folder, without its own."""
        key = sort_key(path)
        with _named(self.path):
            query = "SELECT count(*) FROM entry WHERE key > ? AND key < ?"
            return int(self._db.execute(query, (key + b"\0", key + b"\1")).fetchone()[0])

    def bytes_below(self, path: str) -> int:
        """Return how much room what lies below a folder takes, a block at least each."""
        key = sort_key(path)
        query = "SELECT coalesce(sum(max(size, 4096)), 0) FROM entry WHERE key > ? AND key < ?"
        with _named(self.path):
            return int(self._db.execute(query, (key + b"\0", key + b"\1")).fetchone()[0])

    def names_of(self, inodes: Iterable[int]) -> Generator[bytes, None, None]:
        """Given inode numbers, return the keys of all entries with more than one link that have one of them, in order.

        The numbers are gathered in a table of the database's own, so that millions need no memory.
        """
        with _named(self.path):
            self._db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (inode INTEGER PRIMARY KEY)")
            self._db.execute("BEGIN")
            try:
                self._db.executemany("INSERT OR IGNORE INTO temp.wanted VALUES (?)", ((_fold(one),) for one in inodes))
                query = (
                    "SELECT key FROM entry WHERE links > 1 AND inode IN (SELECT inode FROM temp.wanted) ORDER BY key"
                )
                for (key,) in self._db.execute(query):
                    yield key
            finally:
                self._db.execute("ROLLBACK")

    def apply(self, changes: Iterable[Change], generation: int, digest: str) -> None:
        """Make the manifest that of the next generation, in one transaction; `changes` are read once, as they come."""
        with self.transaction():
            self.apply_changes(changes)
            self.set_generation(generation, digest)

    def apply_changes(self, changes: Iterable[Change]) -> None:
        """Apply changes to the entries (inside a transaction of the caller)."""
        remaining = iter(changes)
        while batch := list(islice(remaining, _BATCH)):
            gone = [(sort_key(change.path),) for change in batch if change.entry is None]
            moved = [
                (sort_key(change.source), _fold(change.entry.inode))
                for change in batch
                if change.verb is Verb.MOVED and change.entry is not None
            ]
            paths = (path for change in batch for path in (change.path, change.source) if path)
            self._db.executemany(_UNSEAL, {(sort_key(parent_of(path)),) for path in paths})
            self._db.executemany(_DELETE_MOVED, moved)
            self._db.executemany(_DELETE, gone)
            self._db.executemany(_INSERT, [row_of_entry(change.entry) for change in batch if change.entry is not None])

    def replace(self, entries: Iterable[Entry], generation: int, digest: str) -> None:
        """Make the manifest consist of `entries` alone (it was lost, or the peer's is taken), in one transaction."""
        with self.transaction():
            self.put_entries(entries)
            self.set_generation(generation, digest)

    def put_entries(self, entries: Iterable[Entry]) -> None:
        """Make the entries these alone (inside a transaction of the caller)."""
        self._db.execute("DELETE FROM entry")
        self._db.execute("DELETE FROM seal")
        self._db.executemany(_INSERT, map(row_of_entry, entries))

    def set_generation(self, generation: int, digest: str) -> None:
        """Set number and digest (inside a transaction of the caller)."""
        self.set_meta("generation", generation)
        self.set_meta("digest", digest)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing, durable once the block has ended."""
        with _named(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # a full disk rolls back by itself
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def meta(self, name: str) -> object:
        """Return a value that is kept beside the entries, or None."""
        with _named(self.path):
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def set_meta(self, name: str, value: str | int) -> None:
        """Keep a value beside the entries (in the caller's transaction, if there is one)."""
        with _named(self.path):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def row_of_entry(entry: Entry) -> Row:
    """Return an entry as it is stored."""
    # sqlite's integers are signed: numbers of 64 bits without sign are folded
    return (
        sort_key(entry.path), entry.kind.value, entry.mode, entry.uid, entry.gid, entry.size, entry.mtime_ns,
        entry.ctime_ns, _fold(entry.inode), _fold(entry.device), entry.links, _fold(entry.rdev),
        entry.target.encode("utf-8", "surrogateescape"), entry.attributes, entry.flags, int(entry.unsettled),
    )  # fmt: skip


def entry_of_row(row: Row) -> Entry:
    """Return the entry that a stored row holds."""
    key, kind, mode, uid, gid, size, mtime, ctime, inode, device, links, rdev, target, attributes, flags, unsettled = (
        row
    )
    return Entry(
        path_of_key(key), Kind(kind), mode, uid, gid, size, mtime, ctime, _unfold(inode), _unfold(device), links,
        _unfold(rdev), target.decode("utf-8", "surrogateescape"), attributes, flags, bool(unsettled),
    )  # fmt: skip


def _fold(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _unfold(number: int) -> int:
    return number + 2**64 if number < 0 else number


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give SQLite's own errors a sentence and a hint."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        number = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if number in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise ManifestDamaged(path=path, reason=error) from error
        if isinstance(error, sqlite3.OperationalError):
            raise ReplicaError(reason=f"{path}: {error}") from error
        raise
