"""Addresses that a DHCP server lent to the MASTER, taken as its fixed ones: this server would be lent others."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import replace

from hotsync.model.facts import NetworkFacts
from hotsync.model.network.values import Address, Interface, NetworkState, is_made_by_programs


def lent(state: NetworkState, told: NetworkFacts) -> tuple[Address, ...]:
    """Given the MASTER's configured network, its cards named plainly, and the one in use, return what it was lent.

    What a router's announcement gave (longer than one host) is no lease: this server makes such an address of its own.
    """
    used = {each.name: each.addresses for each in told.interfaces}
    return tuple(
        address
        for interface in state.interfaces
        for fact in used.get(interface.name, ())
        for address in (Address(interface.name, fact.address, fact.prefix),)
        if fact.dynamic and (interface.dhcp4 if address.version == 4 else interface.dhcp6 and fact.prefix == 128)
    )


def addresses_of(
    told: NetworkFacts, *, lent_only: bool = False, configured: Collection[str] = ()
) -> tuple[Address, ...]:
    """Return the addresses that a network had in use and a promotion may take: not those that were made of a router's
    announcement, nor those of what programs made for themselves, and no file (`configured`: what files make);
    `lent_only`: those alone that a DHCP server lent."""
    return tuple(
        Address(interface.name, fact.address, fact.prefix)
        for interface in told.interfaces
        if not is_made_by_programs(interface.name, configured) and interface.name != "lo"
        for fact in interface.addresses
        if (fact.dynamic or not lent_only) and not (fact.dynamic and ":" in fact.address and fact.prefix != 128)
    )


def name_servers(told: NetworkFacts) -> tuple[str, ...]:
    """Return the name servers that the MASTER had in use, without those on itself."""
    return tuple(server for server in told.dns if not ipaddress.ip_address(server.partition("%")[0]).is_loopback)


def with_leases(
    state: NetworkState, leases: Iterable[Address], gateways: Iterable[Address], servers: tuple[str, ...]
) -> NetworkState:
    """Given what was lent, and the gateways and name servers in use, return the network with all of it as fixed."""
    there = {gateway.version for gateway in state.gateways}
    found = {each.name: each for each in state.interfaces}
    for lease in leases:
        if (interface := found.get(lease.interface)) is None or lease in interface.addresses:
            continue
        interface = replace(interface, addresses=(*interface.addresses, lease), dns=interface.dns or servers)
        interface = replace(interface, dhcp4=False) if lease.version == 4 else replace(interface, dhcp6=False)
        if lease.version == 4 and 4 not in there:
            mine = (each for each in gateways if each.interface == lease.interface and each.version == 4)
            interface = _with_gateways(interface, mine)
        found[lease.interface] = interface
    return NetworkState(tuple(found.get(each.name, each) for each in state.interfaces))


def _with_gateways(interface: Interface, gateways: Iterable[Address]) -> Interface:
    new = tuple(gateway for gateway in gateways if gateway not in interface.gateways)
    return replace(interface, gateways=(*interface.gateways, *new[-1:]))  # the last is the preferred one
