"""Builds the real Host of a promotion."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hotsync.backends import production_units
from hotsync.backends.checks import PostgresqlServer
from hotsync.backends.production_units import ProductionUnits
from hotsync.engine.checks import Asked, check_account, run_check
from hotsync.engine.fence.switched_off import Say
from hotsync.engine.promotion.accounts import PromotionAccounts
from hotsync.engine.promotion.databases import PromotionDatabases
from hotsync.engine.promotion.facts import UNITS_CHECK
from hotsync.engine.promotion.files import PromotionFiles
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.network import PromotionNetwork, network_files
from hotsync.engine.promotion.network_check import ADDRESSES_CHECK, check_network
from hotsync.engine.promotion.prepared_etc import PreparedEtc
from hotsync.engine.promotion.resolver import resolver_files
from hotsync.engine.promotion.roles import PromotionRoles
from hotsync.errors import HotSyncError
from hotsync.model.facts import StreamFact
from hotsync.model.ports import Host
from hotsync.model.promotion import ETC, Promotion
from hotsync.model.report import Check, Verdict
from hotsync.sources.ejabberd import source as ejabberd
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql.cluster import ask, login_of
from hotsync.sources.redis import source as redis
from hotsync.sources.source import Context, Dataset
from hotsync.state import promotion as document
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths

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
        network=PromotionNetwork(paths, lambda: document.at_work(paths), partial(document.add_note, paths)),
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
            return check_network(self._paths, document.at_work(self._paths).network)
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
