"""Whether a database that was loaded holds what its dump holds: the rows of each table, the large objects."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

from hotsync.errors import RestoreFailed
from hotsync.sources.documents import PostgresqlDatabase
from hotsync.sources.postgresql.cluster import LONGEST, Login, ask, literal
from hotsync.sources.source import OTHER_DUMPS

_COUNT = "SELECT format('SELECT json_build_array(%s, count(*)) FROM ONLY %I.%I'"
_LARGE_OBJECTS = "SELECT json_build_array(-1, count(*)) FROM pg_largeobject_metadata;\n"


def check_rows(login: Login, dataset: str, database: PostgresqlDatabase) -> None:
    """Raise RestoreFailed, with the table, if a table does not hold as many rows as the dump of it.

    Raise CommandFailed if a table is not there at all.
    """
    counts = (
        f"{_COUNT}, {number}, {literal(schema)}, {literal(table)}) \\gexec\n"
        for number, (schema, table, _) in enumerate(database.tables)
    )
    answers = ask(login, "".join(counts) + _LARGE_OBJECTS, database.name, LONGEST)
    found: dict[int, int] = dict(json.loads(line) for line in answers.splitlines())
    for number, (schema, table, rows) in enumerate(database.tables):
        if found.get(number) != rows:
            said = f"table {schema}.{table} of {database.name} has {found.get(number)} rows, its dump {rows}"
            raise RestoreFailed(dataset=dataset, reason=said, hint=OTHER_DUMPS)
    if database.large_objects not in (-1, found.get(-1)):
        said = f"{database.name} has {found.get(-1)} large objects, its dump {database.large_objects}"
        raise RestoreFailed(dataset=dataset, reason=said, hint=OTHER_DUMPS)


def make_spaces(login: Login, dataset: str, spaces: tuple[tuple[str, str], ...]) -> None:
    """Given tablespaces with their folders, make those folders that are missing; they become the cluster user's.

    A folder that is there is taken if it is that user's, or empty; else raise RestoreFailed. Raise OSError.
    """
    for name, place in spaces:
        if not place:
            continue  # within the data directory
        folder = Path(place)
        if not place.startswith("/") or ".." in folder.parts:
            raise RestoreFailed(dataset=dataset, reason=f"tablespace {name} lies in {place!r}, which names no folder")
        _make_space(login, dataset, name, folder)


def _make_space(login: Login, dataset: str, name: str, folder: Path) -> None:
    account = pwd.getpwnam(login.user)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        folder.mkdir(mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        owner = os.fstat(descriptor).st_uid
        if owner == account.pw_uid:
            return
        if os.listdir(descriptor) not in ([], ["lost+found"]):
            reason = f"tablespace {name} belongs in {folder}, which holds something else and is not {login.user}'s"
            hint = f"Empty {folder}, or give it to {login.user}; then run the same command again."
            raise RestoreFailed(dataset=dataset, reason=reason, hint=hint)
        os.fchown(descriptor, account.pw_uid, account.pw_gid)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)
