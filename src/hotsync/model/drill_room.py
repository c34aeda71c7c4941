"""The sandbox of a drill as values: what lies in it, what it may use, and the network that it has alone."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from hotsync.model.network.values import Address


@dataclass(frozen=True, slots=True)
class Cover:
    """One file system of this host that the sandbox sees through a cover: what is written stays in the cover.

    `point` is its mount point, "" for the root.
    """

    point: str


@dataclass(frozen=True, slots=True)
class Card:
    """A card of the sandbox, with the name and hardware address of this host's; it leads to the client and no further.

    `addresses` are the client's on that wire: one of its own in each network of production, and those of the gateways,
    which nobody else is there to have.
    """

    name: str
    hardware: str
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class RoomPlan:
    """The sandbox of one drill.

    `size` is the most that it may write, in bytes. `emptied` are folders (below the root) that are empty in it;
    `asked` are the addresses of production at which the client asks every service, `reached` those of which it only
    looks whether they answer.
    """

    host_name: str
    size: int
    covers: tuple[Cover, ...]
    cards: tuple[Card, ...]
    emptied: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    seconds: int = 3600


def free_neighbour(address: Address, taken: frozenset[str]) -> Address | None:
    """Given an address and those in use, return another one of its network that is free; None if there is none."""
    network = ipaddress.ip_interface(str(address)).network
    if network.num_addresses < 4:
        return None
    taken = frozenset(str(ipaddress.ip_address(each)) for each in taken)
    for host in reversed(range(1, min(network.num_addresses - 1, 4096))):
        candidate = str(network[host])
        if candidate not in taken:
            return Address(address.interface, candidate, address.prefix)
    return None
