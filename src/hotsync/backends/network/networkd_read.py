"""What networkd's .network and .netdev files say, each with its drop-ins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hotsync.backends.network.networkd_lines import BLOCKS, OPAQUE, PLAIN, Line, blocks_of, check, lines_of
from hotsync.backends.network.networkd_links import netdev
from hotsync.errors import ConfigError
from hotsync.model.network.links import DEFAULT_ROUTES, Bond, Bridge, Link, Route, Vlan, network_of
from hotsync.model.network.values import Interface, NetworkState, parse_address

Options = tuple[tuple[str, str], ...]

UNMANAGED = ("NetDev:only", "")
"""The option of an interface that is made and has no .network file."""


def parse(texts: Mapping[str, str]) -> NetworkState:
    """Given the files and drop-ins (path -> text), return the state; raise ConfigError at the first odd line."""
    grouped: dict[str, list[Line]] = {}
    for path, text in texts.items():
        grouped.setdefault(path.partition(".d/")[0], []).extend(lines_of(path, text))
    made: dict[str, tuple[Link, Options]] = {}
    for path, lines in grouped.items():
        if path.endswith(".netdev"):
            name, link, options = netdev(path, lines)
            made.setdefault(name, (link, options))
    interfaces = [_interface(path, lines) for path, lines in grouped.items() if not path.endswith(".netdev")]
    named = {interface.name for interface in interfaces}
    interfaces = [_with_link(each, made) for each in interfaces]
    interfaces += [
        Interface(name, options=(UNMANAGED, *options), link=link)
        for name, (link, options) in made.items()
        if name not in named
    ]
    return NetworkState(tuple(_related(interfaces)))


def _with_link(interface: Interface, made: Mapping[str, tuple[Link, Options]]) -> Interface:
    link, options = made.get(interface.name, (None, ()))
    return replace(interface, link=link, options=(*interface.options, *options))


def _related(interfaces: list[Interface]) -> list[Interface]:
    """Return the interfaces with what a port or parent says of the bridge, bond or VLAN that it belongs to."""
    links = {each.name: each.link for each in interfaces}
    masters = {name for name, link in links.items() if isinstance(link, Bond | Bridge)}
    parents: dict[str, str] = {}
    primaries: dict[str, str] = {}
    found: list[Interface] = []
    for interface in interfaces:
        master, kept = _master_in(interface.options, masters)
        further: list[tuple[str, str]] = []
        for key, value in kept:
            if key == "Network.VLAN" and isinstance(links.get(value), Vlan) and interface.name and value not in parents:
                parents[value] = interface.name
            elif key == "Network.PrimarySlave" and master:
                primaries[master] = interface.name
            else:
                further.append((key, value))
        found.append(replace(interface, master=master, options=tuple(further)))
    return [_with_relations(each, parents.get(each.name, ""), primaries.get(each.name, "")) for each in found]


def _master_in(options: Options, masters: set[str]) -> tuple[str, Options]:
    """Return the bridge or bond that an option names, if these files make it, and the options without that."""
    for number, (key, value) in enumerate(options):
        if key in ("Network.Bridge", "Network.Bond") and value in masters:
            return value, (*options[:number], *options[number + 1 :])
    return "", options


def _with_relations(interface: Interface, parent: str, primary: str) -> Interface:
    match interface.link:
        case Vlan():
            return replace(interface, link=replace(interface.link, parent=parent))
        case Bond():
            return replace(interface, link=replace(interface.link, primary=primary))
        case _:
            return interface


def _interface(path: str, lines: list[Line]) -> Interface:
    names = [line.value for line in lines if (line.section, line.key) == ("Match", "Name")]
    macs = [line.value for line in lines if (line.section, line.key) == ("Match", "MACAddress")]
    if not names and not macs:
        raise ConfigError(document=f"/etc/{path}", faults="it names no interface ([Match] Name= or MACAddress=)")
    interface = Interface(" ".join(names), " ".join(macs).lower().replace("-", ":"))
    for block in blocks_of(lines):
        for line in block:
            check(line, OPAQUE, PLAIN[line.section])
        interface = _with_block(interface, block)
    return interface


def _with_block(interface: Interface, block: list[Line]) -> Interface:
    section = block[0].section
    options: list[tuple[str, str]] = []
    if section == "Route":
        route = _route(block)
        if route is not None:
            return _with_route(interface, route, block[0].where)
    # a block that says more than an address or a route is kept whole, so that none of it is lost
    whole = section == "Route" or (section in BLOCKS and not {line.key for line in block[1:]} <= PLAIN[section])
    if whole:
        options.append((f"{section}.", ""))
    for line in block[1:]:
        taken = _take(interface, line)
        interface = taken or interface
        if whole or taken is None:
            options.append((f"{section}.{line.key}", line.value))
    return replace(interface, options=(*interface.options, *options))


def _route(block: list[Line]) -> Route | None:
    """Return the route of a block, or None if it says more than a route here can hold."""
    said = {line.key: line for line in block[1:]}
    if not said.keys() <= PLAIN["Route"] or len(said) != len(block) - 1 or not {"Gateway", "Destination"} & said.keys():
        return None
    gateway = said["Gateway"].value if "Gateway" in said else ""
    if gateway.startswith("_"):
        return None
    if gateway:
        parse_address("", gateway, said["Gateway"].where)
    default = DEFAULT_ROUTES[":" in gateway]
    destination = network_of(said["Destination"].value) if "Destination" in said else default
    if destination is None:
        raise ConfigError(document=said["Destination"].where, faults="the Destination= is no network")
    return Route(
        destination,
        gateway,
        said["Metric"].number if "Metric" in said else None,
        said["PreferredSource"].value if "PreferredSource" in said else "",
        said["Table"].value if "Table" in said else "",
        on_link="GatewayOnLink" in said and said["GatewayOnLink"].boolean,
    )


def _with_route(interface: Interface, route: Route, where: str) -> Interface:
    if route.gateway and route == Route(route.destination, route.gateway) and route.destination in DEFAULT_ROUTES:
        gateway = parse_address(interface.name, route.gateway, where)
        return replace(interface, gateways=(*interface.gateways, gateway))
    return replace(interface, routes=(*interface.routes, route))


def _take(interface: Interface, line: Line) -> Interface | None:
    """Return the interface with what the line says, or None if it has no meaning of its own here."""
    match line.section, line.key:
        case ("Match", "Name" | "MACAddress"):
            return interface
        case ("Link", "MTUBytes"):
            return replace(interface, mtu=line.number)
        case ("Link", "ActivationPolicy") if line.value == "manual":
            return replace(interface, start=False)
        case ("Network" | "Address", "Address"):
            address = parse_address(interface.name, line.value, line.where)
            return replace(interface, addresses=(*interface.addresses, address))
        case ("Network", "Gateway") if not line.value.startswith("_"):
            gateway = parse_address(interface.name, line.value, line.where)
            return replace(interface, gateways=(*interface.gateways, gateway))
        case ("Network", "DNS"):
            return replace(interface, dns=(*interface.dns, *line.value.split()))
        case ("Network", "Domains"):
            return replace(interface, domains=(*interface.domains, *line.value.split()))
        case ("Network", "IPv6AcceptRA"):
            return replace(interface, accept_ra=line.boolean)
        case ("Network", "DHCP"):
            return _with_dhcp(interface, line)
        case ("Network", "PrimarySlave"):
            return None if line.boolean else interface
        case _:
            return None


def _with_dhcp(interface: Interface, line: Line) -> Interface:
    match line.value.lower():
        case "both":
            four = six = True
        case "ipv4" | "v4":
            four, six = True, False
        case "ipv6" | "v6":
            four, six = False, True
        case _:
            four = six = line.boolean
    return replace(interface, dhcp4=four, dhcp6=six)
