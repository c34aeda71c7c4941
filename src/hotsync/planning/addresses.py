"""Which addresses a promoted server takes: pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from hotsync.errors import ConfigError
from hotsync.model.facts import NetworkFacts
from hotsync.model.network.cards import Pairs, is_card
from hotsync.model.network.leases import lent, name_servers, with_leases
from hotsync.model.network.rename import names_after, renamed, resolved, top_of
from hotsync.model.network.values import Address, NetworkState, is_made_by_programs, is_name
from hotsync.model.promotion import NetworkChoice, NetworkPlan

_NOT_OURS = frozenset({"veth", "tun", "wireguard", "dummy"})


def plan_network(
    choice: NetworkChoice,
    state: NetworkState | None,
    told: NetworkFacts,
    own: tuple[Address, ...],
    pairs: Pairs = (),
) -> NetworkPlan:
    """Given the answer, the MASTER's configured network and the one it had in use, return the addresses to take.

    Addresses are those of the configuration, on the interfaces that had them (a file may say `en*` or a hardware
    address); where no file is understood, those that were in use on its cards and were not lent. What was lent is
    taken as fixed. `own` are this host's fixed addresses: they become the standby ones, but for those that
    container programs and the like give to what they make. `pairs` say which cards take whose place; raise ConfigError
    if they cannot.
    """
    if not choice.takes_addresses:
        masters = plan_network(NetworkChoice.MASTERS, state, told, own)
        # /etc/hostname and /etc/hosts are the MASTER's anyway
        return NetworkPlan(NetworkChoice.KEEP, told.host_name, not_taken=masters.addresses)
    cards = tuple((card.mac.lower(), card.name) for card in told.interfaces if is_card(card))
    leases: tuple[Address, ...] = ()
    if state is not None:
        plain = _plain(state, cards, needed=bool(pairs))
        leases = lent(plain, told)
        if leases or pairs:
            state = with_leases(plain, leases, used_gateways(told), name_servers(told))
    if pairs and state is not None:
        table = names_after(state, pairs)
        state, told = renamed(state, pairs), _told_by(told, table)
        leases = tuple(lease for lease in leases if table.get(lease.interface, lease.interface))
    theirs, gateways = _addresses(state, told)
    made, taken = _made(state), {(each.address, each.prefix) for each in theirs}
    standby = tuple(
        replace(address, interface=top_of(state, address.interface)) if state else address
        for address in own
        if not is_made_by_programs(address.interface, made) and (address.address, address.prefix) not in taken
    )
    return NetworkPlan(
        choice, told.host_name, theirs, gateways, standby, cards, pairs, leases=leases, servers=name_servers(told)
    )


def _made(state: NetworkState | None) -> frozenset[str]:
    return state.made if state is not None else frozenset()


def _plain(state: NetworkState, cards: Pairs, *, needed: bool) -> NetworkState:
    try:
        return resolved(state, cards) if needed or state.uses_dhcp else state
    except ConfigError:
        if needed:
            raise
        return state  # the files say which card, and are taken as they are


def _addresses(state: NetworkState | None, told: NetworkFacts) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
    made = _made(state)
    used = {
        (address.address, address.prefix): interface.name
        for interface in told.interfaces
        if interface.kind not in _NOT_OURS and not is_made_by_programs(interface.name, made)
        for address in interface.addresses
        if not address.dynamic
    }
    if state is None:
        theirs = tuple(Address(name, address, prefix) for (address, prefix), name in used.items())
        return theirs, used_gateways(told)
    # link-local ones come with the files: they are nobody's to take or to give up
    configured = [each for each in state.addresses if each.interface != "lo" and not each.is_link_local]
    named = [replace(a, interface=used.get((a.address, a.prefix), a.interface)) for a in configured]
    theirs = tuple(address for address in named if is_name(address.interface))
    files = {old.interface: new.interface for old, new in zip(configured, named, strict=True)}
    named_gateways = (replace(g, interface=files.get(g.interface, g.interface)) for g in state.gateways)
    return theirs, tuple(gateway for gateway in named_gateways if is_name(gateway.interface)) or used_gateways(told)


def _told_by(told: NetworkFacts, table: Mapping[str, str]) -> NetworkFacts:
    """Return the network in use with its interfaces under their other names, without those that have none."""

    def name(old: str) -> str:
        return table.get(old, old)

    return replace(
        told,
        interfaces=tuple(replace(each, name=name(each.name)) for each in told.interfaces if name(each.name)),
        routes=tuple(replace(each, interface=name(each.interface)) for each in told.routes if name(each.interface)),
    )


def used_gateways(told: NetworkFacts) -> tuple[Address, ...]:
    """Return the default gateways that the MASTER had in use, the most preferred one last."""
    routes = (route for route in told.routes if route.destination == "default" and route.gateway)
    ordered = sorted(routes, key=lambda route: route.metric, reverse=True)  # the last one set wins
    return tuple(
        Address(route.interface, route.gateway, ipaddress.ip_address(route.gateway).max_prefixlen) for route in ordered
    )
