"""Interfaces that are made, not plugged in: bonds, bridges, VLANs and the like, and routes, in neutral words.

The settings of a bond have the kernel's names, its times are in milliseconds. Those of a bridge are ageing_time,
forward_delay, hello_time and max_age in seconds, priority, and vlan_filtering, yes or no. So each system's file says
the same with its own words.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

BOND_MODES = (
    "balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb",
)  # fmt: skip
"""The modes of a bond, each at the number that files may say in its place."""

BOND_TIMES = frozenset(("miimon", "updelay", "downdelay", "arp_interval"))
"""Settings of a bond that are milliseconds."""

_BOND_NUMBERS = {
    "ad_select": ("stable", "bandwidth", "count"),
    "arp_all_targets": ("any", "all"),
    "arp_validate": ("none", "active", "backup", "all"),
    "fail_over_mac": ("none", "active", "follow"),
    "lacp_rate": ("slow", "fast"),
    "primary_reselect": ("always", "better", "failure"),
    "xmit_hash_policy": ("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"),
}
"""Settings of a bond that the kernel takes by a name or its number; networkd knows the names only."""

Settings = tuple[tuple[str, str], ...]
"""Names and values, in the order of the names."""

DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class Bond:
    """Several cards as one; `primary` is the port that is used while it works ("": none is preferred)."""

    mode: str = BOND_MODES[0]
    primary: str = ""
    settings: Settings = ()


@dataclass(frozen=True, slots=True)
class Bridge:
    """A switch made of interfaces; `stp`: it speaks the spanning tree protocol."""

    stp: bool = False
    settings: Settings = ()


@dataclass(frozen=True, slots=True)
class Vlan:
    """One tagged network on a parent interface ("": a file for several interfaces says on which)."""

    parent: str
    number: int


@dataclass(frozen=True, slots=True)
class Virtual:
    """Another interface that is made (WireGuard, dummy ...); what it is made of stands in the interface's options."""

    kind: str


Link = Bond | Bridge | Vlan | Virtual


@dataclass(frozen=True, slots=True)
class Route:
    """A static route through its interface; `destination` is a network (a default one: of length 0).

    `gateway` "" means on the wire, `metric` None the system's own, `table` "" the main one.
    """

    destination: str
    gateway: str = ""
    metric: int | None = None
    source: str = ""
    table: str = ""
    on_link: bool = False

    @property
    def version(self) -> int:
        """Return 4 or 6."""
        return ipaddress.ip_network(self.destination).version

    @property
    def is_default(self) -> bool:
        """Return whether it leads everywhere, for everybody."""
        return self.destination in DEFAULT_ROUTES and self.table in ("", "main", "254")


def bond_mode(text: str) -> str | None:
    """Given a mode by its name or number, return its name, None if it is none."""
    if text.isdigit() and int(text) < len(BOND_MODES):
        return BOND_MODES[int(text)]
    return text if text in BOND_MODES else None


def bond_setting(name: str, value: str) -> str:
    """Given a setting of a bond, return its value, by its name where it was said by its number."""
    names = _BOND_NUMBERS.get(name, ())
    return names[int(value)] if value.isdecimal() and int(value) < len(names) else value


def network_of(text: str) -> str | None:
    """Given a destination (network, single address, "default" is none), return it as a network, None if it is none."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None
