"""Reads single files out of the replica's tree, which is the MASTER's: no link is followed, nothing odd is opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hotsync.system.trees import opened

LARGEST = 16 * 1024 * 1024


def read_plain(tree: Path, path: str, largest: int = LARGEST) -> bytes | None:
    """Given the tree and a relative path, return the content of the plain file there; None for anything else."""
    try:
        with opened(tree, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
                return None
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(largest)
    except OSError:
        return None


def read_text(tree: Path, path: str, largest: int = LARGEST) -> str:
    """Given the tree and a relative path, return the text of the plain file there, "" for anything else."""
    return (read_plain(tree, path, largest) or b"").decode("utf-8", "surrogateescape")


def names_in(tree: Path, path: str) -> list[str]:
    """Given the tree and a relative path, return the sorted names in the folder there; none for anything else."""
    try:
        with opened(tree, path) as descriptor:
            return sorted(os.listdir(descriptor))
    except OSError:
        return []
