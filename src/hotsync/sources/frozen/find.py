"""Finds the database servers in containers, and where on this host their files lie."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hotsync.backends.coverage_processes import held_for_writing
from hotsync.sources.frozen.cgroups import ContainerGroup, container_group, is_all_inside
from hotsync.sources.frozen.programs import SERVERS, running
from hotsync.system.mounts import Mount, read_mounts
from hotsync.system.processes import sees_another_root

_PODMAN = ("var/lib/containers/storage", "home/*/.local/share/containers/storage")
_NO_DATA = frozenset(("tmpfs", "ramfs", "proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "devtmpfs"))
_SHALLOW = 2
_IN = " in container "
"""What stands in the name of a server in a container, and in no other's."""


@dataclass(frozen=True, slots=True)
class Server:
    """A database server in a container or a service: its name in a person's words, where it is paused, its folders.

    `folders` are paths of this host. `fault` says why its files cannot be copied soundly ("": they can). `apart`:
    nobody can pause it as it runs, so they are copied while they are written. `service`: it is in no container, and
    `seconds` is for how long at most it may be paused, whatever is set.
    """

    name: str
    place: Path | None
    folders: tuple[str, ...] = ()
    fault: str = ""
    apart: bool = False
    service: bool = False
    seconds: float = math.inf


def is_among(name: str, given: Collection[str]) -> bool:
    """Say whether a server is one of those that an administrator names; `mongod` is `mongod of mongod.service`, too."""
    return name in given or name.partition(" of ")[0] in given


def is_contained(name: str) -> bool:
    """Say whether a server of this name is in a container."""
    return _IN in name


def read_contained(root: Path, proc: Path) -> tuple[Server, ...]:
    """Return the database servers in containers that run on the host with this root, by name."""
    mounts = read_mounts()
    groups: dict[tuple[str, str], tuple[ContainerGroup | None, list[Path]]] = {}
    for folder, program, cgroup in _processes(proc):
        group = container_group(cgroup, mounts)
        groups.setdefault((program, group.key if group else ""), (group, []))[1].append(folder)
    found = (_server(root, proc, program, group, folders, mounts) for (program, _), (group, folders) in groups.items())
    return tuple(sorted((server for server in found if server is not None), key=lambda server: server.name))


def _processes(proc: Path) -> Iterator[tuple[Path, str, str]]:
    """Return the processes of database servers that see another root than we do, with program and cgroup."""
    for folder, program, cgroup in running(proc):
        if program in SERVERS and sees_another_root(folder):
            yield folder, program, cgroup


def _server(
    root: Path,
    proc: Path,
    program: str,
    group: ContainerGroup | None,
    processes: Sequence[Path],
    mounts: Sequence[Mount],
) -> Server | None:
    """Return a server, by its processes; None if it has ended, or keeps nothing on a disk."""
    if group is None:
        return Server(f"{program}{_IN}of a name that is not known", None, (), "its container is not known", apart=True)
    name = f"{program}{_IN}{group.name or container_name(root, group.key)}"
    if group.place is None:
        return Server(name, None, (), "this kernel cannot pause its container")
    try:
        if not is_all_inside(group.place, proc):
            return Server(name, None, (), "programs of this host are in the cgroup of its container")
    except OSError:
        return None
    found: set[str] = set()
    for process in processes:
        with suppress(OSError):  # PostgreSQL's come and go
            found.update(_folders(process, mounts))
    if not found:
        return None
    outer = outermost(found - {""})
    fault = "" if outer else "its files lie in the container itself, which is not carried: give it a volume"
    return Server(name, group.place, outer, fault)


def outermost(folders: Iterable[str]) -> tuple[str, ...]:
    """Return those folders that lie in no other of them, in order."""
    every = sorted(folders)
    return tuple(path for path in every if not any(path.startswith(f"{other}/") for other in every))


def _folders(process: Path, host: Sequence[Mount]) -> Iterator[str]:
    """Return the folders of this host in which a process in a container keeps its files, "" for one not of it."""
    mounts = read_mounts(process)
    written: dict[str, list[str]] = {}
    by_point = {mount.point: mount for mount in mounts}  # of one over another the last one counts
    for path, _ in held_for_writing(process):
        if (mount := mount_of(path, by_point)) is not None:
            written.setdefault(mount.point, []).append(path)
    home = os.readlink(process / "cwd")
    # it works from where its files are; what it writes elsewhere is found by what it has open
    if home != "/" and (mount := mount_of(home, by_point)) is not None:
        written.setdefault(mount.point, []).append(home)
    for point, paths in written.items():
        path = _top(point, paths, home)
        yield on_host(process, by_point[point], path, host) if path else ""


def _top(point: str, paths: Sequence[str], home: str) -> str:
    """Given a mount in a container and what is written in it, return the folder that holds it, "" for too much."""
    if home != "/" and all(path == home or path.startswith(f"{home}/") for path in paths):
        return home
    if point != "/":
        return point
    if home in paths:
        return home
    above = os.path.commonpath([os.path.dirname(path) for path in paths])
    return above if len(above.strip("/").split("/")) >= _SHALLOW else ""


def mount_of(path: str, by_point: Mapping[str, Mount]) -> Mount | None:
    """Given a path and what is mounted, return the mount in which it lies; None if it is none that keeps data."""
    point = path
    while point not in by_point:
        if point in ("/", ""):
            return None
        point = os.path.dirname(point)
    return by_point[point] if by_point[point].kind not in _NO_DATA else None


def on_host(process: Path, mount: Mount, path: str, host: Iterable[Mount]) -> str:
    """Given a folder as a process sees it, and its mount, return the path at which this host has it, or ""."""
    inside = _joined(mount.subtree, path.removeprefix(mount.point))
    theirs = os.stat(f"{process}/root{path}")
    if not stat.S_ISDIR(theirs.st_mode):
        return ""
    for other in host:
        above = other.subtree.rstrip("/")
        if other.device == mount.device and (inside == above or inside.startswith(f"{above}/")):
            here = _joined(other.point, inside.removeprefix(above))
            with suppress(OSError):
                ours = os.lstat(here)
                if (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino):
                    return here
    return ""


def _joined(folder: str, below: str) -> str:
    return f"{folder.rstrip('/')}/{below.strip('/')}".rstrip("/") or "/"


def container_name(root: Path, number: str) -> str:
    """Given a container's number, return the name that its engine keeps, or the first part of the number."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        config = root / "var/lib/docker/containers" / number / "config.v2.json"
        return str(json.loads(config.read_bytes())["Name"]).lstrip("/")
    for storage in _PODMAN:
        for listed in root.glob(f"{storage}/*-containers/containers.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                for kept in cast("list[dict[str, list[str]]]", json.loads(listed.read_bytes())):
                    if str(kept["id"]) == number and re.fullmatch(r"[\w.-]+", kept["names"][0]):
                        return kept["names"][0]
    return number[:12]
