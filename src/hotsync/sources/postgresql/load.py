"""Loads a collected PostgreSQL cluster into a server.

Names come from the MASTER and are data: psql reads them in its restricted mode, under a key that only this load knows,
and pg_restore runs as the cluster's own user. Whatever was there of the MASTER is made anew, so doing it again is fine.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.errors import CommandFailed, OlderServer, RestoreFailed
from hotsync.sources import documents
from hotsync.sources.documents import CLUSTER, GLOBALS, TOC, FileRecord, PostgresqlCluster, PostgresqlDatabase
from hotsync.sources.postgresql import database as pgdatabase
from hotsync.sources.postgresql import matviews
from hotsync.sources.postgresql.cluster import LONGEST, Login, ask, ask_json, detail, literal, login_of, server_version
from hotsync.sources.postgresql.rows import make_spaces
from hotsync.sources.source import DURABLE_EVERY, NOTHING_LOADED, Dataset, Loaded, LoadPaused, all_of
from hotsync.sources.spool import digest_of, open_plain
from hotsync.system.command import LARGE_OUTPUT, run
from hotsync.system.files import sync_filesystem

_DAY = 24 * 3600.0
_EXISTS = "42710"  # duplicate_object: a role or tablespace that is there already
_BY_PROMOTION = "A promotion loads it, which takes it longer."
_FAULT = re.compile(r"\b(?:ERROR|FATAL|PANIC):|backslash command|invalid command")

# what the MASTER took away must not live on here: memberships, settings and passwords are set anew by globals.sql
_STRIP_ROLES = """
SELECT format('REVOKE %I FROM %I CASCADE', g.rolname, m.rolname) FROM pg_auth_members a
  JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
  WHERE m.rolname !~ '^pg_' \\gexec
