"""What a collected MariaDB server says for a SLAVE that follows it: where its dump was taken, and how to log in.

Nothing of it is asked of a server that streaming was not set up for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hotsync.sources.mariadb import binlog as binlogs
from hotsync.sources.mariadb.client import ask
from hotsync.sources.mariadb.login import DOCUMENT, render_login
from hotsync.sources.mariadb.positions import Position
from hotsync.sources.source import Dataset
from hotsync.sources.spool import Collection
from hotsync.sources.versions import series
from hotsync.state.streaming import load_streaming
from hotsync.system.paths import Paths

DUMP_OPTION = "--master-data=2"
_FOLLOW = frozenset(("innodb", "myisam", "aria", "rocksdb", "archive", "csv", "sequence"))
_EVENTS = """
SELECT EVENT_SCHEMA, EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE STATUS <> 'ENABLED' ORDER BY 1, 2;
"""


@dataclass(frozen=True, slots=True)
class Streaming:
    """A server that can be streamed: its id, and the password of our account."""

    server_id: int
    password: str

    def position(self, dataset: Dataset, snapshot: tuple[str, int] | None) -> str:
        """Given the place in the binary log that a dump is of, return its position; "" where the log is gone."""
        if snapshot is None:
            return ""
        file, byte = snapshot
        quoted = file.replace("\\", "\\\\").replace("'", "''")
        found = ask(dataset, f"SELECT BINLOG_GTID_POS('{quoted}', {byte});")
        gtids = found[0][0] if found else ""
        return "" if gtids == "NULL" else str(Position(self.server_id, gtids))

    def put_login(self, collection: Collection) -> None:
        """Let the SLAVE have the password."""
        collection.put(DOCUMENT, render_login(self.password))


def streaming_of(paths: Paths, dataset: Dataset) -> Streaming | None:
    """Return how a server is streamed, None if it is not, or not yet; raise CommandFailed or ValueError."""
    known = load_streaming(paths).get(dataset.name)
    if known is None or not known.password:
        return None
    binlog = binlogs.look(dataset)
    return None if not binlog.on or binlogs.hindrance(binlog) else Streaming(binlog.server_id, known.password)


def cannot_follow(databases: Sequence[str], engines: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Given the databases and (database, table, engine) of all tables, return those that no replica can keep."""
    known = set(databases)
    return tuple(
        f"{database}.{table} ({engine})"
        for database, table, engine in engines
        if database in known and engine.lower() not in (*_FOLLOW, "null")
    )


def other_events(dataset: Dataset) -> tuple[tuple[str, str, str], ...]:
    """Return the events that are not enabled, with database, name and state; raise CommandFailed."""
    return tuple((row[0], row[1], row[2]) for row in ask(dataset, _EVENTS))


@dataclass(frozen=True, slots=True)
class Here:
    """The server here that is to follow: its version ("": there is none), and whose files it has."""

    version: str
    user: str


def fitness(version: str, cannot: Sequence[str], here: Here, owner: str) -> str:
    """Given the MASTER's version and its tables that no replica can keep, return in words why the server here cannot
    follow it, "" if it can. `owner` is whose files they must be."""
    if not here.version:
        return "MariaDB is not installed here"
    if series(version) != series(here.version):
        return f"the MASTER's server is {version}, the one here {here.version}"
    if here.user != owner:
        return f"its files belong to {here.user}, not to {owner}"
    return f"no replica can keep its tables {', '.join(cannot[:5])}" if cannot else ""
