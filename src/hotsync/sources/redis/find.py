"""Finds the Redis servers of a host: those that run, and those that should and do not."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote

from hotsync.errors import CommandFailed
from hotsync.model.report import Notice
from hotsync.model.unit_names import template_of
from hotsync.sources import documents
from hotsync.sources.collected import folders_in
from hotsync.sources.down import down, never_collected, not_running_fault, standing, what_to_do
from hotsync.sources.instances import is_there, told_apart
from hotsync.sources.processes import Process, running
from hotsync.sources.redis.config import read_settings
from hotsync.sources.redis.documents import SERVER, RedisServer
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import file_name
from hotsync.sources.unit_files import list_unit_files, states_of
from hotsync.system.command import ENVIRONMENT, run

NAME: str = "redis"
PROGRAMS = ("redis-server", "valkey-server")
_PATTERNS = ("redis.service", "redis@*.service", "redis-server.service", "redis-server@*.service",
             "valkey.service", "valkey@*.service", "valkey-server.service", "valkey-server@*.service")  # fmt: skip
_USUAL = ("/etc/redis/redis.conf", "/etc/valkey/valkey.conf", "/etc/redis.conf")
_UNKNOWN = "is not known: it is not asked to save, and what it saved by itself is carried"
_UNIT = re.compile(r"[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\@-]*\.service")
_ARGUMENTS = re.compile(r"argv\[\]=(.*?) ;")


@dataclass(frozen=True, slots=True)
class Collected:
    """What is known of a server that was collected before: its unit, its folder, and its own files there."""

    unit: str = ""
    folder: str = ""
    files: tuple[str, ...] = ()

    @property
    def is_left(self) -> bool:
        """Return whether its files are there, or that cannot be told (a disk that is not mounted)."""
        if not self.folder or any(is_there(f"{self.folder}/{name}") for name in self.files):
            return True
        try:
            return not os.listdir(self.folder)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return its servers, also those that should run and do not; a mere cache is none.

    A server that keeps nothing on its disk loses all when it restarts, by its own configuration: so it does here.
    """
    collected = _collected(context)
    servers: list[tuple[Dataset, str]] = []
    serving: set[str] = set()
    for process in running(PROGRAMS):
        if any("sentinel" in word for word in process.words):
            continue
        serving.add(process.unit)
        config = config_of(process)
        if not config:
            where = f"process {process.pid}, {process.unit or 'no unit'}"
            context.notice(Notice("source.redis.unknown", f"the configuration of a Redis server ({where}) {_UNKNOWN}"))
            continue
        servers.append((_running(process, config), config))
    found = {dataset.instance: dataset for dataset in told_apart(servers, collected)}
    caches = {dataset.instance for dataset in found.values() if dataset.parked}
    served = {path for dataset in found.values() for path in dataset.directories}
    others = {
        instance: last
        for instance, last in collected.items()
        if instance not in found and served.isdisjoint(f"{last.folder}/{name}" for name in last.files)
    }
    units = partial(_unit_files, context, [last.unit for last in others.values()])
    for dataset in down(NAME, others, units, partial(not_running, collected=others, serving=serving - {""})):
        found.setdefault(dataset.instance, dataset)
    return tuple(found[instance] for instance in sorted(found) if instance not in caches)


def _collected(context: Context) -> dict[str, Collected]:
    """Return what was collected before, by instance."""
    found: dict[str, Collected] = {}
    for folder in folders_in(context.paths.spool / NAME):
        last = documents.load_last(folder / SERVER, RedisServer)
        files = (last.dump, last.append_folder, last.append_name) if last else ()
        found[folder.name] = Collected(last.unit, last.folder, files) if last else Collected()
    return found


def instance_of(unit: str, config: str) -> str:
    """Given a server's unit, return the name of its instance: the unit's; without one its configuration names it."""
    return file_name(unit.removesuffix(".service") or config.strip("/") or "redis-server")


def not_running(
    units: Mapping[str, str], collected: Mapping[str, Collected], serving: Collection[str] = ()
) -> Iterator[Dataset]:
    """Given the server units with their states, and the instances that were collected before and do not run, return
    what there should be. In the units of `serving` a server runs."""
    for unit in never_collected(units, {*serving, *(last.unit for last in collected.values())}):
        instance = instance_of(unit, "")
        if instance not in collected:
            yield Dataset(NAME, instance, unit=unit, fault=not_running_fault(unit))
    for instance, last in collected.items():
        unit = last.unit or f"{unquote(instance)}.service"
        say = partial(_is_left_alone, folder=last.folder)
        now = standing(last, units, serving, unit=unit, starters=(unit, template_of(unit)), say=say)
        if now is not None:
            yield Dataset(NAME, instance, unit="" if now.parked else unit, fault=now.fault, parked=now.parked)


def _is_left_alone(_why: str, folder: str) -> str:
    return f"it does not run, and {what_to_do(folder)}" if folder else f"it does not run: {what_to_do(folder)}"


def _running(process: Process, config: str) -> Dataset:
    """Return a running server; one that keeps nothing comes out as parked."""
    instance = instance_of(process.unit, config)
    folder = ""
    with suppress(OSError):
        folder = os.readlink(f"/proc/{process.pid}/cwd")
    try:
        settings = read_settings(config, folder)
    except (OSError, ValueError) as error:
        return Dataset(NAME, instance, unit=process.unit, fault=f"its configuration cannot be read: {error}")
    if not settings.keeps:
        return Dataset(NAME, instance, parked=True)
    return Dataset(NAME, instance, unit=process.unit, config=config, directories=settings.files)


def config_of(process: Process) -> str:
    """Given a running server, return its configuration file, "" if it cannot be told.

    The server hides its own words; its unit does not.
    """
    words = list(process.words[1:])
    if process.unit:
        with suppress(CommandFailed):
            words += parse_exec(run(("systemctl", "show", "--property=ExecStart", "--value", "--", process.unit)).text)
    if process.unit in _PATTERNS:
        words += _USUAL
    return next((word for word in words if word.startswith("/") and os.path.isfile(word)), "")


def parse_exec(text: str) -> list[str]:
    """Given what `systemctl show --property=ExecStart --value` prints, return the words after the program."""
    return [word for arguments in _ARGUMENTS.findall(text) for word in arguments.split()[1:]]


def _unit_files(context: Context, known: Iterable[str]) -> dict[str, str]:
    """Return the units of Redis servers with their states, also of those known by name; raise CommandFailed."""
    if not any(shutil.which(program, path=ENVIRONMENT["PATH"]) for program in PROGRAMS):
        return {}
    others = sorted({unit for unit in known if _UNIT.fullmatch(unit)} - set(_PATTERNS))
    return states_of(list_unit_files(context.paths, (*_PATTERNS, *others), context.clock.now_ns()))
