"""Loads a collected MariaDB server into a server: accounts, then tables, then views, then grants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from hotsync.errors import CommandFailed, OlderServer, RestoreFailed
from hotsync.sources import documents
from hotsync.sources.documents import INSTANCE, MariadbInstance
from hotsync.sources.mariadb import accounts as mariadb_accounts
from hotsync.sources.mariadb import system_tables as mariadb_system
from hotsync.sources.mariadb.accounts import Account
from hotsync.sources.mariadb.client import (
    ask,
    client,
    detail,
    is_mariadb,
    login,
    server_version,
    with_own_login,
)
from hotsync.sources.mariadb.databases import load_databases, make_durable
from hotsync.sources.mariadb.definers import may_do_all
from hotsync.sources.mariadb.gone import feed_what_can_be
from hotsync.sources.source import NOTHING_LOADED, Dataset, Loaded
from hotsync.sources.stream import feed
from hotsync.sources.versions import series

_EVENTS = "`hotsync_events`"
_STRICT = "strict_password_validation"
_NO_PLUGIN = re.compile(r"\b1524\b")
_PLUGIN_HINT = (
    "An account needs a plugin that this server lacks. Install the package that brings it (the readiness "
    "names its file: data.plugins), and run the same command again."
)
_LARGEST_PACKET = 1024**3
"""The server's own limit. A row with binary values is more than twice as long in a dump as it was for those who wrote
it, within the limit that the server has for them."""


def restore(folder: Path, dataset: Dataset, loaded: Loaded = NOTHING_LOADED) -> str:
    """Given a collected server, load all of it into the server `dataset`, but for what it is known to hold already.

    Return the digest of what was loaded.
    Databases and accounts of the MASTER become what they were there; databases that the MASTER lacks stay; accounts
    that it lacks go (a login that was taken away there must not work here). Raise OlderServer or RestoreFailed, or
    LoadPaused where `loaded` wanted it: then accounts have no grants yet, and events do not run.
    """
    dataset = with_own_login(dataset)
    document = loadable(folder, dataset)
    with _loading(folder, dataset, document, loaded) as accounts:
        if loaded.accounts:
            feed(client(dataset, loading=True), [accounts[: document.accounts.grants_at]])
        with may_do_all(dataset, document.accounts, are_made=loaded.accounts):
            load_databases(folder, dataset, document, loaded)
        if loaded.accounts:
            lacking = (*document.older, *sorted(loaded.without))
            _grant(dataset, lacking, accounts[document.accounts.grants_at :])
            _drop_others(dataset, document)
    return document.digest


def _grant(dataset: Dataset, lacking: Sequence[str], grants: bytes) -> None:
    """Give the accounts their rights; on a table of a database that is an older copy (or missing) there may be none."""
    if lacking:
        feed_what_can_be(dataset, [grants], f"grants on what is not in the copies of {', '.join(lacking)}")
    else:
        feed(client(dataset, loading=True), [grants])


def restore_accounts(folder: Path, dataset: Dataset, loaded: Loaded = NOTHING_LOADED) -> str:
    """Given a collected server whose databases are here already, newer than its dumps, make its accounts those of it.

    Return the digest of what was collected. Plugins and the like are made, too. What was granted on a table that is
    gone by now is left out. Raise OlderServer or RestoreFailed.
    """
    dataset = with_own_login(dataset)
    document = loadable(folder, dataset)
    with _loading(folder, dataset, document, loaded) as accounts:
        feed(client(dataset, loading=True), [accounts[: document.accounts.grants_at]])
        feed_what_can_be(dataset, [accounts[document.accounts.grants_at :]], "grants on what is gone by now")
        _drop_others(dataset, document)
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


@contextmanager
def _loading(folder: Path, dataset: Dataset, document: MariadbInstance, loaded: Loaded) -> Iterator[bytes]:
    """Return the accounts that were collected; events rest in the block, and what was loaded in it is on disk after it.

    What accounts and tables need is there in it. Raise RestoreFailed for what fails in it; events rest on then.
    """
    try:
        accounts = b"".join(documents.content_of(folder, document.accounts.content, dataset))
        held = _hold_events(dataset)
        with _large_packets(dataset), _any_password(dataset):
            mariadb_system.before_accounts(dataset, document.system, loaded)
            yield accounts
            mariadb_system.after_accounts(dataset, document.system, loaded)
        if held:
            ask(dataset, f"SET GLOBAL event_scheduler = ON; DROP ROLE IF EXISTS {_EVENTS};")
        make_durable(dataset)
    except CommandFailed as error:
        hint = _PLUGIN_HINT if _NO_PLUGIN.search(error.stderr) else None
        raise RestoreFailed(dataset=dataset.name, reason=detail(error), hint=hint) from error
    except OSError as error:
        raise RestoreFailed(dataset=dataset.name, reason=str(error)) from error


def _any_password(dataset: Dataset) -> AbstractContextManager[None]:
    """Let the server take accounts with passwords that it cannot judge meanwhile, since they come as hashes."""
    rows = ask(dataset, f"SHOW GLOBAL VARIABLES LIKE '{_STRICT}';")
    return _meanwhile(dataset, _STRICT, rows[0][1] if rows else "OFF", "OFF")


def _large_packets(dataset: Dataset) -> AbstractContextManager[None]:
    """Let the server take any row of a dump meanwhile; a server that is started anew has its own limit anyhow."""
    was = ask(dataset, "SELECT @@GLOBAL.max_allowed_packet;")[0][0]
    return _meanwhile(dataset, "max_allowed_packet", was, str(max(int(was), _LARGEST_PACKET)))


@contextmanager
def _meanwhile(dataset: Dataset, setting: str, was: str, value: str) -> Iterator[None]:
    """Give a setting of the server another value in the block, if it has another."""
    if value != was:
        ask(dataset, f"SET GLOBAL {setting} = {value};")
    try:
        yield
    finally:
        if value != was:
            with suppress(CommandFailed):  # that it is gone is said by what failed before, or by who asks next
                ask(dataset, f"SET GLOBAL {setting} = {was};")


def _hold_events(dataset: Dataset) -> bool:
    """Keep events from running on what is half loaded; return whether they are to run when all is loaded.

    A role is the mark of it, so that a load that goes on after one that died lets them run again.
    """
    asked = "SELECT @@GLOBAL.event_scheduler; SELECT COUNT(*) FROM mysql.user WHERE User = 'hotsync_events';"
    scheduler, marked = (row[0] for row in ask(dataset, asked))
    if scheduler == "ON":
        ask(dataset, f"CREATE OR REPLACE ROLE {_EVENTS}; SET GLOBAL event_scheduler = OFF;")
    return scheduler == "ON" or marked != "0"


def _drop_others(dataset: Dataset, document: MariadbInstance) -> None:
    rows = ask(dataset, "SELECT User, Host, is_role FROM mysql.user;")
    found = [(user, host, is_role == "Y") for user, host, is_role in rows]
    user, host = login(dataset)
    ours = Account(user, host, is_role=False).quoted
    sql = mariadb_accounts.drops(found, document.accounts.users, document.accounts.roles, ours)
    if sql:
        ask(dataset, sql.decode("utf-8", "surrogateescape"))
