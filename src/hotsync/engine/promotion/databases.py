"""The databases of the last generation in a promotion: servers that start, dumps that are loaded, or left out.

A database that cannot be loaded stops the promotion, once all others are loaded: nobody else than a person may say that
production begins without it. The error says how (`hotsync-promote --without`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from hotsync.backends import selinux
from hotsync.backends.production_units import ProductionUnits, active_units
from hotsync.engine.promotion.loads import data_folder
from hotsync.engine.promotion.master_facts import read_told, spool_of_tree, unit_of
from hotsync.engine.promotion.served import server_of
from hotsync.engine.standby.standbys import take_over, was_taken_over
from hotsync.engine.standby.warm import document_of, hand_over, handed_over
from hotsync.errors import HotSyncError, RestoreFailed
from hotsync.model.data_age import given_up, taken_over
from hotsync.model.promotion import DatabaseDump
from hotsync.model.readable import readable
from hotsync.model.standby import StandbyShown
from hotsync.sources import documents
from hotsync.sources.documents import MariadbInstance, PostgresqlCluster
from hotsync.sources.mariadb import load as mariadb_load
from hotsync.sources.mariadb import make as mariadb_make
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb import waiting as mariadb_waiting
from hotsync.sources.mariadb import zones as mariadb_zones
from hotsync.sources.postgresql import cluster as postgresql_cluster
from hotsync.sources.postgresql import make as postgresql_make
from hotsync.sources.postgresql import newer as postgresql_newer
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.registry import LOADED_AT_REST, source_named
from hotsync.sources.source import NOTHING_LOADED, Dataset
from hotsync.state import promotion as document
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.presence import load_presence


class PromotionDatabases:
    """The dumps of the last generation and the servers that they belong to."""

    def __init__(self, paths: Paths, units: ProductionUnits) -> None:
        self._paths = paths
        self._units = units

    def start(self, engine: str, instance: str, unit: str) -> None:
        """Start an instance's server; a cluster or server that has no data directory here yet is made first.

        Raise HotSyncError or OSError; where the server is left out that is a note instead.
        """
        with self._or_left_out(f"{engine}/{instance}"):
            self._make_and_start(engine, instance, unit)

    def _make_and_start(self, engine: str, instance: str, unit: str) -> None:
        folder = self._folder(engine, instance)
        dump, epoch = self._dump(engine, instance), document.at_work(self._paths).epoch
        if take_over(self._paths, dump, epoch, SystemClock(), self._note_standby):
            note = f"{engine}/{instance} was streamed: it has what was committed after the last generation, too."
            document.add_note(self._paths, note)
            self._start(dump, unit)
            return
        if engine == postgresql.NAME:
            self._make_postgresql(dump, folder)
        elif engine == mariadb.NAME:
            mariadb_make.make_server(documents.load(folder / documents.INSTANCE, MariadbInstance), instance)
        hand_over(self._paths, engine, instance, document.at_work(self._paths).epoch)
        if engine == postgresql.NAME:
            self._put_settings(dump, folder)
        self._start(dump, unit)

    def _make_postgresql(self, dump: DatabaseDump, folder: Path) -> None:
        collected = documents.load(folder / documents.CLUSTER, PostgresqlCluster)
        if collected.place:
            postgresql_make.make_server(folder, collected, dump.instance)
            return
        server = dump.served_by
        if server != dump.instance and postgresql_newer.take_over(dump.instance, server):
            note = f"The databases of PostgreSQL {dump.instance} are in {server} now: compare their settings (/etc)."
            document.add_note(self._paths, note)
        postgresql_cluster.make_cluster(collected, server)

    def _put_settings(self, dump: DatabaseDump, folder: Path) -> None:
        """Give a cluster the settings that the MASTER's has in its data directory. It was handed over before: what was
        loaded beforehand would count as touched otherwise.

        Once: if it does not start with them (memory that this host lacks), what a person then changes there stays. A
        server of a newer major version gets none: it would not start with one that it does not know any more.
        """
        collected = documents.load(folder / documents.CLUSTER, PostgresqlCluster)
        if collected.place or dump.served_by != dump.instance or not (collected.configuration or collected.links):
            return
        if dump.name not in document.at_work(self._paths).configured:
            postgresql_make.put_settings(folder, collected, dump.instance)
            document.set_configured(self._paths, dump.name)

    def _start(self, dump: DatabaseDump, unit: str) -> None:
        if dump.engine == mariadb.NAME:
            self._fill_zones(dump, unit)
        self._label(dump)
        self._units.start(unit)

    def _fill_zones(self, dump: DatabaseDump, unit: str) -> None:
        """Let a MariaDB server find the time zones that the MASTER's settings may name: it does not start without."""
        collected = documents.load(self._folder(dump.engine, dump.instance) / documents.INSTANCE, MariadbInstance)
        # one that does not know where the server keeps its files would make others
        if not collected.system.has_zones or mariadb_waiting.hindrance(collected, dump.instance):
            return
        if unit in active_units():
            return  # the load fills them
        directory = self._paths.at(data_folder(self._paths.replica / "tree", dump))
        if fault := mariadb_zones.fill_at_rest(collected, dump.instance, directory):
            document.add_note(self._paths, readable(f"The time zones of {dump.name} could not be filled: {fault}"))

    def _label(self, dump: DatabaseDump) -> None:
        """Label what HotSync made where the server keeps its files."""
        if not (dump.directory and selinux.is_enabled(self._paths)):
            return
        if fault := selinux.label(self._paths, [os.fspath(self._paths.at(dump.directory))], self._paths.root):
            document.add_note(self._paths, f"The files of {dump.name} could not be labelled for SELinux: {fault}")

    def _note_standby(self, shown: StandbyShown, why: str) -> None:
        """Keep for the report of when the data of a streamed server is."""
        difference = load_presence(self._paths).clock_difference
        if why:
            document.set_server(self._paths, shown.name, lambda age: given_up(age, why))
            note = f"{shown.name} was streamed, but its standby was given up and its last dump loaded: {why}."
            document.add_note(self._paths, note)
        else:
            document.set_server(self._paths, shown.name, lambda age: taken_over(age, shown, difference))

    def load(self, engine: str, instance: str, digest: str) -> None:
        """Load an instance's dumps into its server, but for what is left out.

        Raise HotSyncError or OSError, also if they are not the ones planned; the hint tells how to go on without.
        """
        promotion, server = document.at_work(self._paths), f"{engine}/{instance}"
        if server in promotion.without and not was_taken_over(
            self._paths, self._dump(engine, instance), promotion.epoch
        ):
            self._note_left(server, engine, instance)
            return
        with self._or_left_out(server):
            if engine in LOADED_AT_REST:
                loaded = self._load_at_rest(engine, instance)
            else:
                loaded = self._load_into_server(engine, instance)
            if loaded != digest:
                raise RestoreFailed(dataset=server, reason="the dumps are not those that were planned with")
            for name in sorted(promotion.databases_left(server)):
                self._note_left(f"{server}/{name}", engine, instance)

    @contextmanager
    def _or_left_out(self, server: str) -> Iterator[None]:
        """Make a note of what fails if the server is left out; else say in the hint how to go on without it."""
        try:
            yield
        except (HotSyncError, OSError) as error:
            if server in document.at_work(self._paths).without:
                said = error.sentence if isinstance(error, HotSyncError) else str(error)
                document.add_note(self._paths, f"{server} was left out: {said}")
                return
            if isinstance(error, HotSyncError):
                failed = error.databases if isinstance(error, RestoreFailed) else ()
                error.hint = f"{error.hint} To have production without it: {_without(server, failed)}"
            raise

    def _note_left(self, name: str, engine: str, instance: str) -> None:
        note = (
            f"{name} was left out: this server does not have it. Its last dump is in {self._folder(engine, instance)}"
        )
        document.add_note(self._paths, readable(f"{note}: copy that before this server is a SLAVE again."))

    def _load_into_server(self, engine: str, instance: str) -> str:
        """Load what the server does not hold already."""
        promotion, folder = document.at_work(self._paths), self._folder(engine, instance)
        if was_taken_over(self._paths, self._dump(engine, instance), promotion.epoch):
            if engine == mariadb.NAME:
                # they are not streamed
                told = replace(NOTHING_LOADED, tell=partial(document.add_note, self._paths))
                return mariadb_load.restore_accounts(folder, self._server(engine, instance), told)
            return documents.load(folder / documents.CLUSTER, PostgresqlCluster).digest
        server = self._server(engine, instance)
        tell = partial(document.add_note, self._paths)
        digests = documents.digests(document_of(folder, engine))
        holds = handed_over(self._paths, server, promotion.epoch, digests)
        holds = replace(holds, tell=tell, without=promotion.databases_left(f"{engine}/{instance}"))
        if engine == mariadb.NAME:
            return mariadb.restore(folder, server, holds)
        return postgresql.restore(folder, server, holds)

    def load_beforehand(self, engine: str, instance: str) -> None:
        """A promotion loads nothing beforehand."""
        raise NotImplementedError

    def tend_standby(self, engine: str, instance: str) -> None:
        """A promotion copies nothing of the MASTER."""
        raise NotImplementedError

    def _load_at_rest(self, engine: str, instance: str) -> str:
        """Put the data where the server finds it; one that somebody has started is stopped for that long."""
        unit = self._dump(engine, instance).unit or unit_of(engine, instance)
        with self._units.stopped(unit):
            loaded = source_named(engine).restore(self._folder(engine, instance), Dataset(engine, instance, unit=unit))
            self._label(self._dump(engine, instance))
            return loaded

    def _folder(self, engine: str, instance: str) -> Path:
        return spool_of_tree(self._paths) / engine / instance

    def _dump(self, engine: str, instance: str) -> DatabaseDump:
        dumps = read_told(self._paths).dumps
        found = (dump for dump in dumps if (dump.engine, dump.instance) == (engine, instance))
        return next(found, DatabaseDump(engine, instance, "", ""))

    def _server(self, engine: str, instance: str) -> Dataset:
        return server_of(self._paths, self._dump(engine, instance))


def _without(server: str, databases: Sequence[str]) -> str:
    """Return the command that goes on without a server's databases, or without these of them."""
    names = [f"{server}/{name}" for name in databases] or [server]
    return readable(shlex.join(["hotsync-promote", *(word for name in names for word in ("--without", name))]))
