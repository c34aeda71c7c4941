"""Which addresses a promoted server takes: pure."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from hotsync.model.facts import NetworkFacts
from hotsync.model.network import Address, NetworkState, is_made_by_programs, is_name
from hotsync.model.promotion import NetworkChoice, NetworkPlan

_NOT_OURS = frozenset({"veth", "tun", "wireguard", "dummy"})


def plan_network(
    choice: NetworkChoice, state: NetworkState | None, told: NetworkFacts, own: tuple[Address, ...]
) -> NetworkPlan:
    """Given the answer, the MASTER's configured network and the one it had in use, return the addresses to take.

    Addresses are those of the configuration, on the interfaces that had them (a file may say `en*` or a hardware
    address); where no file is understood, those that were in use on its cards and were not lent. `own` are this host's
    fixed addresses: they become the standby ones.
    """
    if choice is not NetworkChoice.MASTERS:
        return NetworkPlan(NetworkChoice.KEEP, told.host_name)  # /etc/hostname and /etc/hosts are the MASTER's anyway
    used = {
        (address.address, address.prefix): interface.name
        for interface in told.interfaces
        if interface.kind not in _NOT_OURS and not is_made_by_programs(interface.name)
        for address in interface.addresses
        if not address.dynamic
    }
    if state is None:
        theirs = tuple(Address(name, address, prefix) for (address, prefix), name in used.items())
        gateways = _used_gateways(told)
    else:
        configured = [address for address in state.addresses if address.interface != "lo"]
        named = [replace(a, interface=used.get((a.address, a.prefix), a.interface)) for a in configured]
        theirs = tuple(address for address in named if is_name(address.interface))
        files = {old.interface: new.interface for old, new in zip(configured, named, strict=True)}
        named_gateways = (replace(g, interface=files.get(g.interface, g.interface)) for g in state.gateways)
        gateways = tuple(gateway for gateway in named_gateways if is_name(gateway.interface)) or _used_gateways(told)
    standby = tuple(address for address in own if address not in theirs)
    cards = tuple((card.mac.lower(), card.name) for card in told.interfaces if card.mac and not card.kind)
    return NetworkPlan(choice, told.host_name, theirs, gateways, standby, cards)


def _used_gateways(told: NetworkFacts) -> tuple[Address, ...]:
    routes = (route for route in told.routes if route.destination == "default" and route.gateway)
    ordered = sorted(routes, key=lambda route: route.metric, reverse=True)  # the last one set wins
    return tuple(
        Address(route.interface, route.gateway, ipaddress.ip_address(route.gateway).max_prefixlen) for route in ordered
    )
