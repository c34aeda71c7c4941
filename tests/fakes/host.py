"""A whole server in memory: what steps do to it can be seen, and facts can be read of it again at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hotsync.model.entry import Kind
from hotsync.model.facts import StreamFact
from hotsync.model.fence import FenceResult, Tier, tiers_left
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.plan import StepRecord
from hotsync.model.ports import Host
from hotsync.model.promotion import (
    DatabaseDump,
    ExchangeUnit,
    How,
    NetworkChoice,
    NetworkPlan,
    Promotion,
    PromotionFacts,
    Rebuild,
)


@dataclass
class World:
    """The state of the server; `power_cut` forgets what lives only until the next boot."""

    units: tuple[str, ...] = ("home", "srv/data")
    folders: tuple[str, ...] = ("srv",)
    dumps: tuple[DatabaseDump, ...] = ()
    master_units: tuple[str, ...] = ("dovecot.service",)
    both_units: tuple[str, ...] = ("ssh.service",)
    checks: tuple[str, ...] = ("imap",)
    packages: frozenset[str] = frozenset()
    unobtainable: frozenset[str] = frozenset()
    failing_units: frozenset[str] = frozenset()
    attributes: int = 0
    labels: bool = False
    quotas: int = 0
    rebuilds: tuple[Rebuild, ...] = ()
    accounts_differ: bool = True
    choice: NetworkChoice = NetworkChoice.MASTERS
    master_hears: bool = True
    role: RoleRecord = field(default_factory=lambda: RoleRecord(Role.SLAVE, epoch=4))
    generation: int = 7

    document: Promotion | None = None
    claims: int = 0
    host_name: str = "slave"
    addresses: set[str] = field(default_factory=lambda: {"10.77.0.2/24"})
    tree_live: bool = False
    exchanged: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    etc: str = "live"
    settings: bool = False
    held: bool = False
    network_held: bool = False
    permitted: bool = False
    running: set[str] = field(default_factory=lambda: {"ssh.service"})
    loads: list[str] = field(default_factory=list)
    production: bool = False
    muted: bool = True
    history: list[str] = field(default_factory=list)

    def power_cut(self, *, taken: bool = False) -> None:
        """`taken`: at the boot after it somebody else has production's addresses."""
        self.permitted = self.held = self.network_held = False
        self.running = {"ssh.service"} | (set(self.master_units) if self.production and not self.muted else set())
        if self.etc == "live":
            self.host_name = "slave"
            self.addresses = {"10.77.0.2/24"}
        elif taken and self.role.role is Role.SLAVE and self.choice.takes_addresses:
            assert self.document is not None
            self.network_held, self.addresses = True, {"10.77.0.2/24"}
            fences = tuple(replace(result, reached=False) for result in self.document.fences)
            self.document = replace(self.document, fences=fences)

    def offered(self) -> Promotion:
        units = tuple(ExchangeUnit(path, How.EXCHANGE, Kind.DIRECTORY, 100 + i, 1) for i, path in enumerate(self.units))
        network = NetworkPlan(
            self.choice,
            "master",
            (Address("eth0", "10.77.0.1", 24),),
            (),
            (Address("eth0", "10.77.0.2", 24),),
        )
        return Promotion(
            self.role.highest_epoch + 1,
            self.generation,
            "d" * 64,
            1000.0,
            900.0,
            950.0,
            network,
            units,
            self.folders,
        )

    def facts(self) -> PromotionFacts:
        document = self.document
        if document is None or document.epoch not in (self.role.claim, self.role.epoch):
            document = self.offered()
        return PromotionFacts(
            role=self.role,
            promotion=document,
            fences=tiers_left("", "", document.fences),
            addresses_missing="10.77.0.1/24" not in self.addresses,
            host_name=self.host_name,
            accounts_differ=self.accounts_differ,
            packages_missing=tuple(sorted(self.packages)),
            tree_live=self.tree_live,
            units_left=tuple(unit for unit in document.units if unit.path not in self.exchanged),
            etc_exchanged=self.etc == "exchanged",
            network_held=self.network_held,
            databases=self.dumps,
            servers_down=frozenset(dump.unit for dump in self.dumps if not dump.at_rest) - self.running,
            clients_held=self.held,
            permitted=self.permitted,
            attributes=self.attributes,
            labels=self.labels,
            quotas=self.quotas,
            rebuilds=self.rebuilds,
            units_to_restart=tuple(unit for unit in self.both_units if unit in self.running),
            units_to_start=tuple(unit for unit in self.master_units if unit not in self.running),
            checks=self.checks,
            settled=self.production,
            muted=self.muted,
        )

    def keep(self, line: StepRecord) -> None:
        if self.document is not None and self.document.epoch in (self.role.claim, self.role.epoch):
            self.document = replace(self.document, records=(*self.document.records, line))


