"""What is mounted where, as the kernel says it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system: where, its type, its source, which folder of it (`/` unless it is a bind mount), the
    options of the file system itself, and the kernel's number for it (`254:0`)."""

    point: str
    kind: str
    source: str
    subtree: str
    options: str = ""
    device: str = ""


def parse_mountinfo(text: str) -> list[Mount]:
    """Given the text of /proc/self/mountinfo, return the mounts in their order."""
    mounts: list[Mount] = []
    for line in text.split("\n"):  # a mount point may hold what splitlines() splits at
        left, separator, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if separator and len(fields) > 4 and len(tail) > 1:
            options = tail[2] if len(tail) > 2 else ""
            mounts.append(Mount(_plain(fields[4]), tail[0], _plain(tail[1]), _plain(fields[3]), options, fields[2]))
    return mounts


def read_mounts(process: Path = Path("/proc/self")) -> list[Mount]:
    """Return what is mounted on this host now, or what a process sees (given its folder in /proc); raise OSError."""
    return parse_mountinfo((process / "mountinfo").read_bytes().decode("utf-8", "surrogateescape"))


def cgroup_hierarchies(mounts: Iterable[Mount], controllers: Collection[str]) -> Iterator[Path]:
    """Given mounts, return where a hierarchy of cgroups is mounted as a whole: the one that has these controllers, or
    without any the unified one."""
    for mount in mounts:
        is_it = set(controllers) <= set(mount.options.split(",")) if controllers else mount.kind == "cgroup2"
        if mount.subtree == "/" and is_it and mount.kind in ("cgroup", "cgroup2"):
            yield Path(mount.point)


def _plain(field: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), field)
