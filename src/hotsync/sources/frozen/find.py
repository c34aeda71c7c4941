"""Finds the database servers in containers, and where on this host their files lie."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from hotsync.sources.frozen.cgroups import ContainerGroup, container_group, is_all_inside
from hotsync.sources.frozen.kept import Kept, note_kept, outermost
from hotsync.sources.frozen.programs import SERVERS, running
from hotsync.sources.frozen.watchdog import patience_of, patience_within
from hotsync.system.mounts import Mount, read_mounts
from hotsync.system.processes import sees_another_root

_PODMAN = ("var/lib/containers/storage", "home/*/.local/share/containers/storage")
_IN = " in container "
"""What stands in the name of a server in a container, and in no other's."""
_INSIDE = "its files lie in the container itself, which is not carried: give it a volume"
_SOME_INSIDE = "some of its files lie in the container itself, which is not carried: give them a volume"
_CACHES = frozenset(("redis-server", "valkey-server"))
"""In a volume that nobody named (that of its image) they hold what may be lost: whoever keeps data in one names it."""
_NAMELESS = "its files lie in a volume without a name, which no container finds again: name it in the compose file"


@dataclass(frozen=True, slots=True)
class Server:
    """A database server in a container or a service: its name in a person's words, where it is paused, its folders.

    `folders` are paths of this host. `fault` says why its files cannot be copied soundly ("": they can). `apart`:
    nobody can pause it as it runs, so they are copied while they are written. `service`: it is in no container.
    `seconds` is for how long at most it may be paused, whatever is set. `lost` says which of its files are of no use
    after a promotion, though all that can be is copied ("": none). `reach` are the folders in which it may still write
    what it has kept there before, though nothing of that is open now.
    """

    name: str
    place: Path | None
    folders: tuple[str, ...] = ()
    fault: str = ""
    apart: bool = False
    service: bool = False
    seconds: float = math.inf
    lost: str = ""
    reach: tuple[str, ...] = field(default=(), compare=False)


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
        seconds = patience_within(group.place, proc)
    except OSError:
        return None
    kept = Kept()
    for process in processes:
        with suppress(OSError):  # PostgreSQL's come and go
            note_kept(kept, program, process, mounts)
    if not kept.folders:
        return Server(name, group.place, (), _INSIDE) if kept.inside or kept.perhaps else None
    nameless = kept.nameless and program not in _CACHES
    lost = [_SOME_INSIDE] * kept.inside + [_NAMELESS] * nameless
    seconds = min(seconds, patience_of(group.unit)) if group.unit else seconds
    return Server(
        name, group.place, outermost(kept.folders), seconds=seconds, lost="; ".join(lost), reach=tuple(kept.reach)
    )


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
