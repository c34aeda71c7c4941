"""MariaDB: one consistent dump of all databases of a server, split by database while it comes, and the accounts.

Tables that are not transactional are locked for a short time, since the snapshot does not hold them still. A server
that provably did not change is not dumped again.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from hotsync.errors import CommandFailed, SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check, Notice
from hotsync.sources import documents, proofs, server_settings
from hotsync.sources.documents import ACCOUNTS, INSTANCE, MariadbInstance
from hotsync.sources.mariadb import find as mariadb_find
from hotsync.sources.mariadb import lock as mariadb_lock
from hotsync.sources.mariadb import proof as mariadb_proof
from hotsync.sources.mariadb import sqldump
from hotsync.sources.mariadb import stream as mariadb_stream
from hotsync.sources.mariadb.ask import Accounts, broken_views, check_privileges, databases_of, read_accounts
from hotsync.sources.mariadb.client import (
    DENIED,
    FULL,
    UNREACHABLE,
    ask,
    connection,
    detail,
    is_mariadb,
    program,
    server_version,
)
from hotsync.sources.mariadb.files import TRANSACTIONAL, Files
from hotsync.sources.mariadb.find import NAME as NAME
from hotsync.sources.mariadb.load import loadable as loadable
from hotsync.sources.mariadb.load import restore as restore
from hotsync.sources.proofs import Proof
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import Collection, collecting
from hotsync.sources.stream import output_of
from hotsync.system.command import run

IS_DATABASE: bool = True
_ATTEMPTS = 3
_DIRECTORIES = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('datadir', 'innodb_data_home_dir', 'innodb_log_group_home_dir',"
    " 'innodb_undo_directory');"
)
_ENGINES = (
    "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW' ORDER BY 1, 2;"
)
# a table or database that was changed or dropped while the dump ran: the next snapshot sees it as it is
_TRANSIENT = re.compile(r"\b(?:1412|1146|1049|1356|1017)\b")

log = logging.getLogger(__name__)


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return its servers, also those that are enabled and down; raise SourceError."""
    spool = context.paths.spool / NAME
    folders = sorted(spool.iterdir()) if spool.is_dir() else []
    known = {folder.name: documents.load_last(folder / INSTANCE, MariadbInstance) for folder in folders}
    collected = {
        instance: mariadb_find.Collected(last.unit, last.directory) if last else mariadb_find.Collected("")
        for instance, last in known.items()
    }
    found = mariadb_find.inspect_servers(context, collected)
    for sentence in found.strangers:
        context.notice(Notice("source.mariadb.stranger", sentence))
    return tuple(_with_directories(dataset) for dataset in found.datasets)


def _with_directories(dataset: Dataset) -> Dataset:
    """Add where a running server keeps what is not in its data directory; one that does not answer says nothing."""
    if not dataset.socket:
        return dataset
    try:
        rows = ask(dataset, _DIRECTORIES)
    except CommandFailed:
        return dataset  # `collect` says so
    return replace(dataset, directories=(*dataset.directories, *(row[1] for row in rows if row[1:])))


def collect(context: Context, dataset: Dataset) -> list[DatasetPoint]:
    """Given a server, bring its dumps in the spool up to date; raise SourceError (the last good copy stays)."""
    if dataset.fault:
        raise SourceError(dataset=dataset.name, reason=dataset.fault)
    for attempt in range(1, _ATTEMPTS + 1):
        taken_at = context.clock.now()
        try:
            with collecting(context.paths, dataset.name) as collection:
                _collect(context, dataset, collection, taken_at)
            return [DatasetPoint(dataset.name, taken_at)]
        except CommandFailed as error:
            if attempt == _ATTEMPTS or not _TRANSIENT.search(error.stderr):
                raise _source_error(dataset, error) from error
            log.info("%s changed its tables while they were dumped; once more", dataset.name)
        except (sqldump.DumpError, ValueError) as error:
            raise SourceError(dataset=dataset.name, reason=str(error)) from error
    raise AssertionError("unreachable")


def verify(folder: Path) -> list[Check]:
    """Given a collected server, return whether each of its files is what the document says; raise RestoreFailed."""
    document = documents.load(folder / INSTANCE, MariadbInstance)
    return documents.check_files(f"{NAME}/{folder.name}", folder, document.files)


