"""Makes one database of a PostgreSQL cluster anew from its dump, in the place of whatever is there."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.sources.documents import PostgresqlDatabase
from hotsync.sources.postgresql import matviews
from hotsync.sources.postgresql.cluster import LONGEST, Login, ask, ask_json, literal
from hotsync.sources.postgresql.rows import check_rows
from hotsync.sources.source import Dataset
from hotsync.system.command import run

log = logging.getLogger(__name__)

_JOBS = max(2, min(8, len(os.sched_getaffinity(0))))
_DAY = 24 * 3600.0
_DAC_READ_SEARCH = 2
_UNTEMPLATE = """SELECT format('ALTER DATABASE %I IS_TEMPLATE false', datname) FROM pg_database
  WHERE datistemplate AND datname = """
# a database with subscriptions cannot be dropped; nothing is said to the server that they are subscribed to
_SUBSCRIPTIONS = """SELECT count(*) > 0 FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
  WHERE d.datconnlimit <> -2 AND d.datname = """
_UNSUBSCRIBE = """
SELECT format(form, subname) FROM (VALUES (1, 'ALTER SUBSCRIPTION %I DISABLE'),
  (2, 'ALTER SUBSCRIPTION %I SET (slot_name = NONE)'), (3, 'DROP SUBSCRIPTION %I')) AS forms (number, form),
  pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  ORDER BY subname, number \\gexec
"""
_DROP = "SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname = "


def load_database(folder: Path, dataset: Dataset, login: Login, database: PostgresqlDatabase) -> None:
    """Make one database anew from its dump, but for what its materialized views hold; raise CommandFailed."""
    other = other_than(login, database.name)
    by_hand = not database.name.isascii() and database.encoding not in ("UTF8", "SQL_ASCII")
    parts = matviews.list_without(folder, database)
    argv = [
        *(dataset.confined or _reading_as(login.user)), login.tool("pg_restore"), "--exit-on-error", f"--jobs={_JOBS}",
        *(() if by_hand else ("--create",)), *((matviews.USE_LIST,) if parts else ()),
        *login.connection(database.name if by_hand else other),
        str(folder / database.folder),
    ]  # fmt: skip
    drop_database(login, database.name, other)
    if by_hand:
        _create(login, database, other)
    run(argv, input=parts, env=login.session, cwd="/", timeout=_DAY)
    check_rows(login, dataset.name, database)


def drop_database(login: Login, database: str, other: str) -> None:
    """Drop a database if it is there; `other` is one to be connected to meanwhile."""
    name = literal(database)
    if ask(login, f"{_SUBSCRIPTIONS}{name}", other) == "t":
        ask(login, _UNSUBSCRIBE, database, LONGEST)
    ask(login, f"{_UNTEMPLATE}{name} \\gexec\n{_DROP}{name} \\gexec\n", other, LONGEST)


def _create(login: Login, database: PostgresqlDatabase, other: str) -> None:
    """Make an empty database.

    The server keeps names as bare bytes, so that pg_restore itself cannot make a database with a name in UTF-8 and
    another encoding inside; what it would have set on the database besides (privileges, settings) must be set by hand.
    """
    log.warning("database %r is made without its own privileges and settings: set them by hand", database.name)
    fields: tuple[str, ...] = (
        database.name,
        database.owner,
        database.encoding,
        database.collate,
        database.ctype,
        database.tablespace,
    )
    form = "CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L TABLESPACE %I"
    if database.provider == "i":
        form, fields = form + " LOCALE_PROVIDER icu ICU_LOCALE %L", (*fields, database.icu_locale)
    ask(login, f"SELECT format('{form}', {', '.join(map(literal, fields))}) \\gexec\n", other, LONGEST)


def other_than(login: Login, database: str) -> str:
    """Return a database to be connected to while `database` is dropped and made."""
    query = "SELECT coalesce(json_agg(datname), '[]') FROM pg_database WHERE datname IN ('postgres', 'template1')"
    found = set(TypeAdapter(list[str]).validate_python(ask_json(login, query))) - {database}
    return "postgres" if "postgres" in found else "template1"


def _reading_as(user: str) -> list[str]:
    """Return the words before a command that make it run as `user`, able to read (only read) what is root's.

    In the sandbox of a drill nobody has the right for that alone: what is read there may be written, too.
    """
    capability = "+dac_read_search" if _may_have(_DAC_READ_SEARCH) else "+dac_override"
    return [
        "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
        f"--inh-caps={capability}", f"--ambient-caps={capability}",
    ]  # fmt: skip


def _may_have(right: int) -> bool:
    """Return whether this process, and what it starts, can have a right (a capability, by its number)."""
    status = Path("/proc/self/status").read_text("ascii")
    return bool(int(status.partition("CapBnd:")[2].split()[0], 16) >> right & 1)
