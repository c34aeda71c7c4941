"""What systemd has loaded and what listens, for `hotsync coverage`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hotsync.backends.coverage_processes import PROC, read_runner
from hotsync.backends.handmade import handmade_units
from hotsync.backends.intruders import parse_listeners
from hotsync.backends.package_files import owners_of
from hotsync.model.coverage.runners import Runner
from hotsync.model.coverage.units import Listener, UnitSeen
from hotsync.model.production import is_handmade
from hotsync.system import command

_KINDS = ("*.service", "*.timer", "*.socket", "*.path")
_STARTERS = ("WantedBy", "RequiredBy", "UpheldBy", "BoundBy", "TriggeredBy", "OnFailureOf", "OnSuccessOf", "BusName")
_PROPERTIES = ",".join((
    "Id", "Names", "ActiveState", "FragmentPath", "SourcePath", "ExecStart", "EnvironmentFiles", "Triggers",
    "Transient", "UnitFileState", "DropInPaths", *_STARTERS,
))  # fmt: skip
_BUS = ("/usr/share/dbus-1/system-services", "/usr/local/share/dbus-1/system-services", "/etc/dbus-1/system-services")
_OF_THE_BUS = re.compile(r"^SystemdService=(\S+)", re.MULTILINE)
_CLUSTER = "/50-pacemaker.conf"  # beside each unit that Pacemaker has started
_EXEC = re.compile(r"\{ path=(.*?) ; argv\[\]=(.*?) ; ")
_PATH = re.compile(r"(?:^|[\s=:,])(/[^\s;,:]+)")


def parse_units(text: str, of_the_bus: Collection[str] = (), handmade: Collection[str] = ()) -> list[UnitSeen]:
    """Given `systemctl show` of several units, return them, with every path as it is written there.

    `of_the_bus` are those that the message bus starts, `handmade` those that an administrator wrote.
    """
    units: list[UnitSeen] = []
    for block in text.split("\n\n"):
        said: dict[str, list[str]] = {}
        for line in block.splitlines():
            key, _, value = line.partition("=")
            said.setdefault(key, []).append(value)
        if "Id" not in said:
            continue
        one = {key: values[-1] for key, values in said.items()}
        calls = [found for value in said.get("ExecStart", ()) for found in _EXEC.findall(value)]
        files = [path for _, words in calls for path in _PATH.findall(words)]
        files += [value.partition(" (")[0] for value in said.get("EnvironmentFiles", ())]
        units.append(
            UnitSeen(
                one["Id"],
                active=one.get("ActiveState") == "active",
                file=one.get("FragmentPath", ""),
                source=one.get("SourcePath", ""),
                programs=tuple(dict.fromkeys(path for path, _ in calls)),
                files=tuple(dict.fromkeys(files)),
                triggers=tuple(one.get("Triggers", "").split()),
                transient=one.get("Transient") == "yes",
                started_by=tuple(_starters(one, of_the_bus)),
                state=one.get("UnitFileState", ""),
                handmade=is_handmade(one["Id"], handmade),
            )
        )
    return units


def _starters(said: Mapping[str, str], of_the_bus: Collection[str]) -> Iterator[str]:
    """Return what starts a unit: other units, the message bus, a cluster's manager."""
    for each in _STARTERS:
        yield from said.get(each, "").split()
    yield from (name for name in said.get("Names", "").split() if name in of_the_bus)
    if _CLUSTER in said.get("DropInPaths", ""):
        yield "pacemaker.service"


def read_units(root: Path) -> list[UnitSeen]:
    """Return the units that are loaded, with their files where they really lie; raise CommandFailed."""
    text = command.run(["systemctl", "show", "--no-pager", f"--property={_PROPERTIES}", "--", *_KINDS]).text
    return [_located(root, unit) for unit in parse_units(text, frozenset(_of_the_bus(root)), handmade_units(root))]


def _of_the_bus(root: Path) -> Iterator[str]:
    """Return the units that the message bus starts when somebody asks for their name."""
    for folder in _BUS:
        for file in (root / folder.lstrip("/")).glob("*.service"):
            with suppress(OSError):
                yield from _OF_THE_BUS.findall(file.read_text("utf-8", "replace"))


def _located(root: Path, unit: UnitSeen) -> UnitSeen:
    return replace(
        unit,
        file="".join(_real(root, [unit.file])),
        source="".join(_real(root, [unit.source])),
        programs=tuple(_real(root, unit.programs)),
        files=tuple(_real(root, (path for path in unit.files if path not in unit.programs))),
    )


def _real(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """Return where files really lie, without those that are not there; what is no file is no part of a unit."""
    top = os.path.realpath(root).rstrip("/")
    for path in paths:
        real = os.path.realpath(f"{top}{path}")
        if path and os.path.isfile(real) and real.startswith(f"{top}/"):
            yield real[len(top) :]


def read_listeners(root: Path, proc: Path = PROC) -> list[Listener]:
    """Return what listens on this host, each with its process and the package of its program; raise CommandFailed."""
    text = command.run(["ss", "-H", "-tulnp"]).text
    found = [(address, _runner(proc, pid)) for address, pid, _ in parse_listeners(text)]
    packages = owners_of(root, {runner.program for _, runner in found if runner is not None})
    return [
        Listener(address, runner, packages.get(runner.program, "") if runner is not None else "")
        for address, runner in found
    ]


def _runner(proc: Path, pid: int) -> Runner | None:
    return read_runner(proc / str(pid)) if pid else None
