"""Bonds, bridges, VLANs and tunnels in netplan's words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hotsync.backends.network.netplan_words import BOND_WORDS, BRIDGE_PORTS, BRIDGE_WORDS, NO, YES
from hotsync.backends.network.plain_yaml import Node
from hotsync.errors import ConfigError
from hotsync.model.network.links import BOND_TIMES, Bond, Bridge, Link, Virtual, Vlan, bond_mode, bond_setting

_UNITS = {"ms": 1, "s": 1000}


def link_of(section: str, said: dict[str, Node], names: Mapping[str, str]) -> tuple[Link | None, dict[str, Node]]:
    """Given the section and settings of an interface, return how it is made, and the settings that are left."""
    match section:
        case "vlans":
            number, parent = said.pop("id", None), said.pop("link", None)
            if number is None or parent is None or not (number.text or "").isdecimal():
                place = number or parent or Node("/etc/netplan")
                raise place.refuse("a VLAN needs both id and link")
            return Vlan(names.get(parent.text or "", parent.text or ""), int(number.text or "")), said
        case "tunnels":
            mode = said.get("mode")
            return Virtual(mode.text or "tunnel" if mode else "tunnel"), said
        case "bonds" | "bridges":
            said.pop("interfaces", None)
            parameters = said.pop("parameters", None)
            given = dict(parameters.pairs or {}) if parameters else {}
            link, rest = _bond(given, names) if section == "bonds" else _bridge(given)
            return link, {**said, **{f"parameters/{key}": node for key, node in rest.items()}}
        case _:
            return None, said


def _bond(given: dict[str, Node], names: Mapping[str, str]) -> tuple[Bond, dict[str, Node]]:
    mode = given.pop("mode", None)
    name = bond_mode(mode.text or "") if mode else Bond().mode
    if name is None:
        raise (mode or Node("")).refuse("the mode of a bond is not understood")
    primary = given.pop("primary", None)
    settings: list[tuple[str, str]] = []
    for setting, key in BOND_WORDS.items():
        if (node := given.pop(key, None)) is None:
            continue
        if setting == "arp_ip_target":
            settings.append((setting, ",".join(item.text or "" for item in node.items or ())))
        else:
            settings.append(
                (setting, str(_time(node, 1)) if setting in BOND_TIMES else bond_setting(setting, node.text or ""))
            )
    for key, node in given.items():
        raise node.refuse(f"the parameter {key!r} of a bond is not understood")
    text = primary.text or "" if primary else ""
    return Bond(name, names.get(text, text), tuple(settings)), {}


def _bridge(given: dict[str, Node]) -> tuple[Bridge, dict[str, Node]]:
    plain = not given
    stp = given.pop("stp", None)
    if stp is not None and (stp.text or "").lower() not in (*YES, *NO):
        raise stp.refuse("stp is neither yes nor no")
    settings: list[tuple[str, str]] = []
    for setting, key in BRIDGE_WORDS.items():
        if (node := given.pop(key, None)) is not None:
            seconds, rest = divmod(_time(node, 1000), 1000)
            if rest:
                raise node.refuse(f"{key} is no whole number of seconds")
            settings.append((setting, str(seconds)))
    for key, node in given.items():
        if key not in BRIDGE_PORTS:
            raise node.refuse(f"the parameter {key!r} of a bridge is not understood")
    # netplan says it for a bridge of which it says anything; without, the kernel's stays, which is off
    return Bridge(not plain if stp is None else (stp.text or "").lower() in YES, tuple(settings)), given


def parameters(name: str, link: Bond | Bridge, ids: Mapping[str, str]) -> dict[str, object]:
    """Given a bond or bridge, return its parameters; raise ConfigError for a setting that netplan has no word for."""
    words = BOND_WORDS if isinstance(link, Bond) else BRIDGE_WORDS
    found: dict[str, object] = {}
    if isinstance(link, Bond):
        found["mode"] = link.mode
        if link.primary:
            found["primary"] = ids.get(link.primary, link.primary)
    else:
        found["stp"] = link.stp
    for setting, value in link.settings:
        if setting not in words:
            raise ConfigError(document=name, faults=f"netplan has no word for the setting {setting!r}")
        found[words[setting]] = value.split(",") if setting == "arp_ip_target" else value
    return found


def _time(node: Node, unit: int) -> int:
    """Return a time in milliseconds; a bare number counts in `unit` of them."""
    found = re.fullmatch(r"(\d+)(ms|s|)", node.text or "")
    if found is None:
        raise node.refuse("a time should stand here")
    return int(found.group(1)) * _UNITS.get(found.group(2), unit)
