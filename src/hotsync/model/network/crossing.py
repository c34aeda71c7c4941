"""A network in words that every system has, for files of another system than those that said it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hotsync.errors import ConfigError
from hotsync.model.network.values import Interface, NetworkState

_OF_ITS_SYSTEM = frozenset((
    "auto", "hotplug", "inet loopback", "inet6 loopback", "its id", "renderer", "NetDev:only",
    "[connection] id", "[connection] uuid", "[connection] timestamp",
    "[connection] autoconnect-priority", "[ipv4] may-fail", "[ipv6] may-fail",
    "optional", "Link.RequiredForOnline", "Network.Description", "NetDev:NetDev.Description",
    *(f"inet{six} bridge{sign}{word}" for six in ("", "6") for sign in "-_" for word in ("maxwait", "waitport")),
))  # fmt: skip
"""Options that only say how one system brings an interface up, and what waits for it: another one does that in its own
way."""


def for_any_system(state: NetworkState, *, gateways_end_routers: bool) -> NetworkState:
    """Given a network, return it without what only its own system means, and with what that one does unsaid.

    `gateways_end_routers`: it listens to no router of IPv6 where a gateway is given, as ifupdown does. Raise
    ConfigError for an alias that does not come up at boot: no other system has such an address.
    """
    for each in state.interfaces:
        if each.name == "lo" and (each.dns or each.domains):
            raise ConfigError(document="lo", faults="no other system takes name servers of the loopback")
    interfaces = _without_aliases(state.interfaces)
    return NetworkState(tuple(_with_routers(_bare(each), gateways_end_routers) for each in interfaces))


def as_routers_say(state: NetworkState) -> NetworkState:
    """Given a network, return it with DHCP of IPv6 left to what routers say, as NetworkManager has it: its DHCP without
    routers finds no way out."""
    interfaces = (
        replace(each, dhcp6=False, accept_ra=True) if each.dhcp6 and each.accept_ra is not False else each
        for each in state.interfaces
    )
    return NetworkState(tuple(interfaces))


def says_nothing(interface: Interface) -> bool:
    """Given the loopback, return whether no more is said of it than that it is there: the kernel brings it up."""
    bare = _bare(interface)
    return replace(bare, start=True) == Interface(interface.name)


def _bare(interface: Interface) -> Interface:
    return replace(interface, options=tuple(each for each in interface.options if each[0] not in _OF_ITS_SYSTEM))


def _without_aliases(interfaces: Sequence[Interface]) -> list[Interface]:
    """Return the interfaces with what is said of an alias (`eth0:1`) said of its card: only ifupdown has such names."""
    found = [each for each in interfaces if ":" not in each.name]
    for alias in (each for each in interfaces if ":" in each.name):
        name = alias.name.partition(":")[0]
        if not alias.start:
            raise ConfigError(document=alias.name, faults="no other system has an alias that does not come up at boot")
        place = next((at for at, each in enumerate(found) if each.name == name), len(found))
        card = found[place] if place < len(found) else Interface(name)
        found[place : place + 1] = [_joined(card, alias)]
    return found


def _joined(card: Interface, alias: Interface) -> Interface:
    return replace(
        card,
        addresses=(*card.addresses, *(replace(each, interface=card.name) for each in alias.addresses)),
        gateways=(*card.gateways, *(replace(each, interface=card.name) for each in alias.gateways)),
        routes=(*card.routes, *alias.routes),
        dns=tuple(dict.fromkeys((*card.dns, *alias.dns))),
        domains=tuple(dict.fromkeys((*card.domains, *alias.domains))),
        options=(*card.options, *alias.options),
        mtu=card.mtu or alias.mtu,
        dhcp4=card.dhcp4 or alias.dhcp4,
        dhcp6=card.dhcp6 or alias.dhcp6,
    )


def _with_routers(interface: Interface, gateways_end_routers: bool) -> Interface:
    """Return the interface with whether it listens to routers where that goes without saying: beside fixed addresses
    of IPv6 each system does it in its own way."""
    fixed = any(address.version == 6 for address in interface.addresses)
    if interface.accept_ra is not None or interface.master or not fixed or interface.name == "lo":
        return interface
    ways = (*(each.version for each in interface.gateways), *(r.version for r in interface.routes if r.is_default))
    return replace(interface, accept_ra=not (gateways_end_routers and 6 in ways))
