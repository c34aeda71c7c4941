"""netplan: its files in /etc/netplan, of which it makes those of networkd or NetworkManager at every boot."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from hotsync.backends.network.files import names_in, read_text
from hotsync.backends.network.netplan_read import definitions, parse
from hotsync.backends.network.netplan_words import SECTIONS
from hotsync.backends.network.netplan_write import FOLDER, render
from hotsync.errors import ConfigError
from hotsync.model.network.values import Address, NetworkState
from hotsync.system import command

NAME = "netplan"
__all__ = [
    "FOLDER",
    "NAME",
    "activate",
    "available",
    "by_name",
    "drop_standby",
    "files",
    "names_given",
    "parse",
    "read",
    "render",
    "standby",
]

_STANDBY = f"{FOLDER}/99-hotsync-standby.yaml"


def available(etc: Path) -> bool:
    """Given an /etc, return whether netplan defines an interface there."""
    defines = re.compile(rf"(^|[{{,])\s*[\"']?({'|'.join(SECTIONS)})[\"']?\s*:", re.MULTILINE)
    return any(defines.search(text) for text in _files(etc).values())


def read(etc: Path) -> NetworkState:
    """Given an /etc, return what its files say; raise ConfigError with file and line of what is not understood."""
    return parse(_files(etc))


def _files(etc: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names_in(etc, FOLDER):
        text = read_text(etc, f"{FOLDER}/{name}") if name.endswith(".yaml") else None
        if text is not None:
            found[f"{FOLDER}/{name}"] = text
    return found


def files(etc: Path) -> Iterable[str]:
    """Given an /etc, return the paths (below it) of the files that `read` reads."""
    return _files(etc)


def by_name(etc: Path, cards: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, and hardware address -> interface, return the files that choose their interface by such an
    address, with its name in that place: another machine's card has the name, and never the address."""
    texts = _files(etc)
    changed = dict(texts)
    for definition in definitions(texts, all_understood=False):
        node = (definition.match.pairs or {}).get("macaddress") if definition.match else None
        name = cards.get(definition.mac, "")
        if node is None or not name:
            continue
        path, _, number = node.where.removeprefix("/etc/").rpartition(" line ")
        lines = changed[path].splitlines()
        quoted = rf"[\"']?macaddress[\"']?(\s*:\s*)[\"']?{re.escape(node.text or '')}[\"']?"
        lines[int(number) - 1] = re.sub(quoted, rf"name\g<1>{json.dumps(name)}", lines[int(number) - 1])
        changed[path] = "\n".join(lines) + "\n"
    return {path: text for path, text in changed.items() if text != texts[path]}


def standby(etc: Path, addresses: Iterable[Address], changed: Mapping[str, str]) -> dict[str, str]:
    """Given the /etc to be, return the file that gives its interfaces further addresses: netplan adds up its files."""
    texts = {path: text for path, text in {**_files(etc), **changed}.items() if path != _STANDBY}
    found: dict[str, dict[str, list[str]]] = {}
    defined = [each for each in definitions(texts, all_understood=False) if each.name]
    for address in addresses:
        plain = (each for each in defined if each.name == address.interface)
        owner = next(plain, None) or next((each for each in defined if _fits(address.interface, each.name)), None)
        if owner is not None:
            found.setdefault(owner.section, {}).setdefault(owner.id, []).append(str(address))
    if not found:
        return {}
    lines = ["# HotSync: this server's standby address, kept until the other server has rejoined.", "network:"]
    for section, owners in found.items():
        lines.append(f"  {section}:")
        lines += [f"    {json.dumps(key)}: {{addresses: {json.dumps(words)}}}" for key, words in owners.items()]
    return {_STANDBY: "\n".join(lines) + "\n"}


def _fits(interface: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(interface, pattern)


def drop_standby(etc: Path) -> dict[str, str | None]:
    """Given an /etc, return the file that `standby` added, to be removed."""
    return {_STANDBY: None} if _STANDBY in _files(etc) else {}


def names_given(etc: Path) -> tuple[str, ...]:
    """Given an /etc, return the names that its files give to cards: without them a card has its kernel's."""
    try:
        return tuple(each.name for each in definitions(_files(etc)) if "set-name" in each.said)
    except ConfigError:
        return ()  # what is not understood is said where it is read


def activate(etc: Path) -> None:
    """Let the running system follow: netplan writes the other systems' files; addresses on the interfaces stay."""
    del etc
    command.run(["netplan", "generate"])
    for unit, reload in (("systemd-networkd", ["networkctl"]), ("NetworkManager", ["nmcli", "connection"])):
        if command.run(["systemctl", "is-active", "--quiet", f"{unit}.service"], ok=range(256)).returncode == 0:
            command.run([*reload, "reload"])
