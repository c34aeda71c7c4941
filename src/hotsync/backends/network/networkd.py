"""systemd-networkd: /etc/systemd/network/*.network with their drop-ins."""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.backends.network.by_name import named
from hotsync.backends.network.files import names_in, read_text
from hotsync.errors import ConfigError
from hotsync.model.network import Address, Interface, NetworkState, parse_address
from hotsync.system import command

NAME = "networkd"
FOLDER = "systemd/network"
"""Below /etc."""

_STANDBY = "zz-hotsync-standby.conf"
_OPAQUE: Mapping[str, set[str] | None] = {
    "Match": {"Type", "Kind", "Driver", "Path", "PermanentMACAddress", "Virtualization"},
    "Link": {"MTUBytes", "RequiredForOnline", "ARP", "Multicast", "Unmanaged", "MACAddress", "ActivationPolicy"},
    "Network": {
        "Description", "LinkLocalAddressing", "IPv6AcceptRA", "LLMNR", "MulticastDNS", "LLDP", "EmitLLDP", "NTP",
        "IPForward", "IPv6PrivacyExtensions", "IPMasquerade", "Bridge", "Bond", "VLAN", "DNSSEC", "DNSOverTLS",
        "DNSDefaultRoute", "ConfigureWithoutCarrier", "KeepConfiguration", "IPv6DuplicateAddressDetection",
        "DefaultRouteOnDevice", "MACVLAN", "BindCarrier", "IgnoreCarrierLoss",
    },
    "Address": {"Label", "Broadcast", "Peer", "Scope", "PreferredLifetime", "RouteMetric", "AddPrefixRoute"},
    "Route": {"Destination", "Metric", "Table", "Scope", "GatewayOnLink", "PreferredSource", "Source", "Type"},
    "DHCPv4": None, "DHCPv6": None, "DHCP": None, "IPv6AcceptRA": None, "Bridge": None, "IPv6SendRA": None,
    "RoutingPolicyRule": None, "DHCPServer": None,
}  # fmt: skip
"""Sections and keys that are understood and carry no address; None: every key of the section."""


_PLAIN: Mapping[str, frozenset[str]] = defaultdict(
    frozenset,
    {
        "Match": frozenset(("Name", "MACAddress")),
        "Network": frozenset(("Address", "Gateway", "DNS", "Domains", "DHCP")),
        "Address": frozenset(("Address",)),
        "Route": frozenset(("Gateway",)),
    },
)
"""Keys that have a meaning here."""

_BLOCKS = {"Address": frozenset(("Address",)), "Route": frozenset(("Gateway",)), "RoutingPolicyRule": frozenset[str]()}
"""Sections that come several times; a plain one says no more than this."""


@dataclass(frozen=True, slots=True)
class _Line:
    section: str
    key: str
    value: str
    where: str


def available(etc: Path) -> bool:
    """Given an /etc, return whether networkd is enabled there and has files."""
    units = etc / "systemd/system"
    enabled = any(
        (units / link).is_symlink()
        for link in ("multi-user.target.wants/systemd-networkd.service", "dbus-org.freedesktop.network1.service")
    )
    return enabled and bool(_files(etc))


def read(etc: Path) -> NetworkState:
    """Given an /etc, return what its files say; raise ConfigError with file and line of what is not understood."""
    return parse(_files(etc))


def _files(etc: Path) -> dict[str, str]:
    """Return the files (path below /etc -> text with its drop-ins); one that is masked by a link is none."""
    return {path: "\n".join(parts.values()) for path, parts in _parts(etc).items()}


def _parts(etc: Path) -> dict[str, dict[str, str]]:
    """Return each file with its drop-ins, each of these as path below /etc -> text."""
    found: dict[str, dict[str, str]] = {}
    for name in names_in(etc, FOLDER):
        path = f"{FOLDER}/{name}"
        text = read_text(etc, path) if name.endswith(".network") else None
        if text is None:
            continue
        drop_ins = [f"{path}.d/{each}" for each in names_in(etc, f"{path}.d") if each.endswith(".conf")]
        found[path] = {path: text, **{each: read_text(etc, each) or "" for each in drop_ins}}
    return found


