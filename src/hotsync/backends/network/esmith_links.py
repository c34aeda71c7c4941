"""Bonds, bridges and VLANs in the words of NethServer's networks database."""

from __future__ import annotations

import re

from hotsync.errors import ConfigError
from hotsync.model.network.links import BOND_MODES, Bond, Bridge, Link, Virtual, Vlan, bond_mode
from hotsync.model.network.values import Interface

PARTS = {"bridged": "bridge", "slave": "master"}
"""Roles of ports, and the prop that names what they are a port of."""

_MODE, _MIIMON = "BondOptMode", "BondOptMiimon"


def link_of(key: str, kind: str, props: dict[str, str], where: str) -> Link | None:
    """Given a record's key, type and props, return how it is made; what that says is taken out of the props."""
    match kind:
        case "bridge":
            return Bridge()
        case "bond":
            mode = bond_mode(props.pop(_MODE, "") or "0")
            if mode is None:
                raise ConfigError(document=where, faults=f"the {_MODE} of {key} is not understood")
            miimon = props.pop(_MIIMON, "")
            return Bond(mode, settings=(("miimon", miimon),) if miimon else ())
        case "vlan":
            found = re.fullmatch(r"(.+)\.(\d+)", key)
            if found is None:
                raise ConfigError(document=where, faults=f"the name of {key} does not tell its VLAN")
            return Vlan(found.group(1), int(found.group(2)))
        case _:
            return None


def link_props(interface: Interface) -> tuple[str, dict[str, str]]:
    """Given an interface, return the type and props of a record that say how it is made; raise ConfigError for what
    has no word there."""
    match interface.link:
        case None:
            return "ethernet", {}
        case Bridge(stp=False, settings=()):
            return "bridge", {}
        case Bond() if not interface.link.primary and dict(interface.link.settings).keys() <= {"miimon"}:
            miimon = dict(interface.link.settings).get("miimon")
            props = {_MODE: str(BOND_MODES.index(interface.link.mode))}
            return "bond", props | ({_MIIMON: miimon} if miimon else {})
        case Vlan() if interface.name == f"{interface.link.parent}.{interface.link.number}":
            return "vlan", {}
        case Bond() | Bridge() | Vlan() | Virtual():
            raise ConfigError(document=interface.name, faults="NethServer has no words that make such an interface")
