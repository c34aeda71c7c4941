"""A promotion as values: what it fixes at the claim, what was read before planning, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from hotsync.model.data_age import ServerAge
from hotsync.model.entry import Kind
from hotsync.model.fence import FenceResult, Tier
from hotsync.model.generation import Generation
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.network.cards import Pairs
from hotsync.model.network.values import Address
from hotsync.model.plan import Outcome, StepRecord
from hotsync.model.report import Check

ETC = "etc"
"""The one folder that is prepared beside the live one and exchanged last."""

OURS = "var/lib/hotsync"
"""HotSync's own state, the tree itself included: never a unit, whatever was selected."""

SHARED = frozenset({
    "", "boot", "dev", "etc", "media", "mnt", "proc", "run", "sys", "tmp", "usr", "usr/share", "usr/lib",
    "var", "var/cache", "var/lib", "var/log", "var/spool", "var/tmp",
})  # fmt: skip
"""Folders in which the state of many owners lies side by side: what only this SLAVE has there is its own and stays."""


class NetworkChoice(IntEnum):
    """The answers to the manual's menu."""

    MASTERS = 1
    BY_HAND = 2
    KEEP = 3
    MAPPED = 4

    @property
    def takes_addresses(self) -> bool:
        """Return whether this server gets the MASTER's addresses."""
        return self in (NetworkChoice.MASTERS, NetworkChoice.MAPPED)


class How(StrEnum):
    """How a unit gets into place: by one rename, by a copy on its own file system first, or only its old one leaves."""

    EXCHANGE = "exchange"
    COPY = "copy"
    ASIDE = "aside"


@dataclass(frozen=True, slots=True)
class ExchangeUnit:
    """One path that moves into production whole.

    `inode` and `device` are those of the tree's side (of the live side for ASIDE) when the promotion was claimed:
    while the tree still holds that very inode there, the exchange has not happened.
    """

    path: str
    how: How
    kind: Kind
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """The addresses of production that this server takes, and the standby ones that it keeps beside them.

    `cards` are the MASTER's hardware addresses with the names of their interfaces: its files may say either. `pairs`
    say which card of this server takes the place of which of the MASTER's; `leases` are addresses that were lent to it
    (by its own names), `servers` the name servers it had. Where `system` is said the files are written anew, for that
    system; `own_system`: it is another one than the MASTER's, so this server's own goes on running. `own_names` are
    hardware addresses and names of this server's cards that only its own files call so.
    `not_taken` are production's addresses where this server keeps its own network: the MASTER serves there, if it does.
    """

    choice: NetworkChoice = NetworkChoice.MASTERS
    host_name: str = ""
    addresses: tuple[Address, ...] = ()
    gateways: tuple[Address, ...] = ()
    standby: tuple[Address, ...] = ()
    cards: tuple[tuple[str, str], ...] = ()
    pairs: Pairs = ()
    system: str = ""
    own_system: bool = False
    leases: tuple[Address, ...] = ()
    servers: tuple[str, ...] = ()
    own_names: tuple[tuple[str, str], ...] = ()
    not_taken: tuple[Address, ...] = ()

    @property
    def of_production(self) -> tuple[Address, ...]:
        """Return the addresses at which the MASTER serves, whether this server takes them or not."""
        return self.addresses or self.not_taken

    @property
    def keeps_own_files(self) -> bool:
        """Return whether /etc keeps what says by which system this server's network is configured."""
        return self.own_system or not self.choice.takes_addresses


