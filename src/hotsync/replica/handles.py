"""Folders held open, so that each operation walks beneath its root and no link in the MASTER's tree leads anywhere."""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from hotsync.model.entry import parent_of
from hotsync.replica.effects import Effects
from hotsync.system.files import open_beneath

_HELD = 128
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Folders:
    """Open folders below one root, found by their path; use it as a context manager."""

    def __init__(self, root: Path, held: int = _HELD) -> None:
        self.path = root
        self._held = held
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._open: OrderedDict[str, int] = OrderedDict()
        self.device = os.fstat(self._root).st_dev

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all of them."""
        self.forget()
        os.close(self._root)

    def forget(self) -> None:
        """Close the folders held open; needed after one of them was moved away."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def folder(self, path: str) -> int:
        """Given a folder's path ("" for the root), return it open; it stays ours. Raise OSError if it is none."""
        if not path:
            return self._root
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        descriptor = open_beneath(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
        self._open[path] = descriptor
        if len(self._open) > self._held:
            os.close(self._open.popitem(last=False)[1])
        return descriptor

    def at(self, path: str) -> tuple[int, str]:
        """Given a path, return the open folder that it lies in and its name there; raise OSError."""
        folder, _, name = path.rpartition("/")
        return self.folder(folder), name

    def stat(self, path: str) -> os.stat_result | None:
        """Given a path, return what lies there (links are not followed), or None."""
        try:
            folder, name = self.at(path)
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise

    def open_file(self, path: str, flags: int = os.O_RDONLY) -> int:
        """Given a file's path, return it open (the caller closes it); raise OSError."""
        folder, name = self.at(path)
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)

    def target(self, path: str) -> str:
        """Given a symbolic link's path, return where it points."""
        folder, name = self.at(path)
        return os.readlink(name, dir_fd=folder)

    def make(self, path: str, effects: Effects) -> None:
        """Make a folder and those above it where they are missing (0700)."""
        missing: list[str] = []
        while path and self.stat(path) is None:
            missing.append(path)
            path = parent_of(path)
        for each in reversed(missing):
            folder, name = self.at(each)
            with effects("mkdir"), suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)

    def remove(self, path: str, effects: Effects) -> None:
        """Remove what lies at a path, with everything in it; nothing there is fine."""
        found = self.stat(path)
        if found is None:
            return
        folders: list[str] = []
        if stat.S_ISDIR(found.st_mode):
            folders.append(path)
            for inner, status in Walk(self, path):
                if stat.S_ISDIR(status.st_mode):
                    folders.append(inner)
                else:
                    self._unlink(inner, effects)
        else:
            self._unlink(path, effects)
        for folder in reversed(folders):
            self._drop(folder)
            parent, name = self.at(folder)
            with effects("rmdir"):
                os.rmdir(name, dir_fd=parent)

    def _unlink(self, path: str, effects: Effects) -> None:
        folder, name = self.at(path)
        with effects("unlink"):
            os.unlink(name, dir_fd=folder)

    def _drop(self, path: str) -> None:
        if path in self._open:
            os.close(self._open.pop(path))


class Walk(Iterator[tuple[str, os.stat_result]]):
    """All paths below a folder with their status, in the order of `sort_key`; `skip` passes over the last one."""

    def __init__(self, folders: Folders, below: str = "", *, tolerant: bool = False) -> None:
        self._folders = folders
        self._tolerant = tolerant  # somebody else may be at work in the folders
        self._levels: list[tuple[str, list[str]]] = []
        self._descend: str | None = below

    def skip(self) -> None:
        """Do not look inside the folder that was given last."""
        self._descend = None

    def __next__(self) -> tuple[str, os.stat_result]:
        if self._descend is not None:
            self._levels.append((self._descend, self._names(self._descend)))
            self._descend = None
        while self._levels:
            folder, names = self._levels[-1]
            if not names:
                self._levels.pop()
                continue
            name = names.pop()
            path = f"{folder}/{name}" if folder else name
            status = self._stat(folder, name)
            if status is None:
                continue
            if stat.S_ISDIR(status.st_mode):
                self._descend = path
            return path, status
        raise StopIteration

    def _names(self, folder: str) -> list[str]:
        try:
            # names are bytes to the file system: only their byte order is the order of a changeset
            return sorted(os.listdir(self._folders.folder(folder)), key=os.fsencode, reverse=True)
        except OSError as error:
            if self._tolerant and error.errno in _NOT_THERE:
                return []
            raise

    def _stat(self, folder: str, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._folders.folder(folder), follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.ENOENT or (self._tolerant and error.errno in _NOT_THERE):
                return None
            raise
