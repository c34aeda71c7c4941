"""NethServer's networks database: the roles green, red, blue and orange, bridges, bonds, VLANs and aliases.

What it says is what NethServer's own action writes of it for network-scripts: a record without a role configures
nothing, a gateway counts on red, or on green where there is no red. Trusted networks, zones and providers are the
firewall's and stay in the file.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from hotsync.backends.network.esmith_links import PARTS, link_of, link_props
from hotsync.backends.network.files import read_text
from hotsync.config import esmith
from hotsync.config.esmith import Record
from hotsync.errors import ConfigError
from hotsync.model.network.values import Address, Interface, NetworkState, parse_address
from hotsync.system import command
from hotsync.system.platform import SIGNAL_EVENT

NAME = "e-smith"
FILE = "var/lib/nethserver/db/networks"
"""Beside the /etc that is asked, not below it."""

RELEASE = "nethserver-release"
_CARDS = frozenset(("ethernet", "bridge", "bond", "vlan", "alias"))
OTHERS = frozenset(("network", "zone", "provider", "xdsl-disabled"))
_ROLES = frozenset(("green", "red", "blue", "orange", "yellow", "hotspot", "bridged", "slave", "alias", ""))
_PROTOCOLS = frozenset(("", "none", "static", "dhcp"))
# addresses that ifcfg files know under further names, which are not held here
_FURTHER = re.compile(r"(ipaddr\d+|netmask\d+|gateway\d+|prefix\d*|ipv6addr.*|ipv6_defaultgw|ipv6gateway)\Z")
_EVENTS = ("nethserver-hosts-save", "interface-update")
_SECONDS = 900.0


def available(etc: Path) -> bool:
    """Given an /etc, return whether it is a NethServer's whose database gives an interface a role."""
    text = read_text(etc.parent, FILE)
    return read_text(etc, RELEASE) is not None and text is not None and any(_used(text))


def read(etc: Path) -> NetworkState:
    """Given an /etc, return what the database beside it says; raise ConfigError with the line that it cannot hold."""
    return parse({FILE: read_text(etc.parent, FILE) or ""})


def parse(texts: Mapping[str, str]) -> NetworkState:
    """Given the database (path -> text), return the state; raise ConfigError at the first line that it cannot hold."""
    found = [(key, record, where) for path, text in texts.items() for key, record, where in _records(path, text)]
    records = {key: record for key, record, _ in found}
    outside = "red" if any(_role(record) == "red" for record in records.values()) else "green"
    interfaces = [
        _interface(key, record, where, records, outside) for key, record, where in found if record.type not in OTHERS
    ]
    return NetworkState(tuple(interfaces))


def render(state: NetworkState) -> dict[str, str]:
    """Given a state that was read from such a database, return the database; `parse` gives the same state back."""
    document: dict[str, str | None] = {each.name: esmith.render_value(_record(each)) for each in state.interfaces}
    return {FILE: esmith.to_text(esmith.render_document(document, "by HotSync"))}


def files(etc: Path) -> Iterable[str]:
    """Return nothing: no file of /etc says it."""
    del etc
    return ()


def by_name(etc: Path, cards: Mapping[str, str]) -> dict[str, str]:
    """Return nothing: its records name interfaces only (NethServer does not look at `hwaddr`)."""
    del etc, cards
    return {}


def standby(etc: Path, addresses: Iterable[Address], changed: Mapping[str, str]) -> dict[str, str]:
    """Return nothing: no file of /etc says it; see `add_aliases`."""
    del etc, addresses, changed
    return {}


def drop_standby(etc: Path) -> dict[str, str | None]:
    """Return nothing: no file of /etc says it; see `drop_aliases`."""
    del etc
    return {}


def drop_aliases(document: dict[str, str | None], addresses: Iterable[Address]) -> None:
    """Given the database's records, remove the aliases that have one of these addresses."""
    gone = {address.address for address in addresses}
    for key in [key for key in document if ":" in key]:
        record = esmith.parse_value(document[key] or "")
        if record.type == "alias" and record.props.get("ipaddr") in gone:
            del document[key]


def add_aliases(document: dict[str, str | None], addresses: Iterable[Address]) -> None:
    """Given the database's records, add an alias for each IPv4 address that none of them has; no other is touched."""
    for address in addresses:
        present = {
            esmith.parse_value(stored or "").props.get("ipaddr")
            for key, stored in document.items()
            if _of(key, address)
        }
        if address.version == 4 and address.address not in present and address.interface in document:
            number = next(each for each in range(len(document) + 1) if f"{address.interface}:{each}" not in document)
            props = {"ipaddr": address.address, "netmask": _mask(address), "role": "alias"}
            document[f"{address.interface}:{number}"] = esmith.render_value(Record("alias", props))


def activate(etc: Path) -> None:
    """Let NethServer write its configuration from the database and take it: its own events, in its own order."""
    program = etc.parent / SIGNAL_EVENT.lstrip("/")
    for event in _EVENTS:
        command.run([str(program), event], timeout=_SECONDS, unread=True)


