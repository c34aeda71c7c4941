"""Which package manager this host has."""

from __future__ import annotations

from hotsync.backends.packages.apt import Apt
from hotsync.model.ports.package_manager import PackageManager
from hotsync.system.paths import Paths


def manager_of(paths: Paths) -> PackageManager:
    """Return this host's package manager."""
    return Apt(paths)
