"""How a MariaDB server's databases are dumped: in which order, and by which command."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hotsync.sources.mariadb.client import connection, program
from hotsync.sources.mariadb.files import TRANSACTIONAL
from hotsync.sources.source import Dataset
from hotsync.system.command import run

# a table or database that was changed or dropped while the dump ran: the next snapshot sees it as it is
TRANSIENT = re.compile(r"\b(?:1412|1146|1049|1356|1017)\b")
_NAMES = "--databases"


def in_order(databases: Sequence[str], engines: Sequence[Sequence[str]]) -> tuple[list[str], list[tuple[str, str]]]:
    """Given the databases and (database, table, engine) of all tables, return the databases in the order in which they
    are dumped, and the tables that must be locked: these come first, so that they are locked for a short time.
    """
    known = set(databases)
    moving = [
        (database, table)
        for database, table, engine in engines
        if database in known and engine.lower() not in (*TRANSACTIONAL, "null")
    ]
    first = {database for database, _ in moving}
    return sorted(databases, key=lambda name: (name not in first, name)), moving


def dump_options(dataset: Dataset, without: Sequence[tuple[str, str]]) -> list[str]:
    """Return the command of a dump up to what is to be dumped; `without` are views (database, view) to leave out."""
    dump = program("mariadb-dump", "mysqldump")
    history = ["--dump-history"] if "--dump-history" in run((dump, "--help")).text else []
    return [
        dump, *connection(dataset), "--default-character-set=utf8mb4", "--max-allowed-packet=1G",
        "--single-transaction", "--quick", "--order-by-primary", "--hex-blob", "--routines", "--events", "--triggers",
        "--comments", "--quote-names", "--extended-insert", "--tz-utc", "--skip-dump-date", "--skip-add-locks",
        *history, *(f"--ignore-table={database}.{view}" for database, view in without),
    ]  # fmt: skip


def dump_command(options: Sequence[str], databases: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """Given the beginning of a dump's command, return the whole of it for these databases."""
    return [*options, *more, _NAMES, "--", *databases]


def without_rows(argv: Sequence[str]) -> list[str]:
    """Given the command of a dump, return that of a dump without rows."""
    end = argv.index(_NAMES)
    return [*argv[:end], "--no-data", *argv[end:]]
