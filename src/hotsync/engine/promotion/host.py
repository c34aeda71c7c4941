"""Builds the real Host of a promotion."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hotsync.backends import production_units, selinux
from hotsync.backends.checks import PostgresqlServer
from hotsync.backends.production_units import ProductionUnits
from hotsync.engine.checks import Asked, check_account, run_check
from hotsync.engine.fence.switched_off import Say
from hotsync.engine.promotion.accounts import PromotionAccounts
from hotsync.engine.promotion.facts import UNITS_CHECK
from hotsync.engine.promotion.files import PromotionFiles
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.master_facts import read_told, spool_of_tree, unit_of
from hotsync.engine.promotion.network import PromotionNetwork, network_files
from hotsync.engine.promotion.network_check import ADDRESSES_CHECK, check_network
from hotsync.engine.promotion.prepared_etc import PreparedEtc
from hotsync.engine.promotion.resolver import resolver_files
from hotsync.engine.promotion.roles import PromotionRoles
from hotsync.engine.promotion.served import server_of
from hotsync.engine.standby.standbys import take_over, was_taken_over
from hotsync.engine.standby.warm import hand_over, handed_over
from hotsync.errors import HotSyncError, ReplicaError, RestoreFailed
from hotsync.model.data_age import given_up, taken_over
from hotsync.model.facts import StreamFact
from hotsync.model.ports import Host
from hotsync.model.promotion import ETC, DatabaseDump, Promotion
from hotsync.model.report import Check, Verdict
from hotsync.model.standby import StandbyShown
from hotsync.sources import documents
from hotsync.sources.documents import MariadbInstance, PostgresqlCluster
from hotsync.sources.ejabberd import source as ejabberd
from hotsync.sources.mariadb import load as mariadb_load
from hotsync.sources.mariadb import make as mariadb_make
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.postgresql import cluster as postgresql_cluster
from hotsync.sources.postgresql import make as postgresql_make
from hotsync.sources.postgresql import newer as postgresql_newer
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql.cluster import ask, login_of
from hotsync.sources.redis import source as redis
from hotsync.sources.registry import LOADED_AT_REST, source_named
from hotsync.sources.source import Context, Dataset
from hotsync.state import promotion as document
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.presence import load_presence

_log = logging.getLogger("hotsync.promotion")
_ATTEMPTS = 4
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class PromotionParts:
    """What a promotion works with on one host."""

    paths: Paths
    ground: Ground
    etc: PreparedEtc
    host: Host


def build(
    paths: Paths, clock: Clock | None = None, claim_until: float | None = None, say: Say = _log.info
) -> PromotionParts:
    """Given the places of this host, return its ground and its ports; nothing is claimed after `claim_until`, and `say`
    tells what is waited for."""
    ground = Ground(paths)
    etc = PreparedEtc(paths, ground.own_etc, partial(_network_files, ground))
    units = ProductionUnits(paths, partial(document.add_note, paths))
    host = Host(
        roles=PromotionRoles(paths, clock or SystemClock(), claim_until, say),
        network=PromotionNetwork(paths, lambda: _claimed(paths), partial(document.add_note, paths)),
        accounts=PromotionAccounts(paths),
        packages=_Packages(),
        files=PromotionFiles(paths, etc),
        databases=PromotionDatabases(paths, units),
        services=_Services(units),
        checks=PromotionChecks(paths, ground, clock or SystemClock()),
    )
    return PromotionParts(paths, ground, etc, host)


def _network_files(ground: Ground, part: Path, promotion: Promotion) -> dict[str, str | None]:
    found = network_files(ground.tree / ETC, part, promotion)
    if promotion.network.keeps_own_files:
        return found  # resolv.conf is this server's own
    return {**resolver_files(ground.paths, part, ground.master.network), **found}


def _claimed(paths: Paths) -> Promotion:
    promotion = document.load_promotion(paths)
    if promotion is None:
        raise ReplicaError(reason="there is no promotion to work on", hint="Run hotsync-promote.")
    return promotion


class PromotionDatabases:
    """The dumps of the last generation and the servers that they belong to."""

    def __init__(self, paths: Paths, units: ProductionUnits) -> None:
        self._paths = paths
        self._units = units

    def start(self, engine: str, instance: str, unit: str) -> None:
        """Start an instance's server; a cluster or server that has no data directory here yet is made first."""
        folder = self._folder(engine, instance)
        dump, epoch = self._dump(engine, instance), _claimed(self._paths).epoch
        if take_over(self._paths, dump, epoch, SystemClock(), self._note_standby):
            note = f"{engine}/{instance} was streamed: it has what was committed after the last generation, too."
            document.add_note(self._paths, note)
            self._start(dump, unit)
            return
        if engine == postgresql.NAME:
            self._make_postgresql(dump, folder)
        elif engine == mariadb.NAME:
            mariadb_make.make_server(documents.load(folder / documents.INSTANCE, MariadbInstance), instance)
        hand_over(self._paths, engine, instance, _claimed(self._paths).epoch)
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

    def _start(self, dump: DatabaseDump, unit: str) -> None:
        self._label(dump)
        self._units.start(unit)

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
        """Load an instance's dumps into its server; raise RestoreFailed, also if they are not the ones planned."""
        if engine in LOADED_AT_REST:
            loaded = self._load_at_rest(engine, instance)
        else:
            loaded = self._load_into_server(engine, instance)
        if loaded != digest:
            raise RestoreFailed(dataset=f"{engine}/{instance}", reason="the dumps are not those that were planned with")

    def _load_into_server(self, engine: str, instance: str) -> str:
        """Load what the server does not hold already."""
        epoch, folder = _claimed(self._paths).epoch, self._folder(engine, instance)
        if was_taken_over(self._paths, self._dump(engine, instance), epoch):
            if engine == mariadb.NAME:
                # they are not streamed
                return mariadb_load.restore_accounts(folder, self._server(engine, instance))
            return documents.load(folder / documents.CLUSTER, PostgresqlCluster).digest
        server = self._server(engine, instance)
        tell = partial(document.add_note, self._paths)
        holds = replace(handed_over(self._paths, server, epoch), tell=tell)
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


