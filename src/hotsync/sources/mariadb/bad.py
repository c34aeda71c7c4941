"""Finds the databases of a MariaDB server that cannot be dumped, so that they are left out and the others are not.

One table that cannot be read ends the dump of all. Which one it was is not read out of a message: a database that is
suspected is dumped alone, to nowhere. What the dump says then is the proof, and the reason that is told. (CHECK TABLE
asks other things than a dump does, and writes into what it finds damaged.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from hotsync.errors import CommandFailed
from hotsync.sources.mariadb.accounts import quote
from hotsync.sources.mariadb.client import FULL, REFUSED, UNREACHABLE, ask, detail
from hotsync.sources.mariadb.dump import TRANSIENT, dump_command
from hotsync.sources.source import Dataset
from hotsync.sources.stream import output_of

_LOOKS = 3
"""So often it is tried whether what may be a table that changed just now is one that is bad."""

Counts = Mapping[tuple[str, str], int]
"""How many rows a table (database, table) has."""
_COUNT_KEPT = frozenset(("myisam", "aria"))

log = logging.getLogger(__name__)


class DumpFailed(Exception):
    """The dump of `order`, made with `options`, ended with `error` in the part of `section` ("": before the first)."""

    def __init__(self, error: CommandFailed, options: Sequence[str], order: Sequence[str], section: str) -> None:
        self.error, self.options, self.order, self.section = error, options, order, section
        super().__init__(str(error))


class RowsLacking(Exception):
    """A dump came to its end without rows that the server says are there; `reasons` has the databases."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons.values()))


def own_counts(dataset: Dataset, engines: Iterable[Sequence[str]], held: Container[tuple[str, str]]) -> Counts:
    """Given (database, table, engine) of all tables, return how many rows those of `held` have by what their engine
    keeps in the table's head. A table that was cut short ends, for who reads it, where its file does."""
    asked = [
        (database, table)
        for database, table, engine in engines
        if engine.lower() in _COUNT_KEPT and (database, table) in held
    ]
    sql = "".join(
        f"SELECT {number}, COUNT(*) FROM {quote(database)}.{quote(table)};\n"  # noqa: S608 - a quoted name
        for number, (database, table) in enumerate(asked)
    )
    # one that cannot even be opened is told by the dump
    rows = ask(dataset, sql, "--force") if asked else []
    return {asked[int(number)]: int(count) for number, count in rows}


def check_rows(counts: Counts, seen: Callable[[str, str], int | None]) -> None:
    """Given how many rows tables have, and what tells how many were dumped of one (None: not known), raise RowsLacking
    if some were not."""
    reasons: dict[str, str] = {}
    for (database, table), count in counts.items():
        found = seen(database, table)
        if found is not None and found < count:
            reasons.setdefault(
                database, f"database {database}: table {table} has {count} rows, of which {found} can be read"
            )
    if reasons:
        raise RowsLacking(reasons)


def suspects(order: Sequence[str], section: str, *, all_after: bool) -> Sequence[str]:
    """Given the databases as they were dumped, and in whose part the dump ended, return those that may have ended it.

    The next one may have, before its part began. `all_after`: so may any that comes later, in the next dump.
    """
    begun = order.index(section) if section in order else 0
    return order[begun:] if all_after else order[begun : begun + 2]


@dataclass
class Bad:
    """The databases of one server that a run has found cannot be dumped now, each with what is said of it."""

    stall_seconds: float
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    looked: bool = False
    _failed: bool = False

    def begin(self, options: Sequence[str], names: Iterable[str]) -> None:
        """Look first at those that could not be dumped the last time, so that they need not end a dump of all."""
        self.looked = True
        self.look_at(options, names)

    def look_at(self, options: Sequence[str], names: Iterable[str]) -> bool:
        """Dump each of these alone, to nowhere; remember those that fail, and return whether one did.

        Raise CommandFailed where it is the server that fails, or waits for a lock.
        """
        found = False
        for name in names:
            error = self._alone(options, name)
            if error is not None:
                self.reasons[name] = f"database {name}: {detail(error)}"
                log.warning("%s", self.reasons[name])
                found = True
        return found

    def _alone(self, options: Sequence[str], name: str) -> CommandFailed | None:
        """Dump a database to nowhere; return what is said if that fails."""
        failed: CommandFailed | None = None
        for _ in range(_LOOKS):
            try:
                with closing(output_of(dump_command(options, [name]), stall_seconds=self.stall_seconds)) as chunks:
                    for _chunk in chunks:
                        pass
                return None
            except CommandFailed as error:
                if is_servers(error):
                    raise
                failed = error
                if not TRANSIENT.search(error.stderr):
                    break
        return failed

    def explains(self, failed: DumpFailed) -> bool:
        """Given a dump that failed, find what is bad in it; return whether the next one will leave out more.

        Raise CommandFailed as `look_at` does.
        """
        if is_servers(failed.error):
            raise failed.error
        # a second one in the same run: there may be many, and no more dumps of all are to fail of them
        names = suspects(failed.order, failed.section, all_after=self._failed)
        self._failed = True
        return self.look_at(failed.options, names)


def is_servers(error: CommandFailed) -> bool:
    """Return whether it was not for a table that a dump failed: the server is not there, lets nobody in, or hangs; or
    somebody ended the dump."""
    ended_itself = error.returncode is not None and error.returncode > 0
    return not ended_itself or any(each.search(error.stderr) for each in (UNREACHABLE, FULL, REFUSED))
