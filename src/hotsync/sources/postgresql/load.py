"""Loads a collected PostgreSQL cluster into a server.

Names come from the MASTER and are data: psql reads them in its restricted mode, under a key that only this load knows,
and pg_restore runs as the cluster's own user. Whatever was there of the MASTER is made anew, so doing it again is fine.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.errors import CommandFailed, OlderServer, RestoreFailed
from hotsync.sources import documents
from hotsync.sources.documents import CLUSTER, GLOBALS, TOC, FileRecord, PostgresqlCluster, PostgresqlDatabase
from hotsync.sources.postgresql.cluster import LONGEST, Login, ask, ask_json, detail, literal, login_of, server_version
from hotsync.sources.postgresql.rows import check_rows, make_spaces
from hotsync.sources.source import DURABLE_EVERY, NOTHING_LOADED, Dataset, Loaded, LoadPaused
from hotsync.sources.spool import digest_of, open_plain
from hotsync.system.command import LARGE_OUTPUT, run
from hotsync.system.files import sync_filesystem

log = logging.getLogger(__name__)

_JOBS = max(2, min(8, len(os.sched_getaffinity(0))))
_DAY = 24 * 3600.0
_EXISTS = "42710"  # duplicate_object: a role or tablespace that is there already
_FAULT = re.compile(r"\b(?:ERROR|FATAL|PANIC):|backslash command|invalid command")

# what the MASTER took away must not live on here: memberships, settings and passwords are set anew by globals.sql
_STRIP_ROLES = """
SELECT format('REVOKE %I FROM %I CASCADE', g.rolname, m.rolname) FROM pg_auth_members a
  JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
  WHERE m.rolname !~ '^pg_' \\gexec
SELECT format('ALTER ROLE %I RESET ALL', rolname) FROM pg_roles WHERE rolname !~ '^pg_' \\gexec
SELECT format('ALTER ROLE %I PASSWORD NULL', rolname) FROM pg_roles WHERE rolname !~ '^pg_' \\gexec
"""
_UNTEMPLATE = """SELECT format('ALTER DATABASE %I IS_TEMPLATE false', datname) FROM pg_database
  WHERE datistemplate AND datname = """
# one that a DROP DATABASE left behind in the middle is not there (server 15.4 and newer)
_PRESENT = "SELECT coalesce(json_agg(datname), '[]') FROM pg_database WHERE datconnlimit <> -2"
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


def restore(folder: Path, dataset: Dataset, loaded: Loaded = NOTHING_LOADED) -> str:
    """Given a collected cluster, load all of it into the cluster `dataset`, but for what it is known to hold already.

    Return the digest of what was loaded.
    Roles and databases of the MASTER become what they were there; databases that the MASTER lacks stay; roles that it
    lacks go, or lose their login where something of this server's own still belongs to them.
    Raise OlderServer or RestoreFailed, or LoadPaused where `loaded` wanted it.
    """
    document = loadable(folder, dataset)
    login = login_of(dataset)
    try:
        load = _Load(folder, dataset, document, loaded)
        _check_contents(folder, dataset, (document.globals, *load.files))
        ask(login, _STRIP_ROLES, timeout=LONGEST)
        make_spaces(login, dataset.name, document.spaces)
        _load_globals(folder, dataset, login)
        load.drop_gone()
        load.run()
        _drop_roles(login, document)
        _make_durable(login)
    except (CommandFailed, OSError, LookupError, ValueError) as error:
        raise RestoreFailed(dataset=dataset.name, reason=detail(error)) from error
    return document.digest


def loadable(folder: Path, dataset: Dataset) -> PostgresqlCluster:
    """Given a collected cluster, return its document; raise OlderServer if the cluster `dataset` is of an older major.

    Raise RestoreFailed if the document cannot be read or the server does not answer.
    """
    document = documents.load(folder / CLUSTER, PostgresqlCluster)
    try:
        ours = server_version(login_of(dataset)) // 10_000
    except CommandFailed as error:
        raise RestoreFailed(dataset=dataset.name, reason=detail(error)) from error
    if ours < int(document.version) // 10_000:
        raise OlderServer(dataset=dataset.name, theirs=f"PostgreSQL {int(document.version) // 10_000}", ours=ours)
    return document


class _Load:
    """The databases of a cluster while they are loaded: those that changed, and those only."""

    def __init__(self, folder: Path, dataset: Dataset, document: PostgresqlCluster, loaded: Loaded) -> None:
        self._folder, self._dataset, self._login, self._loaded = folder, dataset, login_of(dataset), loaded
        self._present = set(TypeAdapter(list[str]).validate_python(ask_json(self._login, _PRESENT)))
        known = documents.digests(document)
        self._changed = [
            database
            for database in document.databases
            if database.name not in self._present or loaded.databases.get(database.name) != known[database.name]
        ]
        self._gone = sorted(loaded.databases.keys() - known.keys())
        self._unconfirmed: list[str] = []
        self._bytes = 0

    @property
    def files(self) -> list[FileRecord]:
        """Return the files that will be read."""
        return [file for database in self._changed for file in database.content]

    def drop_gone(self) -> None:
        """Drop what an earlier load made and the MASTER has no more; one must stay that can be connected to."""
        for name in self._gone:
            other = _other(self._login, name)
            if other != name and other in self._present:
                self._loaded.begin(name)
                _drop_database(self._login, name, other)

    def run(self) -> None:
        """Load what changed, as long as there may be more of it."""
        try:
            for number, database in enumerate(self._changed):
                if not self._loaded.more():
                    count = len(self._changed) - number
                    raise LoadPaused(f"{count} databases of {self._dataset.name} are still to be loaded")
                self._loaded.begin(database.name)
                _load_database(self._folder, self._dataset, self._login, database)
                self._unconfirmed.append(database.name)
                self._bytes += sum(file.size for file in database.content)
                if self._bytes >= DURABLE_EVERY:
                    self._confirm()
        except RestoreFailed:
            with suppress(CommandFailed, OSError):  # the first failure is the one to tell
                self._confirm()
            raise
        except LoadPaused:
            self._confirm()
            raise
        self._confirm()

    def _confirm(self) -> None:
        """Bring to disk what became whole, then say so."""
        if self._unconfirmed:
            _make_durable(self._login)
        for name in self._unconfirmed:
            self._loaded.done(name)
        self._unconfirmed, self._bytes = [], 0


def _check_contents(folder: Path, dataset: Dataset, files: Iterable[FileRecord]) -> None:
    """Before anything is dropped: raise RestoreFailed if a dump is plainly not what was collected (sizes, tocs)."""
    for file in files:
        path = folder / file.file
        whole = path.name == TOC or file.file == GLOBALS
        try:
            good = digest_of(path).sha256 == file.sha256 if whole else path.lstat().st_size == file.size
        except OSError:
            good = False
        if not good:
            raise documents.damaged(dataset, file.file)


def _load_globals(folder: Path, dataset: Dataset, login: Login) -> None:
    """Make the roles what they were; those that exist are altered. Names in the file can run no command of psql's."""
    with open_plain(folder / GLOBALS) as file:
        sql = file.read()
    key = secrets.token_hex(32)
    if "restrict" in run([login.tool("psql"), "--help=commands"]).text:
        sql = f"\\restrict {key}\n".encode() + sql + f"\n\\unrestrict {key}\n".encode()
    argv = [
        login.tool("psql"),
        "--no-psqlrc",
        "--quiet",
        "--set=VERBOSITY=verbose",
        *login.connection(_other(login, "")),
    ]
    # it says of each role that it is there already
    completed = run(argv, input=sql, user=login.user, env=login.environment, cwd="/", timeout=_DAY, limit=LARGE_OUTPUT)
    faults = [line for line in completed.errors.splitlines() if _FAULT.search(line)]
    if bad := [line for line in faults if f"ERROR:  {_EXISTS}:" not in line]:
        raise RestoreFailed(dataset=dataset.name, reason=f"{GLOBALS}: {bad[0]}")


