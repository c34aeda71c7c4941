"""Files that appear whole or not at all, and paths that cannot be led astray by symbolic links."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_SYS_OPENAT2 = 437
_AT_FDCWD = -100
_SMALL = 1024 * 1024
_ALL_OF_IT = 1 | 2 | 4  # wait for what is on its way, write out the rest, wait for that

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def write_atomic(path: Path | str, data: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Given content, make it the file at `path`: old or new after a crash, never half; raise OSError."""
    with open_atomic(path, mode=mode, owner=owner) as file:
        file.write(data)


@contextmanager
def open_atomic(path: Path | str, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> Iterator[IO[bytes]]:
    """Given a path, return a file to write that takes its place when the block ends well; synced, with its folder."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_directory(target.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def read_small(path: Path | str, *, whole: bool = True, most: int = _SMALL) -> bytes:
    """Return what a plain file of at most `most` bytes holds, nothing where it is none, is larger or cannot be read.

    Not `whole`: of a larger one the beginning. No fifo is waited for, and no terminal is taken.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and (status.st_size <= most or not whole):
                return os.pread(descriptor, most, 0)
        finally:
            os.close(descriptor)
    return b""


def make_folder(path: Path, mode: int) -> None:
    """Make a folder unless it is there, with exactly this mode, whatever the umask; raise OSError."""
    path.mkdir(exist_ok=True)
    path.chmod(mode)


def sync_directory(path: Path | str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make a file's content durable; raise OSError, also for a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def forget(path: Path) -> None:
    """Remove a document, durably; nothing happens if it is not there. Raise OSError."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_directory(path.parent)


def sync_filesystem(path: Path | str) -> None:
    """Make everything on the file system that holds `path` durable (syncfs); raise OSError if writing back failed."""
    # a database server may have named the path: without O_NONBLOCK a fifo there would hold us until somebody writes
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if _libc.syncfs(descriptor) != 0:
            _raise_errno(str(path))
    finally:
        os.close(descriptor)


def write_out(descriptor: int) -> None:
    """Have the kernel write out what a file has in memory, so that the next write to it moves its time stamps.

    A program that writes through a shared mapping moves them with its first write to a page only, until that page has
    been written out. Durability is not the aim: what cannot be written out is its program's to hear of.
    """
    _libc.sync_file_range(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), _ALL_OF_IT)


def open_beneath(root: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """Given an open folder and a relative path, open it without following any link and without leaving the folder.

    Raise OSError: ELOOP where a link is in the way, EXDEV where the path would leave `root`.
    """
    encoded = os.fsencode(path) or b"."
    how = _OpenHow(flags | os.O_CLOEXEC, mode, _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH)
    while True:
        result: int = _libc.syscall(_SYS_OPENAT2, root, ctypes.c_char_p(encoded), ctypes.byref(how), ctypes.sizeof(how))
        if result >= 0:
            return result
        if ctypes.get_errno() != errno.EAGAIN:
            _raise_errno(os.fsdecode(encoded))


def rename_exchange(old: str | bytes, new: str | bytes, *, old_dir: int = _AT_FDCWD, new_dir: int = _AT_FDCWD) -> None:
    """Exchange two names atomically; raise OSError (EXDEV on two file systems, EBUSY on a mount point)."""
    _renameat2(old_dir, old, new_dir, new, RENAME_EXCHANGE)


def rename_noreplace(old: str | bytes, new: str | bytes, *, old_dir: int = _AT_FDCWD, new_dir: int = _AT_FDCWD) -> None:
    """Rename, but never over something; raise FileExistsError if the new name is taken."""
    _renameat2(old_dir, old, new_dir, new, RENAME_NOREPLACE)


def _renameat2(old_dir: int, old: str | bytes, new_dir: int, new: str | bytes, flags: int) -> None:
    if _libc.renameat2(old_dir, os.fsencode(old), new_dir, os.fsencode(new), flags) != 0:
        _raise_errno(os.fsdecode(old), os.fsdecode(new))


def _raise_errno(path: str, other: str | None = None) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), path, None, other)
