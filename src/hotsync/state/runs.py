"""One row a run, kept for a while: expendable, so nothing that fails here stops a run, a mail or a status."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from hotsync.model.report import Notice, RunReport
from hotsync.model.sqlite_files import SIDES as SQLITE_SIDES

KEPT_RUNS = 5000
STREAMING = "hotsync-stream"
"""What streaming has to say is a record, too."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_T = TypeVar("_T")
_log = logging.getLogger("hotsync.runs")

_CREATE = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY, command TEXT NOT NULL, started_at REAL NOT NULL, ended_at REAL NOT NULL,
    exit_code INTEGER NOT NULL, generation INTEGER NOT NULL, report TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS run_command ON run (command, id);
"""


class Runs:
    """The run records of this host (`runs.db`); a damaged file is moved aside, what cannot be kept is logged."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, report: RunReport) -> None:
        """Keep the record of a run that ended; the oldest are let go."""

        def insert(database: sqlite3.Connection) -> None:
            database.execute(
                "INSERT INTO run (command, started_at, ended_at, exit_code, generation, report)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (report.command, report.started_at, report.ended_at, report.exit_code, report.generation,
                 json.dumps(asdict(report))),
            )  # fmt: skip
            database.execute("DELETE FROM run WHERE id <= (SELECT max(id) FROM run) - ?", (KEPT_RUNS,))

        self._do(insert, None)

    def last(self, command: str) -> RunReport | None:
        """Return the newest record of a command, or None."""
        return next(iter(self.newest(command, 1)), None)

    def newest(self, command: str, count: int) -> list[RunReport]:
        """Return the newest records of a command, newest first."""

        def read(database: sqlite3.Connection) -> list[RunReport]:
            query = "SELECT report FROM run WHERE command = ? ORDER BY id DESC LIMIT ?"
            return [_report(row[0]) for row in database.execute(query, (command, count)).fetchall()]

        return self._do(read, []) if self.path.exists() else []

    def _do(self, work: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        for _ in range(2):  # a second time without the damaged file
            try:
                with self._open() as database:
                    return work(database)
            except (sqlite3.Error, OSError, ValueError, TypeError, KeyError) as error:
                _log.warning("the records of runs in %s: %s", self.path, error)
                if not _is_damage(error) or not self._move_aside():
                    break
        return otherwise

    def _move_aside(self) -> bool:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            self.path.replace(aside)
        except OSError as error:
            _log.warning("%s cannot be moved aside: %s", self.path, error)
            return False
        for ending in SQLITE_SIDES:
            with suppress(OSError):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        _log.warning("%s is damaged: it is now %s, and a new one begins", self.path, aside)
        return True

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = sqlite3.connect(self.path, timeout=30)
        try:
            database.executescript(_CREATE)
            self.path.chmod(0o600)
            with database:
                yield database
        finally:
            database.close()


def _is_damage(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
    return not isinstance(error, OSError)  # a row that is no record


def _report(text: str) -> RunReport:
    document = json.loads(text)
    for name in ("warnings", "remarks"):
        document[name] = tuple(Notice(**notice) for notice in document.get(name, ()))
    return RunReport(**document)
