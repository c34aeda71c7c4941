"""What systemd has loaded and what listens, for `hotsync coverage`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hotsync.backends.coverage_processes import PROC, read_runner
from hotsync.backends.intruders import parse_listeners
from hotsync.backends.package_files import owners_of
from hotsync.errors import CommandFailed
from hotsync.model.coverage.runners import Runner
from hotsync.model.coverage.units import Listener, UnitSeen
from hotsync.system import command

_KINDS = ("*.service", "*.timer", "*.socket", "*.path")
_PROPERTIES = "Id,ActiveState,FragmentPath,SourcePath,ExecStart,EnvironmentFiles,Triggers,Transient"
_EXEC = re.compile(r"\{ path=(.*?) ; argv\[\]=(.*?) ; ")
_PATH = re.compile(r"(?:^|[\s=:,])(/[^\s;,:]+)")


def parse_units(text: str) -> list[UnitSeen]:
    """Given `systemctl show` of several units, return them, with every path as it is written there."""
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
            )
        )
    return units


def read_units(root: Path) -> list[UnitSeen]:
    """Return the units that are loaded, with their files where they really lie; none where systemd cannot be asked."""
    try:
        text = command.run(["systemctl", "show", "--no-pager", f"--property={_PROPERTIES}", "--", *_KINDS]).text
    except CommandFailed:
        return []
    return [_located(root, unit) for unit in parse_units(text)]


def _located(root: Path, unit: UnitSeen) -> UnitSeen:
    return UnitSeen(
        unit.name,
        unit.active,
        "".join(_real(root, [unit.file])),
        "".join(_real(root, [unit.source])),
        tuple(_real(root, unit.programs)),
        tuple(_real(root, (path for path in unit.files if path not in unit.programs))),
        unit.triggers,
        unit.transient,
    )


def _real(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """Return where files really lie, without those that are not there; what is no file is no part of a unit."""
    top = os.path.realpath(root).rstrip("/")
    for path in paths:
        real = os.path.realpath(f"{top}{path}")
        if path and os.path.isfile(real) and real.startswith(f"{top}/"):
            yield real[len(top) :]


def read_listeners(root: Path, proc: Path = PROC) -> list[Listener]:
    """Return what listens on this host, each with its process and the package that its program came with."""
    try:
        text = command.run(["ss", "-H", "-tulnp"], ok=range(256)).text
    except CommandFailed:
        return []
    found = [(address, _runner(proc, pid)) for address, pid, _ in parse_listeners(text)]
    packages = owners_of(root, {runner.program for _, runner in found if runner is not None})
    return [
        Listener(address, runner, packages.get(runner.program, "") if runner is not None else "")
        for address, runner in found
    ]


def _runner(proc: Path, pid: int) -> Runner | None:
    return read_runner(proc / str(pid)) if pid else None
