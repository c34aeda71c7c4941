"""Figures of a run that would not fit into memory: files that went away under one name and came back under another."""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self

from hotsync.changes.verbs import in_range
from hotsync.manifest.store import Stamp

_BATCH = 5000
_Figures = tuple[int, int, int]


class Scratch:
    """A private database that SQLite keeps in memory while small, else in an unnamed file; gone when closed."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA synchronous=OFF")
        for table in ("gone", "come"):
            self._db.execute(f"CREATE TABLE {table} (inode INTEGER, size INTEGER, mtime INTEGER)")
        self._waiting: dict[str, list[_Figures]] = {"gone": [], "come": []}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def gone(self, stamp: Stamp) -> None:
        """Note a file whose name is no longer there."""
        self._note("gone", stamp)

    def come(self, stamp: Stamp) -> None:
        """Note a file under a new name."""
        self._note("come", stamp)

    def moved(self) -> int:
        """Return how many files only have another name now: same inode, size and time."""
        for table in self._waiting:
            self._write(table)
        self._db.execute("CREATE INDEX IF NOT EXISTS come_inode ON come (inode)")
        query = "SELECT count(*) FROM gone WHERE (inode, size, mtime) IN (SELECT inode, size, mtime FROM come)"
        return int(self._db.execute(query).fetchone()[0])

    def _note(self, table: str, stamp: Stamp) -> None:
        waiting = self._waiting[table]
        waiting.append((stamp[8], stamp[5], in_range(stamp[6])))
        if len(waiting) >= _BATCH:
            self._write(table)

    def _write(self, table: str) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", self._waiting[table])  # noqa: S608 - two names
        self._db.execute("COMMIT")
        self._waiting[table].clear()
