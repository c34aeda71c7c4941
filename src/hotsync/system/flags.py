"""File attributes as chattr sets them (i, a, d, C, P) and the project of quotas, through an open file."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

IMMUTABLE, APPEND_ONLY, NO_DUMP, NO_COW, PROJECT_INHERIT = 0x10, 0x20, 0x40, 0x800000, 0x20000000
CARRIED = IMMUTABLE | APPEND_ONLY | NO_DUMP | NO_COW | PROJECT_INHERIT
"""The ones that an Entry carries."""
HOLDING = IMMUTABLE | APPEND_ONLY | PROJECT_INHERIT
"""What keeps a file from being changed, or files of another project from being renamed into a folder."""

_GET = 0x80086601  # FS_IOC_GETFLAGS
_SET = 0x40086602  # FS_IOC_SETFLAGS
_GET_MORE = 0x801C581F  # FS_IOC_FSGETXATTR
_SET_MORE = 0x401C5820  # FS_IOC_FSSETXATTR
_MORE = struct.Struct("=IIIII8x")  # flags, extent size, extents, project, extent size when copied on write
_INHERITS = 0x200  # among the flags of _MORE
_NO_MORE = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_PROJECT_SHIFT = 30  # above all of CARRIED; the number of a project has 32 bits


def read_flags(descriptor: int) -> int:
    """Given an open file, return the carried ones of its flags, with its project; raise OSError where its file system
    has none."""
    more = _more(descriptor)
    inherits = PROJECT_INHERIT if more and more[0] & _INHERITS else 0
    return _all_flags(descriptor) & CARRIED | inherits | (project_flag(more[3]) if more else 0)


def add_flags(descriptor: int, flags: int) -> None:
    """Given an open file, set flags beside those that it has, and its project if there is one; raise OSError if the
    file system cannot."""
    # first what nobody can set any more once a file is immutable
    project, inherits = project_of(flags), bool(flags & PROJECT_INHERIT)
    if project or inherits:
        _set_more(descriptor, project, inherits=inherits)
    present = _all_flags(descriptor)
    wanted = present | (flags & CARRIED & ~PROJECT_INHERIT)
    if wanted != present:
        fcntl.ioctl(descriptor, _SET, struct.pack("l", wanted))


def clear_flags(descriptor: int, flags: int) -> int:
    """Given an open file, take flags away, and return those of them that it had; raise OSError.

    Its project stays: it is only counted for it.
    """
    present = _all_flags(descriptor)
    taken = present & flags & CARRIED & ~PROJECT_INHERIT
    if taken:
        fcntl.ioctl(descriptor, _SET, struct.pack("l", present & ~taken))
    more = _more(descriptor) if flags & PROJECT_INHERIT else None
    if more and more[0] & _INHERITS:
        _set_more(descriptor, more[3], inherits=False)
        taken |= PROJECT_INHERIT
    return taken


def project_of(flags: int) -> int:
    """Given flags, return the number of the project among them, 0 if there is none."""
    return flags >> _PROJECT_SHIFT & 0xFFFFFFFF


def project_flag(project: int) -> int:
    """Given the number of a project, return what it is among flags."""
    return project << _PROJECT_SHIFT


def _all_flags(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, _GET, struct.pack("l", 0))
    number: int = struct.unpack("l", answer)[0]
    return number


def _more(descriptor: int) -> tuple[int, int, int, int, int] | None:
    """Return what else the file system says of a file; None if it knows no such thing."""
    try:
        found: tuple[int, int, int, int, int] = _MORE.unpack(fcntl.ioctl(descriptor, _GET_MORE, bytes(_MORE.size)))
    except OSError as error:
        if error.errno in _NO_MORE:
            return None
        raise
    return found


def _set_more(descriptor: int, project: int, *, inherits: bool) -> None:
    present = _more(descriptor)
    if present is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    wanted = (present[0] & ~_INHERITS | _INHERITS * inherits, *present[1:3], project, present[4])
    if wanted != present:
        fcntl.ioctl(descriptor, _SET_MORE, _MORE.pack(*wanted))
