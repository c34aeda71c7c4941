"""What a network's files say beside addresses and gateways, on the running system: static routes and sizes of packets.

ifupdown has no daemon that would read its new files, NetworkManager applies them to no interface that is up already:
without this a server would be without them until its next boot.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import partial

from hotsync.backends.network import addresses as live
from hotsync.backends.network import live_routes
from hotsync.model.network.links import Route
from hotsync.model.network.values import Address, NetworkState

Try = Callable[[str, Callable[[], None]], None]
"""Changes one thing of the network, named for people."""


def take_mtus(state: NetworkState, attempt: Try) -> None:
    """Give the interfaces that are here the size of packets that their network says."""
    for interface in live_routes.other_mtus(state, live_routes.read_mtus()):
        setting = partial(live_routes.set_mtu, interface.name, interface.mtu)
        attempt(f"MTU {interface.mtu} of {interface.name}", setting)


def take_routes(state: NetworkState, addresses: Iterable[Address], attempt: Try) -> None:
    """Give the interfaces that are here their static routes, in the place of others with the same metric.

    What is sent by one that names no source has one of these addresses, if it can.
    """
    preferred = tuple(addresses)
    here = live.read_interfaces()
    routes = [(each.name, route) for each in state.interfaces if each.name in here for route in each.routes]
    # one that leads through a gateway may need the one that leads to the gateway
    for name, route in sorted(routes, key=lambda each: bool(each[1].gateway)):
        setting = partial(live_routes.set_route, name, route, source_for(name, route, preferred))
        attempt(f"route {live_routes.shown(name, route)}", setting)


def faults(state: NetworkState) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return in words which static routes are missing, and which interfaces have another MTU than the network says."""
    mtus = live_routes.read_mtus()
    missing = tuple(live_routes.shown(name, route) for name, route in live_routes.missing_routes(state, mtus))
    other = live_routes.other_mtus(state, mtus)
    return missing, tuple(f"{each.name} has {mtus[each.name]}, not {each.mtu}" for each in other)


def source_for(interface: str, route: Route, addresses: Iterable[Address]) -> str:
    """Given the addresses to be preferred, return the one of a route's gateway's network, or of its wire, "" if none.

    The kernel would take the first one of the interface: that which this server had before.
    """
    mine = [each for each in addresses if each.interface == interface and each.version == route.version]
    if route.gateway:
        there = ipaddress.ip_address(route.gateway)
        mine = [each for each in mine if there in ipaddress.ip_interface(str(each)).network]
    # of IPv6 the kernel chooses by where it goes, unless it is told
    return mine[0].address if mine and (route.gateway or route.version == 4) else ""
