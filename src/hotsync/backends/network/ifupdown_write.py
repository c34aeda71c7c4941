"""A network written as ifupdown's file."""

from __future__ import annotations

from dataclasses import dataclass, field

from hotsync.backends.network.ifupdown_links import link_lines
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


def _start(interface: Interface) -> list[str]:
    words = [key for key, _ in interface.options if key in ("auto", "hotplug")]
    if interface.start and not interface.master and not words:
        words = ["auto"]
    return [f"{'allow-hotplug' if word == 'hotplug' else 'auto'} {interface.name}" for word in words]


def _family(interface: Interface, family: str) -> list[_Stanza]:
    """Return the stanzas of one family: those that ask for addresses first; commands come last, when all are there."""
    version = _FAMILIES[family]
    mine = [(key.split(" ")[1], value) for key, value in interface.options if key.split(" ")[0] == family]
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
    stanzas += [_Stanza(f"{head} static", [f"address {address}"]) for address in addresses]
    further = [*(routers or []), *(f"{key} {value}" for key, value in mine if key != "loopback")]
    if not stanzas and (further or gateways or routes):
        stanzas.append(_Stanza(f"{head} manual"))
    if stanzas:
        stanzas[0].lines += further
        stanzas[-1].lines += _ways(gateways, routes, fixed=bool(addresses))
    return stanzas


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


def _ways(gateways: list[Address], routes: list[Route], *, fixed: bool) -> list[str]:
    # `gateway` has a meaning in a static stanza only, and there once
    plain = gateways[:1] if fixed else []
    others = [Route(DEFAULT_ROUTES[gateway.version == 6], gateway.address) for gateway in gateways[len(plain) :]]
    lines = [f"gateway {gateway.address}" for gateway in plain]
    return lines + [f"up {route_command(route)}" for route in (*others, *routes)]
