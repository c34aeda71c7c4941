"""Whose a process is, by its cgroup: a service's, a person's, a container's, or nobody's. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CONTAINER = re.compile(r"(?:^|/)(?:docker-|libpod-|crio-|cri-containerd-|machine-|lxc[./]|docker/|lxc\.payload)")
_PERSON = re.compile(r"/(?:user@(\d+)\.service|session-[^/]*\.scope)")


@dataclass(frozen=True, slots=True)
class Runner:
    """A running program: `unit` is the innermost service that it belongs to ("" if none).

    `person`: it belongs to somebody's login or to a service of his own.
    """

    pid: int
    name: str
    program: str
    unit: str = ""
    person: bool = False
    container: bool = False

    def __str__(self) -> str:
        """Return it in a person's words."""
        if self.unit:
            return f"{self.name} of {self.unit}"
        return f"{self.name}, started by hand" if self.person else self.name


def runner_of(pid: int, name: str, program: str, cgroup: str) -> Runner:
    """Given what /proc says of a process, return whose it is."""
    path = next(paths_of_cgroup(cgroup), "")
    services = [part for part in path.split("/") if part.endswith(".service")]
    person = _PERSON.search(path) is not None
    unit = services[-1] if services else ""
    if person and unit.startswith("user@"):
        unit = ""
    return Runner(pid, name, program, unit, person, _CONTAINER.search(path) is not None)


def paths_of_cgroup(text: str) -> Iterator[str]:
    """Given /proc/PID/cgroup, return where systemd has put the process, in each hierarchy in which it is below the
    root: of two, systemd uses one and leaves the other at its root."""
    for line in text.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers in ("", "name=systemd") and path != "/":
            yield path
