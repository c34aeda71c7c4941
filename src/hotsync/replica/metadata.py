"""What an entry says and what lies on the disk: compared, set, copied."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from hotsync.model.entry import KIND_OF_MODE, Entry, Kind
from hotsync.replica.handles import Folders
from hotsync.system.attributes import read_attributes, write_attributes

BLOCK = 1024 * 1024


class Digest(Protocol):
    """What hashlib returns."""

    def update(self, data: bytes, /) -> None:
        """Take in more."""
        ...


def kind_of(status: os.stat_result) -> Kind | None:
    """Return what an object is, or None for a socket."""
    return KIND_OF_MODE.get(stat.S_IFMT(status.st_mode))


def differences(entry: Entry, status: os.stat_result, folders: Folders) -> list[str]:
    """Given an entry and what lies at its path below `folders`, return the names of what differs.

    What would not hold still (unsettled) arrived as it was then: of it, only the kind must be right.
    """
    if kind_of(status) is not entry.kind:
        return ["kind"]
    if entry.unsettled:
        return []
    found = [
        ("mode", entry.kind is Kind.SYMLINK or stat.S_IMODE(status.st_mode) == entry.mode),
        ("owner", status.st_uid == entry.uid),
        ("group", status.st_gid == entry.gid),
        ("size", entry.kind is not Kind.FILE or status.st_size == entry.size),
        ("time", status.st_mtime_ns == entry.mtime_ns),
        ("device number", entry.kind not in (Kind.CHARACTER, Kind.BLOCK) or status.st_rdev == entry.rdev),
        ("target", entry.kind is not Kind.SYMLINK or folders.target(entry.path) == entry.target),
    ]
    return [name for name, equal in found if not equal]


def set_metadata(
    at: tuple[int, str],
    entry: Entry,
    attributes: Mapping[str, bytes],
    refused: Callable[[str, OSError], None] | None = None,
) -> None:
    """Given an open folder and a name in it, make owner, attributes, mode and time those given; raise OSError.

    `refused` is asked of an attribute that cannot be set. Owner first (it drops capabilities), then ACL and attributes,
    then the mode (an ACL alters it), the time last.
    """
    folder, name = at
    os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
    write_attributes(name, folder, attributes, refused)
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(f"/proc/self/fd/{descriptor}", entry.mode)
    finally:
        os.close(descriptor)
    set_time(at, entry.mtime_ns)


def set_time(at: tuple[int, str], mtime_ns: int) -> None:
    """Given an open folder and a name in it, set the time of its last change; raise OSError."""
    folder, name = at
    access = os.stat(name, dir_fd=folder, follow_symlinks=False).st_atime_ns
    os.utime(name, ns=(access, mtime_ns), dir_fd=folder, follow_symlinks=False)


def as_it_lies(entry: Entry, status: os.stat_result) -> Entry:
    """Return an entry with what its object really has: what would not hold still was carried as it arrived."""
    return replace(
        entry,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
    )


def attributes_at(folders: Folders, path: str) -> dict[str, bytes]:
    """Return the attributes of what lies at a path; raise OSError if nothing does."""
    folder, name = folders.at(path)
    return read_attributes(name, folder)


def copy_object(source: tuple[int, str], target: tuple[int, str]) -> str:
    """Given two open folders with a name in each, copy one object with its content, and without its metadata.

    Return the SHA-256 of a file's content ("" for anything else); a folder comes empty. Raise FileExistsError rather
    than touch what lies there.
    """
    status = os.stat(source[1], dir_fd=source[0], follow_symlinks=False)
    folder, name = target
    if stat.S_ISREG(status.st_mode):
        return _copy_content(source, target, status.st_size)
    if stat.S_ISDIR(status.st_mode):
        os.mkdir(name, 0o700, dir_fd=folder)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(source[1], dir_fd=source[0]), name, dir_fd=folder)
    else:
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=folder)
    return ""


def _copy_content(source: tuple[int, str], target: tuple[int, str], size: int) -> str:
    digest = hashlib.sha256()
    reading = os.open(source[1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source[0])
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(target[1], flags, 0o600, dir_fd=target[0])
        try:
            place = 0
            while place < size:
                start = _next(reading, place, os.SEEK_DATA, size)
                _digest_zeros(digest, start - place)
                place = _next(reading, start, os.SEEK_HOLE, size)
                _copy_range(reading, writing, start, place, digest)
            os.ftruncate(writing, size)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    return digest.hexdigest()


def _copy_range(reading: int, writing: int, start: int, end: int, digest: Digest) -> None:
    while start < end:
        block = os.pread(reading, min(BLOCK, end - start), start)
        if not block:
            return
        digest.update(block)
        view = memoryview(block)
        while view:
            written = os.pwrite(writing, view, start)
            start, view = start + written, view[written:]


def _next(descriptor: int, place: int, whence: int, size: int) -> int:
    try:
        return min(size, os.lseek(descriptor, place, whence))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size  # nothing but a hole up to the end


def _digest_zeros(digest: Digest, count: int) -> None:
    zeros = bytes(min(count, BLOCK))
    while count > 0:
        digest.update(zeros[:count])
        count -= BLOCK