def _collect(context: Context, dataset: Dataset, collection: Collection, taken_at: float) -> None:
    version = server_version(dataset)
    if not is_mariadb(version):
        hint = "Have it dumped by a plugin in /etc/hotsync.d; see the manual."
        raise SourceError(dataset=dataset.name, reason=f"it is MySQL {version}, which HotSync cannot carry", hint=hint)
    check_privileges(dataset)
    engines = ask(dataset, _ENGINES)
    databases, moving = in_order(databases_of(dataset), engines)
    streaming = mariadb_stream.streaming_of(context.paths, dataset)
    broken = broken_views(dataset, databases)
    for database, view in broken:
        sentence = f"{dataset.name}: view {view} of {database} refers to what is not there; it is left out of the dump"
        context.notice(Notice("source.mariadb.view", sentence))
    command = _dump_command(dataset, databases, broken, [mariadb_stream.DUMP_OPTION] if streaming else [])
    accounts = read_accounts(dataset)
    rows = mariadb_proof.read_rows_state(dataset)
    settings = _settings(dataset)
    last = documents.load_last(collection.folder / INSTANCE, MariadbInstance)
    if (
        last is not None
        and last.settings == settings
        and bool(last.position) == (streaming is not None)
        and _is_proven(context, dataset, last, rows, accounts, command, taken_at)
    ):
        return
    definitions = sqldump.Definitions()
    with mariadb_lock.held(dataset, moving) as lock:
        files = Files(collection, partial(context.progress, dataset.name), lock)
        if databases:
            with closing(output_of(command, stall_seconds=context.stall_seconds)) as chunks:
                sqldump.split(chunks, databases, files, definitions)
            files.finish()
    records = tuple(files.record(database) for database in sorted(databases))
    digest_of_accounts = collection.put(ACCOUNTS, accounts.text)
    account_file = accounts.record(digest_of_accounts)
    digest = documents.digest_of_files((*(record.content for record in records), account_file.content))
    position = streaming.position(dataset, definitions.snapshot) if streaming else ""
    document = MariadbInstance(
        documents.SCHEMA, version, digest, taken_at, records, account_file, tuple(sorted(files.moving)),
        tuple(f"{database}.{view}" for database, view in broken), dataset.unit, dataset.user,
        ask(dataset, "SELECT @@datadir;")[0][0], settings, position,
        mariadb_stream.cannot_follow(databases, engines), mariadb_stream.other_events(dataset),
    )  # fmt: skip
    collection.put(INSTANCE, documents.render(documents.as_before(document, last)))
    if streaming:
        streaming.put_login(collection)
    collection.publish()
    state = _state(rows, definitions.hexdigest(), accounts) if rows is not None else ""
    proofs.keep(context.paths, dataset.name, Proof(state, digest, taken_at) if state else None)


def is_as_told(context: Context, dataset: Dataset) -> bool:
    """Return whether all that a replica does not bring, or must know of, is still as the last dump tells it: version,
    accounts, settings, states of events, tables that no replica can keep. Raise CommandFailed or ValueError."""
    last = documents.load_last(context.paths.spool / dataset.name / INSTANCE, MariadbInstance)
    if last is None:
        return False
    told = last.version, last.accounts.content.sha256, last.settings, last.events, last.cannot_follow
    accounts = hashlib.sha256(read_accounts(dataset).text).hexdigest()
    lost = mariadb_stream.cannot_follow(databases_of(dataset), ask(dataset, _ENGINES))
    return told == (server_version(dataset), accounts, _settings(dataset), mariadb_stream.other_events(dataset), lost)


def _settings(dataset: Dataset) -> server_settings.Settings:
    directory = ask(dataset, "SELECT @@datadir;")[0][0]
    return server_settings.mariadb_settings(ask(dataset, server_settings.MARIADB_QUESTION), directory)


def _state(rows: str, definitions: str, accounts: Accounts) -> str:
    return f"{rows} definitions {definitions} accounts {hashlib.sha256(accounts.text).hexdigest()}"


def _is_proven(
    context: Context,
    dataset: Dataset,
    last: MariadbInstance,
    rows: str | None,
    accounts: Accounts,
    command: Sequence[str],
    now: float,
) -> bool:
    """Return whether the last dumps are proven to be what a dump now would be."""
    proof = proofs.find(context.paths, dataset.name, now)
    if rows is None or proof is None or proof.digest != last.digest or not proof.state.startswith(f"{rows} "):
        return False
    if not proofs.is_whole(context.paths.spool / dataset.name, last.files):
        return False
    return proof.state == _state(rows, mariadb_proof.read_definitions(command, context.stall_seconds), accounts)


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


def _dump_command(
    dataset: Dataset, databases: Sequence[str], without: Sequence[tuple[str, str]], more: Sequence[str] = ()
) -> list[str]:
    dump = program("mariadb-dump", "mysqldump")
    history = ["--dump-history"] if "--dump-history" in run((dump, "--help")).text else []
    return [
        dump, *connection(dataset), "--default-character-set=utf8mb4", "--max-allowed-packet=1G",
        "--single-transaction", "--quick", "--order-by-primary", "--hex-blob", "--routines", "--events", "--triggers",
        "--comments", "--quote-names", "--extended-insert", "--tz-utc", "--skip-dump-date", "--skip-add-locks",
        *history, *more,
        *(f"--ignore-table={database}.{view}" for database, view in without), "--databases", "--", *databases,
    ]  # fmt: skip


def _source_error(dataset: Dataset, error: CommandFailed) -> SourceError:
    if FULL.search(error.stderr):
        hint = "Raise max_connections, or end clients that hang (SHOW PROCESSLIST); the last good copy stays."
        return SourceError(dataset=dataset.name, reason=detail(error), hint=hint)
    if UNREACHABLE.search(error.stderr):
        return SourceError(
            dataset=dataset.name,
            reason=detail(error),
            hint="Start the server, or look into its log; its last good copy stays in the next generation.",
        )
    if DENIED.search(error.stderr):
        hint = "Root must be able to log in by unix socket, or /root/.my.cnf must hold the account that may read all."
        return SourceError(dataset=dataset.name, reason=detail(error), hint=hint)
    return SourceError(dataset=dataset.name, reason=detail(error))
