"""Loads the databases of a collected MariaDB server: those that changed, and those only.

All that changed are dropped before one of them is loaded: a foreign key to the old form of a table in another database
could not be made (seen with 10.11). A view can only be made where the tables are that it reads: those of a database
come as soon as none of the databases that they name is still to be loaded. Views and foreign keys of a database that is
not loaded live on while a table that they refer to is made anew in another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources import documents
from hotsync.sources.documents import MariadbDatabase, MariadbInstance
from hotsync.sources.mariadb.accounts import quote
from hotsync.sources.mariadb.ask import EXCLUDED
from hotsync.sources.mariadb.client import ask, client, detail
from hotsync.sources.mariadb.gone import feed_what_can_be
from hotsync.sources.source import DURABLE_EVERY, OTHER_DUMPS, Dataset, Loaded, LoadPaused, all_of
from hotsync.sources.spool import CHUNK, open_plain
from hotsync.sources.stream import feed
from hotsync.system.files import sync_filesystem

_COUNT = "SELECT COUNT(*) FROM"
_CHECKS = ("check_constraint_checks", "foreign_key_checks", "innodb_strict_mode")
"""What the rows and tables of the MASTER may have come about without."""
_ENGINE_HINT = (
    "Install the package that brings the engine, and have the server load it (INSTALL SONAME, or its settings), then "
    "run the same command again; or change the table on the MASTER (ALTER TABLE ... ENGINE=InnoDB)."
)
_DAY = 24 * 3600.0
# with innodb_flush_log_at_trx_commit=0 even FLUSH LOGS leaves InnoDB's log in memory (seen with 10.11)
_FLUSH = """
SET @was = @@GLOBAL.innodb_flush_log_at_trx_commit;
SET GLOBAL innodb_flush_log_at_trx_commit = 1;
FLUSH NO_WRITE_TO_BINLOG TABLES;
FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS;
SET GLOBAL innodb_flush_log_at_trx_commit = @was;
"""


def load_databases(folder: Path, dataset: Dataset, document: MariadbInstance, loaded: Loaded) -> None:
    """Given a collected server, make its databases in `dataset` what they were, but for those that are so already.

    Raise LoadPaused (what was loaded is on disk), RestoreFailed, CommandFailed or OSError.
    """
    present = {row[0] for row in ask(dataset, "SHOW DATABASES;")}
    known = documents.digests(document)
    changed = [
        _Dump(folder, dataset, database, (*document.older, *sorted(loaded.without)))
        for database in document.databases
        if database.name not in loaded.without
        and (database.name not in present or loaded.databases.get(database.name) != known[database.name])
    ]
    gone = loaded.databases.keys() - known.keys() - EXCLUDED
    _drop(dataset, sorted(present & (gone | loaded.halves)), loaded)
    load = _Load(dataset, changed, loaded)
    try:
        load.run()
    except (RestoreFailed, CommandFailed):
        with suppress(CommandFailed, OSError):  # the first failure is the one to tell
            load.confirm()
        raise


def make_durable(dataset: Dataset) -> None:
    """Bring to disk all that was loaded: the journal is about to say that it is there.

    MyISAM, and InnoDB with innodb_flush_log_at_trx_commit other than 1, leave it in memory.
    """
    ask(dataset, _FLUSH)
    places = "SELECT @@datadir UNION SELECT @@innodb_data_home_dir UNION SELECT @@innodb_log_group_home_dir;"
    root = Path(ask(dataset, "SELECT @@datadir;")[0][0])
    for (place,) in ask(dataset, places):
        if place and place != "NULL":
            sync_filesystem(root / place)


class _Load:
    """Databases while they are loaded."""

    def __init__(self, dataset: Dataset, changed: Iterable[_Dump], loaded: Loaded) -> None:
        self._dataset, self._loaded = dataset, loaded
        self._waiting = sorted(changed, key=lambda dump: dump.has_views)  # what can be whole at once comes first
        self._without_views: list[_Dump] = []
        self._failed: dict[str, RestoreFailed] = {}
        self._unconfirmed: list[str] = []
        self._bytes = 0
        self._is_one_whole = False

    def run(self) -> None:
        """Load what is waiting, as long as there may be more of it; one that cannot be loaded costs none of the others.

        Raise RestoreFailed, with all that cannot be, at the end.
        """
        names = [dump.name for dump in self._waiting]
        while self._waiting:
            if not self._loaded.more() and self._may_pause():
                if self._failed:
                    break
                self.confirm()
                count = len(self._without_views) + len(self._waiting)
                raise LoadPaused(f"{count} databases of {self._dataset.name} are still to be loaded")
            if len(self._waiting) == len(names):
                _drop(self._dataset, names, self._loaded)
            dump = self._waiting.pop(0)
            try:
                dump.load_tables()
                dump.check_rows()
            except RestoreFailed as error:
                self._fail(dump, error)
                continue
            self._without_views.append(dump)
            self._add_views()
        if self._failed:
            raise all_of(self._dataset, self._failed)
        self.confirm()

    def confirm(self) -> None:
        """Bring to disk what became whole, then say so."""
        if self._unconfirmed:
            make_durable(self._dataset)
        for name in self._unconfirmed:
            self._loaded.done(name)
        self._unconfirmed, self._bytes = [], 0

    def _may_pause(self) -> bool:
        """A load that always ended before a view's other database came would load the same for ever, and so would one
        that ended after what cannot be loaded."""
        return self._is_one_whole or not (self._without_views or self._failed)

    def _fail(self, dump: _Dump, error: RestoreFailed) -> None:
        """Go on without a database that cannot be loaded; raise what was said of it if the server is gone."""
        try:
            ask(self._dataset, "SELECT 1;")
        except CommandFailed:
            raise error from None
        self._failed[dump.name] = error

    def _add_views(self) -> None:
        """Make whole what names none of the databases that are still waiting, or that could not be loaded."""
        missing = [*(dump.name for dump in self._waiting), *self._failed]
        for dump in [dump for dump in self._without_views if not dump.names_in_views(missing)]:
            self._without_views.remove(dump)
            try:
                dump.load_views()
            except RestoreFailed as error:
                self._fail(dump, error)
                continue
            if not dump.names_in_views(sorted(self._loaded.without)):  # else it may lack one, and is not whole
                self._unconfirmed.append(dump.name)
            self._bytes += dump.size
            self._is_one_whole = True
        if self._bytes >= DURABLE_EVERY:
            self.confirm()


class _Dump:
    """One database's file while it is loaded in its two parts, and hashed on the way."""

    def __init__(self, folder: Path, dataset: Dataset, database: MariadbDatabase, older: Sequence[str]) -> None:
        self._path = folder / database.content.file
        self._dataset, self._database, self._older = dataset, database, older
        self._hash = hashlib.sha256()
        self.name, self.size = database.name, database.content.size
        self._views_at = max(0, database.views_at)  # the MASTER's word: a number below 0 would read the whole at once

    @property
    def has_views(self) -> bool:
        """Return whether there is a second part."""
        return self._views_at < self.size

    def load_tables(self) -> None:
        """Make the database, which is not there, without its views."""
        self._feed(_without_checks(self._dataset), 0, self._views_at)

    def load_views(self) -> None:
        """Add the views; raise RestoreFailed if the file was not what the document says.

        Where databases are not of the same moment a view may read what its neighbour does not have: it is left out.
        """
        if self.has_views:
            self._feed(b"", self._views_at, self.size, apart=bool(self._older))
        if self._hash.hexdigest() != self._database.content.sha256:
            raise documents.damaged(self._dataset, self._database.content.file)

    def names_in_views(self, databases: Sequence[str]) -> bool:
        """Return whether the views name one of these databases; the dump names any but their own with each table."""
        names = [_encoded(f"{quote(name)}.") for name in databases]
        if not names or not self.has_views:
            return False
        longest, tail = max(map(len, names)), b""
        for chunk in self._chunks(self._views_at, self.size):
            seen = tail + chunk
            if any(name in seen for name in names):
                return True
            tail = seen[-longest:]
        return False

    def check_rows(self) -> None:
        """Raise RestoreFailed, with the table, if a table does not hold as many rows as the dump does, or is of another
        engine."""
        wanted = dict(self._database.tables)
        try:
            self._check_engines()
            found = self._count(wanted) if wanted else []
        except CommandFailed as error:
            raise self._failure(error) from error
        for (table, rows), count in zip(wanted.items(), found, strict=True):
            if count != rows:
                reason = f"table {table} of {self.name} has {count} rows, its dump {rows}"
                raise RestoreFailed(dataset=self._dataset.name, reason=reason, hint=OTHER_DUMPS)

    def _check_engines(self) -> None:
        """Raise RestoreFailed, with the table, if one was made with another engine: a server without that of the dump
        takes its own, and says nothing (a dump switches NO_ENGINE_SUBSTITUTION off).
        """
        if not self._database.engines:
            return
        listed = "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = "
        rows = ask(self._dataset, f"{listed}CONVERT(X'{_encoded(self.name).hex()}' USING utf8);", timeout=_DAY)
        found = {table: engine for table, engine in rows}
        for table, engine in self._database.engines:
            here = found.get(table, engine)
            if here.casefold() != engine.casefold():
                reason = (
                    f"table {table} of {self.name} is of {engine} in its dump; this server lacks that storage engine "
                    f"and made it {here}"
                )
                raise RestoreFailed(dataset=self._dataset.name, reason=reason, hint=_ENGINE_HINT)

    def _count(self, tables: Iterable[str]) -> list[int]:
        listed = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'SYSTEM VERSIONED'"
        versioned = {
            row[0]
            for row in ask(
                self._dataset, f"{listed} AND TABLE_SCHEMA = CONVERT(X'{_encoded(self.name).hex()}' USING utf8);"
            )
        }
        asked = "".join(
            f"{_COUNT} {quote(self.name)}.{quote(table)}{' FOR SYSTEM_TIME ALL' if table in versioned else ''};\n"
            for table in tables
        )
        return [int(row[0]) for row in ask(self._dataset, asked, timeout=_DAY)]

    def _failure(self, error: CommandFailed) -> RestoreFailed:
        return RestoreFailed(dataset=self._dataset.name, reason=f"database {self.name}: {detail(error)}")

    def _feed(self, before: bytes, start: int, end: int, *, apart: bool = False) -> None:
        chunks = self._hashed(before, start, end)
        try:
            if apart:
                lacking = f"views of {self.name} on what is not in the copies of {', '.join(self._older)}"
                feed_what_can_be(self._dataset, chunks, lacking)
            else:
                feed(client(self._dataset, loading=True), chunks)
        except CommandFailed as error:
            raise self._failure(error) from error

    def _hashed(self, before: bytes, start: int, end: int) -> Iterator[bytes]:
        yield before
        for chunk in self._chunks(start, end):
            self._hash.update(chunk)
            yield chunk

    def _chunks(self, start: int, end: int) -> Iterator[bytes]:
        with open_plain(self._path) as file:
            file.seek(start)
            while chunk := file.read(min(CHUNK, end - file.tell())):
                yield chunk


def _without_checks(dataset: Dataset) -> bytes:
    """Return the statement that lets a session load what is there on the MASTER, whatever it would not take now: those
    of the checks that this server knows."""
    named = ", ".join(f"'{name}'" for name in _CHECKS)
    known = ask(dataset, f"SHOW SESSION VARIABLES WHERE Variable_name IN ({named});")
    return f"SET {', '.join(f'{name}=0' for name, _ in known)};\n".encode()


def _drop(dataset: Dataset, names: Sequence[str], loaded: Loaded) -> None:
    for name in names:
        loaded.begin(name)
    if names:
        drops = "".join(f"DROP DATABASE IF EXISTS {quote(name)};\n" for name in names)
        ask(dataset, f"SET FOREIGN_KEY_CHECKS=0;\n{drops}", timeout=_DAY)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
