"""Loads a collected MariaDB server into a server: accounts, then tables, then views, then grants."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from hotsync.errors import CommandFailed, OlderServer, RestoreFailed
from hotsync.sources import documents, mariadb_accounts
from hotsync.sources.documents import INSTANCE, MariadbDatabase, MariadbInstance
from hotsync.sources.mariadb_accounts import Account
from hotsync.sources.mariadb_client import (
    ask,
    client,
    detail,
    is_mariadb,
    login,
    server_version,
    with_own_login,
)
from hotsync.sources.source import OTHER_DUMPS, Dataset
from hotsync.sources.spool import CHUNK, open_plain
from hotsync.sources.stream import feed
from hotsync.sources.versions import series
from hotsync.system.files import sync_filesystem

# with innodb_flush_log_at_trx_commit=0 even FLUSH LOGS leaves InnoDB's log in memory (seen with 10.11)
_COUNT = "SELECT COUNT(*) FROM"
_EVENTS = "`hotsync_events`"
_DAY = 24 * 3600.0
_FLUSH = """
SET @was = @@GLOBAL.innodb_flush_log_at_trx_commit;
SET GLOBAL innodb_flush_log_at_trx_commit = 1;
FLUSH NO_WRITE_TO_BINLOG TABLES;
FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS;
SET GLOBAL innodb_flush_log_at_trx_commit = @was;
"""


def restore(folder: Path, dataset: Dataset) -> str:
    """Given a collected server, load all of it into the server `dataset`; return the digest of what was loaded.

    Databases and accounts of the MASTER become what they were there; databases that the MASTER lacks stay; accounts
    that it lacks go (a login that was taken away there must not work here). Raise OlderServer or RestoreFailed.
    """
    dataset = with_own_login(dataset)
    document = loadable(folder, dataset)
    try:
        accounts = b"".join(documents.content_of(folder, document.accounts.content, dataset))
        held = _hold_events(dataset)
        feed(client(dataset, loading=True), [accounts[: document.accounts.grants_at]])
        dumps = [_Dump(folder, dataset, database) for database in document.databases]
        for dump in dumps:
            dump.load_tables()
            dump.check_rows()
        for dump in dumps:
            dump.load_views()
        feed(client(dataset, loading=True), [accounts[document.accounts.grants_at :]])
        if held:
            ask(dataset, f"SET GLOBAL event_scheduler = ON; DROP ROLE IF EXISTS {_EVENTS};")
        _drop_others(dataset, document)
        _make_durable(dataset)
    except CommandFailed as error:
        raise RestoreFailed(dataset=dataset.name, reason=detail(error)) from error
    except OSError as error:
        raise RestoreFailed(dataset=dataset.name, reason=str(error)) from error
    return document.digest


def loadable(folder: Path, dataset: Dataset) -> MariadbInstance:
    """Given a collected server, return its document; raise OlderServer if the server `dataset` is older than that one.

    Raise RestoreFailed if the document cannot be read or the server does not answer.
    """
    document = documents.load(folder / INSTANCE, MariadbInstance)
    try:
        version = server_version(dataset)
    except CommandFailed as error:
        raise RestoreFailed(dataset=dataset.name, reason=detail(error)) from error
    if is_mariadb(version) != is_mariadb(document.version):
        reason = f"the server here is {version}, the dumps are of {document.version}"
        raise RestoreFailed(dataset=dataset.name, reason=reason, hint="Install the kind of server that the MASTER has.")
    if series(version) < series(document.version):
        raise OlderServer(dataset=dataset.name, theirs=document.version, ours=version)
    return document


class _Dump:
    """One database's file while it is loaded in its two parts, and hashed on the way."""

    def __init__(self, folder: Path, dataset: Dataset, database: MariadbDatabase) -> None:
        self._path = folder / database.content.file
        self._dataset, self._database = dataset, database
        self._hash = hashlib.sha256()

    def load_tables(self) -> None:
        """Make the database anew, without its views."""
        name = mariadb_accounts.quote(self._database.name)
        drop = f"SET FOREIGN_KEY_CHECKS=0;\nDROP DATABASE IF EXISTS {name};\n"
        self._feed(drop.encode("utf-8", "surrogateescape"), 0, self._database.views_at)

    def load_views(self) -> None:
        """Add the views; raise RestoreFailed if the file was not what the document says."""
        if self._database.views_at < self._database.content.size:
            self._feed(b"", self._database.views_at, self._database.content.size)
        if self._hash.hexdigest() != self._database.content.sha256:
            raise documents.damaged(self._dataset, self._database.content.file)

    def check_rows(self) -> None:
        """Raise RestoreFailed, with the table, if a table does not hold as many rows as the dump does."""
        wanted = dict(self._database.tables)
        if not wanted:
            return
        name = self._database.name.encode("utf-8", "surrogateescape").hex()
        listed = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'SYSTEM VERSIONED'"
        versioned = {
            row[0] for row in ask(self._dataset, f"{listed} AND TABLE_SCHEMA = CONVERT(X'{name}' USING utf8);")
        }
        quote = mariadb_accounts.quote
        asked = "".join(
            f"{_COUNT} {quote(self._database.name)}.{quote(table)}"
            f"{' FOR SYSTEM_TIME ALL' if table in versioned else ''};\n"
            for table in wanted
        )
        found = [int(row[0]) for row in ask(self._dataset, asked, timeout=_DAY)]
        for (table, rows), count in zip(wanted.items(), found, strict=True):
            if count != rows:
                reason = f"table {table} of {self._database.name} has {count} rows, its dump {rows}"
                raise RestoreFailed(dataset=self._dataset.name, reason=reason, hint=OTHER_DUMPS)

    def _feed(self, before: bytes, start: int, end: int) -> None:
        try:
            feed(client(self._dataset, loading=True), self._chunks(before, start, end))
        except CommandFailed as error:
            reason = f"database {self._database.name}: {detail(error)}"
            raise RestoreFailed(dataset=self._dataset.name, reason=reason) from error

    def _chunks(self, before: bytes, start: int, end: int) -> Iterator[bytes]:
        yield before
        with open_plain(self._path) as file:
            file.seek(start)
            while chunk := file.read(min(CHUNK, end - file.tell())):
                self._hash.update(chunk)
                yield chunk


