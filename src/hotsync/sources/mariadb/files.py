"""The files of a server's databases while its dump is split, and what is noted of their tables on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hotsync.sources import documents
from hotsync.sources.documents import MariadbDatabase
from hotsync.sources.mariadb.lock import TableLock
from hotsync.sources.spool import Candidate, Collection, file_name

TRANSACTIONAL = ("innodb", "rocksdb", "tokudb", "sequence", "spider")
"""Engines whose tables the snapshot of the dump holds still."""

_COUNTED = frozenset({"innodb", "rocksdb", "tokudb", "myisam", "aria", "archive", "csv", "memory"})
# the rows of others are not their own (a merge table), or are kept elsewhere, or nowhere


def name_of(database: str) -> str:
    """Given a database, return its file's name in the spool; `accounts.sql` is taken."""
    return ("%61ccounts" if database == "accounts" else file_name(database)) + ".sql"


@dataclass(slots=True)
class Files:
    """The files of the databases while the dump is split; `progress` is told how many bytes have come.

    `lock` holds the tables still that the snapshot does not; it is let go when the last of them has passed.
    """

    collection: Collection
    progress: Callable[[int], None]
    lock: TableLock
    candidates: dict[str, Candidate] = field(default_factory=dict[str, Candidate])
    views_at: dict[str, int] = field(default_factory=dict[str, int])
    moving: list[str] = field(default_factory=list[str])
    passing: str = ""
    _engines: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    _counts: dict[tuple[str, str], int | None] = field(default_factory=dict[tuple[str, str], "int | None"])
    _passing: tuple[str, str, str] | None = None
    _still: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    _open: str = ""
    _count: int = 0

    def write(self, database: str, data: bytes) -> None:
        """Add bytes to a database's file; one file is open at a time, whatever the number of databases."""
        if database != self._open and self._open:
            self.candidates[self._open].pause()
        self._open = database
        if database not in self.candidates:
            self.candidates[database] = self.collection.candidate(name_of(database))
        self.candidates[database].write(data)
        self._count += len(data)
        self.progress(self._count)

    def section(self, database: str) -> None:
        """Remember whose part comes now."""
        self.passing = database

    def views(self, database: str) -> None:
        """Remember where the views begin."""
        self._has_passed()
        self.views_at[database] = self.candidates[database].size

    def table(self, database: str, table: str, engine: str) -> None:
        """Note a table, and that the one before it has passed."""
        self._has_passed()
        if engine.lower() in _COUNTED:
            self._counts[database, table] = 0
        if engine.lower() != "innodb":
            self._engines[database, table] = engine
        if engine.lower() not in TRANSACTIONAL:
            self._passing = (database, table, engine)

    def rows(self, database: str, table: str, count: int | None) -> None:
        """Add to the rows of a table, if its rows are counted."""
        known = self._counts.get((database, table))
        if known is not None:
            self._counts[database, table] = None if count is None else known + count

    def finish(self) -> None:
        """Say that the dump is over."""
        self._has_passed()

    def seen(self, database: str, table: str) -> int | None:
        """Return how many rows of a table have passed while nobody wrote into it; None if that is not known."""
        return self._counts.get((database, table)) if (database, table) in self._still else None

    def record(self, database: str) -> MariadbDatabase:
        """Return what was written of a database."""
        candidate = self.candidates[database]
        content = documents.record(name_of(database), candidate.digest)
        tables = ((table, rows) for (owner, table), rows in self._counts.items() if owner == database)
        counted = tuple(sorted((table, rows) for table, rows in tables if rows is not None))
        engines = tuple(
            sorted((table, engine) for (owner, table), engine in self._engines.items() if owner == database)
        )
        return MariadbDatabase(database, content, self.views_at.get(database, candidate.size), counted, engines)

    def _has_passed(self) -> None:
        if self._passing is not None:
            database, table, engine = self._passing
            if self.lock.passed(database, table):
                self._still.add((database, table))
            else:
                self.moving.append(f"{database}.{table} ({engine})")
        self._passing = None
