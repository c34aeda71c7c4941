"""Bonds, bridges and VLANs made on the running system, as a network's configuration says; and how things hang together.

Only what carries traffic is set; the rest of their settings come with the network program, which finds them there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from hotsync.model.network.links import Bond, Bridge, Vlan
from hotsync.model.network.values import Interface, NetworkState
from hotsync.system import command

_NOW = frozenset(("priority", "vlan_filtering"))


def read_masters() -> dict[str, str]:
    """Return every interface of this host with the bridge or bond that it is a port of ("": none)."""
    links: list[dict[str, Any]] = json.loads(command.run(["ip", "-j", "link", "show"]).text)
    return {str(link["ifname"]): str(link.get("master", "")) for link in links}


def read_up() -> frozenset[str]:
    """Return the interfaces of this host that are switched on, with or without a cable."""
    links: list[dict[str, Any]] = json.loads(command.run(["ip", "-j", "link", "show", "up"]).text or "[]")
    return frozenset(str(link["ifname"]) for link in links if "ifname" in link)


def top_here(name: str, masters: Mapping[str, str]) -> str:
    """Given an interface and what hangs on what, return the bridge or bond that it ends up in."""
    for _ in masters:
        name = masters.get(name) or name
    return name


def to_make(state: NetworkState, here: Iterable[str]) -> tuple[Interface, ...]:
    """Given a network and the interfaces that are here, return those that can be made, in the order to do it."""
    there, found = set(here), list[Interface]()
    left = [each for each in state.interfaces if isinstance(each.link, Bond | Bridge | Vlan) and each.name not in there]
    while ready := [each for each in left if _can_be_made(each, state, there)]:
        found += ready
        there |= {each.name for each in ready}
        left = [each for each in left if each not in ready]
    return tuple(found)


def _can_be_made(interface: Interface, state: NetworkState, there: set[str]) -> bool:
    if isinstance(interface.link, Vlan):
        return interface.link.parent in there
    ports = state.ports_of(interface.name)
    return not ports or any(port in there for port in ports)


def make(interface: Interface) -> None:
    """Make a bond, bridge or VLAN, without its ports; raise CommandFailed."""
    command.run(["ip", "link", "add", *words_of(interface)])
    if isinstance(interface.link, Vlan):
        command.run(["ip", "link", "set", "dev", interface.link.parent, "up"])
    if interface.mtu:
        command.run(["ip", "link", "set", "dev", interface.name, "mtu", str(interface.mtu)])
    command.run(["ip", "link", "set", "dev", interface.name, "up"])


def to_join(state: NetworkState, masters: Mapping[str, str]) -> tuple[tuple[str, Interface], ...]:
    """Given a network and what hangs on what here, return each interface that is no port yet of what it is to be."""
    made = {each.name: each for each in state.interfaces if isinstance(each.link, Bond | Bridge)}
    return tuple(
        (each.name, made[each.master])
        for each in state.interfaces
        if each.master in made and each.master in masters and masters.get(each.name, each.master) != each.master
    )


def join(port: str, master: Interface) -> None:
    """Make an interface a port of a bridge or bond that is there; raise CommandFailed.

    Its addresses go: they would be of no use on it, and in the way on the bridge.
    """
    if isinstance(master.link, Bond):
        command.run(["ip", "link", "set", "dev", port, "down"])  # a bond takes no port that is up
    command.run(["ip", "address", "flush", "dev", port, "scope", "global"])
    command.run(["ip", "link", "set", "dev", port, "master", master.name])
    command.run(["ip", "link", "set", "dev", port, "up"])


def words_of(interface: Interface) -> list[str]:
    """Given a bond, bridge or VLAN, return the words of `ip link add` that make it."""
    match interface.link:
        case Vlan():
            return [
                "link",
                interface.link.parent,
                "name",
                interface.name,
                "type",
                "vlan",
                "id",
                str(interface.link.number),
            ]
        case Bond():
            words = [word for pair in interface.link.settings for word in pair]
            return ["name", interface.name, "type", "bond", "mode", interface.link.mode, *words]
        case Bridge():
            # without spanning tree a port would learn for the forward delay before it lets anything through
            stp = interface.link.stp
            words = ["stp_state", "1"] if stp else ["stp_state", "0", "forward_delay", "0"]
            for name, value in interface.link.settings:
                words += [name, {"yes": "1", "no": "0"}.get(value, value)] if name in _NOW else []
            return ["name", interface.name, "type", "bridge", *words]
        case _:
            raise AssertionError(interface)
