"""Copies what can be read: a bad sector is why many a MASTER died, and must not keep it from coming back."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.system.trees import copy_exactly, folders_below, items_of, remove


def copied_but_for(source: Path, target: Path) -> tuple[str, ...]:
    """Copy a path with all below it but for what cannot be read, or is gone by now; return that.

    Raise CommandFailed where something else failed: what could be read is not all there.
    """
    try:
        copy_exactly(source, target)
    except CommandFailed:
        unread = frozenset(_unreadable(source))
        for path in unread:
            remove(target / path.relative_to(source))  # half of it may be there
        if not unread or not _is_whole(source, target, unread):
            raise
        return tuple(sorted(map(os.fspath, unread)))
    return ()


def _unreadable(source: Path) -> Iterator[Path]:
    if source.is_symlink() or not source.is_dir():
        if not _is_readable(source):
            yield source
        return
    for folder in folders_below(source):
        try:
            os.listdir(folder)
        except OSError:
            yield folder
        yield from (path for path in items_of(folder) if not _is_readable(path))


def _is_readable(path: Path) -> bool:
    """Return whether a path is there and, if it is a file, can be read to its end."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return True
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    except OSError:
        return False
    return True


def _is_whole(source: Path, target: Path, unread: frozenset[Path]) -> bool:
    """Return whether all the rest was copied: the disk of the vault may have become full beside a bad sector."""
    if source in unread:
        return True
    rest = (path for folder in folders_below(source) for path in items_of(folder) if path not in unread)
    return all(_is_there(path, target / path.relative_to(source)) for path in rest)


def _is_there(path: Path, copy: Path) -> bool:
    try:
        there, here = path.lstat(), copy.lstat()
    except OSError:
        return False
    return not stat.S_ISREG(there.st_mode) or there.st_size == here.st_size
