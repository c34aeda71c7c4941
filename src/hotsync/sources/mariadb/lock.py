"""Holds tables still that a snapshot does not (MyISAM, Aria, MEMORY ...) until they have been dumped, for a short time.

A session of its own locks them for reading before the dump takes its snapshot: so they are as of that moment too. Who
writes into one of them waits that long; reading goes on. What takes too long is let go, and named in the document.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from hotsync.sources.mariadb.accounts import quote
from hotsync.sources.mariadb.client import client
from hotsync.sources.source import Dataset
from hotsync.system import command

HOLD_SECONDS = 30.0
"""No writer waits longer than this."""
WAIT_SECONDS = 10
"""So long the lock itself waits for those who write."""

log = logging.getLogger(__name__)


class TableLock:
    """Tables that nobody writes into until all of them have passed, or the time is over."""

    def __init__(self, tables: Sequence[tuple[str, str]] = ()) -> None:
        self._left = set(tables)
        self._process: command.Process | None = None
        self._guard = threading.Lock()

    @property
    def is_held(self) -> bool:
        """Return whether tables are held still now."""
        return self._process is not None

    def hold(self, process: command.Process) -> None:
        """Take over the session that has the lock."""
        self._process = process

    def passed(self, database: str, table: str) -> bool:
        """Say that a table was dumped; return whether it was held until now."""
        with self._guard:
            held = self._process is not None and (database, table) in self._left
        self._left.discard((database, table))
        if not self._left:
            self.release()
        return held

    def release(self) -> None:
        """Let all tables go; this may come from another thread."""
        with self._guard:
            process, self._process = self._process, None
        if process is not None:
            command.kill_group(process)


@contextmanager
def held(dataset: Dataset, tables: Sequence[tuple[str, str]]) -> Iterator[TableLock]:
    """Given tables (database, table), hold them still while the block runs, at most HOLD_SECONDS long.

    Where the lock is not to be had the block runs without it; `passed` tells.
    """
    lock = TableLock(tables)
    if not tables:
        yield lock
        return
    argv = [*client(dataset, loading=False), "--unbuffered"]
    with command.spawn(argv, stdin=command.PIPE, stdout=command.PIPE, stderr=command.DEVNULL, cwd="/") as process:
        timer = threading.Timer(HOLD_SECONDS, lock.release)
        if _is_locked(process, tables):
            lock.hold(process)
            timer.start()
        else:
            command.kill_group(process)
            log.warning("%s: its tables without transactions cannot be held still now", dataset.name)
        try:
            yield lock
        finally:
            timer.cancel()
            lock.release()


def _is_locked(process: command.Process, tables: Sequence[tuple[str, str]]) -> bool:
    """Ask for the lock; return whether it came in time."""
    assert process.stdin is not None
    assert process.stdout is not None
    listed = ", ".join(f"{quote(database)}.{quote(table)} READ" for database, table in tables)
    sql = f"SET lock_wait_timeout={WAIT_SECONDS};\nLOCK TABLES {listed};\nSELECT 'held';\n"
    with suppress(BrokenPipeError):
        process.stdin.write(sql.encode("utf-8", "surrogateescape"))
        process.stdin.flush()
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    if not poll.poll((WAIT_SECONDS + 5) * 1000):
        return False
    return os.read(process.stdout.fileno(), 64).startswith(b"held")
