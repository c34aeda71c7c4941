"""Finds the Redis servers of a host: those that run, and those that should and do not."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from hotsync.errors import CommandFailed
from hotsync.model.report import Notice
from hotsync.sources.instances import told_apart
from hotsync.sources.processes import Process, running
from hotsync.sources.redis_config import read_settings
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import file_name
from hotsync.sources.unit_files import list_unit_files
from hotsync.system.command import ENVIRONMENT, run

NAME: str = "redis"
PROGRAMS = ("redis-server", "valkey-server")
_PATTERNS = ("redis.service", "redis@*.service", "redis-server.service", "redis-server@*.service",
             "valkey.service", "valkey@*.service", "valkey-server.service", "valkey-server@*.service")  # fmt: skip
_USUAL = ("/etc/redis/redis.conf", "/etc/valkey/valkey.conf", "/etc/redis.conf")
_UNKNOWN = "is not known: it is not asked to save, and what it saved by itself is carried"
_ARGUMENTS = re.compile(r"argv\[\]=(.*?) ;")


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return its servers, also those that are enabled and down; a mere cache is none.

    A server that keeps nothing on its disk loses all when it restarts, by its own configuration: so it does here.
    """
    spool = context.paths.spool / NAME
    collected = sorted(folder.name for folder in spool.iterdir()) if spool.is_dir() else []
    servers: list[tuple[Dataset, str]] = []
    for process in running(PROGRAMS):
        if any("sentinel" in word for word in process.words):
            continue
        config = config_of(process)
        if not config:
            where = f"process {process.pid}, {process.unit or 'no unit'}"
            context.notice(Notice("source.redis.unknown", f"the configuration of a Redis server ({where}) {_UNKNOWN}"))
            continue
        servers.append((_running(process, config), config))
    found = {dataset.instance: dataset for dataset in told_apart(servers, collected)}
    caches = {dataset.instance for dataset in found.values() if dataset.parked}
    for dataset in not_running(_unit_files(context), collected):
        found.setdefault(dataset.instance, dataset)
    return tuple(found[instance] for instance in sorted(found) if instance not in caches)


def instance_of(unit: str, config: str) -> str:
    """Given a server's unit, return the name of its instance: the unit's; without one its configuration names it."""
    return file_name(unit.removesuffix(".service") or config.strip("/") or "redis-server")


def not_running(units: Mapping[str, str], collected: Iterable[str]) -> Iterator[Dataset]:
    """Given the server units with their states and the instances collected before, return what there should be.

    A unit that is enabled should run; of the others, one that was collected before was stopped on purpose.
    """
    known = {instance_of(unit, ""): state for unit, state in units.items() if "@." not in unit and state != "alias"}
    templates = {unit.partition("@")[0] for unit in units if "@." in unit}
    for unit, state in units.items():
        instance = instance_of(unit, "")
        if state.startswith("enabled") and instance in known:
            yield Dataset(NAME, instance, unit=unit, fault=f"{unit} is enabled and does not run")
    for instance in collected:
        template, at, _ = instance.partition("%40")
        if instance in known or (at and template in templates):
            yield Dataset(NAME, instance, parked=True)


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


def _unit_files(context: Context) -> dict[str, str]:
    if not any(shutil.which(program, path=ENVIRONMENT["PATH"]) for program in PROGRAMS):
        return {}
    try:
        text = list_unit_files(context.paths, _PATTERNS, context.clock.now_ns())
    except CommandFailed:
        return {}  # no such unit, or a host without systemd: what runs is all that can be known
    words = (line.split() for line in text.splitlines())
    return {unit: state for unit, state, *_ in words}