def _hold_events(dataset: Dataset) -> bool:
    """Keep events from running on what is half loaded; return whether they are to run when all is loaded.

    A role is the mark of it, so that a load that goes on after one that died lets them run again.
    """
    asked = "SELECT @@GLOBAL.event_scheduler; SELECT COUNT(*) FROM mysql.user WHERE User = 'hotsync_events';"
    scheduler, marked = (row[0] for row in ask(dataset, asked))
    if scheduler == "ON":
        ask(dataset, f"CREATE OR REPLACE ROLE {_EVENTS}; SET GLOBAL event_scheduler = OFF;")
    return scheduler == "ON" or marked != "0"


def _make_durable(dataset: Dataset) -> None:
    """Bring to disk all that was loaded: the journal is about to say that it is there.

    MyISAM, and InnoDB with innodb_flush_log_at_trx_commit other than 1, leave it in memory.
    """
    ask(dataset, _FLUSH)
    places = "SELECT @@datadir UNION SELECT @@innodb_data_home_dir UNION SELECT @@innodb_log_group_home_dir;"
    root = Path(ask(dataset, "SELECT @@datadir;")[0][0])
    for (place,) in ask(dataset, places):
        if place and place != "NULL":
            sync_filesystem(root / place)


def _drop_others(dataset: Dataset, document: MariadbInstance) -> None:
    rows = ask(dataset, "SELECT User, Host, is_role FROM mysql.user;")
    found = [(user, host, is_role == "Y") for user, host, is_role in rows]
    user, host = login(dataset)
    ours = Account(user, host, is_role=False).quoted
    sql = mariadb_accounts.drops(found, document.accounts.users, document.accounts.roles, ours)
    if sql:
        ask(dataset, sql.decode("utf-8", "surrogateescape"))
