"""Bonds and bridges in networkd's words; netplan has the same settings under names of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hotsync.backends.network.networkd_lines import NETDEV_OPAQUE, Line, check
from hotsync.errors import ConfigError
from hotsync.model.network.links import BOND_MODES, BOND_TIMES, Bond, Bridge, Link, Virtual, Vlan, bond_mode

BOND_WORDS = {
    "ad_select": "AdSelect",
    "all_slaves_active": "AllSlavesActive",
    "arp_all_targets": "ARPAllTargets",
    "arp_interval": "ARPIntervalSec",
    "arp_ip_target": "ARPIPTargets",
    "arp_validate": "ARPValidate",
    "downdelay": "DownDelaySec",
    "fail_over_mac": "FailOverMACPolicy",
    "lacp_rate": "LACPTransmitRate",
    "lp_interval": "LearnPacketIntervalSec",
    "miimon": "MIIMonitorSec",
    "min_links": "MinLinks",
    "num_grat_arp": "GratuitousARP",
    "packets_per_slave": "PacketsPerSlave",
    "primary_reselect": "PrimaryReselectPolicy",
    "resend_igmp": "ResendIGMP",
    "updelay": "UpDelaySec",
    "xmit_hash_policy": "TransmitHashPolicy",
}
BRIDGE_WORDS = {
    "ageing_time": "AgeingTimeSec",
    "forward_delay": "ForwardDelaySec",
    "hello_time": "HelloTimeSec",
    "max_age": "MaxAgeSec",
    "priority": "Priority",
    "vlan_filtering": "VLANFiltering",
}
_PLAIN = {
    "NetDev": frozenset(("Name", "Kind")),
    "VLAN": frozenset(("Id",)),
    "Bridge": frozenset((*BRIDGE_WORDS.values(), "STP")),
    "Bond": frozenset((*BOND_WORDS.values(), "Mode")),
}
_SECTIONS = {"vlan": "VLAN", "bridge": "Bridge", "bond": "Bond"}
_UNITS = {"us": 0.001, "ms": 1.0, "": 1000.0, "s": 1000.0, "sec": 1000.0, "min": 60000.0}
NETDEV = "NetDev:"
"""What the option of a .netdev file begins with, to tell it from one of a .network file."""


def netdev(path: str, lines: list[Line]) -> tuple[str, Link, tuple[tuple[str, str], ...]]:
    """Given the lines of a .netdev file, return the name of what it makes, what that is, and its further lines."""
    said: dict[tuple[str, str], Line] = {}
    options: list[tuple[str, str]] = []
    for line in lines:
        plain = _PLAIN.get(line.section, frozenset[str]())
        check(line, NETDEV_OPAQUE, plain)
        if line.key in plain:
            said[(line.section, line.key)] = line
        elif line.key or line.section == "WireGuardPeer":
            options.append((f"{NETDEV}{line.section}.{line.key}", line.value))
    name, kind = (said[("NetDev", key)].value if ("NetDev", key) in said else "" for key in ("Name", "Kind"))
    if not name or not kind:
        raise ConfigError(document=f"/etc/{path}", faults="it has no Name= or no Kind= in [NetDev]")
    mine = {key: line for (section, key), line in said.items() if section == _SECTIONS.get(kind)}
    other = [line for (section, _), line in said.items() if section not in ("NetDev", _SECTIONS.get(kind))]
    if other:
        raise other[0].refuse()
    match kind:
        case "bond":
            link: Link = _bond(mine)
        case "bridge":
            stp = mine.pop("STP", None)
            link = Bridge(stp is not None and stp.boolean, _bridge_settings(mine))
        case "vlan":
            if "Id" not in mine:
                raise ConfigError(document=f"/etc/{path}", faults="it has no Id= in [VLAN]")
            link = Vlan("", mine["Id"].number)
        case _:
            link = Virtual(kind)
    return name, link, tuple(options)


def netdev_lines(name: str, link: Link, options: Iterable[tuple[str, str]]) -> list[str]:
    """Given what an interface is and its further lines, return its .netdev file; `netdev` gives the same back."""
    mine = [(*key.removeprefix(NETDEV).partition(".")[::2], value) for key, value in options]
    kind = _kind(link)
    lines = ["[NetDev]", f"Name={name}", f"Kind={kind}"]
    lines += [f"{key}={value}" for section, key, value in mine if section == "NetDev"]
    own = _SECTIONS.get(kind, "")
    settings = _settings(name, link)
    further = [f"{key}={value}" for section, key, value in mine if section == own]
    if settings or further:
        lines += ["", f"[{own}]", *settings, *further]
    last = ""
    for section, key, value in mine:
        if section in ("NetDev", own):
            continue
        if section != last or not key:
            lines += ["", f"[{section}]"]
            last = section
        if key:
            lines.append(f"{key}={value}")
    return lines


def _kind(link: Link) -> str:
    match link:
        case Bond():
            return "bond"
        case Bridge():
            return "bridge"
        case Vlan():
            return "vlan"
        case Virtual():
            return link.kind


def _bond(said: dict[str, Line]) -> Bond:
    mode = said.pop("Mode", None)
    name = bond_mode(mode.value) if mode else BOND_MODES[0]
    if name is None:
        raise ConfigError(document=mode.where if mode else "", faults="the Mode= of a bond is not understood")
    settings: list[tuple[str, str]] = []
    for setting, key in BOND_WORDS.items():
        if (line := said.get(key)) is not None:
            value = str(_milliseconds(line)) if setting in BOND_TIMES else line.value
            settings.append((setting, ",".join(value.split()) if setting == "arp_ip_target" else value))
    return Bond(name, "", tuple(settings))


def _bridge_settings(said: dict[str, Line]) -> tuple[tuple[str, str], ...]:
    settings: list[tuple[str, str]] = []
    for setting, key in BRIDGE_WORDS.items():
        if (line := said.get(key)) is None:
            continue
        if setting == "vlan_filtering":
            settings.append((setting, "yes" if line.boolean else "no"))
        elif setting == "priority":
            settings.append((setting, str(line.number)))
        else:
            seconds, rest = divmod(_milliseconds(line), 1000)
            if rest:
                raise ConfigError(document=line.where, faults=f"{line.key}={line.value} is no whole number of seconds")
            settings.append((setting, str(seconds)))
    return tuple(settings)


def _milliseconds(line: Line) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(us|ms|s|sec|min|)", line.value)
    value = float(found.group(1)) * _UNITS[found.group(2)] if found else 0.5
    if value != int(value):
        raise ConfigError(document=line.where, faults=f"{line.key}={line.value} is not understood")
    return int(value)


def _settings(name: str, link: Link) -> list[str]:
    """Return the lines that say how a bond, bridge or VLAN is; raise ConfigError for a setting without a word."""
    match link:
        case Vlan():
            return [f"Id={link.number}"]
        case Bond():
            lines, words = [f"Mode={link.mode}"], BOND_WORDS
        case Bridge():
            lines, words = [f"STP={'yes' if link.stp else 'no'}"], BRIDGE_WORDS
        case Virtual():
            return []
    for setting, value in link.settings:
        if setting not in words:
            raise ConfigError(document=name, faults=f"networkd has no word for the setting {setting!r}")
        unit = "ms" if setting in BOND_TIMES and isinstance(link, Bond) else ""
        lines.append(f"{words[setting]}={value.replace(',', ' ')}{unit}")
    return lines
