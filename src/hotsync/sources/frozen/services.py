"""Finds the database servers that run as services of this host and that nobody dumps, and where their files lie."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.backends.coverage_processes import held_for_writing
from hotsync.model.machine_units import base_reason
from hotsync.sources.frozen.cgroups import ServiceGroup, other_in, pids_in, service_group
from hotsync.sources.frozen.find import Server, read_contained
from hotsync.sources.frozen.kept import outermost
from hotsync.sources.frozen.places import file_on_host, mount_of, mounts_of, on_host
from hotsync.sources.frozen.programs import NEVER_DUMPED, running
from hotsync.sources.frozen.watchdog import patience_within
from hotsync.system.mounts import Mount, read_mounts
from hotsync.system.processes import PROC, sees_our_root, user_of

_WAYS = re.compile(
    r"(?:openvpn|wg-quick|strongswan|ipsec|stunnel|pppd?|xl2tpd|zerotier|slapd|named|bind9|unbound|dnsmasq)\b"
)
"""Units that the line to the SLAVE or a look-up of ours may need, besides those of the machine itself."""
_NOT_KNOWN = "which folders are its own is not known: name them and its unit in a profile of yours, as [[paused]]"


@dataclass(frozen=True, slots=True)
class PausedUnit:
    """What a profile says of a server: its name, the unit that is paused, and the folders in which its files lie."""

    name: str
    unit: str
    folders: tuple[str, ...]


def read_servers(root: Path, units: Iterable[PausedUnit] = (), proc: Path | None = None) -> tuple[Server, ...]:
    """Return the database servers on the host with this root whose files are copied in a pause, or should be, by name.

    `units` is what profiles name. Whatever runs here is none of a root's that is only a folder.
    """
    if proc is None and root != Path("/"):
        return ()
    proc = proc or PROC
    services = _read_services(root, tuple(units), proc)
    return tuple(sorted((*read_contained(root, proc), *services), key=lambda server: server.name))


def _read_services(root: Path, units: Sequence[PausedUnit], proc: Path) -> Iterator[Server]:
    mounts = read_mounts()
    told = {unit.unit: unit for unit in units}
    found: dict[tuple[str, ServiceGroup | None], list[Path]] = {}
    for folder, program, cgroup in running(proc):
        if program not in NEVER_DUMPED and not any(f"/{unit}" in cgroup for unit in told):
            continue
        group = service_group(cgroup, mounts)
        if group is not None and group.unit in told:
            program = told[group.unit].name
        elif program not in NEVER_DUMPED or not sees_our_root(folder):
            continue
        found.setdefault((program, group), []).append(folder)
    for (program, group), processes in found.items():
        server = _server(proc, program, group, processes)
        if server.apart or group is None:
            yield server
        elif (unit := told.get(group.unit)) is not None:
            yield _alone(_as_told(root, server, unit), proc, mounts)
        elif (whole := _as_found(server, processes, mounts)) is not None:
            yield _alone(whole, proc, mounts)


def _server(proc: Path, program: str, group: ServiceGroup | None, processes: Sequence[Path]) -> Server:
    """Return a server without its folders; with why it cannot be paused, if it cannot."""
    name = f"{program} of {group.unit}" if group else program
    server = Server(name, None, service=True)
    if group is None:
        return replace(server, apart=True, fault="it runs in no service of the system's, so it cannot be paused")
    reason = base_reason(group.unit) or ("this host may need it" if _WAYS.match(group.unit) else "")
    if reason:
        return replace(server, apart=True, fault=f"its unit is never paused: {reason}")
    if group.place is None:
        return replace(server, apart=True, fault="the cgroups of this host let nobody pause it")
    try:
        if other := other_in(group.place, proc):
            return replace(server, apart=True, fault=f"it cannot be paused alone: {other}")
        seconds = patience_within(group.place, proc)
    except OSError:
        return replace(server, apart=True, fault="its processes cannot be looked at")
    return replace(server, place=group.place, seconds=seconds)


def _alone(server: Server, proc: Path, mounts: Sequence[Mount]) -> Server:
    """Given a server with its folders, return it, as one that cannot be paused if somebody else writes in them."""
    if server.place is None:
        return server
    try:
        own = frozenset(pids_in(server.place))
    except OSError:
        own = frozenset[str]()
    folders = tuple(f"{os.path.realpath(folder)}/" for folder in server.folders)
    for process, program, _ in running(proc):
        for path, _ in held_for_writing(process) if process.name not in own else ():
            with suppress(OSError):  # what a container has at the same path is another file
                if any(here.startswith(folders) for here in file_on_host(process, path, mounts)):
                    fault = f"{program}, which would not be paused with it, writes in its folders, too"
                    return replace(server, place=None, folders=(), apart=True, fault=fault)
    return server


def _as_told(root: Path, server: Server, unit: PausedUnit) -> Server:
    """Given a server and what a profile says of it, return it with its folders."""
    top = os.path.realpath(root).rstrip("/")
    there = [path for folder in unit.folders if os.path.isdir(path := f"{top}{os.path.normpath(folder)}")]
    if there:
        return replace(server, folders=outermost(there), reach=tuple(there))
    return replace(
        server, place=None, fault=f"{', '.join(unit.folders)} is not there: where its files lie is not known"
    )


def _as_found(server: Server, processes: Iterable[Path], mounts: Sequence[Mount]) -> Server | None:
    """Given a server, return it with the folders that it uses; None if it has ended."""
    found: set[str] = set()
    for process in processes:
        with suppress(OSError):
            found.update(_folders(process, mounts))
    if found - {""}:
        return replace(server, folders=outermost(found - {""}), reach=("/",))
    if not any(process.exists() for process in processes):
        return None
    return replace(server, place=None, apart=True, fault=_NOT_KNOWN)


def _folders(process: Path, host: Sequence[Mount]) -> Iterator[str]:
    """Return the folders of this host in which a server has its files, "" for one not of it; raise OSError.

    Of each file that it has open or in its memory, and of where it works, it is the outermost folder that is its
    user's own, as a package makes it: what lies there and is not open belongs to it. Of one that runs as root nothing
    can be told.
    """
    user = user_of(process)
    if not user:
        return
    by_point = mounts_of(process)
    for folder in {_outermost(process, path, user) for path in _used(process)} - {""}:
        if (mount := mount_of(folder, by_point)) is not None:
            yield on_host(process, mount, folder, host)


def _used(process: Path) -> set[str]:
    """Return the folder in which a process works, and those of what it has open or mapped, as it sees them itself."""
    maps = (process / "maps").read_text("utf-8", "surrogateescape").split("\n")
    paths = {os.path.dirname(words[5]) for line in maps if len(words := line.split(maxsplit=5)) > 5}
    with suppress(OSError):
        paths.add(os.readlink(process / "cwd"))
    for number in os.listdir(process / "fd"):
        with suppress(OSError):
            if stat.S_ISREG(os.stat(process / "fd" / number).st_mode):
                paths.add(os.path.dirname(os.readlink(process / "fd" / number)))
    return {path for path in paths if path.startswith("/")}


def _outermost(process: Path, path: str, user: int) -> str:
    """Return the outermost of the folders on a path that are the user's own, one in the other; "" if there is none.

    A person's home is not a server's, nor is what lies directly below the root.
    """
    found = ""
    while path.count("/") > (2 if path.startswith("/home/") else 1):
        try:
            status = os.stat(f"{process}/root{path}")
            own = stat.S_ISDIR(status.st_mode) and status.st_uid == user
        except OSError:
            own = False
        if own:
            found = path
        elif found:
            break
        path = os.path.dirname(path)
    return found
