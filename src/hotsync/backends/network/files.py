"""Configuration files of an /etc that may be somebody else's: no link is followed, nothing odd or large is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hotsync.system.trees import opened

_LARGEST = 1024 * 1024
_MOST = 500
_FOR_ROOT = ("NetworkManager/system-connections/", "netplan/")


def read_text(etc: Path, path: str) -> str | None:
    """Given an /etc and a path in it, return the text of the plain file there, None for anything else."""
    try:
        with opened(etc, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
                return None
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(_LARGEST).decode("utf-8", "surrogateescape")
    except OSError:
        return None


def access_for(path: str, etc: Path) -> tuple[int, int]:
    """Given the path below /etc of a file that is written, return the mode and group that its program asks for.

    NetworkManager takes no profile that others may read; a tunnel of networkd's has its key, and networkd is not root.
    """
    if path.startswith(_FOR_ROOT):
        return 0o600, 0
    if not path.endswith(".netdev"):
        return 0o644, 0
    lines = (line.split(":") for line in (read_text(etc, "group") or "").splitlines())
    return 0o640, next((int(line[2]) for line in lines if line[0] == "systemd-network" and len(line) > 2), 0)


def names_in(etc: Path, folder: str) -> list[str]:
    """Given an /etc and a folder in it, return the names there in order (not more than a system could mean)."""
    try:
        with opened(etc, folder) as descriptor:
            return sorted(os.listdir(descriptor))[:_MOST]
    except OSError:
        return []
