"""NethServer's networks database of a server that gives production's addresses up, and the files written from it.

Its records stay what they are: roles, bridges, bonds, the firewall's. Only addresses go and come.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path

from hotsync.backends.network import esmith
from hotsync.backends.network.files import names_in, read_text
from hotsync.config.esmith import Record, parse_value, plain, render_value
from hotsync.errors import ConfigError
from hotsync.model.network.values import Address
from hotsync.system import command

_ACTIONS = "e-smith/events/actions"
_EVENT = "interface-update"
_WRITERS = ("interface-config-reset", "interface-config-write")
"""Of that event's actions those that write files; the others stop and start the network."""

_SCRIPTS = "sysconfig/network-scripts"
_HAS = re.compile(r"""^\s*IPADDR\d*=["']?([0-9.]+)["']?\s*$""", re.MULTILINE)
_SECONDS = 300.0
_HINT = "Give its records addresses of this server's own (db networks setprop), then run it again."
_OF_ADDRESS = ("ipaddr", "netmask", "gateway")


def as_slave(
    document: dict[str, str | None], given_up: Iterable[Address], own: Iterable[Address]
) -> dict[str, str | None]:
    """Given the database's records, return those that change (None: removed) where production's addresses go and this
    server's own come: into the record that has none left, else as an alias. It asks nobody for one there.

    A gateway goes with the last address beside it. Raise ConfigError for an address that the database cannot hold.
    """
    ours = tuple(address for address in own if address.version == 4)
    gone = {address.address for address in given_up} - {address.address for address in ours}
    after = dict(document)
    for key, stored in document.items():
        record = parse_value(stored or "")
        if plain(record.props.get("ipaddr") or "") not in gone:
            continue
        if record.type == "alias":
            del after[key]
        elif record.type not in esmith.OTHERS:
            after[key] = render_value(record.without_props(("ipaddr", "netmask")))
    for address in ours:
        _give(after, address)
    for key in [key for key in document if after.get(key) != document[key] and key in after]:
        record = parse_value(after[key] or "")
        if not record.props.get("ipaddr"):
            after[key] = render_value(record.without_props(_OF_ADDRESS))
    _check(after, gone, ours)
    return {
        key: after.get(key) for key in dict.fromkeys((*document, *after)) if document.get(key, "") != after.get(key, "")
    }


def _give(document: dict[str, str | None], address: Address) -> None:
    record = parse_value(document.get(address.interface) or "")
    if not record.props.get("role"):
        raise ConfigError(document="the database networks", faults=f"it gives {address.interface} no role", hint=_HINT)
    if record.props.get("ipaddr") and record.props.get("bootproto") != "dhcp":
        esmith.add_aliases(document, [address])
        return
    mask = str(ipaddress.IPv4Network((0, address.prefix)).netmask)
    protocol = {"bootproto": "none"} if record.props.get("bootproto") == "dhcp" else {}
    props = {**record.props, **protocol, "ipaddr": address.address, "netmask": mask}
    document[address.interface] = render_value(Record(record.type, props))


def _check(document: dict[str, str | None], gone: set[str], ours: tuple[Address, ...]) -> None:
    """Read what will be written, as a boot would; raise ConfigError if it is not what it should say."""
    text = "".join(f"{key}={stored or ''}\n" for key, stored in document.items())
    says = esmith.parse({esmith.FILE: text}).addresses
    if not ours or not set(ours) <= set(says) or gone & {address.address for address in says}:
        raise ConfigError(
            document="the database networks", faults="it would not say all of this server's network", hint=_HINT
        )


def write_files(etc: Path) -> None:
    """Let NethServer's own actions write the files of network-scripts from the database; the running network stays.

    Raise CommandFailed if one of them fails.
    """
    for action in _WRITERS:
        command.run([str(etc / _ACTIONS / action), _EVENT], timeout=_SECONDS)


def files_with(etc: Path, addresses: Iterable[Address], *, aliases: bool = False) -> tuple[str, ...]:
    """Given an /etc and addresses, return the paths below it of the files of network-scripts that give an interface
    one of them; only those of aliases where that is asked for."""
    asked = {address.address for address in addresses}
    names = (name for name in names_in(etc, _SCRIPTS) if name.startswith("ifcfg-") and (":" in name or not aliases))
    texts = {f"{_SCRIPTS}/{name}": read_text(etc, f"{_SCRIPTS}/{name}") or "" for name in names}
    return tuple(path for path, text in texts.items() if asked.intersection(_HAS.findall(text)))
