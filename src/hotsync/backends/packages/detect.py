"""Which package manager this host has: the one place that knows all of them."""

from __future__ import annotations

from hotsync.backends.packages import rpm_state, yum_state
from hotsync.backends.packages.apt import Apt
from hotsync.backends.packages.deb_files import DebFiles
from hotsync.backends.packages.dnf import Dnf
from hotsync.backends.packages.module_streams import ModuleStreams, NoStreams
from hotsync.backends.packages.rpm_files import RpmFiles
from hotsync.backends.packages.yum import Yum
from hotsync.model.ports.package_files import PackageFiles
from hotsync.model.ports.package_manager import PackageManager
from hotsync.system.paths import Paths

_DPKG = "/var/lib/dpkg/status"


def manager_of(paths: Paths) -> PackageManager:
    """Return this host's package manager: dpkg's where both databases lie (rpm can be a package like others there)."""
    if not has_rpms(paths):
        return Apt(paths)
    return Yum(paths) if yum_state.is_here(paths) else Dnf(paths)


def files_of(paths: Paths) -> PackageFiles:
    """Return what is known of the files that this host's packages come in."""
    return RpmFiles(paths) if has_rpms(paths) else DebFiles(paths)


def streams_of(paths: Paths) -> ModuleStreams | NoStreams:
    """Return this host's modules, which only dnf has."""
    is_dnf = has_rpms(paths) and not yum_state.is_here(paths)
    return ModuleStreams(paths) if is_dnf else NoStreams()


def is_known(paths: Paths) -> bool:
    """Return whether this host has a package database at all."""
    return has_rpms(paths) or paths.at(_DPKG).exists()


def has_rpms(paths: Paths) -> bool:
    """Return whether this host's packages are rpm's: dpkg's where both databases lie."""
    return rpm_state.is_here(paths) and not paths.at(_DPKG).exists()
