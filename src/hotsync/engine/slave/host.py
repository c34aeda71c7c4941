"""Builds the real Host of hotsync-slave, and reads the facts that it plans with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from hotsync.backends.accounts import LocalAccounts
from hotsync.backends.mute import Mute
from hotsync.backends.packages import detect
from hotsync.backends.production_units import ProductionUnits
from hotsync.engine.promotion import host as promotion_host
from hotsync.engine.promotion.loads import locales_lacking, locales_of_databases
from hotsync.engine.promotion.master_facts import read_told, spool_of_tree
from hotsync.engine.slave.account_plan import MasterAccounts, plan_accounts, read_master_accounts
from hotsync.engine.slave.mute import Production, no_longer_held, read_production
from hotsync.engine.slave.package_facts import Standing, read_package_facts
from hotsync.engine.slave.packages import SlavePackages
from hotsync.engine.standby import standbys
from hotsync.engine.standby.warm import other_forms, wanted_loads
from hotsync.engine.standby.warm_load import WarmDatabases
from hotsync.engine.status import holdings
from hotsync.errors import HotSyncError
from hotsync.model.accounts.moves import NumberPlan
from hotsync.model.facts import MasterFacts
from hotsync.model.identity import Role
from hotsync.model.packages.local import LocalPackage
from hotsync.model.ports import Host
from hotsync.model.ports.package_manager import PackageManager
from hotsync.model.slave import SlaveFacts, SlaveOutcome
from hotsync.model.standby import StandbyFacts
from hotsync.model.unit_names import template_of
from hotsync.model.warm import Budget, WarmLoad
from hotsync.state.facts import load_facts
from hotsync.state.local_packages import load_local
from hotsync.state.settings import read_settings
from hotsync.state.slave_run import SlaveRun, load_slave_run
from hotsync.state.store import load_role
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.slave")


@dataclass(slots=True)
class SlaveHost:
    """This SLAVE, ready for one run: its facts, its ports, and what came of them."""

    paths: Paths
    manager: PackageManager
    mute: Mute
    accounts: LocalAccounts
    outcome: SlaveOutcome = field(default_factory=SlaveOutcome)
    master: MasterFacts = field(default_factory=MasterFacts)
    local: tuple[LocalPackage, ...] = ()
    their: MasterAccounts = field(default_factory=MasterAccounts)
    production: Production = field(default_factory=Production)

    @classmethod
    def of(cls, paths: Paths) -> SlaveHost:
        """Return this host; nothing is read yet."""
        return cls(paths, detect.manager_of(paths), Mute(paths), LocalAccounts(paths))

    def read_standing(self) -> SlaveFacts:
        """Return role and generation: enough to say whether the command may run."""
        role = load_role(self.paths)
        newest = holdings(self.paths, Role.SLAVE) if role.role is Role.SLAVE else None
        return SlaveFacts(role, newest.number if newest else 0)

    def read_facts(self, standing: SlaveFacts) -> SlaveFacts:
        """Return everything that hotsync-slave plans with; raise ReplicaError if what the MASTER told is malformed."""
        tree = self.paths.replica / "tree"
        with lock.held(self.paths.replica_lock, "commit", wait=True):  # one generation, not the middle of a commit
            self.master, self.local = load_facts(tree), load_local(tree)
            self.their = read_master_accounts(self.paths, look=True)
        self.production = read_production(self.paths, self.mute, self.master)
        freed = no_longer_held(self.mute, self.production)
        running = (unit for unit in self.mute.running() if not {unit, template_of(unit)} & freed)
        return replace(
            read_package_facts(self.packages(), standing),
            to_mute=tuple(sorted(self.mute.lacking(self.production.units))),
            running=tuple(running),
            mute_unread=self.mute.unread,
            to_free=tuple(sorted(freed)),
            numbers=self.plan_numbers(),
            move_cut=self.accounts.unfinished,
            files_left=self.accounts.left,
            locales=self._locales(),
            loads=self.read_loads(),
            standbys=self.read_standbys(),
            told=bool(self.master.packages),
        )

    def packages(self) -> Standing:
        """Return what packages are planned with; the MASTER's were read before."""
        last = load_slave_run(self.paths) or SlaveRun(0.0, 0)
        return Standing(self.paths, self.manager, self.master.packages, last, self.local, self.master.streams)

    def _locales(self) -> tuple[str, ...]:
        """Return the MASTER's locales that are not here: of its databases, and of its locale.gen."""
        tree = self.paths.replica / "tree"
        wanted = locales_of_databases(tree, spool_of_tree(self.paths), read_told(self.paths).dumps)
        return locales_lacking(self.paths, wanted, listed=True)

    def read_loads(self, name: str = "") -> tuple[WarmLoad, ...]:
        """Return the database servers (or the one of this name) whose dumps are not all loaded beforehand now."""
        settings, _ = read_settings(self.paths)
        budget = Budget(settings.warm_minutes, settings.warm_gigabytes * 1024**3)
        dumps = (dump for dump in read_told(self.paths).dumps if name in ("", dump.name))
        return wanted_loads(self.paths, dumps, budget)

    def read_other_forms(self) -> dict[str, str]:
        """Return the clusters here whose files have another form than the MASTER's, with what differs."""
        return other_forms(self.paths, read_told(self.paths).dumps)

    def read_standbys(self) -> tuple[StandbyFacts, ...]:
        """Return the servers that the MASTER streams, or that were copied from it."""
        return standbys.read_standbys(self.paths, read_told(self.paths).dumps)

    def plan_numbers(self) -> NumberPlan:
        """Return what gives the MASTER's accounts their numbers here, as this host's accounts are now."""
        return plan_accounts(self.their, self.accounts)

    def ports(self, facts: SlaveFacts, clock: Clock) -> Host:
        """Return the Host that the steps change."""
        return replace(
            promotion_host.build(self.paths, clock).host,
            databases=_Databases(self, clock),
            services=_Services(self.paths, self.mute),
            accounts=_Accounts(self),
            packages=SlavePackages(self.packages(), self.mute, facts.wanted, self.outcome),
        )


