"""MariaDB: one consistent dump of all databases of a server, split by database while it comes, and the accounts.

Tables that are not transactional are locked for a short time, since the snapshot does not hold them still. A server
that provably did not change is not dumped again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from hotsync.errors import CommandFailed, SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check, Notice
from hotsync.sources import documents, proofs, server_settings
from hotsync.sources.collected import load_times
from hotsync.sources.documents import ACCOUNTS, INSTANCE, MariadbDatabase, MariadbInstance
from hotsync.sources.mariadb import find as mariadb_find
from hotsync.sources.mariadb import lock as mariadb_lock
from hotsync.sources.mariadb import proof as mariadb_proof
from hotsync.sources.mariadb import sqldump
from hotsync.sources.mariadb import stream as mariadb_stream
from hotsync.sources.mariadb.ask import Accounts, broken_views, check_privileges, databases_of, read_accounts
from hotsync.sources.mariadb.bad import Bad, DumpFailed, RowsLacking, check_rows, own_counts
from hotsync.sources.mariadb.client import (
    DENIED,
    FULL,
    UNREACHABLE,
    ask,
    detail,
    server_version,
)
from hotsync.sources.mariadb.dump import TRANSIENT, dump_command, dump_options, in_order
from hotsync.sources.mariadb.files import Files
from hotsync.sources.mariadb.find import NAME as NAME
from hotsync.sources.mariadb.kind import is_mysql, mariadb_version
from hotsync.sources.mariadb.load import loadable as loadable
from hotsync.sources.mariadb.load import restore as restore
from hotsync.sources.mariadb.system_tables import read_system
from hotsync.sources.proofs import Proof
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import Collection, collecting, file_name
from hotsync.sources.stream import output_of

IS_DATABASE: bool = True
_ATTEMPTS = 3
_MOST_NAMED = 5
_DIRECTORIES = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('datadir', 'innodb_data_home_dir', 'innodb_log_group_home_dir',"
    " 'innodb_undo_directory');"
)
_ENGINES = (
    "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_TYPE <> 'VIEW' ORDER BY 1, 2;"
)
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
    return tuple(_with_directories(dataset) for dataset in found.datasets if not is_mysql(context.paths, dataset))


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
    """Given a server, bring its dumps in the spool up to date; raise SourceError (the last good copy stays).

    A database that cannot be dumped keeps its last good copy and gets a stale point with the reason; the others are
    dumped without it, all of them as of one moment.
    """
    if dataset.fault:
        raise SourceError(dataset=dataset.name, reason=dataset.fault)
    bad, again = Bad(context.stall_seconds), 0
    while True:
        try:
            return _try(context, dataset, bad)
        except CommandFailed as error:
            again += 1
            if again == _ATTEMPTS or not TRANSIENT.search(error.stderr):
                raise _source_error(dataset, error) from error
            log.info("%s changed its tables while they were dumped; once more", dataset.name)
        except (sqldump.DumpError, ValueError) as error:
            raise SourceError(dataset=dataset.name, reason=str(error)) from error


def _try(context: Context, dataset: Dataset, bad: Bad) -> list[DatasetPoint]:
    """Collect a server; each dump that fails of a bad database leaves out at least one more, so there is an end."""
    while True:
        taken_at = context.clock.now()
        try:
            with collecting(context.paths, dataset.name) as collection:
                older = _collect(context, dataset, collection, taken_at, bad)
            return [DatasetPoint(dataset.name, taken_at), *older]
        except DumpFailed as failed:
            if not bad.explains(failed):
                raise failed.error from failed
        except RowsLacking as lacking:
            bad.reasons |= lacking.reasons


def verify(folder: Path) -> list[Check]:
    """Given a collected server, return whether each of its files is what the document says; raise RestoreFailed."""
    document = documents.load(folder / INSTANCE, MariadbInstance)
    return documents.check_files(f"{NAME}/{folder.name}", folder, document.files)


def _collect(
    context: Context, dataset: Dataset, collection: Collection, taken_at: float, bad: Bad
) -> list[DatasetPoint]:
    """Dump a server but for what is bad, of which a point each is returned."""
    version = mariadb_version(dataset)
    check_privileges(dataset)
    engines, every = ask(dataset, _ENGINES), databases_of(dataset)
    streaming = mariadb_stream.streaming_of(context.paths, dataset)
    broken = broken_views(dataset, every)
    last = documents.load_last(collection.folder / INSTANCE, MariadbInstance)
    options = dump_options(dataset, broken)
    if not bad.looked:
        _tell_of_views(context, dataset, broken)
        bad.begin(options, [name for name in every if last is not None and name in last.older])
    databases, moving = in_order([name for name in every if name not in bad.reasons], engines)
    left_out = sorted(bad.reasons.keys() & set(every))
    if left_out and not databases:
        raise SourceError(dataset=dataset.name, reason="; ".join(bad.reasons[name] for name in left_out))
    command = dump_command(options, databases, [mariadb_stream.DUMP_OPTION] if streaming else [])
    accounts = read_accounts(dataset)
    rows = mariadb_proof.read_rows_state(dataset)
    settings, system = _settings(dataset), read_system(dataset)
    if (
        last is not None
        and not left_out
        and last.settings == settings
        and last.system == system
        and bool(last.position) == (streaming is not None)
        and _is_proven(context, dataset, last, rows, accounts, command, taken_at)
    ):
        return []
    definitions = sqldump.Definitions()
    with mariadb_lock.held(dataset, moving) as lock:
        files = Files(collection, partial(context.progress, dataset.name), lock)
        counts = own_counts(dataset, engines, set(moving) if lock.is_held else ())
        if databases:
            _split(command, databases, files, definitions, context.stall_seconds, options)
            files.finish()
            check_rows(counts, files.seen)
            _tell_of_moving(context, dataset, sorted(files.moving))
    kept = _kept(collection, last, left_out)
    records = tuple(sorted((*map(files.record, databases), *kept), key=lambda record: record.name))
    account_file = accounts.record(collection.put(ACCOUNTS, accounts.text))
    digest = documents.digest_of_files((*(record.content for record in records), account_file.content))
    position = streaming.position(dataset, definitions.snapshot) if streaming else ""
    document = MariadbInstance(
        documents.SCHEMA, version, digest, taken_at, records, account_file, tuple(sorted(files.moving)),
        tuple(f"{database}.{view}" for database, view in broken), dataset.unit, dataset.user,
        ask(dataset, "SELECT @@datadir;")[0][0], settings, position,
        mariadb_stream.cannot_follow(every, engines), mariadb_stream.other_events(dataset), tuple(left_out), system,
    )  # fmt: skip
    collection.put(INSTANCE, documents.render(documents.as_before(document, last)))
    if streaming:
        streaming.put_login(collection)
    collection.publish()
    state = _state(rows, definitions.hexdigest(), accounts) if rows is not None and not left_out else ""
    proofs.keep(context.paths, dataset.name, Proof(state, digest, taken_at) if state else None)
    return _older(
        context, dataset, {name: bad.reasons[name] for name in left_out}, {each.name for each in kept}, taken_at
    )


def _tell_of_views(context: Context, dataset: Dataset, broken: Sequence[tuple[str, str]]) -> None:
    for database, view in broken:
        sentence = f"{dataset.name}: view {view} of {database} refers to what is not there; it is left out of the dump"
        context.notice(Notice("source.mariadb.view", sentence))


def _tell_of_moving(context: Context, dataset: Dataset, moving: Sequence[str]) -> None:
    """Say which tables somebody may have written into while they were dumped."""
    if moving:
        more = f" and {len(moving) - _MOST_NAMED} more" if len(moving) > _MOST_NAMED else ""
        sentence = (
            f"{dataset.name}: nothing held still {', '.join(moving[:_MOST_NAMED])}{more} while they were dumped: what "
            "was written meanwhile may be half in the copy (ALTER TABLE ... ENGINE=InnoDB ends this)"
        )
        context.notice(Notice("source.mariadb.moving", sentence))


def _split(
    command: Sequence[str], databases: Sequence[str], files: Files, definitions: sqldump.Definitions,
    stall_seconds: float, options: Sequence[str],
) -> None:  # fmt: skip
    """Dump the databases into their files; raise DumpFailed, or DumpError."""
    try:
        with closing(output_of(command, stall_seconds=stall_seconds)) as chunks:
            sqldump.split(chunks, databases, files, definitions)
    except CommandFailed as error:
        raise DumpFailed(error, options, databases, files.passing) from error


def _older(
    context: Context, dataset: Dataset, reasons: Mapping[str, str], kept: Names[str], now: float
) -> list[DatasetPoint]:
    """Given why databases were left out, and of which a good copy stays, return a point for each, with its moment."""
    times = load_times(context.paths) if reasons else {}
    points: list[DatasetPoint] = []
    for database, reason in reasons.items():
        name = f"{dataset.name}/{file_name(database)}"
        last = times.get(name, times.get(dataset.name, 0.0)) if database in kept else 0.0
        points.append(DatasetPoint(name, last, last or now, reason))
    return points


def _kept(collection: Collection, last: MariadbInstance | None, left_out: Sequence[str]) -> list[MariadbDatabase]:
    """Let the last good copies of these databases stay; return what is told of them."""
    known = last.databases if last is not None else ()
    kept = [
        record for record in known if record.name in left_out and proofs.is_whole(collection.folder, [record.content])
    ]
    for record in kept:
        collection.keep(record.content.file)
    return kept


def is_as_told(context: Context, dataset: Dataset) -> bool:
    """Return whether all that a replica does not bring, or must know of, is still as the last dump tells it: version,
    accounts, settings, states of events, tables that no replica can keep, plugins and the like.
    Raise CommandFailed or ValueError."""
    last = documents.load_last(context.paths.spool / dataset.name / INSTANCE, MariadbInstance)
    if last is None:
        return False
    told = last.version, last.accounts.content.sha256, last.settings, last.events, last.cannot_follow, last.system
    accounts = hashlib.sha256(read_accounts(dataset).text).hexdigest()
    lost = mariadb_stream.cannot_follow(databases_of(dataset), ask(dataset, _ENGINES))
    events = mariadb_stream.other_events(dataset)
    return told == (server_version(dataset), accounts, _settings(dataset), events, lost, read_system(dataset))


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
    try:
        definitions = mariadb_proof.read_definitions(command, context.stall_seconds)
    except CommandFailed:
        return False  # the dump says of what
    return proof.state == _state(rows, definitions, accounts)


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
