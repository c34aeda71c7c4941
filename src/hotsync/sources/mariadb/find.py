"""Finds the MariaDB (and MySQL) servers of a host: those that listen, and those that should and do not."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.errors import CommandFailed, SourceError
from hotsync.sources.instances import is_set_up, is_there, longer_name, not_told, told_apart, with_failure
from hotsync.sources.processes import parse_unit, user_name
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import file_name
from hotsync.sources.unit_files import list_unit_files
from hotsync.system.command import run
from hotsync.system.processes import sees_our_root

NAME: str = "mariadb"
_PROGRAMS = ("mariadbd", "mysqld")
_USERS = re.compile(r'\("([^"]*)",pid=(\d+),fd=\d+\)')
_SERVER_UNIT = re.compile(r"^(?:mariadb|mysql|mysqld)(?:@(?P<instance>.*))?\.service$")
_TEMPLATES = ("mariadb@.service", "mysqld@.service", "mysql@.service")
_UNIT = re.compile(r"[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\@-]*\.service")
_WARM = "hotsync-warm-"


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that listens on a unix socket."""

    program: str
    pid: int
    socket: str


@dataclass(frozen=True, slots=True)
class Found:
    """The servers of a host; `strangers` says which ones are not trusted, and why."""

    datasets: tuple[Dataset, ...]
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Collected:
    """What is known of a server that was collected before: its unit and where it kept its files ("": not told)."""

    unit: str
    directory: str = ""

    @property
    def is_left(self) -> bool:
        """Return whether its files are there, or that cannot be told (a disk that is not mounted)."""
        return not self.directory or is_there(self.directory)

    @property
    def what_to_do(self) -> str:
        """Return what is to be done of it, in words."""
        where = f"its files are still in {self.directory}: " if self.directory else ""
        return f"{where}start it, or remove them if it is gone for good" if where else "start it"


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


def one_a_process(listeners: Iterable[Listener]) -> list[Listener]:
    """Given who listens, return each server once, by its own socket (MySQL's X protocol has one besides), in order."""
    found: dict[int, Listener] = {}
    for listener in sorted(listeners, key=lambda each: ("mysqlx" in Path(each.socket).name, each.socket)):
        found.setdefault(listener.pid, listener)
    return sorted(found.values(), key=lambda each: each.socket)


def instance_of(unit: str, socket: str) -> str:
    """Given a server's unit, return the name of its instance; without a unit its socket names it."""
    match = _SERVER_UNIT.match(unit)
    if match is not None:
        return match["instance"] or "default"
    if unit:
        return unit.removesuffix(".service")
    return "default" if socket in ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock") else socket.strip("/")


def parse_unit_files(text: str, known: Collection[str] = ()) -> dict[str, str]:
    """Given `systemctl list-unit-files --no-legend`, return the server units (no aliases) and their states.

    `known` are the units of servers that were collected before, whatever they are called.
    """
    words = (line.split() for line in text.splitlines())
    wanted = {*known, *(template_of(unit) for unit in known)}
    return {
        unit: state for unit, state, *_ in words if (_SERVER_UNIT.match(unit) or unit in wanted) and state != "alias"
    }


def template_of(unit: str) -> str:
    """Given a unit, return the template that makes it (`x@.service` of `x@y.service`), or the unit itself."""
    before, at, _ = unit.partition("@")
    return f"{before}@.service" if at else unit


def inspect_servers(context: Context, collected: Mapping[str, Collected]) -> Found:
    """Given the host, and the instances that were collected before, return its servers: those that run, those that
    should and do not (with their fault), and of the others those that were collected before and are not known to be
    gone. Raise SourceError if the list of sockets cannot be read.
    """
    try:
        listeners = tuple(parse_listeners(run(("ss", "-xlpH")).text))
    except CommandFailed as error:
        raise SourceError(dataset=NAME, reason=f"the servers cannot be found: {error.sentence}") from error
    servers: list[tuple[Dataset, str]] = []
    strangers: list[str] = []
    for listener in one_a_process(listeners):
        unit = parse_unit(_read(f"/proc/{listener.pid}/cgroup"))
        if not sees_our_root(Path(f"/proc/{listener.pid}")) or unit.startswith(_WARM):
            continue
        if sentence := _strange(listener, unit):
            strangers.append(sentence)
            continue
        instance = file_name(instance_of(unit, listener.socket))
        dataset = Dataset(
            NAME, instance, socket=listener.socket, unit=unit, user=_user(listener.pid),
            directories=_directory(listener.pid),
        )  # fmt: skip
        servers.append((dataset, listener.socket))
    running = told_apart(servers, collected)
    found = {dataset.instance: dataset for dataset in running}
    for dataset in _down(context, without_running(collected, running), frozenset(each.unit for each in running)):
        if dataset.instance not in found:
            found[dataset.instance] = with_failure(dataset)
        elif not _is_alias(dataset.unit, running):
            longer = longer_name(dataset.instance, dataset.unit)
            found.setdefault(longer, replace(dataset, instance=longer))
    return Found(tuple(found[instance] for instance in sorted(found)), tuple(strangers))


