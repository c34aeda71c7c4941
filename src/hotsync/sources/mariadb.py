"""MariaDB: one consistent dump of all databases of a server, split by database while it comes, and the accounts.

Tables that are not transactional are not held still by the snapshot; the document names them.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed, SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check, Notice
from hotsync.sources import documents, mariadb_accounts, mariadb_find, sqldump
from hotsync.sources.documents import ACCOUNTS, INSTANCE, MariadbAccounts, MariadbDatabase, MariadbInstance
from hotsync.sources.mariadb_accounts import Account
from hotsync.sources.mariadb_client import DENIED, UNREACHABLE, ask, connection, detail, login, program, server_version
from hotsync.sources.mariadb_find import NAME as NAME
from hotsync.sources.mariadb_load import loadable as loadable
from hotsync.sources.mariadb_load import restore as restore
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import Candidate, Collection, collecting, file_name
from hotsync.sources.stream import output_of
from hotsync.system.command import run

IS_DATABASE: bool = True
EXCLUDED = frozenset({"information_schema", "performance_schema", "sys", "mysql"})
_ATTEMPTS = 3
_DIRECTORIES = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('datadir', 'innodb_data_home_dir', 'innodb_log_group_home_dir',"
    " 'innodb_undo_directory');"
)
# a table or database that was changed or dropped while the dump ran: the next snapshot sees it as it is
_TRANSIENT = re.compile(r"\b(?:1412|1146|1049|1356|1017)\b")

log = logging.getLogger(__name__)


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return its servers, also those that are enabled and down; raise SourceError."""
    spool = context.paths.spool / NAME
    collected = sorted(folder.name for folder in spool.iterdir()) if spool.is_dir() else []
    return tuple(_with_directories(dataset) for dataset in mariadb_find.inspect_servers(collected))


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


def name_of(database: str) -> str:
    """Given a database, return its file's name in the spool; `accounts.sql` is taken."""
    return ("%61ccounts" if database == "accounts" else file_name(database)) + ".sql"


@dataclass(slots=True)
class _Files:
    """The files of the databases while the dump is split."""

    context: Context
    dataset: Dataset
    collection: Collection
    candidates: dict[str, Candidate] = field(default_factory=dict[str, Candidate])
    views_at: dict[str, int] = field(default_factory=dict[str, int])
    not_transactional: list[str] = field(default_factory=list[str])
    _open: str = ""
    _count: int = 0

    def write(self, database: str, data: bytes) -> None:
        """Add bytes to a database's file; one file is open at a time, whatever the number of databases."""
        if database != self._open and self._open:
            self.candidates[self._open].pause()
        self._open = database
        if database not in self.candidates:
            self.candidates[database] = self.collection.candidate(name_of(database))
        self.candidates[database].write(data)
        self._count += len(data)
        self.context.progress(self.dataset.name, self._count)

    def views(self, database: str) -> None:
        """Remember where the views begin."""
        self.views_at[database] = self.candidates[database].size

    def table(self, database: str, table: str, engine: str) -> None:
        """Note a table that the snapshot does not hold still."""
        if engine.lower() not in ("innodb", "rocksdb", "tokudb", "sequence", "spider"):
            self.not_transactional.append(f"{database}.{table} ({engine})")

    def record(self, database: str) -> MariadbDatabase:
        """Return what was written of a database."""
        candidate = self.candidates[database]
        content = documents.record(name_of(database), candidate.digest)
        return MariadbDatabase(database, content, self.views_at.get(database, candidate.size))


