"""Finds the MariaDB (and MySQL) servers of a host: those that listen, and those that should and do not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import CommandFailed, SourceError
from hotsync.sources.source import Dataset
from hotsync.sources.spool import file_name
from hotsync.system.command import run

NAME: str = "mariadb"
_PROGRAMS = ("mariadbd", "mysqld")
_USERS = re.compile(r'\("([^"]*)",pid=(\d+),fd=\d+\)')
_SERVER_UNIT = re.compile(r"^(?:mariadb|mysql|mysqld)(?:@(?P<instance>.*))?\.service$")
_TEMPLATES = ("mariadb@.service", "mysqld@.service")
_WARM = "hotsync-warm-"


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that listens on a unix socket."""

    program: str
    pid: int
    socket: str


def parse_listeners(text: str) -> Iterator[Listener]:
    """Given what `ss -xlpH` prints, return the database servers that listen on a named socket.

    The socket's name may hold blanks: it is what lies between the two queue lengths and the inode.
    """
    for line in text.splitlines():
        match = re.match(r"u_str\s+LISTEN\s+\d+\s+\d+\s+(/.*?)\s+\d+\s+\*\s+0\s+users:\((.*)\)\s*$", line)
        if match is None:
            continue
        for program, pid in _USERS.findall(match[2]):
            if program in _PROGRAMS:
                yield Listener(program, int(pid), match[1])
                break


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


def instance_of(unit: str, socket: str) -> str:
    """Given a server's unit, return the name of its instance; without a unit its socket names it."""
    match = _SERVER_UNIT.match(unit)
    if match is not None:
        return match["instance"] or "default"
    if unit:
        return unit.removesuffix(".service")
    return "default" if socket in ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock") else socket.strip("/")


def parse_unit_files(text: str) -> dict[str, str]:
    """Given `systemctl list-unit-files --no-legend`, return the server units (no aliases) and their states."""
    words = (line.split() for line in text.splitlines())
    return {unit: state for unit, state, *_ in words if _SERVER_UNIT.match(unit) and state != "alias"}


def inspect_servers(collected: Iterable[str] = ()) -> tuple[Dataset, ...]:
    """Given the instances collected before, return the servers of this host: those that run, those that are enabled
    and do not (with their fault), and of the others those that were collected before and could be started again.

    Raise SourceError if the list of sockets cannot be read.
    """
    try:
        listeners = tuple(parse_listeners(run(("ss", "-xlpH")).text))
    except CommandFailed as error:
        raise SourceError(dataset=NAME, reason=f"the servers cannot be found: {error.sentence}") from error
    found: dict[str, Dataset] = {}
    for listener in listeners:
        unit = parse_unit(_read(f"/proc/{listener.pid}/cgroup"))
        if _is_ours(listener.pid) and not unit.startswith(_WARM):
            instance = file_name(instance_of(unit, listener.socket))
            found.setdefault(
                instance,
                Dataset(NAME, instance, socket=listener.socket, unit=unit, directories=_directory(listener.pid)),
            )
    for dataset in not_running(_unit_files(), collected):
        found.setdefault(dataset.instance, dataset)
    return tuple(found[instance] for instance in sorted(found))


def not_running(units: Mapping[str, str], collected: Iterable[str]) -> Iterator[Dataset]:
    """Given the server units with their states and the instances collected before, return what there should be.

    A unit that is enabled should run; one that is not was stopped on purpose; no unit at all: the server is gone.
    """
    for unit, state in units.items():
        if state.startswith("enabled") and "@." not in unit:
            instance = file_name(instance_of(unit, ""))
            yield Dataset(NAME, instance, unit=unit, fault=f"{unit} is enabled and does not run")
    for instance in collected:
        candidates = ("mariadb.service", "mysql.service", "mysqld.service") if instance == "default" else _TEMPLATES
        if any(unit in units for unit in candidates):
            yield Dataset(NAME, instance, parked=True)


def _unit_files() -> dict[str, str]:
    patterns = ("mariadb.service", "mariadb@*.service", "mysql.service", "mysqld.service", "mysqld@*.service")
    try:
        return parse_unit_files(run(("systemctl", "list-unit-files", "--no-legend", *patterns), ok=(0, 1)).text)
    except CommandFailed:
        return {}  # a host without systemd: what listens is all that can be known


def _is_ours(pid: int) -> bool:
    """Return whether a process sees the same root as we do: a container's server is no server of this host."""
    try:
        theirs, ours = os.stat(f"/proc/{pid}/root/"), os.stat("/")
    except OSError:
        return False
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def _directory(pid: int) -> tuple[str, ...]:
    """Return the data directory of a running server: it works from there."""
    try:
        return (os.readlink(f"/proc/{pid}/cwd"),)
    except OSError:
        return ()


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
