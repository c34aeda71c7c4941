"""PostgreSQL: roles and settings of a cluster, and each database in pg_dump's directory format, uncompressed.

One file a table: a table that did not change is not sent again. pg_dump writes as the cluster's own user into a folder
that is that user's; then the folder becomes root's, and each file is taken over by its descriptor. pg_restore reads as
that user too, with the one capability that lets it read what is root's. A cluster that provably did not change is not
dumped again.
"""

from __future__ import annotations

import os
import pwd
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from hotsync.errors import CommandFailed, SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check, Notice
from hotsync.sources import documents, proofs, server_settings
from hotsync.sources.documents import CLUSTER, GLOBALS, TOC, FileRecord, PostgresqlCluster, PostgresqlDatabase
from hotsync.sources.postgresql import make as postgresql_make
from hotsync.sources.postgresql import plain as postgresql_plain
from hotsync.sources.postgresql import proof as postgresql_proof
from hotsync.sources.postgresql import settings as postgresql_settings
from hotsync.sources.postgresql import toc as pgtoc
from hotsync.sources.postgresql.cluster import NAME as NAME
from hotsync.sources.postgresql.cluster import (
    ask_json,
    detail,
    inspect_clusters,
    login_of,
    server_version,
    this_platform,
)
from hotsync.sources.postgresql.load import restore as restore
from hotsync.sources.postgresql.taken import Taken
from hotsync.sources.proofs import Proof
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import Collection, collecting, digest_of, file_name, open_plain
from hotsync.sources.stream import run_watched
from hotsync.system.command import LARGE_OUTPUT, run
from hotsync.system.files import open_beneath

IS_DATABASE: bool = True
LOCK_WAIT_MS = 120_000


class _Database(BaseModel):
    """One row of pg_database."""

    model_config = ConfigDict(extra="ignore")
    name: str
    owner: str
    encoding: str
    collate: str
    ctype: str
    provider: str
    icu_locale: str
    tablespace: str
    is_template: bool
    allows_connections: bool


