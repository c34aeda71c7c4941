"""What the kernel says of other processes."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

PROC = Path("/proc")


def named(programs: Collection[str], proc: Path = PROC) -> Iterator[tuple[Path, str, str]]:
    """Given names of programs (15 letters of each), return the processes that are one of them: the folder in /proc, the
    name, and what its `cgroup` says."""
    return everyone(proc, programs)


def everyone(proc: Path = PROC, only: Collection[str] | None = None) -> Iterator[tuple[Path, str, str]]:
    """Return all processes (`only` those of these programs): the folder in /proc, the name of the program, and what its
    `cgroup` says."""
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            program = (folder / "comm").read_text("utf-8", "replace").rstrip("\n")
            if only is not None and program not in only:
                continue
            cgroup = (folder / "cgroup").read_text("utf-8", "surrogateescape")
        except OSError:
            continue  # it has ended meanwhile
        yield folder, program, cgroup


def sees_another_root(process: Path) -> bool:
    """Given a process's folder in /proc, say whether it lives and sees another root than we do."""
    try:
        os.stat(process / "root/")
    except OSError:
        return False  # it has ended: it is not known what it saw
    return not sees_our_root(process)


def user_of(process: Path) -> int | None:
    """Given a process's folder in /proc, return the number of the user whose rights it has; None if it has ended."""
    try:
        status = (process / "status").read_text("utf-8", "replace")
    except OSError:
        return None
    found = re.search(r"^Uid:\s+\d+\s+(\d+)", status, re.MULTILINE)
    return int(found[1]) if found else None


def sees_our_root(process: Path) -> bool:
    """Given a process's folder in /proc, say whether it sees the same root as we do; one in a container does not."""
    try:
        theirs, ours = (process / "root/").stat(), os.stat("/")
    except OSError:
        return False
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)
