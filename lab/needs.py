"""What the lab itself needs of this machine: programs, installed from Debian where they are missing, and room."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab.command import LabError, phase, run

PROGRAMS = {
    "apt-ftparchive": "apt-utils",
    "btrfstune": "btrfs-progs",
    "gpg": "gnupg",
    "ip": "iproute2",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "rsync": "rsync",
    "ss": "iproute2",
    "systemd-nspawn": "systemd-container",
}


_WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH_WATCHERS = 1024
"""The kernel counts them for root of this machine, who is root of all hosts; 128 are enough for five."""


def make_room() -> None:
    """Let as many hosts as people need watch files: where none can be watched any more, units of paths fail."""
    if int(_WATCHERS.read_text()) < _ENOUGH_WATCHERS:
        _WATCHERS.write_text(f"{_ENOUGH_WATCHERS}\n")


def install_needs() -> None:
    """Install what is missing here; raise LabError if this is not a Debian run by root."""
    if os.geteuid() != 0:
        raise LabError("the lab makes machines: it must run as root")
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"missing here, and there is no apt-get to install it: {' '.join(missing)}")
    with phase(f"install {' '.join(missing)} on this machine"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "-q", "update"], env=env)
        run(["apt-get", "-qy", "install", "--no-install-recommends", *missing], env=env)