def _of(key: str, address: Address) -> bool:
    return key == address.interface or key.startswith(f"{address.interface}:")


def _used(text: str) -> Iterator[str]:
    for key, stored in esmith.parse_document(esmith.to_bytes(text)).items():
        record = esmith.parse_value(stored or "")
        if record.type in _CARDS and _role(record):
            yield key


def _records(path: str, text: str) -> Iterator[tuple[str, Record, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        for key, stored in esmith.parse_document(esmith.to_bytes(line)).items():
            yield key, esmith.parse_value(stored or ""), f"/{path} line {number}"


def _role(record: Record) -> str:
    return record.props.get("role") or ""


def _interface(key: str, record: Record, where: str, records: Mapping[str, Record], outside: str) -> Interface:
    _check(key, record, where, records)
    role, protocol = _role(record), record.props.get("bootproto") or ""
    parent = key.partition(":")[0] if record.type == "alias" else key
    props = {name: value or "" for name, value in record.sorted_props()}
    if role:
        del props["role"]
    addresses: list[Address] = []
    gateways: list[Address] = []
    if role and protocol != "dhcp":
        if ip := esmith.plain(props.get("ipaddr", "")):
            addresses.append(_address(parent, ip, esmith.plain(props.get("netmask", "")), where))
            del props["ipaddr"], props["netmask"]
        if role == outside and props.get("gateway"):
            gateways.append(parse_address(parent, esmith.plain(props.pop("gateway")), where))
    link = link_of(key, record.type or "", props, where)
    master = props.pop(PARTS[role]) if role in PARTS else ""
    return Interface(
        key,
        addresses=tuple(addresses),
        gateways=tuple(gateways),
        dhcp4=bool(role) and protocol == "dhcp",
        options=(("type", record.type or ""), *props.items()),
        master=master,
        link=link,
        role=role,
    )


def _check(key: str, record: Record, where: str, records: Mapping[str, Record]) -> None:
    role, props = _role(record), record.props
    if record.type not in _CARDS:
        raise ConfigError(document=where, faults=f"{key} is of the type {record.type!r}, which is not understood")
    if role not in _ROLES:
        raise ConfigError(document=where, faults=f"{key} has the role {role!r}, which is not understood")
    if (props.get("bootproto") or "") not in _PROTOCOLS:
        raise ConfigError(document=where, faults=f"the bootproto of {key} is not understood")
    further = [name for name in props if _FURTHER.match(name) and props[name]]
    if role and further:
        raise ConfigError(document=where, faults=f"the prop {further[0]!r} of {key} is not understood")
    if role in PARTS and props.get(PARTS[role]) not in records:
        raise ConfigError(document=where, faults=f"{key} belongs to a {PARTS[role]} that is not there")
    if record.type == "alias" and key.partition(":")[0] not in records:
        raise ConfigError(document=where, faults=f"{key} is an alias of an interface that is not there")


def _address(interface: str, ip: str, mask: str, where: str) -> Address:
    lengths = {str(ipaddress.IPv4Network((0, length)).netmask): length for length in range(33)}
    if mask not in lengths:
        raise ConfigError(document=where, faults=f"the netmask {mask!r} of {interface} is none")
    address = parse_address(interface, f"{ip}/{lengths[mask]}", where)
    if address.version != 4:
        raise ConfigError(document=where, faults=f"{ip!r} is no IPv4 address")
    return address


def _mask(address: Address) -> str:
    return str(ipaddress.IPv4Network((0, address.prefix)).netmask)


def _record(interface: Interface) -> Record:
    kind, props = link_props(interface)
    options = dict(interface.options)
    kind = options.pop("type", kind)
    _check_words(interface, kind)
    props |= options
    if interface.role:
        props["role"] = interface.role
    if interface.master:
        props[PARTS.get(interface.role, "bridge")] = interface.master
    if interface.dhcp4:
        props["bootproto"] = "dhcp"
    for address in interface.addresses:
        props |= {"ipaddr": address.address, "netmask": _mask(address)}
    for gateway in interface.gateways:
        props["gateway"] = gateway.address
    return Record(kind, props)


def _check_words(interface: Interface, kind: str) -> None:
    """Raise ConfigError for what a record has no word for."""
    foreign = any(any(sign in key for sign in " .:/[") for key, _ in interface.options)
    further = interface.routes or interface.dns or interface.domains or interface.dhcp6 or interface.mac
    six = interface.accept_ra is not None or any(address.version == 6 for address in interface.addresses)
    several = len(interface.addresses) > 1 or len(interface.gateways) > 1
    if foreign or further or six or several or interface.mtu or not interface.start or kind not in _CARDS:
        raise ConfigError(document=interface.name, faults="the networks database has no words for all of it")
    if not interface.role and (interface.addresses or interface.dhcp4 or interface.master):
        raise ConfigError(document=interface.name, faults="an interface of the networks database needs a role")
