"""One row a run, kept for a while, and what the administrator was told by mail."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from hotsync.model.alerts import Alert
from hotsync.model.report import Notice, RunReport

KEPT_RUNS = 5000

_CREATE = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY, command TEXT NOT NULL, started_at REAL NOT NULL, ended_at REAL NOT NULL,
    exit_code INTEGER NOT NULL, generation INTEGER NOT NULL, report TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS run_command ON run (command, id);
CREATE TABLE IF NOT EXISTS alert (name TEXT PRIMARY KEY, since REAL, mailed_at REAL, code TEXT);
"""


class Runs:
    """The run records of this host (`runs.db`)."""

    def __init__(self, path: Path) -> None:
        self.path = path

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

    def add(self, report: RunReport) -> None:
        """Keep the record of a run that ended; the oldest are let go."""
        with self._open() as database:
            database.execute(
                "INSERT INTO run (command, started_at, ended_at, exit_code, generation, report)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (report.command, report.started_at, report.ended_at, report.exit_code, report.generation,
                 json.dumps(asdict(report))),
            )  # fmt: skip
            database.execute("DELETE FROM run WHERE id <= (SELECT max(id) FROM run) - ?", (KEPT_RUNS,))

    def last(self, command: str) -> RunReport | None:
        """Return the newest record of a command, or None."""
        return next(iter(self.newest(command, 1)), None)

    def newest(self, command: str, count: int) -> list[RunReport]:
        """Return the newest records of a command, newest first."""
        if not self.path.exists():
            return []
        with self._open() as database:
            rows = database.execute(
                "SELECT report FROM run WHERE command = ? ORDER BY id DESC LIMIT ?", (command, count)
            ).fetchall()
        return [_report(row[0]) for row in rows]

    def alert(self, name: str) -> Alert | None:
        """Return what the administrator was told about `name`, or None if nothing is open."""
        if not self.path.exists():
            return None
        with self._open() as database:
            row = database.execute("SELECT since, mailed_at, code FROM alert WHERE name = ?", (name,)).fetchone()
        return None if row is None else Alert(*row)

    def set_alert(self, name: str, alert: Alert | None) -> None:
        """Remember what the administrator was told about `name` (None: it is over)."""
        with self._open() as database:
            if alert is None:
                database.execute("DELETE FROM alert WHERE name = ?", (name,))
            else:
                database.execute(
                    "INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?)", (name, alert.since, alert.mailed_at, alert.code)
                )


def _report(text: str) -> RunReport:
    document = json.loads(text)
    for name in ("warnings", "remarks"):
        document[name] = tuple(Notice(**notice) for notice in document.get(name, ()))
    return RunReport(**document)
