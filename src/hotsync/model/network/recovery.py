"""A network with one address that a person said, in the place of what one interface had. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hotsync.model.network.rename import options_without
from hotsync.model.network.values import Address, Interface, NetworkState


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person said: an address with its interface, the gateway (None: none) and the name servers."""

    address: Address
    gateway: Address | None = None
    servers: tuple[str, ...] = ()


def recovered(state: NetworkState, wanted: Wanted) -> NetworkState:
    """Given what files say, return it with the address as the only one of its family on its interface.

    The gateway is the only one of its family; everything else stays as it is.
    """
    name, version = wanted.address.interface, wanted.address.version
    found = [_without_gateways(each, version) if wanted.gateway else each for each in state.interfaces]
    if name not in {each.name for each in found}:
        found.append(Interface(name))
    return NetworkState(tuple(_with(each, wanted) if each.name == name else each for each in found))


def _without_gateways(interface: Interface, version: int) -> Interface:
    routes = (route for route in interface.routes if not (route.is_default and route.version == version))
    gateways = (gateway for gateway in interface.gateways if gateway.version != version)
    return replace(interface, gateways=tuple(gateways), routes=tuple(routes))


def _with(interface: Interface, wanted: Wanted) -> Interface:
    version = wanted.address.version
    others = tuple(address for address in interface.addresses if address.version != version)
    gateways = (*interface.gateways, wanted.gateway) if wanted.gateway else interface.gateways
    gone = {address.address for address in interface.addresses if address.version == version} - {wanted.address.address}
    options = options_without(interface, gone)
    interface = replace(interface, addresses=(*others, wanted.address), gateways=gateways, options=options, start=True)
    interface = replace(interface, dns=wanted.servers) if wanted.servers else interface
    return replace(interface, dhcp4=False) if version == 4 else replace(interface, dhcp6=False)
