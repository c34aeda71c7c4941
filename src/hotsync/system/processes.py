"""What the kernel says of other processes."""

from __future__ import annotations

import os
from pathlib import Path


def sees_our_root(process: Path) -> bool:
    """Given a process's folder in /proc, say whether it sees the same root as we do; one in a container does not."""
    try:
        theirs, ours = (process / "root/").stat(), os.stat("/")
    except OSError:
        return False
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)