SELECT format('ALTER ROLE %I RESET ALL', rolname) FROM pg_roles WHERE rolname !~ '^pg_' \\gexec
SELECT format('ALTER ROLE %I PASSWORD NULL', rolname) FROM pg_roles WHERE rolname !~ '^pg_' \\gexec
"""
# one that a DROP DATABASE left behind in the middle is not there (server 15.4 and newer)
_PRESENT = "SELECT coalesce(json_agg(datname), '[]') FROM pg_database WHERE datconnlimit <> -2"


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
        check_confined(folder, dataset, document)
        load = _Load(folder, dataset, document, loaded)
        _check_contents(folder, dataset, (document.globals, *load.files))
        ask(login, _STRIP_ROLES, timeout=LONGEST)
        make_spaces(login, dataset.name, document.spaces)
        _load_globals(folder, dataset, login)
        load.drop_gone()
        load.run()
        load.fill_held()
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


def check_confined(folder: Path, dataset: Dataset, document: PostgresqlCluster) -> None:
    """Before a promotion: raise RestoreFailed if a collected cluster needs more of this host than a confined server
    has, or could ask for it. Root makes no folder for it then, and no psql reads what it could take for a command."""
    if not dataset.confined:
        return
    if document.spaces:
        raise RestoreFailed(dataset=dataset.name, reason="it has tablespaces", hint=_BY_PROMOTION)
    if not _is_restricted(login_of(dataset)) and b"\\" in _globals(folder):
        said = f"{GLOBALS} has a backslash, and psql here is too old to read it as nothing but data"
        raise RestoreFailed(dataset=dataset.name, reason=said, hint=_BY_PROMOTION)


class _Load:
    """The databases of a cluster while they are loaded: those that changed, and those only."""

    def __init__(self, folder: Path, dataset: Dataset, document: PostgresqlCluster, loaded: Loaded) -> None:
        self._folder, self._dataset, self._login, self._loaded = folder, dataset, login_of(dataset), loaded
        self._document = document
        self._present = set(TypeAdapter(list[str]).validate_python(ask_json(self._login, _PRESENT)))
        known = documents.digests(document)
        self._changed = [
            database
            for database in document.databases
            if database.name not in loaded.without
            and (database.name not in self._present or loaded.databases.get(database.name) != known[database.name])
        ]
        self._gone = sorted((loaded.databases.keys() - known.keys()) | loaded.halves)
        self._unconfirmed: list[str] = []
        self._bytes = 0

    @property
    def files(self) -> list[FileRecord]:
        """Return the files that will be read."""
        return [file for database in self._changed for file in database.content]

    def drop_gone(self) -> None:
        """Drop what an earlier load made and the MASTER has no more, and halves of what is left out; one must stay that
        can be connected to."""
        for name in self._gone:
            other = pgdatabase.other_than(self._login, name)
            if other != name and other in self._present:
                self._loaded.begin(name)
                pgdatabase.drop_database(self._login, name, other)

    def run(self) -> None:
        """Load what changed, as long as there may be more of it; one that cannot be loaded costs none of the others.

        Raise RestoreFailed, with all that cannot be, at the end.
        """
        failed: dict[str, RestoreFailed] = {}
        loaded = 0
        for number, database in enumerate(self._changed):
            # a run that always ended after one that cannot be loaded would come to no other for ever
            if not self._loaded.more() and (loaded or not failed):
                self._confirm()
                if failed:
                    break
                count = len(self._changed) - number
                raise LoadPaused(f"{count} databases of {self._dataset.name} are still to be loaded")
            try:
                self._check(database)
                self._loaded.begin(database.name)
                self._load(database)
            except RestoreFailed as error:
                failed[database.name] = error
                if not _answers(self._login):
                    break
                continue
            loaded += 1
            self._unconfirmed.append(database.name)
            self._bytes += sum(file.size for file in database.content)
            if self._bytes >= DURABLE_EVERY:
                self._confirm()
        if failed:
            with suppress(CommandFailed, OSError):  # the first failure is the one to tell
                self._confirm()
            raise all_of(self._dataset, failed)
        self._confirm()

    def fill_held(self) -> None:
        """Fill what an earlier load of what is held already could not: it may have had no network."""
        others = {database.name for database in self._changed} | self._loaded.without
        for database in self._document.databases:
            if database.name not in others:
                matviews.fill(self._login, self._dataset.name, self._folder, database, self._loaded.tell)

    def _check(self, database: PostgresqlDatabase) -> None:
        """Before one is dropped: raise RestoreFailed unless each byte of its dump is what was collected.

        pg_restore loads whatever it finds, and rows are only counted. Of a database that is held already nothing is
        read, so that no dump is read here twice for a load beforehand and the promotion after it.
        """
        for file in database.content:
            if Path(file.file).name != TOC and not _is_whole(self._folder, file):
                damaged = documents.damaged(self._dataset, file.file)
                reason = f"database {database.name}: {damaged.facts['reason']}"
                raise RestoreFailed(dataset=self._dataset.name, reason=reason, hint=damaged.hint)

    def _load(self, database: PostgresqlDatabase) -> None:
        try:
            pgdatabase.load_database(self._folder, self._dataset, self._login, database)
            matviews.fill(self._login, self._dataset.name, self._folder, database, self._loaded.tell)
        except CommandFailed as error:
            reason = f"database {database.name}: {detail(error)}"
            raise RestoreFailed(dataset=self._dataset.name, reason=reason) from error

    def _confirm(self) -> None:
        """Bring to disk what became whole, then say so."""
        if self._unconfirmed:
            _make_durable(self._login)
        for name in self._unconfirmed:
            self._loaded.done(name)
        self._unconfirmed, self._bytes = [], 0


def _check_contents(folder: Path, dataset: Dataset, files: Iterable[FileRecord]) -> None:
    """Before anything is touched: raise RestoreFailed if dumps are plainly not what was collected (sizes, tocs).

    The rest of each database is read right before that is loaded: all of them would be read for nothing where a load
    ends early.
    """
    for file in files:
        is_list = Path(file.file).name == TOC or file.file == GLOBALS
        if not (_is_whole(folder, file) if is_list else _is_as_long(folder, file)):
            raise documents.damaged(dataset, file.file)


def _is_as_long(folder: Path, file: FileRecord) -> bool:
    try:
        return (folder / file.file).lstat().st_size == file.size
    except OSError:
        return False


def _is_whole(folder: Path, file: FileRecord) -> bool:
    """Return whether a collected file is what was collected, to the last byte."""
    try:
        return digest_of(folder / file.file).sha256 == file.sha256
    except OSError:
        return False


def _load_globals(folder: Path, dataset: Dataset, login: Login) -> None:
    """Make the roles what they were; those that exist are altered. Names in the file can run no command of psql's."""
    sql = _globals(folder)
    key = secrets.token_hex(32)
    if _is_restricted(login):
        sql = f"\\restrict {key}\n".encode() + sql + f"\n\\unrestrict {key}\n".encode()
    argv = [
        *dataset.confined,
        login.tool("psql"),
        "--no-psqlrc",
        "--quiet",
        "--set=VERBOSITY=verbose",
        *login.connection(pgdatabase.other_than(login, "")),
    ]
    user = None if dataset.confined else login.user
    # it says of each role that it is there already
    completed = run(argv, input=sql, user=user, env=login.session, cwd="/", timeout=_DAY, limit=LARGE_OUTPUT)
    faults = [line for line in completed.errors.splitlines() if _FAULT.search(line)]
    if bad := [line for line in faults if f"ERROR:  {_EXISTS}:" not in line]:
        raise RestoreFailed(dataset=dataset.name, reason=f"{GLOBALS}: {bad[0]}")


def _globals(folder: Path) -> bytes:
    with open_plain(folder / GLOBALS) as file:
        return file.read()


def _is_restricted(login: Login) -> bool:
    """Return whether psql here can be kept from taking anything that it reads for a command of its own."""
    return "restrict" in run([login.tool("psql"), "--help=commands"]).text


def _answers(login: Login) -> bool:
    """Return whether a server still answers: with one that is gone no further database is tried."""
    try:
        return ask(login, "SELECT 1") == "1"
    except CommandFailed:
        return False


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
