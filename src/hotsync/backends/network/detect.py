"""Which system configures an /etc's network: one ordered table, asked once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends.network import ifupdown, networkd
from hotsync.model.network import Address, NetworkState


@dataclass(frozen=True, slots=True)
class NetworkSystem:
    """One way to configure a network, as functions over an /etc."""

    name: str
    available: Callable[[Path], bool]
    read: Callable[[Path], NetworkState]
    standby: Callable[[Path, Iterable[Address]], dict[str, str]]
    activate: Callable[[Path], None]


SYSTEMS = (
    NetworkSystem(networkd.NAME, networkd.available, networkd.read, networkd.standby, networkd.activate),
    NetworkSystem(ifupdown.NAME, ifupdown.available, ifupdown.read, ifupdown.standby, ifupdown.activate),
)


def network_system(etc: Path) -> NetworkSystem | None:
    """Given an /etc, return the system that configures it, or None if it is none of those that are known."""
    return next((system for system in SYSTEMS if system.available(etc)), None)
