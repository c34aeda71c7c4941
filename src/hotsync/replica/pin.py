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
from hotsync.model.entry import Entry, Kind, parent_of
from hotsync.replica.back import is_same
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.history import History, Was
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
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command.run(["cp", "-al", "--", os.fspath(layout.tree), os.fspath(target)], timeout=_PIN_SECONDS)
    except (OSError, CommandFailed) as error:
        raise ReplicaError(reason=f"the tree cannot be kept for a while: {error}") from error
    return target


def pin_past(layout: Layout, history: History, number: int, name: str) -> Path:
    """Given a generation and a name, keep all that it had under that name, as far as the replica still has it, and
    return where that is; attributes are those of its objects now. Nothing is copied. Whoever calls this holds the
    replica, and takes the pin away again. Raise ReplicaError."""
    target = pin_tree(layout, name)
    try:
        with Folders(target) as past:
            for was, now in history.since(number):
                if not is_same(was, now):
                    _turn_back(layout, past, was, now)
    except OSError as error:
        raise ReplicaError(reason=f"generation {number} cannot be looked at: {error}") from error
    return target


def _turn_back(layout: Layout, past: Folders, was: Was | None, now: Entry | None) -> None:
    """Make one path in a pinned tree what it was; what the replica has lost of it stays as it is now."""
    if was is None:
        assert now is not None
        past.remove(now.path, Effects())
    elif was.entry.kind is Kind.DIRECTORY:
        if now is not None and now.kind is not Kind.DIRECTORY:
            past.remove(now.path, Effects())
        past.make(was.path, Effects())
    elif was.number and not was.lost:  # else the tree has it
        past.remove(was.path, Effects())
        past.make(parent_of(was.path), Effects())
        with Folders(layout.files(was.number), 1) as source:
            old, name = source.at(was.path)
            new, _ = past.at(was.path)
            os.link(name, name, src_dir_fd=old, dst_dir_fd=new, follow_symlinks=False)


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
    waiting = [(source, target)]
    while waiting:
        here, there = waiting.pop()
        there.mkdir(mode=0o700)
        with os.scandir(here) as found:
            for item in found:
                mode = item.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    waiting.append((Path(item.path), there / item.name))
                elif stat.S_ISREG(mode):
                    os.link(item.path, there / item.name, follow_symlinks=False)
