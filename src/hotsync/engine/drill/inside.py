"""What is looked at inside the sandbox after its promotion: the rows of databases, and units that cannot run there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from hotsync.backends import checks, production_units
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.master_facts import spool_of_tree
from hotsync.engine.promotion.served import server_of
from hotsync.engine.standby.warm import document_of
from hotsync.errors import HotSyncError
from hotsync.model.drill import missing_rows
from hotsync.model.promotion import DatabaseDump
from hotsync.model.report import Check
from hotsync.sources.documents import MariadbDatabase, PostgresqlDatabase
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb.accounts import quote
from hotsync.sources.mariadb.client import ask as ask_mariadb
from hotsync.sources.mariadb.client import with_own_login
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql.cluster import LONGEST, literal, login_of
from hotsync.sources.postgresql.cluster import ask as ask_postgresql
from hotsync.sources.source import Dataset
from hotsync.system import command
from hotsync.system.paths import Paths

_COUNTED = (mariadb.NAME, postgresql.NAME)
# conditions that a container never meets, whatever the machine is
_NOT_CONTAINED = re.compile(
    r"^(?:Condition|Assert)(?:Virtualization|Capability|KernelCommandLine|KernelModuleLoaded|Security|FirstBoot)=|"
    r"^(?:Condition|Assert)Path[A-Za-z]*=[|!]*(?:/sys|/dev|/proc)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Inside:
    """What was found: the checks of the databases, and units of production that a container cannot run."""

    checks: tuple[Check, ...]
    not_contained: tuple[str, ...]


def look_inside(paths: Paths) -> Inside:
    """Return what is found on this machine, which is a sandbox that was promoted."""
    ground = Ground(paths)
    units = ground.wanted
    down = sorted(set(units) & production_units.known_units(units) - production_units.active_units())
    return Inside(
        checks=tuple(_check_rows(paths, dump) for dump in ground.master.dumps if dump.engine in _COUNTED),
        not_contained=tuple(unit for unit in down if _is_not_contained(unit)),
    )


def _is_not_contained(unit: str) -> bool:
    """Return whether a unit was left out by a condition that no container meets."""
    asked = ["systemctl", "show", "--property=ConditionResult,AssertResult,ActiveState", unit]
    if "=no" not in command.run(asked, ok=range(256)).text:
        return False
    return _NOT_CONTAINED.search(command.run(["systemctl", "cat", unit], ok=range(256)).text) is not None


def _check_rows(paths: Paths, dump: DatabaseDump) -> Check:
    title = f"{dump.name} holds what the generation holds"
    hint = f"Compare with the dump in {spool_of_tree(paths) / dump.engine / dump.instance}; `hotsync verify` reads it."
    return checks.ask(f"rows.{dump.name}", title, hint, partial(_count, paths, dump), (HotSyncError,))


def _count(paths: Paths, dump: DatabaseDump) -> str:
    document = document_of(spool_of_tree(paths) / dump.engine / dump.instance, dump.engine)
    server = _server(paths, dump)
    said: list[str] = []
    tables = 0
    for database in document.databases:
        match database:
            case MariadbDatabase():
                expected = [(f"{database.name}.{name}", rows) for name, rows in database.tables]
                found = _rows_in_mariadb(server, database)
            case PostgresqlDatabase():
                expected = [(f"{database.name}.{each[0]}.{each[1]}", each[2]) for each in database.tables]
                found = _rows_in_postgresql(server, database)
            case _:
                assert_never(database)
        said += missing_rows(dump.name, expected, found)
        tables += len(expected)
    if said:
        raise checks.Ill("; ".join(said[:5]) + (f"; and {len(said) - 5} more" if len(said) > 5 else ""))
    return f"{tables} tables in {len(document.databases)} databases"


def _server(paths: Paths, dump: DatabaseDump) -> Dataset:
    server = server_of(paths, dump)
    return with_own_login(server) if dump.engine == mariadb.NAME else server


def _rows_in_mariadb(server: Dataset, database: MariadbDatabase) -> dict[str, int]:
    """Return the rows of each table of the dump that is there."""
    listed = "SELECT table_name FROM information_schema.tables WHERE table_schema = {};"
    there = {row[0] for row in ask_mariadb(server, listed.format(_text(database.name)))}
    counts = (
        f"SELECT {number}, COUNT(*) FROM {quote(database.name)}.{quote(name)};"  # noqa: S608 - quoted
        for number, (name, _) in enumerate(database.tables)
        if name in there
    )
    found = {int(row[0]): int(row[1]) for row in ask_mariadb(server, "\n".join(counts))}
    return {f"{database.name}.{database.tables[number][0]}": rows for number, rows in found.items()}


def _text(value: str) -> str:
    """Return text as an SQL string of MariaDB, whatever its mode says of backslashes."""
    return f"x'{value.encode('utf-8', 'surrogateescape').hex()}'"


def _rows_in_postgresql(server: Dataset, database: PostgresqlDatabase) -> dict[str, int]:
    found: dict[str, int] = {}
    counts = "".join(_counts(database.tables))
    for answer in ask_postgresql(login_of(server), counts, database.name, LONGEST).splitlines():
        number, rows = (int(each) for each in json.loads(answer))
        schema, name, _ = database.tables[number]
        found[f"{database.name}.{schema}.{name}"] = rows
    return found


def _counts(tables: Iterable[tuple[str, str, int]]) -> Iterator[str]:
    for number, (schema, name, _) in enumerate(tables):
        form = f"SELECT json_build_array({number}, count(*)) FROM ONLY %I.%I"  # noqa: S608 - a number of ours
        there = f"to_regclass(format('%I.%I', {literal(schema)}, {literal(name)})) IS NOT NULL"
        yield f"SELECT format('{form}', {literal(schema)}, {literal(name)}) WHERE {there} \\gexec\n"