@dataclass(frozen=True, slots=True)
class Back:
    """An older generation that is promoted: its number, and of when it is (by the MASTER's clock); and the newest one
    that the MASTER had sent, with its digest and moment."""

    wanted: int
    moment: float
    newest: int
    digest: str
    collected_at: float

    def is_of(self, last: Generation) -> bool:
        """Given the newest generation here, return whether it was made of an older one since, and is not the MASTER's.

        One that the MASTER sent later was collected later, too.
        """
        return last.number > self.newest and last.collected_at < self.collected_at


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion has fixed (document promotion.json), and what its journal proves.

    `folders` are selected folders that stay in place while their children move; they take the MASTER's attributes.
    `running` are the units that were active here at the claim. `etc_inode` is that of the prepared /etc (0: not
    prepared yet); `copies` are the COPY units whose copy is finished, each with its inode; `records` are the outcomes
    of steps; `checks` the verdicts; `notes` what a person must know; `servers` of when each database server's data is;
    `fences` what was done to keep the old MASTER from serving. `planned`: a switchover, whose MASTER was alive and
    stopped production at `stopped_at`. `back`: its generation was made of an older one. `without`: what a person wants
    left out since it cannot be loaded: database servers by their names, or databases (SERVER/DATABASE). `configured`
    are the database servers that were given the MASTER's settings: what differs there now, a person has changed.
    """

    epoch: int
    generation: int
    digest: str
    started_at: float
    collected_at: float
    confirmed_at: float
    network: NetworkPlan
    units: tuple[ExchangeUnit, ...]
    folders: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    etc_inode: int = 0
    copies: tuple[tuple[str, int], ...] = ()
    records: tuple[StepRecord, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    servers: tuple[ServerAge, ...] = ()
    finished_at: float = 0.0
    fences: tuple[FenceResult, ...] = ()
    planned: bool = False
    stopped_at: float = 0.0
    back: Back | None = None
    without: tuple[str, ...] = ()
    configured: tuple[str, ...] = ()

    @property
    def data_of(self) -> int:
        """Return the generation whose data it is: that one is older than its own number where it was gone back to."""
        return self.generation if self.back is None else self.back.wanted

    @property
    def awaits_confirmation(self) -> bool:
        """Return whether it is a switchover whose MASTER has not said yet that it had stood still."""
        return self.planned and not any(fence.reached for fence in self.fences)

    @property
    def lost_by_plan(self) -> str:
        """Return as a clause what a switchover has lost: nothing, but for what a person had left out."""
        left = f" but {', '.join(self.without)}, which was left out" if self.without else ""
        return f"nothing was lost{left}"

    @property
    def still_seconds(self) -> float:
        """Return how long a switchover left everybody without production, 0 if that is not known (yet)."""
        starts = [record.ended_at for record in self.records if record.key.startswith("services.start")]
        return max(0.0, starts[-1] - self.stopped_at) if starts and self.stopped_at else 0.0

    @property
    def done(self) -> frozenset[str]:
        """Return the keys of the steps that the journal proves done."""
        return frozenset(record.key for record in self.records if record.outcome is Outcome.DONE)

    def databases_left(self, server: str) -> frozenset[str]:
        """Given a database server's name, return the databases of it that are left out."""
        return frozenset(name.removeprefix(f"{server}/") for name in self.without if name.startswith(f"{server}/"))

    def copy_of(self, path: str) -> int | None:
        """Given a path, return the inode of its finished copy, or None."""
        return next((inode for copied, inode in self.copies if copied == path), None)

    def unit(self, path: str) -> ExchangeUnit | None:
        """Given a path, return its unit, or None if it is none."""
        return next((unit for unit in self.units if unit.path == path), None)


@dataclass(frozen=True, slots=True)
class DatabaseDump:
    """One database server's dumps in the last generation: the unit that serves them, and a digest of all of them.

    `size` is that of all dumps in bytes, `version` that of the server which they were made of, `directory` where that
    one keeps its files ("": not told). `at_rest`: its server must not run while it is loaded. `server` is the instance
    that serves it here, where that is another one ("" or the same: that of the same name).
    """

    engine: str
    instance: str
    unit: str
    digest: str
    size: int = 0
    version: str = ""
    directory: str = ""
    at_rest: bool = False
    server: str = ""

    @property
    def served_by(self) -> str:
        """Return the instance that serves it here."""
        return self.server or self.instance

    @property
    def name(self) -> str:
        """Return engine and instance as people read them."""
        return f"{self.engine}/{self.instance}"


@dataclass(frozen=True, slots=True)
class Rebuild:
    """One thing that a profile asks to be made anew from carried files: its stable name, what, and of which files."""

    name: str
    make: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromotionFacts:
    """What was read of this SLAVE before planning. `promotion` is the one claimed, or the one that would be.

    `network_held`: this boot did not set the network up, since somebody else had production's addresses.
    `dump_bytes` are those of dumps that are not loaded beforehand, `copy_bytes` those of units that must be copied and
    are not yet. `labels`: files have to be labelled for SELinux here. `quotas`: so many have limits. `fences`: ways to
    keep the old MASTER from serving that have not reached it yet.
    """

    role: RoleRecord
    promotion: Promotion
    fences: tuple[Tier, ...] = ()
    addresses_missing: bool = False
    host_name: str = ""
    accounts_differ: bool = False
    packages_missing: tuple[str, ...] = ()
    tree_live: bool = False
    units_left: tuple[ExchangeUnit, ...] = ()
    etc_exchanged: bool = False
    network_held: bool = False
    copy_bytes: int = 0
    databases: tuple[DatabaseDump, ...] = ()
    dump_bytes: int = 0
    servers_down: frozenset[str] = frozenset()
    clients_held: bool = False
    permitted: bool = False
    attributes: int = 0
    labels: bool = False
    quotas: int = 0
    rebuilds: tuple[Rebuild, ...] = ()
    units_to_restart: tuple[str, ...] = ()
    units_to_start: tuple[str, ...] = ()
    start_orders: tuple[tuple[str, ...], ...] = ()
    checks: tuple[str, ...] = ()
    settled: bool = False
    muted: bool = False

    @property
    def claimed(self) -> bool:
        """Return whether this promotion has its epoch already, as claim or as MASTER."""
        return self.promotion.epoch in (self.role.claim, self.role.epoch if self.is_master else None)

    @property
    def is_master(self) -> bool:
        """Return whether the role has changed."""
        return self.role.role is Role.MASTER