def parse(texts: Mapping[str, str]) -> NetworkState:
    """Given the files (path -> text with its drop-ins), return the state; raise ConfigError at the first odd line."""
    return NetworkState(tuple(_interface(path, list(_lines(path, text))) for path, text in texts.items()))


def render(state: NetworkState) -> dict[str, str]:
    """Given a state, return the files (below /etc) that say it; `parse` gives the same state back."""
    return {
        f"{FOLDER}/{10 + number}-hotsync-{_safe(interface.name)}.network": _render(interface)
        for number, interface in enumerate(state.interfaces)
    }


def by_name(etc: Path, cards: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, and hardware address -> interface, return the files that choose their interface by such an
    address, with its name in that place: another machine's card has the name, and never the address."""
    texts = {path: text for parts in _parts(etc).values() for path, text in parts.items()}
    changed = {path: named(text, cards) for path, text in texts.items()}
    return {path: text for path, text in changed.items() if text != texts[path]}


def standby(etc: Path, addresses: Iterable[Address], changed: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, return the drop-ins that give its interfaces further addresses."""
    texts: dict[str, list[str]] = {}
    for address in addresses:
        for path, parts in _parts(etc).items():
            text = "\n".join(changed.get(each, text) for each, text in parts.items())
            if _names(path, text, address.interface):
                texts.setdefault(f"{path}.d/{_STANDBY}", []).append(f"Address={address}\n")
                break
    head = "# HotSync: this server's standby address, kept until the other server has rejoined.\n[Network]\n"
    return {path: head + "".join(lines) for path, lines in texts.items()}


def activate(etc: Path) -> None:
    """Let the running system follow: networkd takes the interfaces as its files say; addresses in them stay."""
    del etc
    command.run(["systemctl", "start", "systemd-networkd.service"])
    command.run(["networkctl", "reload"])


def _names(path: str, text: str, interface: str) -> bool:
    for line in _lines(path, text):
        if (line.section, line.key) == ("Match", "Name"):
            return any(fnmatch.fnmatch(interface, pattern) for pattern in line.value.split())
    return False


def _lines(path: str, text: str) -> Iterator[_Line]:
    section = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        where = f"/etc/{path} line {number}"
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            yield _Line(section, "", "", where)
        elif "=" in line and section:
            key, _, value = line.partition("=")
            yield _Line(section, key.strip(), value.strip(), where)
        else:
            raise ConfigError(document=where, faults=f"{line!r} is not understood")


def _interface(path: str, lines: list[_Line]) -> Interface:
    names = [line.value for line in lines if (line.section, line.key) == ("Match", "Name")]
    macs = [line.value for line in lines if (line.section, line.key) == ("Match", "MACAddress")]
    interface = Interface(names[0] if names else "", macs[0].lower() if macs else "")
    if not names and not macs:
        raise ConfigError(document=f"/etc/{path}", faults="it names no interface ([Match] Name= or MACAddress=)")
    options: list[tuple[str, str]] = []
    for block in _blocks(lines):
        section = block[0].section
        for line in block:
            _check(line)
        # a block that says more than the address or gateway is kept whole, so that none of it is lost
        whole = section in _BLOCKS and not {line.key for line in block[1:]} <= _BLOCKS[section]
        if whole:
            options.append((f"{section}.", ""))
        elsewhere = any(line.key == "Destination" and line.value not in ("0.0.0.0/0", "::/0") for line in block)
        for line in block[1:]:
            taken = None if elsewhere else _take(interface, line)
            interface = taken or interface
            if whole or taken is None:
                options.append((f"{section}.{line.key}", line.value))
    return replace(interface, options=tuple(options))


def _blocks(lines: list[_Line]) -> Iterator[list[_Line]]:
    block: list[_Line] = []
    for line in lines:
        if not line.key and block:
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _check(line: _Line) -> None:
    known = _OPAQUE.get(line.section)
    if line.section not in _OPAQUE or (line.key and known is not None and line.key not in known | _PLAIN[line.section]):
        said = f"[{line.section}] {line.key}=" if line.key else f"[{line.section}]"
        raise ConfigError(document=line.where, faults=f"{said} is not understood")


def _take(interface: Interface, line: _Line) -> Interface | None:
    """Return the interface with what the line says of names and addresses, or None if it says nothing of that."""
    match line.section, line.key:
        case ("Match", "Name" | "MACAddress"):
            return interface
        case ("Network" | "Address", "Address"):
            address = parse_address(interface.name, line.value, line.where)
            return replace(interface, addresses=(*interface.addresses, address))
        case ("Network" | "Route", "Gateway"):
            if line.value.startswith("_"):
                return None
            gateway = parse_address(interface.name, line.value, line.where)
            return replace(interface, gateways=(*interface.gateways, gateway))
        case ("Network", "DNS"):
            return replace(interface, dns=(*interface.dns, *line.value.split()))
        case ("Network", "Domains"):
            return replace(interface, domains=(*interface.domains, *line.value.split()))
        case ("Network", "DHCP"):
            value = line.value.lower()
            return replace(
                interface,
                dhcp4=value in ("yes", "true", "1", "on", "both", "ipv4", "v4"),
                dhcp6=value in ("yes", "true", "1", "on", "both", "ipv6", "v6"),
            )
        case _:
            return None


def _render(interface: Interface) -> str:
    lines = ["# Written by HotSync.", "[Match]"]
    if interface.name:
        lines.append(f"Name={interface.name}")
    if interface.mac:
        lines.append(f"MACAddress={interface.mac}")
    lines += _options(interface, "Match")
    if link := _options(interface, "Link"):
        lines += ["", "[Link]", *link]
    lines += ["", "[Network]"]
    if interface.dhcp4 or interface.dhcp6:
        both = interface.dhcp4 and interface.dhcp6
        lines.append(f"DHCP={'yes' if both else 'ipv4' if interface.dhcp4 else 'ipv6'}")
    lines += [f"Address={address}" for address in interface.addresses if not _in_block(interface, "Address", address)]
    lines += [
        f"Gateway={gateway.address}" for gateway in interface.gateways if not _in_block(interface, "Gateway", gateway)
    ]
    lines += [f"DNS={server}" for server in interface.dns]
    if interface.domains:
        lines.append(f"Domains={' '.join(interface.domains)}")
    lines += _options(interface, "Network")
    for section in (section for section in _OPAQUE if section not in ("Match", "Link", "Network")):
        lines += _section(interface, section)
    return "\n".join(lines) + "\n"


def _in_block(interface: Interface, key: str, address: Address) -> bool:
    """Return whether an address stands in a block that is kept whole."""
    values = [value for name, value in interface.options if name in (f"Address.{key}", f"Route.{key}")]
    return any(value in (str(address), address.address) for value in values)


def _options(interface: Interface, section: str) -> list[str]:
    prefix = f"{section}."
    return [
        f"{key.removeprefix(prefix)}={value}"
        for key, value in interface.options
        if key.startswith(prefix) and key != prefix
    ]


def _section(interface: Interface, section: str) -> list[str]:
    """Return a section with its further lines; an option without a key begins it anew."""
    lines: list[str] = []
    for key, value in interface.options:
        if not key.startswith(f"{section}."):
            continue
        name = key.partition(".")[2]
        if not name or not lines:
            lines += ["", f"[{section}]"]
        if name:
            lines.append(f"{name}={value}")
    return lines


def _safe(name: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in name) or "any"
