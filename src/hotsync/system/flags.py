"""File attributes as chattr sets them (i, a, d, C), through an open file."""

from __future__ import annotations

import fcntl
import struct

IMMUTABLE, APPEND_ONLY, NO_DUMP, NO_COW = 0x10, 0x20, 0x40, 0x800000
CARRIED = IMMUTABLE | APPEND_ONLY | NO_DUMP | NO_COW
"""The ones that an Entry carries."""

_GET = 0x80086601  # FS_IOC_GETFLAGS
_SET = 0x40086602  # FS_IOC_SETFLAGS


def read_flags(descriptor: int) -> int:
    """Given an open file, return the carried ones of its flags; raise OSError where its file system has none."""
    return _all_flags(descriptor) & CARRIED


def add_flags(descriptor: int, flags: int) -> None:
    """Given an open file, set flags beside those that it has; raise OSError if the file system cannot."""
    present = _all_flags(descriptor)
    wanted = present | (flags & CARRIED)
    if wanted != present:
        fcntl.ioctl(descriptor, _SET, struct.pack("l", wanted))


def _all_flags(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, _GET, struct.pack("l", 0))
    number: int = struct.unpack("l", answer)[0]
    return number


def clear_flags(descriptor: int, flags: int) -> int:
    """Given an open file, take flags away, and return those of them that it had; raise OSError."""
    present = _all_flags(descriptor)
    taken = present & flags & CARRIED
    if taken:
        fcntl.ioctl(descriptor, _SET, struct.pack("l", present & ~taken))
    return taken
