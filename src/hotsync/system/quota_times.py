"""The grace times of quotas, asked of the kernel: reports show them in days."""

from __future__ import annotations

import ctypes
import os

_TYPES = {"user": 0, "group": 1, "project": 2}
_GET_INFO = 0x800005  # Q_GETINFO
_libc = ctypes.CDLL(None, use_errno=True)


class _Info(ctypes.Structure):
    _fields_ = (
        ("space", ctypes.c_uint64),
        ("files", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("valid", ctypes.c_uint32),
    )


def read_grace_times(device: str, kind: str) -> tuple[int, int]:
    """Given a file system's device and a kind of quotas that is on there, return for how many seconds whoever is above
    his soft limit of space, and of files, may stay so; zeros if the kernel does not say."""
    info = _Info()
    asked = _GET_INFO << 8 | _TYPES[kind]
    if _libc.quotactl(asked, os.fsencode(device), 0, ctypes.byref(info)) != 0:
        return 0, 0
    return int(info.space), int(info.files)
