"""Which cgroup is a container's or a service's, and where the kernel lets it be paused."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hotsync.system.mounts import Mount, cgroup_hierarchies
from hotsync.system.processes import sees_another_root, sees_our_root, user_of

_CONTAINER = re.compile(
    r"(?:.*[-_])?(?P<number>[0-9a-f]{64})(?:\.scope)?|lxc\.payload\.(?P<lxc>.+)|machine-(?P<machine>.+)\.scope"
)
_UNIT = re.compile(r".+\.(?:service|scope|slice|socket|mount|swap)")
_Told = TypeVar("_Told")
_OTHERS = frozenset(("user.slice", "machine.slice"))


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """The cgroup of a service of systemd's: its unit, and where it is paused (None: the kernel lets nobody)."""

    unit: str
    place: Path | None


@dataclass(frozen=True, slots=True)
class ContainerGroup:
    """The cgroup of a container: what tells it apart, a name if the cgroup has it, and where it is paused.

    `key` is the container's number where it has one. `place` is None where the kernel lets nobody pause it. `unit` is
    the system's service in which its engine runs it, "" if there is none.
    """

    key: str
    name: str
    place: Path | None
    unit: str = ""


def container_group(cgroup: str, mounts: Iterable[Mount]) -> ContainerGroup | None:
    """Given /proc/PID/cgroup and what is mounted here, return the innermost container's cgroup; None if it is in none.

    Of a host with both kinds of cgroups it is the one in which the container engine has put the process.
    """
    found = _paused_best(cgroup, mounts, _named)
    if found is None:
        return None
    (key, name, unit), place = found
    return ContainerGroup(key, name, place, unit)


def service_group(cgroup: str, mounts: Iterable[Mount]) -> ServiceGroup | None:
    """Given /proc/PID/cgroup and what is mounted here, return the cgroup of the system's service that the process is
    in; None if it is in none: in somebody's login, in a container, or in what nobody manages."""
    found = _paused_best(cgroup, mounts, _service)
    return ServiceGroup(*found) if found is not None else None


def is_all_inside(place: Path, proc: Path) -> bool:
    """Say whether all that would be paused with a cgroup is in containers: nothing of this host's own."""
    pids = pids_in(place)
    return bool(pids) and not any(sees_our_root(proc / pid) for pid in pids)


def other_in(place: Path, proc: Path) -> str:
    """Given the cgroup of a service, say what else than the one service of one user would be paused with it; "" if
    nothing would. Raise OSError if it is gone."""
    if any(_UNIT.fullmatch(folder.name) or _CONTAINER.fullmatch(folder.name) for folder in place.rglob("*/")):
        return "other units or containers are in its cgroup"
    pids = pids_in(place)
    if str(os.getpid()) in pids:
        return "HotSync itself runs in it"
    users = {user for pid in pids if (user := user_of(proc / pid)) is not None}
    if len(users) > 1:
        return "programs of several users are in its cgroup"
    if any(sees_another_root(proc / pid) for pid in pids):
        return "programs that see another root are in its cgroup"
    return ""


def pids_in(place: Path) -> list[str]:
    """Return the processes in a cgroup and below it; raise OSError."""
    return [pid for procs in place.rglob("cgroup.procs") for pid in procs.read_text("ascii").split()]


def _paused_best(
    cgroup: str, mounts: Iterable[Mount], tell: Callable[[str], tuple[_Told, str] | None]
) -> tuple[_Told, Path | None] | None:
    """Given what tells what the path of a cgroup is, and which part of it is that one's own, return what the process is
    in by the first hierarchy that pauses it, with where; else by the first at all."""
    mounted = tuple(mounts)
    found: tuple[_Told, Path | None] | None = None
    for number, controllers, path in _lines(cgroup):
        told = tell(path)
        if told is None:
            continue
        what, inner = told
        place = _place(inner, number, controllers, mounted)
        if place is not None:
            return what, place
        found = found or (what, None)
    return found


def _lines(cgroup: str) -> Iterator[tuple[str, list[str], str]]:
    """Return number, controllers and path of each hierarchy in which a process is."""
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        yield number, controllers.split(","), path


def _service(path: str) -> tuple[str, str] | None:
    """Given the path of a cgroup, return the service of the system's that it is, or is in, and that one's own path."""
    parts = path.strip("/").split("/")
    slices = 0
    while slices < len(parts) and parts[slices].endswith(".slice"):
        slices += 1
    unit, inner = parts[slices] if slices < len(parts) else "", parts[slices + 1 :]
    if not unit.endswith(".service") or parts[0] in _OTHERS or any(map(_UNIT.fullmatch, inner)) or _named(path):
        return None
    return unit, "/" + "/".join(parts[: slices + 1])


def _named(path: str) -> tuple[tuple[str, str, str], str] | None:
    """Given the path of a cgroup, return key, name and unit of the innermost container on it, and its own path."""
    parts = path.split("/")
    for count in range(len(parts), 0, -1):
        match = _CONTAINER.fullmatch(parts[count - 1])
        if match is not None:
            name = match["lxc"] or match["machine"] or ""
            above = next((part for part in parts[1:count] if not part.endswith(".slice")), "")
            unit = above if above.endswith(".service") and parts[1] != "user.slice" else ""
            return (match["number"] or name, name, unit), "/".join(parts[:count])
    return None


def _place(path: str, number: str, controllers: Iterable[str], mounts: Iterable[Mount]) -> Path | None:
    """Given the path of a cgroup in a hierarchy, return where it is paused; None if it is not by that hierarchy."""
    if number != "0" and "freezer" not in controllers:
        return None
    for top in cgroup_hierarchies(mounts, () if number == "0" else ("freezer",)):
        place = top / path.lstrip("/")
        if any((place / name).exists() for name in ("cgroup.freeze", "freezer.state")):
            return place
    return None