def _collect(context: Context, dataset: Dataset, collection: Collection, taken_at: float) -> None:
    version = server_version(dataset)
    databases = _databases(dataset)
    files = _Files(context, dataset, collection)
    broken = _broken_views(dataset, databases)
    for database, view in broken:
        sentence = f"{dataset.name}: view {view} of {database} refers to what is not there; it is left out of the dump"
        context.notice(Notice("source.mariadb.view", sentence))
    if databases:
        command = _dump_command(dataset, databases, broken)
        with closing(output_of(command, stall_seconds=context.stall_seconds)) as chunks:
            sqldump.split(chunks, databases, files)
    accounts = _collect_accounts(dataset, collection)
    records = tuple(files.record(database) for database in databases)
    digest = documents.digest_of_files((*(record.content for record in records), accounts.content))
    document = MariadbInstance(
        documents.SCHEMA, version, digest, taken_at, records, accounts, tuple(sorted(files.not_transactional)),
        tuple(f"{database}.{view}" for database, view in broken),
    )  # fmt: skip
    collection.put(INSTANCE, documents.render(_as_before(collection.folder, document)))
    collection.publish()


def _as_before(folder: Path, document: MariadbInstance) -> MariadbInstance:
    """Return the document with the last one's `collected_at` if nothing else differs: an equal file is not replaced."""
    try:
        last = documents.load(folder / INSTANCE, MariadbInstance)
    except RestoreFailed:
        return document
    same = replace(document, collected_at=last.collected_at)
    return same if documents.render(same) == documents.render(last) else document


def _databases(dataset: Dataset) -> list[str]:
    """Return the databases to dump; a folder that only looks like one (`lost+found`) is none."""
    names = [row[0] for row in ask(dataset, "SHOW DATABASES;")]
    return sorted(name for name in names if name not in EXCLUDED and not name.startswith("#mysql50#"))


def _broken_views(dataset: Dataset, databases: Sequence[str]) -> list[tuple[str, str]]:
    """Return the views that nobody can read (database, view): one of them would end the dump of everything."""
    listed = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'VIEW' ORDER BY 1, 2;"
    views = [(database, view) for database, view in ask(dataset, listed) if database in set(databases)]
    mark = secrets.token_hex(16)
    quote = mariadb_accounts.quote
    asked = "".join(f"SHOW FIELDS FROM {quote(view)} IN {quote(name)};\nSELECT '{mark}';\n" for name, view in views)
    groups = mariadb_accounts.groups_of(ask(dataset, asked, "--force") if views else [], mark)
    if len(groups) != len(views):
        raise ValueError("the server did not answer for every view")
    return [view for view, fields in zip(views, groups, strict=True) if not fields]


def _collect_accounts(dataset: Dataset, collection: Collection) -> MariadbAccounts:
    rows = ask(dataset, "SELECT User, Host, is_role FROM mysql.user ORDER BY is_role, User, Host;")
    bare = [Account(user, host, is_role == "Y") for user, host, is_role in rows]
    mark = secrets.token_hex(16)
    answers = ask(dataset, mariadb_accounts.questions(bare, mark))
    accounts = mariadb_accounts.parse_answers(bare, answers, mark)
    first, second = mariadb_accounts.render(accounts, login(dataset))
    digest = collection.put(ACCOUNTS, first + second)
    return MariadbAccounts(
        documents.record(ACCOUNTS, digest),
        len(first),
        tuple(account.quoted for account in accounts if not account.is_role),
        tuple(account.quoted for account in accounts if account.is_role),
    )


def _dump_command(dataset: Dataset, databases: Sequence[str], without: Sequence[tuple[str, str]]) -> list[str]:
    dump = program("mariadb-dump", "mysqldump")
    history = ["--dump-history"] if "--dump-history" in run((dump, "--help")).text else []
    return [
        dump, *connection(dataset), "--default-character-set=utf8mb4", "--max-allowed-packet=1G",
        "--single-transaction", "--quick", "--order-by-primary", "--hex-blob", "--routines", "--events", "--triggers",
        "--comments", "--quote-names", "--extended-insert", "--tz-utc", "--skip-dump-date", *history,
        *(f"--ignore-table={database}.{view}" for database, view in without), "--databases", "--", *databases,
    ]  # fmt: skip


def _source_error(dataset: Dataset, error: CommandFailed) -> SourceError:
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
