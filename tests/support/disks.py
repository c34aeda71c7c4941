"""Disks that fail as real ones do; they are mounted, so whoever wants one is root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.system import command


@contextmanager
def bad_sector(folder: Path, image: Path, *, of: str = "content") -> Iterator[Path]:
    """Mount a disk of which one file, `b`, can be listed, but not read (`of` its "inode": not even looked at); return
    that file."""
    size, block = 32 << 20, 4096
    with image.open("wb") as file:
        file.truncate(size)
    command.run(["mkfs.ext4", "-q", "-b", str(block), "-O", "^extent,^64bit", str(image)])
    command.run(["mount", "-o", "loop", str(image), str(folder)])
    (folder / "lost+found").rmdir()
    for name in "abc":
        (folder / name).write_text(name * 5000)
    command.run(["umount", str(folder)])
    last = size // block - 1
    where = last if of == "content" else 99_999_999  # the kernel believes no such inode
    command.run(["debugfs", "-w", "-R", f"set_inode_field b block[0] {where}", str(image)])
    command.run(["mount", "-o", "loop", str(image), str(folder)])
    try:
        os.truncate(image, size - block)  # nothing is behind the last block
        with pytest.raises(OSError, match=r"error|cleaning"):
            (folder / "b").read_bytes()
        yield folder / "b"
    finally:
        command.run(["umount", str(folder)])