class _Services(ProductionUnits):
    def __init__(self, paths: Paths, mute: Mute) -> None:
        super().__init__(paths)
        self._mute = mute

    def mute(self, units: Sequence[str]) -> None:
        """Keep these units from running here until promotion, and stop what runs."""
        for unit in self._mute.apply(units):
            _log.info("muted %s", unit)

    def free(self, units: Sequence[str]) -> None:
        """Hold these units no more; nothing is started."""
        self._mute.release(units)


class _Databases:
    def __init__(self, slave: SlaveHost, clock: Clock) -> None:
        self._slave = slave
        settings, _ = read_settings(slave.paths)
        self._warm = WarmDatabases(slave.paths, clock, clock.now() + 60.0 * settings.warm_minutes)

    def start(self, engine: str, instance: str, unit: str) -> None:
        """No server of production runs on a SLAVE."""
        raise NotImplementedError

    def load(self, engine: str, instance: str, digest: str) -> None:
        """No server of production runs on a SLAVE."""
        raise NotImplementedError

    def tend_standby(self, engine: str, instance: str) -> None:
        """Do what a streamed server needs; what fails is told and does not raise."""
        slave, name = self._slave, f"{engine}/{instance}"
        try:
            load = partial(self.load_beforehand, engine, instance)
            standbys.tend(slave.paths, read_told(slave.paths).dumps, name, load)
        except (HotSyncError, OSError) as error:
            _log.warning("the standby of %s: %s", name, error)
            slave.outcome.standbys_failed[name] = str(error)

    def load_beforehand(self, engine: str, instance: str) -> None:
        """Load what is new of an instance's dumps; what fails is told and does not raise."""
        outcome = self._slave.outcome
        for wanted in self._slave.read_loads(f"{engine}/{instance}"):
            if wanted.hindrance:
                continue
            try:
                if not self._warm.load(wanted):
                    outcome.loads_left[wanted.name] = "WarmMinutes were over; the next run goes on"
            except (HotSyncError, OSError) as error:
                _log.warning("%s is not loaded beforehand: %s", wanted.name, error)
                failed = outcome.loads_refused if self._warm.refuses(wanted, error) else outcome.loads_failed
                failed[wanted.name] = str(error)


class _Accounts:
    def __init__(self, slave: SlaveHost) -> None:
        self._slave = slave

    def take_numbers(self) -> None:
        """Finish a move that was cut, then make and move accounts as it is needed now."""
        slave = self._slave
        for unread in (slave.accounts.finish(), slave.accounts.apply(slave.plan_numbers())):
            slave.outcome.unread_paths += unread
