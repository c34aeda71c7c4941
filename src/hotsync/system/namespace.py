"""A view of the file systems that this thread and the programs it starts have alone: mounts in it are seen by no other.

What the host mounts and unmounts meanwhile happens here too; what is mounted here ends with the view, whoever dies.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Self

_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x80000
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8

_libc = ctypes.CDLL(None, use_errno=True)


class PrivateMounts:
    """Within the block, the mounts of this thread are its own; raise OSError where that is not allowed.

    What shall be mounted must be opened within the block. Threads that were there before keep the host's view.
    """

    def __init__(self) -> None:
        self._host = self._root = self._folder = -1

    def __enter__(self) -> Self:
        self._host = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self._folder = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            _checked(_libc.unshare(_CLONE_NEWNS), "a private view of the file systems")
            _mount(None, b"/", _MS_REC | _MS_SLAVE)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        """Go back to the host's view; where the kernel refuses (a thread was started within), this one stays."""
        with suppress(OSError):
            _checked(_libc.setns(self._host, _CLONE_NEWNS), "the host's view of the file systems")
            # setns moves us to the top of the view: back to where we were
            os.fchdir(self._root)
            os.chroot(".")
            os.fchdir(self._folder)
        for descriptor in (self._host, self._root, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._host = self._root = self._folder = -1


def bind(source: int, target: int) -> None:
    """Given two open objects (O_PATH will do) of one kind, mount the one over the other; raise OSError.

    By descriptor, so that nobody can put a link, or another object, in the way.
    """
    _mount(b"/proc/self/fd/%d" % source, b"/proc/self/fd/%d" % target, _MS_BIND)


def unbind(path: str) -> None:
    """Take away what was mounted last at a path; raise OSError."""
    _checked(_libc.umount2(os.fsencode(path), _MNT_DETACH | _UMOUNT_NOFOLLOW), path)


def _mount(source: bytes | None, target: bytes, flags: int) -> None:
    _checked(_libc.mount(source, target, None, ctypes.c_ulong(flags), None), os.fsdecode(target))


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
