"""Which cgroup is a container's, and where the kernel lets it be paused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hotsync.system.mounts import Mount
from hotsync.system.processes import sees_our_root

_CONTAINER = re.compile(
    r"(?:.*[-_])?(?P<number>[0-9a-f]{64})(?:\.scope)?|lxc\.payload\.(?P<lxc>.+)|machine-(?P<machine>.+)\.scope"
)


@dataclass(frozen=True, slots=True)
class ContainerGroup:
    """The cgroup of a container: what tells it apart, a name if the cgroup has it, and where it is paused.

    `key` is the container's number where it has one. `place` is None where the kernel lets nobody pause it.
    """

    key: str
    name: str
    place: Path | None


def container_group(cgroup: str, mounts: Iterable[Mount]) -> ContainerGroup | None:
    """Given /proc/PID/cgroup and what is mounted here, return the innermost container's cgroup; None if it is in none.

    Of a host with both kinds of cgroups it is the one in which the container engine has put the process.
    """
    mounted = tuple(mounts)
    found: ContainerGroup | None = None
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        named = _named(path)
        if named is None:
            continue
        key, name, inner = named
        if number == "0" or "freezer" in controllers.split(","):
            place = _place(inner, _hierarchies(mounted, unified=number == "0"))
            if place is not None:
                return ContainerGroup(key, name, place)
        found = found or ContainerGroup(key, name, None)
    return found


def is_all_inside(place: Path, proc: Path) -> bool:
    """Say whether all that would be paused with a cgroup is in containers: nothing of this host's own."""
    pids = [pid for procs in place.rglob("cgroup.procs") for pid in procs.read_text("ascii").split()]
    return bool(pids) and not any(sees_our_root(proc / pid) for pid in pids)


def _named(path: str) -> tuple[str, str, str] | None:
    """Given the path of a cgroup, return key and name of the innermost container on it, and its own path."""
    parts = path.split("/")
    for count in range(len(parts), 0, -1):
        match = _CONTAINER.fullmatch(parts[count - 1])
        if match is not None:
            name = match["lxc"] or match["machine"] or ""
            return match["number"] or name, name, "/".join(parts[:count])
    return None


def _hierarchies(mounts: Iterable[Mount], *, unified: bool) -> Iterator[Path]:
    for mount in mounts:
        if mount.subtree == "/" and (
            mount.kind == "cgroup2" if unified else mount.kind == "cgroup" and "freezer" in mount.options.split(",")
        ):
            yield Path(mount.point)


def _place(path: str, hierarchies: Iterable[Path]) -> Path | None:
    for top in hierarchies:
        place = top / path.lstrip("/")
        if any((place / name).exists() for name in ("cgroup.freeze", "freezer.state")):
            return place
    return None
