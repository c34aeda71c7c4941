"""Bonds, bridges and VLANs in the words of ifenslave, bridge-utils and ifupdown's VLANs; keys come with `-` for `_`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hotsync.errors import ConfigError
from hotsync.model.network.links import Bond, Bridge, Link, Vlan, bond_mode, bond_setting
from hotsync.model.network.values import Interface

Words = Mapping[str, tuple[str, str]]
"""Key -> value, and the line where it stands."""

_BOND = (
    "miimon", "updelay", "downdelay", "arp_interval", "arp_ip_target", "arp_validate", "lacp_rate",
    "xmit_hash_policy", "primary_reselect", "fail_over_mac", "ad_select", "num_grat_arp", "packets_per_slave",
)  # fmt: skip
"""Those settings of a bond that ifenslave knows; it passes the kernel's own words on."""

_BRIDGE = {
    "forward_delay": "bridge-fd",
    "hello_time": "bridge-hello",
    "max_age": "bridge-maxage",
    "ageing_time": "bridge-ageing",
    "priority": "bridge-bridgeprio",
    "vlan_filtering": "bridge-vlan-aware",
}
_YES = {"on": True, "yes": True, "off": False, "no": False}


def ports_of(key: str, value: str, where: str) -> tuple[str, ...]:
    """Given a line, return the ports that it names; raise ConfigError where it says them by a pattern."""
    if key.replace("_", "-") not in ("bridge-ports", "bond-slaves"):
        return ()
    words = value.split()
    if {"all", "regex", "noregex", "noall"} & set(words):
        raise ConfigError(document=where, faults=f"ports by a pattern ({value!r}) are not understood")
    return tuple(word for word in words if word != "none")


def master_of(words: Words) -> str:
    """Return the bond that an interface says it is a port of."""
    return words.get("bond-master", ("", ""))[0]


def is_link_word(key: str, words: Words) -> bool:
    """Given a key, and all of its interface, return whether its meaning is in `bond_of`, `bridge_of`, `vlan_of`."""
    if key in ("bond-master", "vlan-raw-device"):
        return True
    bond = ("bond-slaves", "bond-mode", "bond-primary", *(_bond_key(name) for name in _BOND))
    bridge = ("bridge-ports", "bridge-stp", *_BRIDGE.values())
    return (_is_bond(words) and key in bond) or ("bridge-ports" in words and key in bridge)


def bond_of(words: Words) -> Bond | None:
    """Return the bond that these words make, if they do."""
    if not _is_bond(words):
        return None
    text, where = words.get("bond-mode", ("0", ""))
    mode = bond_mode(text)
    if mode is None:
        raise ConfigError(document=where, faults=f"the mode of a bond {text!r} is not understood")
    said = ((name, words.get(_bond_key(name), ("", ""))[0]) for name in sorted(_BOND))
    settings = tuple(
        (name, ",".join(value.split()) if name == "arp_ip_target" else bond_setting(name, value))
        for name, value in said
        if value
    )
    return Bond(mode, words.get("bond-primary", ("", ""))[0], settings)


def bridge_of(words: Words) -> Bridge | None:
    """Return the bridge that these words make, if they do."""
    if "bridge-ports" not in words:
        return None
    text, where = words.get("bridge-stp", ("off", ""))
    if text not in _YES:
        raise ConfigError(document=where, faults=f"bridge_stp says {text!r}, which is not understood")
    said = ((name, words.get(key, ("", ""))[0]) for name, key in sorted(_BRIDGE.items()))
    return Bridge(_YES[text], tuple((name, value) for name, value in said if value))


def vlan_of(name: str, words: Words, where: str) -> Vlan | None:
    """Given an interface's name and words, return the VLAN that it is, if it is one.

    ifupdown takes parent and number from a name with a full stop, the scripts of vlan the number of `vlan5`.
    """
    raw, where = words.get("vlan-raw-device", ("", where))
    dotted = re.fullmatch(r"([^:]+)\.(\d+)", name)
    if dotted and raw in ("", dotted.group(1)):
        return Vlan(dotted.group(1), int(dotted.group(2)))
    plain = re.fullmatch(r"vlan(\d+)", name)
    if plain and raw:
        return Vlan(raw, int(plain.group(1)))
    if raw:
        raise ConfigError(document=where, faults=f"which VLAN {name!r} is on {raw!r} is not understood")
    return None


def link_lines(interface: Interface, ports: tuple[str, ...]) -> list[str]:
    """Given an interface and its ports, return the lines that make it; raise ConfigError for what has no word."""
    link: Link | None = interface.link
    match link:
        case None:
            return []
        case Bond():
            lines = [f"bond-slaves {' '.join(ports) or 'none'}", f"bond-mode {link.mode}"]
            lines += [f"bond-primary {link.primary}"] if link.primary else []
            known = {name: _bond_key(name) for name in _BOND}
            settings = tuple((name, value.replace(",", " ")) for name, value in link.settings)
        case Bridge():
            lines = [f"bridge_ports {' '.join(ports) or 'none'}", f"bridge_stp {'on' if link.stp else 'off'}"]
            known = {name: key.replace("-", "_") for name, key in _BRIDGE.items()}
            settings = link.settings
        case Vlan() if link.parent:
            return _vlan_lines(interface.name, link)
        case _:
            raise ConfigError(document=interface.name, faults="ifupdown has no words that make such an interface")
    for name, value in settings:
        if name not in known:
            raise ConfigError(document=interface.name, faults=f"ifupdown has no word for the setting {name!r}")
        lines.append(f"{known[name]} {value}")
    return lines


def _vlan_lines(name: str, link: Vlan) -> list[str]:
    raw = [] if "." in name else [f"vlan-raw-device {link.parent}"]
    words: dict[str, tuple[str, str]] = {"vlan-raw-device": (link.parent, "")} if raw else {}
    if vlan_of(name, words, name) != link:
        raise ConfigError(document=name, faults=f"ifupdown makes this VLAN only as {link.parent}.{link.number}")
    return raw


def _is_bond(words: Words) -> bool:
    return "bond-slaves" in words or ("bond-mode" in words and "bond-master" not in words)


def _bond_key(name: str) -> str:
    return f"bond-{name.replace('_', '-')}"
