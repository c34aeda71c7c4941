"""What ifupdown's files say, line by line, with the words of ifenslave, bridge-utils and vlan."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hotsync.backends.network.ifupdown_links import (
    Words,
    bond_of,
    bridge_of,
    is_link_word,
    master_of,
    ports_of,
    vlan_of,
)
from hotsync.backends.network.ip_route import parse_route_command
from hotsync.errors import ConfigError
from hotsync.model.network.links import DEFAULT_ROUTES, Route
from hotsync.model.network.values import Address, Interface, NetworkState, is_on_link, parse_address

_OPAQUE = re.compile(
    r"(up|down|pre-up|post-up|pre-down|post-down|metric|hwaddress|broadcast|network|scope|accept_ra|autoconf|"
    r"privext|dad-attempts|dad-interval|preferred-lifetime|link-type|request_prefix|pointopoint|leasehours|leasetime|"
    r"hostname|client|vendor|wpa-[\w-]+|wireless[-_]\w+|bridge[-_]\w+|bond[-_][\w-]+|"
    r"ethtool-[\w-]+|offload-[\w-]+)\Z"
)
_METHODS = ("static", "dhcp", "manual", "loopback", "auto")
OF_ONE_ADDRESS = frozenset(("broadcast", "pointopoint", "scope", "preferred-lifetime"))
"""Options that a static stanza says of its own address: their key says of which."""
COMMANDS = frozenset(("up", "down", "pre-up", "post-up", "pre-down", "post-down"))
"""Options of which a stanza may have several; ifup takes two of any other for one of two lines, and fails."""


@dataclass(frozen=True, slots=True)
class _Option:
    key: str
    value: str
    where: str


@dataclass(slots=True)
class _Stanza:
    name: str
    family: str
    method: str
    where: str
    options: list[_Option] = field(default_factory=list[_Option])

    def value(self, key: str) -> str | None:
        """Return what the first line with this key says."""
        return next((option.value for option in self.options if option.key == key), None)

    @property
    def address(self) -> Address | None:
        """Return the address that a static stanza gives, None if it gives none."""
        fixed = (option for option in self.options if option.key == "address" and self.method == "static")
        return next((_address(self, option) for option in fixed), None)

    def says_nothing(self, option: _Option) -> bool:
        """Return whether a line of a static stanza says what goes without saying."""
        there = self.address
        if there is None or option.key not in ("broadcast", "network", "metric"):
            return False
        if option.key == "broadcast":
            usual = ipaddress.ip_interface(str(there)).network.broadcast_address
            return option.value in ("+", str(usual))
        # ifup reads `network` and does nothing with it; a metric is that of the stanza's gateway
        return option.key == "network" or (option.value.isdecimal() and self.value("gateway") is not None)


def parse(texts: Mapping[str, str]) -> NetworkState:
    """Given the files in their order (path -> text), return the state; raise ConfigError at the first odd line."""
    automatic: dict[str, str] = {}
    stanzas: list[_Stanza] = []
    for path, text in texts.items():
        _parse_file(path, text, automatic, stanzas)
    grouped: dict[str, list[_Stanza]] = {}
    for stanza in stanzas:
        grouped.setdefault(stanza.name, []).append(stanza)
    interfaces = {name: _interface(name, mine) for name, mine in grouped.items()}
    for name, mine in grouped.items():
        for port, where in _ports(mine).items():
            known = interfaces.get(port) or Interface(port, link=vlan_of(port, {}, where))
            interfaces[port] = replace(known, master=name)
    for name in automatic:
        interfaces.setdefault(name, Interface(name))
    return NetworkState(tuple(_with_start(each, automatic.get(each.name)) for each in interfaces.values()))


def _with_start(interface: Interface, word: str | None) -> Interface:
    """Return the interface with whether it comes up by itself; a port comes up with what it is a port of."""
    kept = word == "hotplug" or (word is not None and bool(interface.master))
    options = ((word or "", ""), *interface.options) if kept else interface.options
    return replace(interface, start=word is not None or bool(interface.master), options=options)


def _parse_file(path: str, text: str, automatic: dict[str, str], stanzas: list[_Stanza]) -> None:
    current: _Stanza | None = None
    for number, line in enumerate(_joined(text), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        word, where = words[0], f"/etc/{path} line {number}"
        if word == "iface" and len(words) == 4 and words[2] in ("inet", "inet6"):
            current = _Stanza(words[1], words[2], words[3], where)
            stanzas.append(current)
        elif word in ("auto", "allow-auto", "allow-hotplug"):
            current = None
            automatic.update({name: "hotplug" if word == "allow-hotplug" else "auto" for name in words[1:]})
        elif word in ("source", "source-directory") and len(words) == 2 and _is_in_etc(words[1]):
            current = None
        elif current is not None and len(words) > 1:
            current.options.append(_Option(word, line.split(None, 1)[1].strip(), where))
        else:
            raise ConfigError(document=where, faults=f"{line.strip()!r} is not understood")


def _is_in_etc(path: str) -> bool:
    return path.startswith("/etc/") or not path.startswith(("/", "~", "$"))


def _joined(text: str) -> list[str]:
    """Return the lines, continued ones put together and counted as they are in the file."""
    lines: list[str] = []
    pending = ""
    for line in text.splitlines():
        if line.endswith("\\"):
            pending += line[:-1]
            lines.append("")
        else:
            lines.append(pending + line)
            pending = ""
    return [*lines, pending] if pending else lines


def _ports(stanzas: Iterable[_Stanza]) -> dict[str, str]:
    """Return the ports that these stanzas of a bridge or bond name, in their order."""
    found: dict[str, str] = {}
    for option in (option for stanza in stanzas for option in stanza.options):
        found |= dict.fromkeys(ports_of(option.key, option.value, option.where), option.where)
    return found


def _interface(name: str, stanzas: list[_Stanza]) -> Interface:
    words: dict[str, tuple[str, str]] = {}
    for option in (option for stanza in stanzas for option in stanza.options):
        words.setdefault(option.key.replace("_", "-"), (option.value, option.where))
    interface = Interface(name)
    for stanza in stanzas:
        interface = _with_stanza(interface, stanza, words)
    link = bond_of(words) or bridge_of(words) or vlan_of(name, words, stanzas[0].where)
    return replace(interface, link=link, master=master_of(words))


def _with_stanza(interface: Interface, stanza: _Stanza, words: Words) -> Interface:
    if stanza.method not in _METHODS:
        raise ConfigError(document=stanza.where, faults=f"the method {stanza.method!r} is not understood")
    kept: list[tuple[str, str]] = []
    if stanza.method == "dhcp":
        six = stanza.family == "inet6"
        interface = replace(interface, dhcp6=True) if six else replace(interface, dhcp4=True)
    elif stanza.method == "loopback":
        kept.append((f"{stanza.family} loopback", ""))
    interface, ra_keys = _with_routers(interface, stanza)
    for option in stanza.options:
        taken = _take(interface, stanza, option)
        if taken is not None:
            interface = taken
        elif option.key in ra_keys or is_link_word(option.key.replace("_", "-"), words):
            continue
        elif _OPAQUE.match(option.key):
            of = _of_address(stanza, option.key)
            kept.append((f"{stanza.family} {option.key}{of and ' '}{of}", option.value))
        else:
            raise ConfigError(document=option.where, faults=f"the option {option.key!r} is not understood")
    # what two stanzas say alike is said of the interface, and once
    new = (each for each in kept if each not in interface.options or each[0].split(" ")[1] in COMMANDS)
    return replace(interface, options=(*interface.options, *new))


def _of_address(stanza: _Stanza, key: str) -> str:
    """Return the address that an option is said of, "" if it is said of the interface."""
    there = stanza.address if key in OF_ONE_ADDRESS else None
    return there.address if there else ""


def _with_routers(interface: Interface, stanza: _Stanza) -> tuple[Interface, tuple[str, ...]]:
    """Return the interface with whether routers give it addresses, and the keys that are said by that."""
    accept, own = stanza.value("accept_ra"), stanza.value("autoconf")
    if stanza.family != "inet6" or stanza.method == "manual":
        return interface, ()
    if accept == "0":  # `autoconf 0` says no more than that
        return replace(interface, accept_ra=False), ("accept_ra", "autoconf") if own == "0" else ("accept_ra",)
    if stanza.method == "auto":
        return replace(interface, accept_ra=True), ()
    if stanza.method == "dhcp" and accept == "1":
        return replace(interface, accept_ra=True), ("accept_ra",)
    if stanza.method == "static" and (accept, own) == ("1", "1"):
        return replace(interface, accept_ra=True), ("accept_ra", "autoconf")
    return interface, ()


def _take(interface: Interface, stanza: _Stanza, option: _Option) -> Interface | None:
    """Return the interface with what the line says, or None if it has no meaning of its own here."""
    key, value = option.key, option.value
    match key:
        case "address":
            return replace(interface, addresses=(*interface.addresses, _address(stanza, option)))
        case "netmask":
            return interface
        case "gateway":
            return _with_gateway(interface, stanza, parse_address(stanza.name, value, option.where))
        case "dns-nameservers" | "dns-nameserver":
            return replace(interface, dns=(*interface.dns, *value.split()))
        case "dns-search" | "dns-domain":
            return replace(interface, domains=(*interface.domains, *value.split()))
        case "mtu" if value.isdecimal() and interface.mtu in (0, int(value)):
            return replace(interface, mtu=int(value))
        case "mtu":
            raise ConfigError(document=option.where, faults=f"the MTU {value!r} is none, or not the one said before")
        case "up" | "post-up":
            route = parse_route_command(value, stanza.name)
            return None if route is None else _with_route(interface, route)
        case _:
            return interface if stanza.says_nothing(option) else None


def _with_gateway(interface: Interface, stanza: _Stanza, gateway: Address) -> Interface:
    """Return the interface with the gateway of a stanza; with a metric it is a route: which one comes first, counts."""
    own, metric = stanza.address, stanza.value("metric") or ""
    if own is None or not metric.isdecimal():
        return replace(interface, gateways=(*interface.gateways, gateway))
    destination = DEFAULT_ROUTES[gateway.version == 6]
    route = Route(destination, gateway.address, int(metric), on_link=not is_on_link(gateway, [own]))
    return replace(interface, routes=(*interface.routes, route))


def _with_route(interface: Interface, route: Route) -> Interface:
    if route.gateway and route == Route(route.destination, route.gateway) and route.destination in DEFAULT_ROUTES:
        gateway = parse_address(interface.name, route.gateway)
        return replace(interface, gateways=(*interface.gateways, gateway))
    return replace(interface, routes=(*interface.routes, route))


def _class_of(address: str) -> int:
    first = int(address.partition(".")[0])
    return 8 if first < 128 else 16 if first < 192 else 24


def _address(stanza: _Stanza, option: _Option) -> Address:
    value, mask = option.value, stanza.value("netmask")
    if "/" in value or mask is None:
        found = parse_address(stanza.name, value, option.where)
        # ifup takes the network's old class where nothing else is said
        return found if "/" in value or found.version == 6 else replace(found, prefix=_class_of(found.address))
    try:
        prefix = ipaddress.ip_network(f"0.0.0.0/{mask}").prefixlen if "." in mask else int(mask)
    except ValueError as error:
        raise ConfigError(document=option.where, faults=f"the netmask {mask!r} is none") from error
    return parse_address(stanza.name, f"{value}/{prefix}", option.where)
