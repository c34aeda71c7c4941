"""Debian's ifupdown: /etc/network/interfaces and what it sources."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hotsync.backends.network.files import names_in, read_text
from hotsync.errors import ConfigError
from hotsync.model.network import Address, Interface, NetworkState, parse_address
from hotsync.system import command

NAME = "ifupdown"
FILE = "network/interfaces"
"""Below /etc."""

_MOST_FILES = 100
_BEGIN = "# HotSync: this server's standby address, kept until the other server has rejoined."
_END = "# HotSync: end of the standby address."
_OPAQUE = re.compile(
    r"(up|down|pre-up|post-up|pre-down|post-down|mtu|metric|hwaddress|broadcast|network|scope|accept_ra|autoconf|"
    r"privext|dad-attempts|dad-interval|preferred-lifetime|link-type|request_prefix|pointopoint|leasehours|leasetime|"
    r"vlan[-_]raw[-_]device|hostname|client|vendor|wpa-[\w-]+|wireless[-_]\w+|bridge[-_]\w+|bond[-_][\w-]+|"
    r"ethtool-[\w-]+|offload-[\w-]+)\Z"
)


@dataclass(slots=True)
class _Stanza:
    name: str
    family: str
    method: str
    options: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    where: str = ""


def available(etc: Path) -> bool:
    """Given an /etc, return whether ifupdown configures more than the loopback there."""
    texts: dict[str, str] = {}
    _gather(etc, FILE, texts)
    return any(re.search(r"^\s*iface\s+(?!lo\s)\S", text, re.MULTILINE) for text in texts.values())


def read(etc: Path) -> NetworkState:
    """Given an /etc, return what its files say; raise ConfigError with file and line of what is not understood."""
    texts: dict[str, str] = {}
    _gather(etc, FILE, texts)
    return parse(texts)


def parse(texts: Mapping[str, str]) -> NetworkState:
    """Given the files in their order (path -> text), return the state; raise ConfigError at the first odd line."""
    automatic: dict[str, str] = {}
    stanzas: list[_Stanza] = []
    for path, text in texts.items():
        _parse_file(path, text, automatic, stanzas)
    interfaces: dict[str, Interface] = {}
    for stanza in stanzas:
        known = interfaces.get(stanza.name) or Interface(stanza.name)
        interfaces[stanza.name] = _with_stanza(known, stanza)
    for name, word in automatic.items():
        known = interfaces.get(name) or Interface(name)
        interfaces[name] = replace(known, options=((word, ""), *known.options))
    return NetworkState(tuple(interfaces.values()))


def render(state: NetworkState) -> dict[str, str]:
    """Given a state, return the files (below /etc) that say it; `parse` gives the same state back."""
    blocks = [_render(interface) for interface in state.interfaces]
    return {FILE: "# Written by HotSync.\n\n" + "\n".join(blocks)}


def by_name(etc: Path, cards: Mapping[str, str]) -> dict[str, str]:
    """Return nothing: its stanzas name interfaces only (`hwaddress` gives a card an address, it chooses none)."""
    del etc, cards
    return {}


def standby(etc: Path, addresses: Iterable[Address], changed: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, return the files that give its interfaces further addresses.

    They come last in the file, so that production's address is the first one and the source of what is sent.
    """
    stanzas = "".join(
        f"iface {address.interface} inet{'6' if address.version == 6 else ''} static\n    address {address}\n"
        for address in addresses
    )
    main = changed.get(FILE) or read_text(etc, FILE)
    if main is None or not stanzas:
        return {}
    return {FILE: f"{_without_standby(main).rstrip()}\n\n{_BEGIN}\n{stanzas}{_END}\n"}


def _without_standby(text: str) -> str:
    before, begin, rest = text.partition(_BEGIN + "\n")
    return before + rest.partition(_END + "\n")[2] if begin else text


def activate(etc: Path) -> None:
    """Let the running system follow: ifupdown has no daemon, so only another system's must let go."""
    del etc
    active = command.run(["systemctl", "is-active", "--quiet", "systemd-networkd.service"], ok=range(256))
    if active.returncode == 0:
        # what it configured statically stays on the interfaces when it ends
        command.run(["systemctl", "stop", "systemd-networkd.socket", "systemd-networkd.service"], ok=range(256))


def _gather(etc: Path, path: str, texts: dict[str, str]) -> None:
    """Read a file and what it sources; a file that is sourced and not there is none."""
    text = read_text(etc, path)
    if path in texts or text is None or len(texts) >= _MOST_FILES:
        return
    texts[path] = text
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] in ("source", "source-directory"):
            pattern = words[1].removeprefix("/etc/") if words[1].startswith("/") else f"network/{words[1]}"
            pattern += "/*" if words[0] == "source-directory" else ""
            folder, _, wanted = pattern.rpartition("/")
            for name in names_in(etc, folder):
                if fnmatch.fnmatchcase(name, wanted) and re.fullmatch(r"[a-zA-Z0-9_-]+", name):
                    _gather(etc, f"{folder}/{name}", texts)