def without_running(collected: Mapping[str, Collected], running: Iterable[Dataset]) -> dict[str, Collected]:
    """Given what was collected before, return what runs under no name: one whose files another name has runs."""
    names = {dataset.instance for dataset in running}
    served = {os.path.realpath(path) for dataset in running for path in dataset.directories}
    return {
        instance: last
        for instance, last in collected.items()
        if instance not in names and not (last.directory and os.path.realpath(last.directory) in served)
    }


def not_running(
    units: Mapping[str, str], collected: Mapping[str, Collected], serving: Collection[str] = ()
) -> Iterator[Dataset]:
    """Given the server units with their states, and the instances that were collected before and do not run, return
    what there should be. In the units of `serving` a server runs.

    A unit that is enabled should run; one that is not was stopped on purpose. Where no unit would start a server it
    was removed if its files are gone; as long as they are there, it is a fault.
    """
    found: dict[str, Dataset] = {}
    known = {*serving, *(last.unit for last in collected.values())}
    for unit, state in units.items():
        if state.startswith("enabled") and "@." not in unit and unit not in known:
            instance = file_name(instance_of(unit, ""))
            found[instance] = Dataset(NAME, instance, unit=unit, fault=f"{unit} is enabled and does not run")
    for instance, last in collected.items():
        dataset = _of_before(instance, last, units, serving)
        if dataset is not None:
            found.setdefault(instance, dataset)
    yield from found.values()


def _of_before(instance: str, last: Collected, units: Mapping[str, str], serving: Collection[str]) -> Dataset | None:
    unit = last.unit
    if unit in serving and last.is_left:
        fault = f"it does not run, and {unit} does; {last.what_to_do}"
    elif units.get(unit, "").startswith("enabled") and unit not in serving:
        fault = f"{unit} is enabled and does not run"
    else:
        usual = ("mariadb.service", "mysql.service", "mysqld.service") if instance == "default" else _TEMPLATES
        candidates = (unit, template_of(unit)) if unit else usual
        if unit not in serving and any(candidate in units for candidate in candidates):
            return Dataset(NAME, instance, unit=unit, parked=True)
        if not last.is_left:
            return None
        fault = f"it does not run, and no unit would start it; {last.what_to_do}"
    return Dataset(NAME, instance, unit=unit, fault=fault)


def _down(context: Context, collected: Mapping[str, Collected], serving: Collection[str]) -> Iterator[Dataset]:
    """Return the servers that do not run; where systemd does not answer all that were collected before are a fault."""
    try:
        units = _unit_files(context, (last.unit for last in collected.values()))
    except CommandFailed as error:
        yield from not_told(NAME, {instance: last.unit for instance, last in collected.items()}, error)
        return
    yield from not_running(units, collected, serving)


def _is_alias(unit: str, running: Iterable[Dataset]) -> bool:
    """Return whether a unit is only another name of one that runs (older systemd lists both as enabled)."""
    try:
        names = run(("systemctl", "show", "--property=Id", "--value", "--", unit)).text.split()
    except CommandFailed:
        return True
    return not names or any(name in {dataset.unit for dataset in running} for name in names)


def _unit_files(context: Context, known: Iterable[str]) -> dict[str, str]:
    """Return the units of database servers with their states; raise CommandFailed."""
    patterns = (
        "mariadb.service", "mariadb@*.service", "mysql.service", "mysql@*.service", "mysqld.service",
        "mysqld@*.service",
    )  # fmt: skip
    others = sorted({name for unit in known if _UNIT.fullmatch(unit) for name in (unit, template_of(unit))})
    return parse_unit_files(list_unit_files(context.paths, (*patterns, *others), context.clock.now_ns()), others)


def _strange(listener: Listener, unit: str) -> str:
    """Return why a server must not be spoken to, "" if it may: root logs in, and sends what it has in its option file.

    A server is one that the administrator set up: a system account runs it, or it is the main process of a unit of the
    system; and its socket is its own.
    """
    try:
        owner = os.stat(f"/proc/{listener.pid}").st_uid
        socket_owner = os.stat(listener.socket).st_uid
    except OSError:
        return ""  # it is gone; who asks it says so
    where = f"the database server with the socket {listener.socket} (process {listener.pid})"
    if socket_owner not in (owner, 0):
        return f"{where} does not own its socket: it is not asked, and its databases are not protected"
    if not is_set_up(owner, unit, listener.pid):
        return f"{where} runs as user {user_name(owner)} outside of any unit: its databases are not protected"
    return ""


def _user(pid: int) -> str:
    try:
        return user_name(os.stat(f"/proc/{pid}").st_uid)
    except OSError:
        return ""


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
