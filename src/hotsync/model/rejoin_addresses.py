"""Which addresses an old MASTER has as SLAVE: pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import replace

from hotsync.errors import NotReady
from hotsync.model.network.leases import with_leases
from hotsync.model.network.rename import options_without, with_standby
from hotsync.model.network.values import Address, NetworkState, is_made_by_programs

_HINT = "Give this server an address of its own, in its network files and with `ip address add`; then run it again."


def of_production(
    given_up: Iterable[Address],
    configured: Iterable[Address],
    known: Iterable[Address],
    serving: Iterable[Address],
    standby: Iterable[Address],
) -> tuple[Address, ...]:
    """Return the addresses of production that this server had, each with its interface.

    They are those that it `given_up`, and, as one that was held before its network was up has given up none, those that
    its files give it, and of those that it was last `known` to have, also lent, what the new MASTER is `serving` with.
    The `standby` ones of an earlier promotion are its own. What the new MASTER told is compared, and not used.
    """
    theirs = {ipaddress.ip_address(address.address) for address in serving}
    ours = (address for address in known if ipaddress.ip_address(address.address) in theirs)
    kept = {ipaddress.ip_address(address.address) for address in standby}
    found: dict[str, Address] = {}
    for address in (*given_up, *configured, *ours):
        if ipaddress.ip_address(address.address) not in kept:
            found.setdefault(address.address, address)
    return tuple(found.values())


def own_addresses(
    told: Iterable[Address],
    given_up: Iterable[Address],
    kept: Iterable[Address],
    live: Iterable[Address],
    configured: Collection[str] = (),
) -> tuple[Address, ...]:
    """Return the addresses of the SLAVE to be, each with the interface that was in its network.

    They are those that the new MASTER had as SLAVE (`told`, without interfaces); else those that this server `kept`
    beside production's, or whatever it has `live` now on what no program has made for itself (`configured`: what its
    files make). Production's were `given_up`. Raise NotReady if there are none.
    """
    ours = tuple(given_up)
    found = tuple(placed for address in told if (placed := _placed(address, ours)) is not None)
    if found:
        return found
    gone = {address.address for address in ours}
    here = (*kept, *(address for address in live if not is_made_by_programs(address.interface, configured)))
    others = tuple(address for address in here if address.address not in gone)
    if not others:
        raise NotReady(
            reason="no address is known that it could have as SLAVE: the other server keeps none in its networks",
            hint=_HINT,
        )
    return tuple(dict.fromkeys(others))


def address_of_master(own: Iterable[Address], given_up: Iterable[Address]) -> str:
    """Return the address of production from which the new MASTER will call: one in a network of this server's own.

    Return "" where there is none.
    """
    ours = tuple(own)
    return next((each.address for each in given_up if _placed(each, ours) is not None), "")


def _placed(address: Address, ours: Iterable[Address]) -> Address | None:
    there = ipaddress.ip_address(address.address)
    for own in ours:
        if own.version == address.version and there in ipaddress.ip_interface(str(own)).network:
            return Address(own.interface, address.address, address.prefix)
    return None


def as_slave(
    state: NetworkState,
    given_up: Iterable[Address],
    own: Iterable[Address],
    gateways: Iterable[Address] = (),
    servers: tuple[str, ...] = (),
) -> NetworkState:
    """Given what the network's files say, return it without production's addresses, and with this server's own.

    Where it gets one, or had one of production's that no file says, it asks nobody for another: it would be lent
    production's again. The `gateways` and name `servers` in use then came with the lease, and are said from now on.
    """
    ours, theirs = tuple(own), tuple(given_up)
    gone = {address.address for address in theirs} - {address.address for address in ours}
    said = {address.address for address in state.addresses}
    leased = {address.interface for address in theirs if address.address not in said}
    getting = {address.interface for address in ours} | leased
    asking = {each.name for each in state.interfaces if each.dhcp4}
    interfaces = tuple(
        replace(
            each,
            addresses=tuple(address for address in each.addresses if address.address not in gone),
            options=options_without(each, gone),
            dhcp4=each.dhcp4 and each.name not in getting,
            dhcp6=each.dhcp6 and each.name not in getting,
        )
        for each in state.interfaces
    )
    fixed = tuple(address for address in ours if address.interface in asking and address.version == 4)
    return with_standby(with_leases(NetworkState(interfaces), fixed, gateways, servers), ours)


def host_name_as_slave(name: str, peer: str) -> str:
    """Given this server's name and that which the other one had as SLAVE, return another one for the SLAVE to be."""
    if peer and peer != name:
        return peer
    first, dot, rest = name.partition(".")
    return f"{first}-standby{dot}{rest}"