@dataclass
class FakeHost:
    """Every port over one World; each call is one thing that happened."""

    world: World

    def host(self) -> Host:
        return Host(self, self, self, self, self, self, self, self)

    # roles
    def claim(self, promotion: Promotion) -> None:
        world = self.world
        assert world.role.role is Role.SLAVE
        assert world.role.claim is None, "a second claim"
        world.claims += 1
        world.document = promotion
        world.role = replace(world.role, claim=promotion.epoch)

    def become_master(self, epoch: int) -> None:
        assert self.world.role.claim == epoch
        assert self.world.etc == "exchanged", "MASTER before its configuration is there"
        self.world.role = RoleRecord(Role.MASTER, epoch)

    def fence(self) -> None:
        assert self.world.role.claim is not None, "a fence before the claim"
        document = self.world.document
        assert document is not None
        if not document.fences:
            assert "10.77.0.1/24" not in self.world.addresses, "the first fence after the MASTER's addresses are ours"
        assert not any(result.reached for result in document.fences), "a fence that reached it is repeated"
        result = FenceResult(Tier.AGENT, self.world.master_hears)
        self.world.document = replace(document, fences=(*document.fences, result))

    def settle(self) -> None:
        assert self.world.role.role is Role.MASTER, "production before the role"
        self.world.production = True

    def finish(self) -> None:
        assert self.world.document is not None
        self.world.document = replace(self.world.document, finished_at=2000.0)

    # network
    def take_addresses(self) -> None:
        assert self.world.role.claim is not None, "addresses before the claim"
        self.world.addresses.add("10.77.0.1/24")

    def set_host_name(self, name: str) -> None:
        self.world.host_name = name

    def activate(self) -> None:
        assert self.world.etc == "exchanged"
        if self.world.network_held:
            document = self.world.document
            assert document is not None
            assert document.fences[-1].reached is self.world.master_hears, "nobody was fenced since the boot"
            assert "10.77.0.1/24" in self.world.addresses
        self.world.network_held = False

    def hold_clients(self) -> None:
        running = {dump.unit for dump in self.world.dumps if not dump.at_rest} & self.world.running
        assert not running, "a database server was up before clients were held off"
        self.world.held = True

    def admit_clients(self) -> None:
        self.world.held = False

    # accounts, packages
    def take_numbers(self) -> None:
        self.world.accounts_differ = False

    def install(self, names: Sequence[str]) -> Sequence[str]:
        self.world.packages &= self.world.unobtainable
        return sorted(self.world.packages)

    def take_architectures(self, names: Sequence[str]) -> None:
        raise AssertionError("a promotion takes no architectures")

    def take_streams(self, streams: Sequence[StreamFact]) -> None:
        raise AssertionError("a promotion enables no streams")

    def take_marks(self) -> None:
        raise AssertionError("a promotion marks no packages")

    def finish_install(self) -> None:
        raise AssertionError("a promotion finishes no install")

    def make_locales(self, names: Sequence[str]) -> None:
        raise AssertionError("a promotion makes no locales")

    # files
    def mark_live(self) -> None:
        assert self.world.role.claim is not None
        self.world.tree_live = True

    def prepare_etc(self) -> None:
        assert self.world.etc != "exchanged", "prepared over the old /etc of this server"
        self.world.etc = "prepared"

    def exchange_etc(self) -> None:
        assert self.world.etc == "prepared"
        self.world.etc = "exchanged"
        self.world.aside.append("etc")

    def exchange(self, path: str) -> None:
        assert self.world.tree_live, "the tree moved while commits were possible"
        assert path not in self.world.exchanged, "exchanged back"
        self.world.exchanged.append(path)
        self.world.aside.append(path)

    def set_folders(self) -> None:
        assert set(self.world.exchanged) >= set(self.world.units)

    def set_attributes(self) -> None:
        assert self.world.etc == "exchanged"

    def set_quotas(self) -> None:
        assert set(self.world.exchanged) >= set(self.world.units)
        self.world.history.append("quotas")

    def restore_labels(self) -> None:
        assert self.world.etc == "exchanged"
        assert set(self.world.exchanged) >= set(self.world.units)
        self.world.history.append("labels")

    def rebuild(self, make: str, paths: Sequence[str]) -> None:
        assert self.world.etc == "exchanged"
        self.world.history.append(" ".join((make, *paths)))

    # databases
    def start(self, engine: str, instance: str, unit: str) -> None:
        assert any(dump.unit == unit for dump in self.world.dumps)
        self._start(unit)

    def load(self, engine: str, instance: str, digest: str) -> None:
        dump = next(dump for dump in self.world.dumps if (dump.engine, dump.instance) == (engine, instance))
        if dump.at_rest:
            assert dump.unit not in self.world.running, "its files were replaced while it ran"
        else:
            assert dump.unit in self.world.running, "loaded into a server that is down"
            assert self.world.held, "loaded while clients could write"
        assert self.world.role.role is Role.SLAVE, "loaded over data of production"
        self.world.loads.append(digest)

    # services
    def tend_standby(self, engine: str, instance: str) -> None:
        raise AssertionError("a promotion copies nothing")

    def load_beforehand(self, engine: str, instance: str) -> None:
        raise AssertionError("a promotion loads nothing beforehand")

    def mute(self, units: Sequence[str]) -> None:
        self.world.muted = True

    def free(self, units: Sequence[str]) -> None:
        raise AssertionError("a promotion frees no single units")

    def permit(self) -> None:
        assert self.world.role.claim is not None
        self.world.permitted = True

    def reload(self) -> None:
        assert self.world.etc == "exchanged"

    def apply_settings(self) -> None:
        assert self.world.etc == "exchanged"
        self.world.settings = True

    def _start(self, unit: str) -> None:
        assert self.world.permitted or (self.world.production and not self.world.muted), f"{unit} is muted"
        self.world.running.add(unit)

    def start_all(self, units: Sequence[str]) -> None:
        assert not self.world.held, "production started and nobody could reach it"
        for unit in units:
            if unit not in self.world.failing_units:
                self._start(unit)

    def restart_all(self, units: Sequence[str]) -> None:
        assert set(units) <= self.world.running

    def unmute(self) -> None:
        assert self.world.role.role is Role.MASTER, "unmuted before the role changed"
        self.world.muted = False

    # checks
    def run(self, name: str) -> None:
        assert self.world.role.claim is not None
        self.world.history.append(f"check {name}")