def _load_database(folder: Path, dataset: Dataset, login: Login, database: PostgresqlDatabase) -> None:
    """Make one database anew from its dump."""
    other = _other(login, database.name)
    by_hand = not database.name.isascii() and database.encoding not in ("UTF8", "SQL_ASCII")
    argv = [
        *(dataset.confined or _reading_as(login.user)), login.tool("pg_restore"), "--exit-on-error", f"--jobs={_JOBS}",
        *(() if by_hand else ("--create",)), *login.connection(database.name if by_hand else other),
        str(folder / database.folder),
    ]  # fmt: skip
    try:
        _drop_database(login, database.name, other)
        if by_hand:
            _create(login, database, other)
        run(argv, env=login.environment, cwd="/", timeout=_DAY)
        check_rows(login, dataset.name, database)
    except CommandFailed as error:
        raise RestoreFailed(dataset=dataset.name, reason=f"database {database.name}: {detail(error)}") from error


def _drop_database(login: Login, database: str, other: str) -> None:
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


def _drop_roles(login: Login, document: PostgresqlCluster) -> None:
    """Drop the roles that the MASTER lacks; one that owns something of this server's own only loses its login."""
    query = "SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> current_user"
    for role in sorted(set(TypeAdapter(list[str]).validate_python(ask_json(login, query))) - set(document.roles)):
        name = literal(role)
        try:
            ask(login, f"SELECT format('DROP ROLE %I', {name}) \\gexec\n", timeout=LONGEST)
        except CommandFailed:
            ask(login, f"SELECT format('ALTER ROLE %I NOLOGIN', {name}) \\gexec\n")


def _make_durable(login: Login) -> None:
    """Bring to disk all that was loaded, whatever synchronous_commit and fsync say: the journal is about to say so."""
    ask(login, "CHECKPOINT", timeout=LONGEST)
    data = Path(ask(login, "SHOW data_directory"))
    spaces = ask_json(login, "SELECT json_agg(pg_tablespace_location(oid)) FROM pg_tablespace")
    elsewhere = [Path(place) for place in TypeAdapter(list[str]).validate_python(spaces) if place]
    for place in (data, data / "pg_wal", *elsewhere):
        sync_filesystem(place)


def _other(login: Login, database: str) -> str:
    """Return a database to be connected to while `database` is dropped and made."""
    query = "SELECT coalesce(json_agg(datname), '[]') FROM pg_database WHERE datname IN ('postgres', 'template1')"
    found = set(TypeAdapter(list[str]).validate_python(ask_json(login, query))) - {database}
    return "postgres" if "postgres" in found else "template1"


def _reading_as(user: str) -> list[str]:
    """Return the words before a command that make it run as `user`, able to read (only read) what is root's."""
    capability = "+dac_read_search"
    return [
        "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
        f"--inh-caps={capability}", f"--ambient-caps={capability}",
    ]  # fmt: skip
