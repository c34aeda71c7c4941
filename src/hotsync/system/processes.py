"""What the kernel says of other processes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

PROC = Path("/proc")


def named(programs: Collection[str], proc: Path = PROC) -> Iterator[tuple[Path, str, str]]:
    """Given names of programs (15 letters of each), return the processes that are one of them: the folder in /proc, the
    name, and what its `cgroup` says."""
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            program = (folder / "comm").read_text("utf-8", "replace").rstrip("\n")
            if program not in programs:
                continue
            cgroup = (folder / "cgroup").read_text("utf-8", "surrogateescape")
        except OSError:
            continue  # it has ended meanwhile
        yield folder, program, cgroup


def sees_our_root(process: Path) -> bool:
    """Given a process's folder in /proc, say whether it sees the same root as we do; one in a container does not."""
    try:
        theirs, ours = (process / "root/").stat(), os.stat("/")
    except OSError:
        return False
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)
