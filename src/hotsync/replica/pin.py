"""Keeps a folder of the last generation readable while newer ones are committed: its files under names of their own.

A pinned name is a hard link. It is never renamed, and nothing is renamed onto it, so a commit moves the tree's own name
into history as ever; the content goes when the last name does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hotsync.errors import CommandFailed, ReplicaError
from hotsync.replica.layout import Layout
from hotsync.system import command, lock, trees

_PIN_SECONDS = 3600.0


@contextmanager
def pinned(layout: Layout, lock_file: Path, path: str, name: str) -> Iterator[Path]:
    """Given a folder of the tree (relative) and a name, return where its files stay as they are for the block.

    Raise ReplicaError if there is no such folder, or it lies on another file system.
    """
    target = layout.pins / name
    try:
        _pin(layout.tree / path, target, lock_file)
        yield target
    finally:
        trees.remove(target)


def pin_tree(layout: Layout, name: str) -> Path:
    """Given a name, keep the whole tree under it, folders with all their metadata, and return where that is; whoever
    calls this holds the replica, and takes the pin away again. Raise ReplicaError."""
    target = layout.pins / name
    try:
        unpin(layout, name)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        command.run(["cp", "-al", "--", os.fspath(layout.tree), os.fspath(target)], timeout=_PIN_SECONDS)
    except (OSError, CommandFailed) as error:
        raise ReplicaError(reason=f"the tree cannot be kept for a while: {error}") from error
    return target


def unpin(layout: Layout, name: str) -> None:
    """Take a pin away, if there is one of that name; raise OSError."""
    trees.remove(layout.pins / name)


def _pin(source: Path, target: Path, lock_file: Path) -> None:
    try:
        with lock.held(lock_file, "commit", wait=True):  # one generation, not the middle of a commit
            trees.remove(target)  # of a run that was ended in the middle
            target.parent.mkdir(mode=0o700, exist_ok=True)
            _link(source, target)
    except OSError as error:
        raise ReplicaError(reason=f"{source} cannot be kept for a while: {error}") from error


def _link(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    with os.scandir(source) as found:
        for item in found:
            mode = item.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                _link(Path(item.path), target / item.name)
            elif stat.S_ISREG(mode):
                os.link(item.path, target / item.name, follow_symlinks=False)
