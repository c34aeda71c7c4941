"""Disks for tests: file systems in image files, mounted for as long as a block lasts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1024 * 1024
_MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0"],
    "ext3": ["mkfs.ext3", "-q", "-F", "-m", "0", "-I", "128"],  # it keeps whole seconds
    "xfs": ["mkfs.xfs", "-q", "-f", "-m", "reflink=1"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}


def make_disk(image: Path, size: int, kind: str = "ext4") -> None:
    """Make an image file with an empty file system."""
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run([*_MAKE[kind], str(image)], check=True)


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """Mount an image (its journal is replayed, as after a power cut) and unmount it at the end of the block."""
    at.mkdir(exist_ok=True)
    device = _run("losetup", "--find", "--show", str(image))
    try:
        _run("mount", device, str(at))
        try:
            yield at
        finally:
            _run("umount", str(at))
    finally:
        _run("losetup", "--detach", device)
        # the kernel lets go a moment after the last one who looks at the device (blkid, a lab) has closed it
        for _ in range(500):
            if not _run("losetup", "--associated", str(image)):
                break


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def snapshot(image: Path, copy: Path) -> None:
    """Copy an image as it is at this instant, while it is written to; both lie on a file system with reflinks."""
    subprocess.run(["cp", "--reflink=always", str(image), str(copy)], check=True)
