"""A network written as ifupdown's file."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from hotsync.backends.network.ifupdown_links import link_lines
from hotsync.backends.network.ifupdown_read import COMMANDS
from hotsync.backends.network.ip_route import route_command
from hotsync.errors import ConfigError
from hotsync.model.network.links import DEFAULT_ROUTES, Route
from hotsync.model.network.values import Address, Interface, NetworkState

FILE = "network/interfaces"
"""Below /etc."""

_FAMILIES = {"inet": 4, "inet6": 6}


@dataclass(slots=True)
class _Stanza:
    head: str
    lines: list[str] = field(default_factory=list[str])


def render(state: NetworkState) -> dict[str, str]:
    """Given a state, return the files (below /etc) that say it; `parse` gives the same state back.

    Raise ConfigError with the interface for what ifupdown has no words for.
    """
    blocks = [_render(interface, state.ports_of(interface.name)) for interface in state.interfaces]
    return {FILE: "# Written by HotSync.\n\n" + "\n".join(blocks)}


def _render(interface: Interface, ports: tuple[str, ...]) -> str:
    if interface.mac or not interface.name or interface.role:
        raise ConfigError(document=interface.name or interface.mac, faults="ifupdown knows interfaces by name only")
    for key, _ in interface.options:
        if key not in ("auto", "hotplug") and key.split(" ")[0] not in _FAMILIES:
            raise ConfigError(document=interface.name, faults=f"ifupdown has no word for {key!r}")
    _check_names(interface)
    stanzas = [stanza for family in _FAMILIES for stanza in _family(interface, family)]
    stanzas = stanzas or [_Stanza(f"iface {interface.name} inet manual")]
    common = link_lines(interface, ports)
    common += [f"mtu {interface.mtu}"] if interface.mtu else []
    # resolvconf reads these from any stanza; they are written once
    common += [f"dns-nameservers {' '.join(interface.dns)}"] if interface.dns else []
    common += [f"dns-search {' '.join(interface.domains)}"] if interface.domains else []
    stanzas[0].lines[:0] = common
    lines = _start(interface)
    for stanza in stanzas:
        lines += [stanza.head, *(f"    {line}" for line in stanza.lines)]
    return "\n".join(lines) + "\n"


def _check_names(interface: Interface) -> None:
    """Raise ConfigError for what resolv.conf has no words for, which these lines become."""
    for server in interface.dns:
        if set(server) & set("#[]"):
            raise ConfigError(document=interface.name, faults=f"ifupdown has no word for the name server {server!r}")
    for domain in interface.domains:
        if domain.startswith("~"):
            raise ConfigError(document=interface.name, faults=f"ifupdown has no word for the domain {domain!r}")


def _start(interface: Interface) -> list[str]:
    words = [key for key, _ in interface.options if key in ("auto", "hotplug")]
    if interface.start and not interface.master and not words:
        words = ["auto"]
    return [f"{'allow-hotplug' if word == 'hotplug' else 'auto'} {interface.name}" for word in words]


def _family(interface: Interface, family: str) -> list[_Stanza]:
    """Return the stanzas of one family: those that ask for addresses first, then one for each fixed address.

    What is said of one address stands in its stanza, everything else in the first; a gateway or route as soon as what
    it needs is there, so that production's ways do not depend on a standby address, which comes last.
    """
    version = _FAMILIES[family]
    mine = [(*key.split(" ")[1:], value) for key, value in interface.options if key.split(" ")[0] == family]
    addresses = [address for address in interface.addresses if address.version == version]
    gateways = [gateway for gateway in interface.gateways if gateway.version == version]
    routes = [route for route in interface.routes if route.version == version]
    routers = _routers(interface, bool(addresses)) if version == 6 else []
    head = f"iface {interface.name} {family}"
    stanzas = [_Stanza(f"{head} loopback")] if ("loopback", "") in mine else []
    if interface.dhcp6 if version == 6 else interface.dhcp4:
        stanzas.append(_Stanza(f"{head} dhcp"))
    elif routers is None or (routers and not addresses):
        stanzas.append(_Stanza(f"{head} auto"))
    fixed = [_Stanza(f"{head} static", [f"address {address}", *_said_of(address, mine)]) for address in addresses]
    stanzas += fixed
    further = [*(routers or []), *(" ".join(words) for words in mine if len(words) == 2 and words[0] != "loopback")]
    if not stanzas and (further or gateways or routes):
        stanzas.append(_Stanza(f"{head} manual"))
    if stanzas:
        stanzas[0].lines += further
        # a metric that is not of one gateway (a DHCP server gave it before) is none of `gateway` here
        plain = gateways[: 1 if addresses and not any(words[0] == "metric" for words in mine) else 0]
        others = [Route(DEFAULT_ROUTES[version == 6], gateway.address) for gateway in gateways[len(plain) :]]
        _add_ways(fixed or stanzas[-1:], addresses, plain, [*others, *routes])
    for stanza in stanzas:
        _refuse_two(stanza)
    return stanzas


def _said_of(address: Address, options: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"{words[0]} {words[-1]}" for words in options if len(words) > 2 and words[1] == address.address]


def _refuse_two(stanza: _Stanza) -> None:
    words = [line.split(" ")[0] for line in stanza.lines]
    if twice := sorted({word for word in words if word not in COMMANDS and words.count(word) > 1}):
        said = " and ".join(f"`{line}`" for line in stanza.lines if line.split(" ")[0] == twice[0])
        faults = f"{said} cannot both be said there: ifup fails with two, or takes the wrong one"
        raise ConfigError(document=stanza.head, faults=faults)


def _routers(interface: Interface, fixed: bool) -> list[str] | None:
    """Return the lines that say whether routers give addresses; None: the method `auto` says it without one."""
    match interface.accept_ra:
        case None:
            return []
        case False:
            return ["accept_ra 0"]
        case True if interface.dhcp6:
            return ["accept_ra 1"]
        case True if fixed:
            return ["accept_ra 1", "autoconf 1"]
        case _:
            return None


def _add_ways(stanzas: list[_Stanza], addresses: list[Address], gateways: list[Address], routes: list[Route]) -> None:
    """Add gateways (one, since a stanza says one, and only a static one does) and routes, in their order, each to the
    first stanza with which there is all that it needs."""
    place = 0
    for gateway in gateways:
        place = _needed(addresses, gateway.address, "")
        stanzas[place].lines.append(f"gateway {gateway.address}")
    for route in routes:
        place = max(place, _needed(addresses, route.gateway, route.source))
        stanzas[place].lines.append(f"up {route_command(route)}")


def _needed(addresses: list[Address], gateway: str, source: str) -> int:
    """Return the place of the last address that a way needs: its source, and one in the gateway's network."""
    places = [at for at, address in enumerate(addresses) if source and address.address == source]
    if gateway:
        there = ipaddress.ip_address(gateway)
        near = (at for at, each in enumerate(addresses) if there in ipaddress.ip_interface(str(each)).network)
        places += list(near)[:1]
    return max(places, default=0)