_DATABASES = """
SELECT coalesce(json_agg(json_build_object(
  'name', d.datname, 'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding),
  'collate', d.datcollate, 'ctype', d.datctype, 'provider', coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
  'icu_locale', coalesce(to_jsonb(d)->>'daticulocale', to_jsonb(d)->>'datlocale', ''),
  'tablespace', t.spcname, 'is_template', d.datistemplate, 'allows_connections', d.datallowconn
) ORDER BY d.datname), '[]')
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
WHERE d.datname <> 'template0' AND d.datconnlimit <> -2
"""
_ROLES = "SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]') FROM pg_roles WHERE rolname !~ '^pg_'"
_SPACES = """SELECT coalesce(json_agg(json_build_array(spcname, pg_tablespace_location(oid)) ORDER BY spcname), '[]')
  FROM pg_tablespace WHERE spcname !~ '^pg_'"""


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return its clusters and the servers that are no clusters, also those that should run and do not;
    raise SourceError."""
    clusters = inspect_clusters()
    return (*clusters, *postgresql_plain.inspect(context, clusters))


def collect(context: Context, dataset: Dataset) -> list[DatasetPoint]:
    """Given a cluster, bring its dumps in the spool up to date; return a point for it and for each database.

    A database that cannot be dumped keeps its last good copy and gets a stale point with the reason; the others go on.
    Raise SourceError if the cluster as a whole cannot be collected.
    """
    fault = dataset.fault or (postgresql_make.mismatch(login_of(dataset)) if dataset.place else "")
    if fault:
        raise SourceError(dataset=dataset.name, reason=fault)
    try:
        with collecting(context.paths, dataset.name) as collection:
            return _Collector(context, dataset, collection).run()
    except (CommandFailed, ValueError, LookupError) as error:
        raise SourceError(dataset=dataset.name, reason=detail(error)) from error


def verify(folder: Path) -> list[Check]:
    """Given a collected cluster, return whether each of its files is what the document says; raise RestoreFailed."""
    document = documents.load(folder / CLUSTER, PostgresqlCluster)
    return documents.check_files(f"{NAME}/{folder.name}", folder, document.files)


def parse_globals(text: bytes) -> bytes:
    """Given what pg_dumpall prints, return it without its \\restrict key, which differs each time.

    Only the first such line opens and only the last one closes; what lies between is the server's.
    """
    lines = text.split(b"\n")
    opening = next((number for number, line in enumerate(lines) if line.startswith(b"\\restrict ")), None)
    closing = next((n for n in reversed(range(len(lines))) if lines[n].startswith(b"\\unrestrict ")), None)
    return b"\n".join(line for number, line in enumerate(lines) if number not in (opening, closing))


class _Collector:
    """One cluster while it is collected."""

    def __init__(self, context: Context, dataset: Dataset, collection: Collection) -> None:
        self._context, self._dataset, self._collection = context, dataset, collection
        self._login = login_of(dataset)
        self._last = documents.load_last(collection.folder / CLUSTER, PostgresqlCluster)
        self._count = 0
        self._settings: server_settings.Settings = ()
        self._told: dict[str, Any] = {}

    def run(self) -> list[DatasetPoint]:
        taken_at = self._context.clock.now()
        version = str(server_version(self._login))
        rows = TypeAdapter(list[_Database]).validate_python(ask_json(self._login, _DATABASES))
        closed = [self._closed(row, taken_at) for row in rows if not row.allows_connections]
        rows = [row for row in rows if row.allows_connections]
        names = [row.name for row in rows]
        position = postgresql_proof.read_position(self._login)
        points = [DatasetPoint(self._dataset.name, taken_at), *(point for _, point in filter(None, closed))]
        answer = ask_json(self._login, server_settings.POSTGRESQL_QUESTION)
        self._settings = TypeAdapter(server_settings.Settings).validate_python(answer)
        self._told = postgresql_settings.take(self._collection, self._login, self._dataset)
        if position is not None and self._is_proven(position, names, taken_at):
            return points + [DatasetPoint(f"{self._dataset.name}/{file_name(name)}", taken_at) for name in names]
        sequences = postgresql_proof.read_sequences(self._login, names) if position is not None else None
        globals_file = self._globals()
        collected: list[PostgresqlDatabase] = []
        dumped: list[DatasetPoint] = []
        for row in rows:
            database, point = self._database(row)
            collected += [database] if database is not None else []
            dumped += [point] if point is not None else []
        whole = len(collected) == len(rows) and not any(point.stale_since for point in dumped)
        collected += [last for last, _ in filter(None, closed)]
        points += dumped
        digest = self._publish(version, taken_at, globals_file, sorted(collected, key=lambda each: each.name))
        proof = None
        if position is not None and sequences is not None and whole:
            proof = Proof(postgresql_proof.state_of(position, sequences), digest, taken_at)
        proofs.keep(self._context.paths, self._dataset.name, proof)
        return points

    def _is_proven(self, position: postgresql_proof.Position, names: Sequence[str], now: float) -> bool:
        """Return whether the last dumps are proven to be what a dump now would be."""
        proof, last = proofs.find(self._context.paths, self._dataset.name, now), self._last
        if proof is None or last is None or proof.digest != last.digest or last.settings != self._settings:
            return False
        if replace(last, **self._told) != last:
            return False
        if not proofs.is_whole(self._collection.folder, last.files):
            return False
        return postgresql_proof.is_unchanged(self._login, proof.state, position, names)

    def _publish(
        self, version: str, taken_at: float, globals_file: FileRecord, databases: Sequence[PostgresqlDatabase]
    ) -> str:
        """Bring the document and the files into the spool; return the digest of the whole."""
        spaces = TypeAdapter(list[tuple[str, str]]).validate_python(ask_json(self._login, _SPACES))
        settings_files = self._told.get("configuration", ())
        files = [globals_file, *(file for database in databases for file in database.content), *settings_files]
        document = PostgresqlCluster(
            documents.SCHEMA,
            version,
            documents.digest_of_files(files),
            taken_at,
            tuple(databases),
            globals_file,
            tuple(TypeAdapter(list[str]).validate_python(ask_json(self._login, _ROLES))),
            tuple(name for name, _ in spaces),
            tuple(spaces),
            self._settings,
            this_platform(),
            postgresql_proof.read_end(self._login),
            **self._told,
        )
        if self._last is not None:
            # an equal dump is held by whoever got as far as the first of its kind
            same = replace(document, position=self._last.position or document.position)
            document = same if documents.as_before(same, self._last) is not same else document
        self._collection.put(CLUSTER, documents.render(documents.as_before(document, self._last)))
        self._collection.publish()
        return document.digest

    def _globals(self) -> FileRecord:
        argv = [self._login.tool("pg_dumpall"), "--globals-only", *self._login.connection()]
        environment = {**self._login.session, "PGCLIENTENCODING": "UTF8"}
        text = run(argv, user=self._login.user, env=environment, cwd="/", limit=LARGE_OUTPUT).stdout
        return documents.record(GLOBALS, self._collection.put(GLOBALS, parse_globals(text)))

    def _database(self, row: _Database) -> tuple[PostgresqlDatabase | None, DatasetPoint | None]:
        """Dump one database; if that fails return the last good copy and a stale point."""
        name = f"{self._dataset.name}/{file_name(row.name)}"
        folder = file_name(row.name) + ".dump"
        taken_at = self._context.clock.now()
        try:
            with self._work() as work:
                self._dump(row, work)
                taken = self._take_over(work, folder)
        except CommandFailed as error:
            if not self._exists(row.name, error):
                return None, None  # dropped meanwhile
            last = self._last_copy(row.name)
            if last is not None:
                self._collection.keep(last.folder)
            return last, DatasetPoint(name, 0.0, taken_at, f"database {row.name}: {detail(error)}")
        fields = row.model_dump(exclude={"allows_connections"})
        return taken.document(fields), DatasetPoint(name, taken_at)

    def _closed(self, row: _Database, now: float) -> tuple[PostgresqlDatabase, DatasetPoint] | None:
        """Keep the last copy of a database that lets nobody in; return it and a stale point, None if there is none."""
        last = self._last_copy(row.name)
        if last is None:
            self._tell(f"database {row.name} of {self._dataset.name} lets nobody in and cannot be dumped")
            return None
        self._collection.keep(last.folder)
        reason = f"database {row.name}: lets nobody in (ALLOW_CONNECTIONS false) and cannot be dumped"
        return last, DatasetPoint(f"{self._dataset.name}/{file_name(row.name)}", 0.0, now, reason)

    @contextmanager
    def _work(self) -> Iterator[int]:
        """Return an open folder that is the cluster user's; whatever is in it goes with the rest."""
        path = self._collection.work / secrets.token_hex(8)
        path.mkdir(mode=0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _dump(self, row: _Database, work: int) -> None:
        account = pwd.getpwnam(self._login.user)
        os.fchown(work, account.pw_uid, account.pw_gid)
        argv = [
            self._login.tool("pg_dump"), "--format=directory", "--compress=0", f"--file=/proc/self/fd/{work}/dump",
            f"--lock-wait-timeout={LOCK_WAIT_MS}", f"--encoding={row.encoding}", "--no-sync",
            *self._login.connection(row.name),
        ]  # fmt: skip
        run_watched(
            argv, user=self._login.user, env=self._login.session, pass_fds=(work,),
            stall_seconds=self._context.stall_seconds, progress=partial(_written, work),
        )  # fmt: skip

    def _take_over(self, work: int, folder: str) -> Taken:
        """Make what pg_dump wrote root's, and each file a candidate for the spool; links are not followed."""
        os.fchown(work, 0, 0)
        dump = open_beneath(work, "dump", os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fchown(dump, 0, 0)
            os.fchmod(dump, 0o700)
            taken = Taken(_read_toc(dump))
            for entry in sorted(os.listdir(dump)):
                name = f"{folder}/{entry}"
                rows_end = taken.ends_as_rows(dump, entry)
                if entry == TOC and self._same_toc(taken.toc, name):
                    self._collection.keep(name)
                    digest = digest_of(self._collection.folder / name)
                else:
                    digest = self._collection.adopt(name, dump, entry)
                taken.add(name, entry, digest, rows_end=rows_end)
                self._count += digest.size
                self._context.progress(self._dataset.name, self._count)
            return taken
        finally:
            os.close(dump)

    def _same_toc(self, toc: bytes, name: str) -> bool:
        """Return whether the table of contents differs from the last one by its time only."""
        new = pgtoc.without_time(toc)
        try:
            with open_plain(self._collection.folder / name) as file:
                return new is not None and new == pgtoc.without_time(file.read())
        except OSError:
            return False

    def _exists(self, database: str, trouble: CommandFailed) -> bool:
        """Return whether a database is there; raise `trouble` where the server does not even say that."""
        try:
            answer = ask_json(self._login, "SELECT json_agg(datname) FROM pg_database")
        except CommandFailed:
            raise trouble from None
        return isinstance(answer, list) and database in answer

    def _last_copy(self, database: str) -> PostgresqlDatabase | None:
        known = self._last.databases if self._last is not None else ()
        return next((last for last in known if last.name == database), None)

    def _tell(self, sentence: str) -> None:
        self._context.notice(Notice("source.postgresql", sentence))


def _written(work: int) -> tuple[int, int]:
    """Given the folder in which a dump is made, return how many files it has, and their bytes."""
    count = size = 0
    with suppress(OSError), os.scandir(f"/proc/self/fd/{work}/dump") as found:
        for entry in found:
            with suppress(OSError):
                count, size = count + 1, size + entry.stat(follow_symlinks=False).st_size
    return count, size


def _read_toc(dump: int) -> bytes:
    descriptor = open_beneath(dump, TOC, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
