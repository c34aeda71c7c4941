"""Which package manager this host has: the one place that knows all of them."""

from __future__ import annotations

from hotsync.backends.packages import rpm_state
from hotsync.backends.packages.apt import Apt
from hotsync.backends.packages.dnf import Dnf
from hotsync.model.ports.package_manager import PackageManager
from hotsync.system.paths import Paths


def manager_of(paths: Paths) -> PackageManager:
    """Return this host's package manager: dpkg's where both databases lie (rpm can be a package like others there)."""
    if rpm_state.is_here(paths) and not paths.at("/var/lib/dpkg/status").exists():
        return Dnf(paths)
    return Apt(paths)
