"""Which system configures an /etc's network: one ordered table, asked once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends.network import esmith, ifupdown, netplan, networkd, networkmanager
from hotsync.model.network.values import Address, NetworkState


@dataclass(frozen=True, slots=True)
class NetworkSystem:
    """One way to configure a network, as functions over an /etc.

    `files` are the paths below /etc that `read` reads; `parse` takes such files (path -> text), `render` makes them.
    `by_name` takes hardware address -> interface and returns the files that say the name in its place; `standby` takes
    such changed files, too, and returns those that give further addresses; `drop_standby` returns the files without
    them, as far as they stand apart (None: to be removed).
    """

    name: str
    available: Callable[[Path], bool]
    read: Callable[[Path], NetworkState]
    files: Callable[[Path], Iterable[str]]
    parse: Callable[[Mapping[str, str]], NetworkState]
    render: Callable[[NetworkState], dict[str, str]]
    by_name: Callable[[Path, Mapping[str, str]], dict[str, str]]
    standby: Callable[[Path, Iterable[Address], Mapping[str, str]], dict[str, str]]
    drop_standby: Callable[[Path], dict[str, str | None]]
    activate: Callable[[Path], None]


SYSTEMS = tuple(
    NetworkSystem(
        way.NAME,
        way.available,
        way.read,
        way.files,
        way.parse,
        way.render,
        way.by_name,
        way.standby,
        way.drop_standby,
        way.activate,
    )
    for way in (esmith, netplan, networkd, ifupdown, networkmanager)
)


def system_named(name: str) -> NetworkSystem:
    """Given the name of a system, return it."""
    return next(system for system in SYSTEMS if system.name == name)


def network_system(etc: Path) -> NetworkSystem | None:
    """Given an /etc, return the system that configures it, or None if it is none of those that are known."""
    return next((system for system in SYSTEMS if system.available(etc)), None)
