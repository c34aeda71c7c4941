"""What the MASTER tells about itself, for the SLAVE to plan with. Only what holds still while nothing changes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PackageFact:
    """An installed package; `manual` is the package manager's mark, `held` that it must not change."""

    name: str
    version: str
    architecture: str
    manual: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class StreamFact:
    """A module of dnf that was set: the stream that is enabled, "" where the module is switched off."""

    module: str
    stream: str = ""

    def __str__(self) -> str:
        """Return it as dnf writes it."""
        return f"{self.module}:{self.stream}" if self.stream else f"{self.module} (switched off)"


@dataclass(frozen=True, slots=True)
class AccountFact:
    """A user with its numbers (the passwords are in etc/shadow of the tree)."""

    name: str
    uid: int
    gid: int
    home: str = ""
    shell: str = ""


@dataclass(frozen=True, slots=True)
class GroupFact:
    """A group with its number and members."""

    name: str
    gid: int
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitFact:
    """A unit: what `systemctl is-enabled` says of it, and whether it is up because the system wants it.

    What runs for a moment only (started by a timer, a socket, a bus name or a login) does not count as active.
    `handmade`: the administrator wrote it, though it is called like a part of the machine (zfs-autobackup.timer).
    """

    name: str
    enabled: str = ""
    active: bool = False
    handmade: bool = False


@dataclass(frozen=True, slots=True)
class AddressFact:
    """An address of an interface; `dynamic` ones were given by DHCP or a router."""

    address: str
    prefix: int
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class InterfaceFact:
    """An interface: its hardware address, what kind it is ("" = a card), the bridge or bond that it is part of.

    `speed` is that of its wire in Mbit/s, 0 where it has none.
    """

    name: str
    mac: str = ""
    kind: str = ""
    master: str = ""
    up: bool = False
    addresses: tuple[AddressFact, ...] = ()
    speed: int = 0


@dataclass(frozen=True, slots=True)
class RouteFact:
    """A route; `destination` is "default" or a network; `gateway` is "" for what is on the wire."""

    destination: str
    interface: str
    gateway: str = ""
    metric: int = 0


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """The MASTER's network as it is in use."""

    host_name: str = ""
    interfaces: tuple[InterfaceFact, ...] = ()
    routes: tuple[RouteFact, ...] = ()
    dns: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MountFact:
    """A mounted file system: where, what device or share, which kind, its options."""

    point: str
    source: str
    kind: str
    options: str = ""


@dataclass(frozen=True, slots=True)
class ShareFact:
    """What a host mounts by itself that is no disk: where, which share or folder, its type (`bind` for a folder of the
    host at another place), and the file that says so: fstab, or a unit."""

    point: str
    source: str
    kind: str
    table: str


@dataclass(frozen=True, slots=True)
class LimitFact:
    """Whose limits (a number of a user, group or project), soft and hard: of space in KiB, and of files; 0 is none."""

    number: int
    soft: int
    hard: int
    files_soft: int
    files_hard: int


@dataclass(frozen=True, slots=True)
class QuotaFact:
    """A mount point where quotas of one kind (`user`, `group`, `project`) are on, with those that have limits.

    `unread`: which those are could not be found out. `grace` and `files_grace`: for how many seconds whoever is above
    a soft limit may stay so; 0 where the kernel did not say.
    """

    point: str
    kind: str
    limits: tuple[LimitFact, ...] = ()
    unread: bool = False
    grace: int = 0
    files_grace: int = 0


@dataclass(frozen=True, slots=True)
class SysctlFact:
    """A kernel setting: its name with dots, its value, the file that sets it ("" if none does)."""

    key: str
    value: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """How the MASTER is set: LANG, time zone, kernel settings, loaded kernel modules of the firewall."""

    locale: str = ""
    timezone: str = ""
    sysctl: tuple[SysctlFact, ...] = ()
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardRuleFact:
    """A rule that somebody made in a host's SELinux policy: of which kind (`fcontext`, `equal`, `port`, `boolean`,
    `login`, `user`, `interface`, `node`, `module`), for what, and what it says."""

    kind: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class GuardFacts:
    """By which SELinux policy a host is guarded ("": by none), and the rules that were made in it there."""

    policy: str = ""
    rules: tuple[GuardRuleFact, ...] = ()


@dataclass(frozen=True, slots=True)
class MasterFacts:
    """All that the MASTER told; what was not told is empty."""

    packages: tuple[PackageFact, ...] = ()
    users: tuple[AccountFact, ...] = ()
    groups: tuple[GroupFact, ...] = ()
    units: tuple[UnitFact, ...] = ()
    network: NetworkFacts = NetworkFacts()
    mounts: tuple[MountFact, ...] = ()
    system: SystemFacts = SystemFacts()
    quotas: tuple[QuotaFact, ...] = ()
    streams: tuple[StreamFact, ...] = ()
    guard: GuardFacts = GuardFacts()
    shares: tuple[ShareFact, ...] = ()

    @property
    def active_units(self) -> tuple[str, ...]:
        """Return the units that are up because the system wants them."""
        return tuple(unit.name for unit in self.units if unit.active)