def _parse_file(path: str, text: str, automatic: dict[str, str], stanzas: list[_Stanza]) -> None:
    current: _Stanza | None = None
    for number, line in enumerate(_joined(text), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        word = words[0]
        if word == "iface" and len(words) == 4 and words[2] in ("inet", "inet6"):
            current = _Stanza(words[1], words[2], words[3], where=f"/etc/{path} line {number}")
            stanzas.append(current)
        elif word in ("auto", "allow-auto", "allow-hotplug"):
            current = None
            automatic.update({name: "hotplug" if word == "allow-hotplug" else "auto" for name in words[1:]})
        elif word in ("source", "source-directory"):
            current = None
        elif current is not None and len(words) > 1:
            current.options.append((word, line.split(None, 1)[1].strip()))
        else:
            raise _odd(path, number, line)


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


def _with_stanza(interface: Interface, stanza: _Stanza) -> Interface:
    options = dict(reversed(stanza.options))
    six = stanza.family == "inet6"
    if stanza.method == "dhcp":
        interface = replace(interface, dhcp6=True) if six else replace(interface, dhcp4=True)
    elif stanza.method not in ("static", "manual", "loopback", "auto"):
        raise ConfigError(document=stanza.where, faults=f"the method {stanza.method!r} is not understood")
    kept: list[tuple[str, str]] = []
    if stanza.method in ("manual", "loopback", "auto"):
        kept.append((f"{stanza.family} {stanza.method}", ""))
    for key, value in stanza.options:
        if key == "address":
            interface = replace(interface, addresses=(*interface.addresses, _address(stanza, value, options)))
        elif key == "gateway":
            gateway = parse_address(stanza.name, value, stanza.where)
            interface = replace(interface, gateways=(*interface.gateways, gateway))
        elif key in ("dns-nameservers", "dns-nameserver"):
            interface = replace(interface, dns=(*interface.dns, *value.split()))
        elif key in ("dns-search", "dns-domain"):
            interface = replace(interface, domains=(*interface.domains, *value.split()))
        elif _OPAQUE.match(key):
            kept.append((f"{stanza.family} {key}", value))
        elif key != "netmask":
            raise ConfigError(document=stanza.where, faults=f"the option {key!r} is not understood")
    return replace(interface, options=(*interface.options, *kept))


def _address(stanza: _Stanza, value: str, options: Mapping[str, str]) -> Address:
    mask = options.get("netmask")
    if "/" in value or mask is None:
        return parse_address(stanza.name, value, stanza.where)
    try:
        prefix = ipaddress.ip_network(f"0.0.0.0/{mask}").prefixlen if "." in mask else int(mask)
    except ValueError as error:
        raise ConfigError(document=stanza.where, faults=f"the netmask {mask!r} is none") from error
    return parse_address(stanza.name, f"{value}/{prefix}", stanza.where)


def _render(interface: Interface) -> str:
    lines: list[str] = []
    for key, _ in interface.options:
        if key in ("auto", "hotplug"):
            lines.append(f"{'allow-hotplug' if key == 'hotplug' else 'auto'} {interface.name}")
    for family in ("inet", "inet6"):
        lines += _render_family(interface, family)
    return "\n".join(lines) + "\n"


def _render_family(interface: Interface, family: str) -> list[str]:
    version = 6 if family == "inet6" else 4
    mine = [(key.split()[1], value) for key, value in interface.options if key.split()[0] == family]
    methods = [key for key, _ in mine if key in ("manual", "loopback", "auto")]
    if interface.dhcp6 if version == 6 else interface.dhcp4:
        methods.append("dhcp")
    addresses = [address for address in interface.addresses if address.version == version]
    gateways = [gateway for gateway in interface.gateways if gateway.version == version]
    further = [f"    {key} {value}" for key, value in mine if key not in ("manual", "loopback", "auto")]
    further += [f"    gateway {gateway.address}" for gateway in gateways]
    if version == 4 or not any(address.version == 4 for address in interface.addresses):
        # resolvconf reads these from any stanza; they are written once
        if interface.dns and (addresses or methods):
            further.append(f"    dns-nameservers {' '.join(interface.dns)}")
        if interface.domains and (addresses or methods):
            further.append(f"    dns-search {' '.join(interface.domains)}")
    lines: list[str] = []
    for method in methods:
        lines += [f"iface {interface.name} {family} {method}", *further]
        further = []
    for address in addresses:
        lines += [f"iface {interface.name} {family} static", f"    address {address}", *further]
        further = []
    return lines


def _odd(path: str, number: int, line: str) -> ConfigError:
    return ConfigError(document=f"/etc/{path} line {number}", faults=f"{line.strip()!r} is not understood")
