"""A network written as NetworkManager's profiles, one for each interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hotsync.backends.network.nm_routes import route_lines
from hotsync.backends.network.nm_words import BRIDGE_WORDS, PARTS, VIRTUAL, own_uuid
from hotsync.errors import ConfigError
from hotsync.model.network.crossing import says_nothing
from hotsync.model.network.links import DEFAULT_ROUTES, Bond, Bridge, Route, Virtual, Vlan
from hotsync.model.network.values import Interface, NetworkState

FOLDER = "NetworkManager/system-connections"
"""Below /etc."""

_Sections = dict[str, list[str]]


def render(state: NetworkState) -> dict[str, str]:
    """Given a state, return the files (below /etc) that say it; `parse` gives the same state back.

    Raise ConfigError with the interface for what NetworkManager has no words for.
    """
    links = {interface.name: interface.link for interface in state.interfaces}
    return {
        f"{FOLDER}/hotsync-{number:03}-{_safe(interface.name)}.nmconnection": _render(interface, links)
        for number, interface in enumerate(state.interfaces)
        if interface.name != "lo" or not says_nothing(interface)
    }


def _render(interface: Interface, links: Mapping[str, object]) -> str:
    if interface.role:
        raise ConfigError(document=interface.name, faults="NetworkManager has no word for the role of an interface")
    if interface.name == "lo":  # a profile of a card would never be used for it
        raise ConfigError(
            document=interface.name, faults="NetworkManager has no words for what is said of the loopback"
        )
    kept = list(_kept(interface))
    sections: _Sections = {"connection": _connection(interface, links, dict(kept))}
    ethernet = [f"mac-address={interface.mac.upper()}"] if interface.mac else []
    ethernet += [f"mtu={interface.mtu}"] if interface.mtu else []
    if ethernet:
        sections["ethernet"] = ethernet
    _add_link(interface, sections)
    if not interface.master:
        if interface.domains and all(_is_closed(_method(interface, version)) for version in (4, 6)):
            raise ConfigError(document=interface.name, faults="a search domain needs addresses")
        for section, version in (("ipv4", 4), ("ipv6", 6)):
            sections[section] = _family(interface, section, version, dict(kept))
    for (section, key), value in kept:
        if (section, key) not in (("connection", "type"), ("connection", "id"), ("connection", "uuid")):
            sections.setdefault(section, []).append(f"{key}={value}")
    blocks = ("\n".join([f"[{section}]", *lines]) for section, lines in sections.items())
    return "# Written by HotSync.\n" + "\n\n".join(blocks) + "\n"


def _kept(interface: Interface) -> Iterator[tuple[tuple[str, str], str]]:
    for option, value in interface.options:
        section, _, key = option.removeprefix("[").partition("] ")
        if not option.startswith("[") or (section not in PARTS and not section.startswith("wireguard-peer.")):
            raise ConfigError(document=interface.name, faults=f"NetworkManager has no word for {option!r}")
        yield (section, key), value


def _connection(interface: Interface, links: Mapping[str, object], kept: dict[tuple[str, str], str]) -> list[str]:
    match interface.link:
        case Virtual() if interface.link.kind not in VIRTUAL:
            raise ConfigError(document=interface.name, faults="NetworkManager has no words that make such an interface")
        case Virtual():
            kind = interface.link.kind
        case None:
            kind = kept.get(("connection", "type"), "ethernet")
        case _:
            kind = type(interface.link).__name__.lower()
    lines = [f"id={kept.get(('connection', 'id'), interface.name)}"]
    lines += [f"uuid={kept.get(('connection', 'uuid'), own_uuid(interface.name))}", f"type={kind}"]
    lines += [f"interface-name={interface.name}"] if interface.name not in ("", "*") else []
    lines += [] if interface.start else ["autoconnect=false"]
    if interface.master:
        port = "bond" if isinstance(links.get(interface.master), Bond) else "bridge"
        lines += [f"master={interface.master}", f"slave-type={port}"]
    return lines


def _add_link(interface: Interface, sections: _Sections) -> None:
    match interface.link:
        case Vlan():
            sections["vlan"] = [f"id={interface.link.number}", f"parent={interface.link.parent}"]
        case Bond():
            lines = [f"mode={interface.link.mode}"]
            lines += [f"primary={interface.link.primary}"] if interface.link.primary else []
            sections["bond"] = lines + [f"{name}={value}" for name, value in interface.link.settings]
        case Bridge():
            lines = [f"stp={'true' if interface.link.stp else 'false'}"]
            for name, value in interface.link.settings:
                if name not in BRIDGE_WORDS:
                    raise ConfigError(document=interface.name, faults=f"there is no word for the setting {name!r}")
                lines.append(f"{BRIDGE_WORDS[name]}={ {'yes': 'true', 'no': 'false'}.get(value, value) }")
            sections["bridge"] = lines
        case _:
            pass


def _family(interface: Interface, section: str, version: int, kept: dict[tuple[str, str], str]) -> list[str]:
    addresses = [address for address in interface.addresses if address.version == version]
    gateways = [gateway.address for gateway in interface.gateways if gateway.version == version]
    plain = gateways[:1] if addresses else []  # `gateway` needs an address
    routes = [Route(DEFAULT_ROUTES[version == 6], gateway) for gateway in gateways[len(plain) :]]
    routes += [route for route in interface.routes if route.version == version]
    servers = [server for server in interface.dns if (":" in server) == (version == 6)]
    method = _method(interface, version)
    lines = [] if (section, "method") in kept else [f"method={method}"]
    lines += [f"address{number}={address}" for number, address in enumerate(addresses, start=1)]
    lines += [f"gateway={gateway}" for gateway in plain]
    closed = _is_closed(method)
    if closed and servers:
        raise ConfigError(document=interface.name, faults=f"a name server needs addresses of {section}")
    lines += [f"dns={';'.join(servers)};"] if servers else []
    lines += [f"dns-search={';'.join(interface.domains)};"] if interface.domains and not closed else []
    first = 1 + max((int(key[5:]) for _, key in kept if key.startswith("route") and key[5:].isdecimal()), default=0)
    for number, route in enumerate(routes, start=first):
        lines += route_lines(number, route)
    return lines


def _is_closed(method: str) -> bool:
    return method in ("disabled", "ignore", "link-local")


def _method(interface: Interface, version: int) -> str:
    fixed = any(address.version == version for address in interface.addresses)
    if version == 4:
        return "auto" if interface.dhcp4 else "manual" if fixed else "disabled"
    if interface.accept_ra:
        return "auto"  # with DHCP where the router says so
    if interface.dhcp6:
        return "dhcp"
    return "manual" if fixed else "link-local" if interface.accept_ra is False else "ignore"


def _safe(name: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in name) or "any"
