"""NetworkManager's words: kinds of connections, sections of profiles, settings of bridges."""

from __future__ import annotations

import uuid

VIRTUAL = ("dummy", "wireguard", "tun", "vxlan", "ip-tunnel", "macvlan", "vrf")
"""Kinds that are made, whose settings have no meaning here."""

TYPES = {
    **{kind: kind for kind in (*VIRTUAL, "ethernet", "wifi", "bond", "bridge", "vlan")},
    "802-3-ethernet": "ethernet",
    "802-11-wireless": "wifi",
}

SECTIONS = {"802-3-ethernet": "ethernet", "802-11-wireless": "wifi", "802-11-wireless-security": "wifi-security"}
"""Old names of sections."""

PARTS = frozenset(
    {*VIRTUAL, "connection", "ethernet", "wifi", "wifi-security", "802-1x", "ethtool", "proxy"}
    | {"bond", "bond-port", "bridge", "bridge-port", "vlan", "ipv4", "ipv6"}
)
"""Sections that are understood, or kept as they are."""

BRIDGE_WORDS = {
    "ageing_time": "ageing-time",
    "forward_delay": "forward-delay",
    "hello_time": "hello-time",
    "max_age": "max-age",
    "priority": "priority",
    "vlan_filtering": "vlan-filtering",
}

DEFAULTS = {("ipv6", "addr-gen-mode"): "default", ("vlan", "flags"): "1"}
"""What nmcli writes though it says nothing."""

_SPACE = uuid.UUID("5f1c0d53-6d0e-4b0e-9d5c-0c1f6f3a0d10")


def own_uuid(name: str) -> str:
    """Given an interface, return the UUID of a profile that we write for it: always the same."""
    return str(uuid.uuid5(_SPACE, name))
