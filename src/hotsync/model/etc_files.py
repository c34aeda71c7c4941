"""Which files of this SLAVE's /etc stay when the MASTER lacks them: only those of packages that the MASTER lacks.

Pure: names in, names out. Everything else of the SLAVE's /etc goes aside with the folder.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping

ALWAYS_OWN = (
    "systemd/system/*.d/zz-hotsync-*.conf",  # the mute goes only after the role has changed
    "systemd/system/*.wants/hotsync*",  # which of our units run follows from this host's role
    "systemd/system/hotsync*",
    "hotsync/firewall*",
)
"""Patterns below /etc that are always this host's own, the MASTER's being left out: HotSync's own state."""

OWN_NETWORK = (
    "network",
    "systemd/network",
    "netplan",
    "NetworkManager/system-connections",
    # which of its files it reads, and which cards it leaves alone
    "NetworkManager/NetworkManager.conf",
    "NetworkManager/conf.d",
    "dhcpcd.conf",
    # what network-scripts read, and NetworkManager too, until its keyfiles were the only form
    "sysconfig/network",
    "sysconfig/network-scripts/ifcfg-*",
    "sysconfig/network-scripts/keys-*",
    "sysconfig/network-scripts/route-*",
    "sysconfig/network-scripts/route6-*",
    "sysconfig/network-scripts/rule-*",
    "sysconfig/network-scripts/rule6-*",
    "openvswitch",
    "resolv.conf",
    "systemd/system/systemd-networkd*",
    "systemd/system/networking.service*",
    "systemd/system/dbus-org.freedesktop.network1.service",
    "systemd/system/*.wants/systemd-networkd*",
    "systemd/system/*.wants/networking.service",
    "systemd/system/*.wants/NetworkManager*",
)
"""Patterns below /etc that are this host's own too where it keeps its network: what configures it, and which system."""


def files_that_stay(
    own: Mapping[str, str], carried: Collection[str], owned_by_slave_only: Collection[str]
) -> tuple[str, ...]:
    """Given this host's /etc (path -> link target, "" for no link), what the MASTER carries, and the files of packages
    that the MASTER lacks (absolute paths), return the paths (below /etc) that stay, in order.

    A link stays if what it leads to belongs to such a package: that is how units are enabled and alternatives chosen.
    """
    owned = {_plain(path) for path in owned_by_slave_only}
    stay: list[str] = []
    for path in sorted(set(own) - set(carried)):
        place = f"/etc/{path}"
        target = own[path]
        if _plain(place) in owned or (target and _plain(posixpath.join(posixpath.dirname(place), target)) in owned):
            stay.append(path)
    return tuple(stay)


def only_here(own_packages: Iterable[str], master_packages: Iterable[str]) -> tuple[str, ...]:
    """Given both sides' package names, return those that only this host has."""
    return tuple(sorted(set(own_packages) - set(master_packages)))


def _plain(path: str) -> str:
    """On merged-/usr systems /lib/x and /usr/lib/x are one file, whatever a package's list or a link says."""
    normal = posixpath.normpath(path)
    return normal.removeprefix("/usr") if normal.startswith(("/usr/lib", "/usr/bin", "/usr/sbin")) else normal
