"""One sparse btrfs file on which all disks lie: a disk is copied in no time, and the copy is an instant of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
from pathlib import Path

from lab.command import CommandFailed, LabError, run, wait_until
from lab.places import CACHE, locked

POOL = CACHE / "pool"
LABS = POOL / "labs"
_FILE = CACHE / "pool.img"
_SIZE = 400 << 30
_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
_WITHOUT_LOG = 2


def open_pool() -> None:
    """Mount the pool, making it on the first day. Whoever works below LABS keeps it mounted by being there."""
    with locked("pool"):
        if os.path.ismount(POOL):
            return
        POOL.mkdir(parents=True, exist_ok=True)
        if not _FILE.exists():
            fresh = _FILE.with_suffix(".new")
            with fresh.open("wb") as file:
                file.truncate(_SIZE)
            run(["mkfs.btrfs", "-q", "-m", "single", fresh])
            fresh.rename(_FILE)
        # Whoever made a mount namespace while the pool was mounted may hold it still. A second device of the same
        # file would be a second file system on it, and the end of both.
        device = next(iter(devices_of(_FILE)), None)
        # No barriers: hosts lose their power above the pool, never the pool itself.
        run(["mount", "-o", f"{'' if device else 'loop,'}noatime,discard,nobarrier", device or _FILE, POOL])
        (POOL / "base").mkdir(exist_ok=True)
        LABS.mkdir(exist_ok=True)


def close_pool() -> None:
    """Unmount the pool if no lab lies on it any more."""
    with locked("pool"):
        if not os.path.ismount(POOL) or any(LABS.iterdir()):
            return
        if run(["umount", POOL], check=False).returncode == 0:
            with contextlib.suppress(LabError):  # it goes when other mount namespaces that hold it end
                wait_until("the pool's loop device goes", 2, lambda: not devices_of(_FILE))


def reflink(source: Path, target: Path) -> None:
    """Copy a file on the pool as of this instant, whole or not at all, sharing its blocks."""
    half = target.with_name(f"{target.name}.new")
    try:
        run(["cp", "--reflink=always", source, half])
        half.rename(target)
    finally:
        half.unlink(missing_ok=True)


def copy_out(source: Path, target: Path) -> None:
    """Copy a disk of the pool to anywhere: by reflink where that is possible, else byte for byte with its holes."""
    try:
        reflink(source, target)
    except CommandFailed:
        instant = source.with_name(f"{source.name}.instant-{os.getpid()}")
        reflink(source, instant)
        try:
            run(["cp", "--sparse=always", instant, target])
        finally:
            instant.unlink()


def devices_of(file: Path) -> list[str]:
    """Given a file, return the loop devices that stand for it, whatever name it had when they were made."""
    if not file.exists():
        return []
    return run(["losetup", "--noheadings", "--output", "NAME", "--associated", file]).stdout.split()


def forget_unwritten(root: Path, disk: Path) -> None:
    """Given where a disk is mounted, let it forget what it has not written: for a disk that is thrown away.

    Writing first can take minutes. Nothing is done unless what is mounted there is that disk.
    """
    with contextlib.suppress(OSError):  # btrfs cannot, and the machine may be gone already
        folder = os.open(root, os.O_RDONLY)
        try:
            if os.fstat(folder).st_dev in {os.stat(device).st_rdev for device in devices_of(disk)}:
                fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _WITHOUT_LOG))
        finally:
            os.close(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder that may not exist."""
    shutil.rmtree(folder, ignore_errors=True)
