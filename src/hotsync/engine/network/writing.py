"""The MASTER's network written anew for this server's cards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from hotsync.backends.network import esmith, ifupdown, netplan, networkmanager
from hotsync.backends.network.detect import NetworkSystem, network_system, system_named
from hotsync.errors import ConfigError
from hotsync.model.network.cards import Card
from hotsync.model.network.crossing import as_routers_say, for_any_system, says_nothing
from hotsync.model.network.leases import with_leases
from hotsync.model.network.rename import names_after, renamed, resolved, with_standby
from hotsync.model.network.values import Interface, NetworkState
from hotsync.model.promotion import NetworkPlan

_LINKS = "systemd/network"
_HEAD = "# HotSync: this card had its name from the netplan of this server, before it was promoted."


def master_state(tree_etc: Path, plan: NetworkPlan) -> NetworkState:
    """Given the MASTER's /etc and what is to become of its network, return the network that this server is to have.

    Raise ConfigError with the line that is not understood.
    """
    system = network_system(tree_etc)
    if system is None:
        raise ConfigError(document="/etc of the MASTER", faults="no network system that HotSync knows configures it")
    state = resolved(system.read(tree_etc), plan.cards)
    back = {new: old for old, new in names_after(state, plan.pairs).items() if new}
    gateways = [replace(each, interface=back.get(each.interface, each.interface)) for each in plan.gateways]
    return renamed(with_leases(state, plan.leases, gateways, plan.servers), plan.pairs)


def written(tree_etc: Path, etc: Path, plan: NetworkPlan) -> dict[str, str | None]:
    """Given the MASTER's /etc, the one to be and the plan, return the files of the latter (None: to be removed).

    Raise ConfigError for what the system that is written for has no words for.
    """
    system = system_named(plan.system)
    state = with_standby(master_state(tree_etc, plan), plan.standby)
    if plan.own_system:
        theirs = network_system(tree_etc)
        state = for_any_system(state, gateways_end_routers=theirs is not None and theirs.name == ifupdown.NAME)
        state = as_routers_say(state) if system.name == networkmanager.NAME else state
    texts = system.render(state)
    if not same_network(system.parse(texts), state):
        raise ConfigError(
            document="the MASTER's network",
            faults=f"{system.name} would not say all of it",
            hint="Take this server's own network (hotsync-promote --network 3) and set it up by hand.",
        )
    return {**dict.fromkeys(system.files(etc)), **texts}


def link_files(plan: NetworkPlan) -> dict[str, str]:
    """Given the plan, return the files of udev's that keep the names of this server's cards."""
    return {
        f"{_LINKS}/10-hotsync-{name}.link": f"{_HEAD}\n[Match]\nPermanentMACAddress={mac}\n\n[Link]\nName={name}\n"
        for mac, name in plan.own_names
    }


def own_names(own_etc: Path, cards: Iterable[Card]) -> tuple[tuple[str, str], ...]:
    """Given this server's /etc and its cards, return those that have their name from its netplan, by address."""
    given = netplan.names_given(own_etc) if netplan.available(own_etc) else ()
    return tuple((card.mac, card.name) for card in cards if card.name in given and card.mac)


def writer(tree_etc: Path, own_etc: Path) -> tuple[str, bool]:
    """Given the MASTER's /etc and this server's, return for which system its network is written here, and whether it
    is another one than the MASTER's.

    That is this server's own: it is installed here, and brings this hardware up. Raise ConfigError if none is known.
    """
    theirs, own = network_system(tree_etc), network_system(own_etc)
    if theirs is None or esmith.NAME in (theirs.name, own.name if own else ""):
        raise ConfigError(
            document="the MASTER's network",
            faults="cards of a NethServer, or of a network that no known system configures, cannot be mapped",
            hint="Assign them on this server first, then run hotsync-promote --network 3.",
        )
    system: NetworkSystem = own or theirs
    return system.name, system is not theirs


def same_network(one: NetworkState, other: NetworkState) -> bool:
    """Return whether two states say the same of every interface, in whatever order."""
    return _sorted(one) == _sorted(other)


def _sorted(state: NetworkState) -> list[Interface]:
    """Return the interfaces in the order of their names, the loopback only where something is said of it."""
    said = (each for each in state.interfaces if each.name != "lo" or not says_nothing(each))
    return sorted(map(_in_order, said), key=lambda each: each.name)


def _in_order(interface: Interface) -> Interface:
    """Return the interface with its options in order, and what it has of IPv4 first: files say each family apart."""
    return replace(
        interface,
        options=tuple(sorted(interface.options)),
        addresses=tuple(sorted(interface.addresses, key=lambda each: each.version)),
        gateways=tuple(sorted(interface.gateways, key=lambda each: each.version)),
        routes=tuple(sorted(interface.routes, key=lambda each: each.version)),
    )
