"""Finds the MariaDB (and MySQL) servers of a host: those that listen, and those that should and do not."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hotsync.errors import CommandFailed, SourceError
from hotsync.model.unit_names import template_of
from hotsync.sources.down import because, down, never_collected, not_running_fault, standing
from hotsync.sources.instances import is_set_up, is_there, longer_name, told_apart, with_failure
from hotsync.sources.processes import parse_unit, user_name
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import file_name
from hotsync.sources.unit_files import list_unit_files, states_of
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
    wanted = {*known, *(template_of(unit) for unit in known)}
    return {unit: state for unit, state in states_of(text).items() if _SERVER_UNIT.match(unit) or unit in wanted}


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
    others = without_running(collected, running)
    serving = frozenset(each.unit for each in running)
    units = partial(_unit_files, context, [last.unit for last in others.values()])
    for dataset in down(NAME, others, units, partial(not_running, collected=others, serving=serving)):
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
    what there should be. In the units of `serving` a server runs."""
    found: dict[str, Dataset] = {}
    for unit in never_collected(units, {*serving, *(last.unit for last in collected.values())}):
        instance = file_name(instance_of(unit, ""))
        found[instance] = Dataset(NAME, instance, unit=unit, fault=not_running_fault(unit))
    for instance, last in collected.items():
        usual = ("mariadb.service", "mysql.service", "mysqld.service") if instance == "default" else _TEMPLATES
        starters = (last.unit, template_of(last.unit)) if last.unit else usual
        say = partial(because, place=last.directory)
        now = standing(last, units, serving, unit=last.unit, starters=starters, say=say)
        if now is not None:
            found.setdefault(instance, Dataset(NAME, instance, unit=last.unit, fault=now.fault, parked=now.parked))
    yield from found.values()


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
