"""The servers of a kind that run on this host, each with the unit that it runs in."""

from __future__ import annotations

import pwd
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from hotsync.system.processes import named, sees_our_root


@dataclass(frozen=True, slots=True)
class Process:
    """A running program: its number, its name, its unit ("" if none), and the words that it was called with.

    `started` is when, in the kernel's own count: with the number it tells one run from another.
    """

    pid: int
    program: str
    unit: str
    words: tuple[str, ...]
    started: str = ""


def running(programs: Collection[str], proc: Path = Path("/proc")) -> tuple[Process, ...]:
    """Given names of programs, return the processes that are one of them and see this host's own root, by number.

    A container's server is no server of this host.
    """
    return tuple(sorted(_running(programs, proc), key=lambda process: process.pid))


def user_name(uid: int) -> str:
    """Given the number of a user, return its name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def parse_unit(cgroup: str) -> str:
    """Given /proc/PID/cgroup, return the unit that the process runs in ("" if none)."""
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controller, _, path = rest.partition(":")
        if number == "0" or controller == "name=systemd":
            units = [name for name in path.split("/") if name.endswith(".service")]
            if units:
                return units[-1]
    return ""


def _running(programs: Collection[str], proc: Path) -> Iterator[Process]:
    for folder, program, cgroup in named(programs, proc):
        try:
            words = (folder / "cmdline").read_bytes().rstrip(b"\0").decode("utf-8", "surrogateescape").split("\0")
            started = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
        except (OSError, IndexError):
            continue  # it has ended meanwhile
        if sees_our_root(folder):
            yield Process(int(folder.name), program, parse_unit(cgroup), tuple(words), f"{folder.name}.{started}")
