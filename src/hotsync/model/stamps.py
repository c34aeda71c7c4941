"""How far a file's time stamps can be trusted: they are as coarse as the file system's, or the kernel's, clock."""

from __future__ import annotations

COARSE_NS = 20_000_000
"""Twice the longest tick of a kernel: two changes within one tick can bear the same time stamp."""

WHOLE_NS = 2_000_000_000 + COARSE_NS
"""The same where whole seconds are kept (ext2, ext3, ext4 with inodes of 128 bytes), or every other one (vfat)."""


def doubt_ns(*stamps_ns: int) -> int:
    """Given the time stamps of a file, return how long after them a later change could still bear the same ones.

    All of them whole seconds: so it looks where nothing finer is kept. Elsewhere a program may have set one, not all.
    """
    return COARSE_NS if any(stamp % 10**9 for stamp in stamps_ns) else WHOLE_NS
