"""The folder of shadows: each sound copy under the hash of its path, with the metadata of the live file."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from hotsync.sources.shadows.copy import ROOM, CopyFailed
from hotsync.system.attributes import read_attributes, write_attributes
from hotsync.system.files import sync_directory, sync_file

_CHUNK = 1 << 20
_NEW = ".new-"
_ELSEWISE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF)


class ShadowStore:
    """The shadows of a host; an equal copy leaves the shadow that it has, so that nothing is sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = False

    def prepare(self) -> None:
        """Make the folder, and remove what a run that was killed left half written; raise OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for path in self.folder.glob(f"{_NEW}*"):
            path.unlink()

    def place(self, path: str) -> Path:
        """Given a protected path, return where its shadow lies."""
        return self.folder / hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()

    def keep(self, path: str, copy: int, live: os.stat_result, attributes: dict[str, bytes], mtime_ns: int) -> None:
        """Given an open copy, make it the shadow of a path, with the live file's metadata; raise OSError or CopyFailed.

        One of the same content leaves the former shadow, and its time, and only sets what differs otherwise.
        """
        target = self.place(path)
        if self._equal(target, copy):
            _dress(target, live, attributes, None)
            return
        size = os.fstat(copy).st_size
        room = os.statvfs(self.folder)
        if room.f_bavail * room.f_frsize < size + ROOM:
            raise CopyFailed(f"the disk of {self.folder} has no room for a copy of {size} bytes")
        new = self.folder / f"{_NEW}{secrets.token_hex(6)}"
        try:
            with new.open("xb") as file:
                _pour(copy, file.fileno())
                os.fchmod(file.fileno(), 0o600)
            _dress(new, live, attributes, mtime_ns)
            sync_file(new)
            os.replace(new, target)
            self._made = True
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise

    def sync(self) -> None:
        """Make the names of new shadows durable, before an index says that they are there; raise OSError."""
        if self._made:
            sync_directory(self.folder)
            self._made = False

    def dress(self, path: str, live: os.stat_result, attributes: dict[str, bytes]) -> None:
        """Give the shadow of a path the live file's owner, mode and attributes; raise OSError."""
        _dress(self.place(path), live, attributes, None)

    def drop(self, path: str) -> None:
        """Remove the shadow of a path, if it has one; raise OSError."""
        self.place(path).unlink(missing_ok=True)

    def drop_others(self, paths: Collection[str]) -> None:
        """Remove the shadows of all other paths: an index that was lost no longer names them; raise OSError."""
        wanted = {self.place(path).name for path in paths}
        for name in os.listdir(self.folder):
            if len(name) == 64 and name not in wanted:
                (self.folder / name).unlink()

    @staticmethod
    def _equal(target: Path, copy: int) -> bool:
        try:
            descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(descriptor).st_size != os.fstat(copy).st_size:
                return False
            offset = 0
            while chunk := os.pread(copy, _CHUNK, offset):
                if os.pread(descriptor, len(chunk), offset) != chunk:
                    return False
                offset += len(chunk)
            return True
        finally:
            os.close(descriptor)


def _dress(path: Path, live: os.stat_result, attributes: dict[str, bytes], mtime_ns: int | None) -> None:
    """Set what differs of owner, attributes, mode and (if given) time; what is equal is not touched."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = path.name
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (status.st_uid, status.st_gid) != (live.st_uid, live.st_gid):
            os.chown(name, live.st_uid, live.st_gid, dir_fd=folder, follow_symlinks=False)
        if read_attributes(name, folder) != attributes:
            write_attributes(name, folder, attributes)
        mode = stat.S_IMODE(live.st_mode)
        if stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode) != mode:
            os.chmod(f"/proc/self/fd/{folder}/{name}", mode)
        if mtime_ns is not None:
            os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=folder, follow_symlinks=False)
    finally:
        os.close(folder)


def _pour(source: int, target: int) -> None:
    """Copy an open file into another, by reflink where both lie on a file system that can."""
    offset, size = 0, os.fstat(source).st_size
    try:
        while offset < size and (count := os.copy_file_range(source, target, size - offset, offset)):
            offset += count
    except OSError as error:
        if error.errno not in _ELSEWISE or offset:
            raise
    while chunk := os.pread(source, _CHUNK, offset):
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
        offset += len(chunk)
