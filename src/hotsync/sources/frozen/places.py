"""Where on this host something lies that a process sees, perhaps in a container: by the two tables of mounts, proven by
inode."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from hotsync.model.nesting import lies_in
from hotsync.system.mounts import Mount, read_mounts
from hotsync.system.processes import PROC

_NO_DATA = frozenset(("tmpfs", "ramfs", "proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "devtmpfs"))


def mounts_of(process: Path) -> dict[str, Mount]:
    """Return what a process sees mounted, by where; raise OSError."""
    return {mount.point: mount for mount in read_mounts(process)}  # of one over another the last one counts


def mount_of(path: str, by_point: Mapping[str, Mount]) -> Mount | None:
    """Given a path and what is mounted, return the mount in which it lies; None if it is none that keeps data."""
    point = path
    while point not in by_point:
        if point in ("/", ""):
            return None
        point = os.path.dirname(point)
    return by_point[point] if by_point[point].kind not in _NO_DATA else None


def on_host(process: Path, mount: Mount, path: str, host: Iterable[Mount]) -> str:
    """Given a folder as a process sees it, and its mount, return the path at which this host has it, or ""; raise
    OSError."""
    if not stat.S_ISDIR(os.stat(f"{process}/root{path}").st_mode):
        return ""
    return next(_all_on_host(process, mount, path, host), "")


def file_on_host(process: Path, path: str, host: Iterable[Mount]) -> Iterator[str]:
    """Given a file that a process has open, by the path that the kernel tells, return all paths at which this host has
    it: where folders are mounted twice it has several, of a file that lies in a container itself none. Raise OSError.
    """
    if _sees_our_mounts(process):
        yield path  # also in a chroot
    elif (mount := mount_of(path, mounts_of(process))) is not None:
        yield from _all_on_host(process, mount, path, host)


def _all_on_host(process: Path, mount: Mount, path: str, host: Iterable[Mount]) -> Iterator[str]:
    inside = _joined(mount.subtree, path.removeprefix(mount.point))
    theirs = os.stat(f"{process}/root{path}")
    for other in host:
        above = other.subtree.rstrip("/")
        if other.device == mount.device and lies_in(inside, above):
            here = _joined(other.point, inside.removeprefix(above))
            with suppress(OSError):
                ours = os.lstat(here)
                if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino):
                    yield here


def _sees_our_mounts(process: Path) -> bool:
    """Say whether the mounts of a process are this host's: those of its first process, or ours."""
    with suppress(OSError):
        theirs = os.readlink(process / "ns/mnt")
        return any(theirs == os.readlink(PROC / whose / "ns/mnt") for whose in ("1", "self"))
    return False


def real_path(process: Path, path: str) -> str:
    """Given a path as a process may use it, return where all links on it lead, as it sees that; raise OSError.

    What a link says was written in a container: it is never followed by the kernel, which would begin at our root.
    """
    done, links, rest = "", 0, path.split("/")[::-1]
    while rest:
        part = rest.pop()
        if part == "..":
            done = os.path.dirname(done).rstrip("/")
        elif part not in ("", "."):
            here = f"{process}/root{done}/{part}"
            if not stat.S_ISLNK(os.lstat(here).st_mode):
                done = f"{done}/{part}"
                continue
            target = os.readlink(here)
            links += 1
            if links > 40:
                raise OSError(f"too many links on {path}")
            done = "" if target.startswith("/") else done
            rest += target.split("/")[::-1]
    return done or "/"


def _joined(folder: str, below: str) -> str:
    return f"{folder.rstrip('/')}/{below.strip('/')}".rstrip("/") or "/"