class PromotionChecks:
    """The checks of the MASTER's applications, and whether its units run."""

    def __init__(self, paths: Paths, ground: Ground, clock: Clock) -> None:
        self._paths = paths
        self._ground = ground
        self._clock = clock

    def run(self, name: str) -> None:
        """Run one check and keep its verdict; a service that has just been started gets a few seconds to answer."""
        check = self._answer(name)
        for _ in range(_ATTEMPTS):
            if check.verdict is not Verdict.RED:
                break
            self._clock.sleep(_PATIENCE_SECONDS)
            check = self._answer(name)
        document.add_check(self._paths, check)

    def _answer(self, name: str) -> Check:
        """Ask; what cannot even be asked is red as well, and no reason to stop a promotion before its role changes."""
        try:
            return self._ask(name)
        except HotSyncError as error:
            spec = self._ground.checks.get(name)
            return Check(name, spec.title if spec else name, Verdict.RED, error.sentence, error.hint)

    def _ask(self, name: str) -> Check:
        if name == UNITS_CHECK:
            return self._check_units()
        if name == ADDRESSES_CHECK:
            return check_network(self._paths, _claimed(self._paths).network)
        spec = self._ground.checks.get(name)
        if spec is None:
            return Check(name, name, Verdict.AMBER, "no profile of this host knows this check")
        context = Context(self._paths)
        settings, _ = read_settings(self._paths)
        asked = Asked(
            lambda: tuple(server.socket for server in mariadb.inspect(context) if server.socket),
            lambda: tuple(
                PostgresqlServer(server.instance, partial(ask, login_of(server)), server.fault)
                for server in postgresql.inspect(context)
                if _is_asked(server)
            ),
            check_account(settings),
            partial(redis.ping, context),
            partial(ejabberd.status, context),
        )
        return run_check(name, spec, asked)

    def _check_units(self) -> Check:
        title = "everything that ran on the MASTER runs here"
        wanted = set(self._ground.wanted)
        known = production_units.known_units(wanted)
        active = production_units.active_units()
        missing, down = sorted(wanted - known), sorted(wanted & known - active)
        if down:
            hint = f"journalctl -u {down[0]} says why."
            return Check(UNITS_CHECK, title, Verdict.RED, f"not active: {', '.join(down)}", hint)
        if missing:
            hint = "Install what brings them (hotsync-slave lists the packages that this server lacks)."
            return Check(UNITS_CHECK, title, Verdict.AMBER, f"not on this server: {', '.join(missing)}", hint)
        return Check(UNITS_CHECK, title, Verdict.GREEN, f"{len(wanted)} units")


def _is_asked(server: Dataset) -> bool:
    """Return whether a PostgreSQL server is production's: one that runs and that HotSync does not speak to is not."""
    return not server.parked and not (server.place and server.socket and server.fault)


class _Services:
    """The units of production, and the mute."""

    def __init__(self, units: ProductionUnits) -> None:
        self.permit, self.reload, self.apply_settings = units.permit, units.reload, units.apply_settings
        self.start_all, self.restart_all, self.unmute = units.start_all, units.restart_all, units.unmute

    def mute(self, units: Sequence[str]) -> None:
        """A promotion mutes nothing."""
        raise NotImplementedError

    def free(self, units: Sequence[str]) -> None:
        """A promotion takes the whole mute away, when its role has changed."""
        raise NotImplementedError


class _Packages:
    """A promotion asks no repository: packages are hotsync-slave's, and what it could not get is told before."""

    def install(self, names: Sequence[str]) -> Sequence[str]:
        """Return all names: none is installed here."""
        return names

    def take_architectures(self, names: Sequence[str]) -> None:
        """A promotion takes no further architectures: hotsync-slave did."""
        raise NotImplementedError

    def take_streams(self, streams: Sequence[StreamFact]) -> None:
        """A promotion enables no streams: hotsync-slave did."""
        raise NotImplementedError

    def take_marks(self) -> None:
        """A promotion marks no packages: hotsync-slave did."""
        raise NotImplementedError

    def finish_install(self) -> None:
        """A promotion finishes no install: hotsync-slave does."""
        raise NotImplementedError

    def make_locales(self, names: Sequence[str]) -> None:
        """A promotion makes no locales: hotsync-slave did, or it was refused."""
        raise NotImplementedError
