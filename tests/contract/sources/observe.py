"""What the walk of a run would see of a folder."""

from __future__ import annotations

import os
from pathlib import Path

Seen = dict[str, tuple[int, int, int, int]]


def seen(folder: Path) -> Seen:
    """Every path with inode, size, mtime and ctime, the folder itself too: a run sends what differs in these."""
    paths = [folder, *folder.rglob("*")]
    return {
        os.path.relpath(path, folder): (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        for path in paths
        for status in [path.lstat()]
    }


def changed(before: Seen, after: Seen) -> set[str]:
    """The files that a run would look at; folders aside."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
