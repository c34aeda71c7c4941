"""The disk of a drill's sandbox: one file without a name, and over each file system of this host a cover on it.

All of it is mounted in the view of the process that made it alone, and the file has no name: when that process is gone,
however it ended, nothing is left. Nothing is written to what lies below the covers.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import NotReady
from hotsync.model.drill_room import Cover
from hotsync.system import command

ROOT = "root"
"""The name of the folder in the room that the sandbox sees as its root."""

_OPAQUE, _REDIRECT = "trusted.overlay.opaque", "trusted.overlay.redirect"
# exchange within the cover needs redirect_dir; index and xino keep inodes as they are while files are copied up
_OPTIONS = "redirect_dir=on,metacopy=on,index=on,xino=on"


def mount_disk(folder: Path, room: Path, size: int) -> None:
    """Make a disk of at most `size` bytes in a file of `folder` that has no name, and mount it at `room`.

    Raise NotReady if that cannot be done here.
    """
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotReady(reason=f"{folder} holds no disk for a drill: {error.strerror}") from error
    try:
        os.ftruncate(descriptor, size)
        name = f"/proc/self/fd/{descriptor}"
        make = ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", name]
        command.run(make, pass_fds=(descriptor,), timeout=600)
        options = "loop,noatime,discard,noinit_itable"
        command.run(["mount", "-t", "ext4", "-o", options, name, os.fspath(room)], pass_fds=(descriptor,))
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Upper:
    """What covers one file system: `point` is where that one is mounted, `folder` what was written over it."""

    point: Path
    folder: Path

    def make(self, path: Path) -> Path:
        """Given an absolute path below the mount point, make its folders in the cover as they are below it; return it.

        A folder in a cover is seen with its own attributes.
        """
        relative = path.relative_to(self.point)
        for part in reversed([relative, *relative.parents]):
            here, there = self.folder / part, self.point / part
            if not here.is_dir():
                here.mkdir(mode=0o700)
            if there.is_dir():
                _copy_attributes(there, here)
        return self.folder / relative

    def empty(self, path: Path) -> Path:
        """Make a folder of the host's empty in the cover, and return it."""
        here = self.make(path)
        os.setxattr(here, _OPAQUE, b"y")
        return here

    def show(self, source: Path, path: Path) -> None:
        """Make a folder of the same file system seen at another path, which must lie in an emptied one."""
        here = self.folder / path.relative_to(self.point)
        here.mkdir()
        _copy_attributes(source, here)
        os.setxattr(here, _REDIRECT, b"/" + os.fsencode(source.relative_to(self.point)))


def _copy_attributes(source: Path, target: Path) -> None:
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)


class Covers:
    """The covers of all file systems in a room."""

    def __init__(self, room: Path, covers: Iterable[Cover]) -> None:
        self._room = room
        self._uppers: list[Upper] = []
        for number, cover in enumerate(covers):
            point = Path("/", cover.point.lstrip("/"))
            upper = Upper(point, room / f"upper{number}")
            upper.folder.mkdir(mode=0o700)
            _copy_attributes(point, upper.folder)
            (room / f"work{number}").mkdir(mode=0o700)
            self._uppers.append(upper)
        self.root.mkdir()

    @property
    def root(self) -> Path:
        """Return where the sandbox's root is seen."""
        return self._room / ROOT

    def over(self, path: Path) -> Upper:
        """Return the cover of the file system that holds a path."""
        return max(
            (upper for upper in self._uppers if path.is_relative_to(upper.point)),
            key=lambda upper: len(upper.point.parts),
        )

    def mount(self) -> None:
        """Mount them all; from then on the covers are written through them alone. Raise CommandFailed."""
        for number, upper in enumerate(self._uppers):
            below, above = _escaped(upper.point), _escaped(upper.folder)
            layers = f"lowerdir={below},upperdir={above},workdir={_escaped(self._room / f'work{number}')}"
            target = self.root / upper.point.relative_to("/")
            command.run(["mount", "-t", "overlay", "-o", f"{layers},{_OPTIONS}", "overlay", os.fspath(target)])


def _escaped(path: Path) -> str:
    text = os.fspath(path)
    for special in "\\:,":
        text = text.replace(special, f"\\{special}")
    return text
