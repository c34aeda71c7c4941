"""Processes of accounts that get other numbers: which units stop, and what goes on under a number of before."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hotsync.backends import waiting_servers
from hotsync.backends.intruders import unit_of_cgroup
from hotsync.backends.renumber_file import append_line, read_lines
from hotsync.model.machine_units import base_reason
from hotsync.system import command

_log = logging.getLogger("hotsync.accounts")
_FIRST_DYNAMIC = 60001
_BEFORE = "accounts-before.jsonl"
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its service ("" for a session's), and since when it runs, in clock ticks since the boot."""

    pid: int
    name: str
    unit: str
    since: int

    def __str__(self) -> str:
        """Return it in a person's words."""
        return f"{self.unit or self.name} (process {self.pid})"


@dataclass(frozen=True, slots=True)
class Owners:
    """The units that have processes under numbers that are about to change."""

    to_stop: tuple[str, ...] = ()
    to_restart: tuple[str, ...] = ()


class Keeper(Protocol):
    """What a move asks of the service manager: processes of a moved account must not go on under its old number."""

    def owners(self, uids: frozenset[int], gids: frozenset[int]) -> Owners:
        """Return what runs under one of these numbers."""
        ...

    def call(self, verb: str, units: Sequence[str]) -> None:
        """Stop, start or restart units; one that fails is told and does not raise."""
        ...


class SystemKeeper:
    """The service manager of this machine."""

    def owners(self, uids: frozenset[int], gids: frozenset[int]) -> Owners:
        """Return what runs under one of these numbers."""
        return sort_owners(processes_of(uids, gids))

    def call(self, verb: str, units: Sequence[str]) -> None:
        """Stop, start or restart units; one that fails is told and does not raise."""
        if units:
            for line in command.run(["systemctl", verb, "--", *units], ok=range(256), timeout=600).errors.splitlines():
                _log.warning("systemctl %s: %s", verb, line)


def sort_owners(processes: Iterable[Process]) -> Owners:
    """Given processes, return which units to stop and start again, and which of the machine's own to restart after.

    Sessions of people, the message bus and HotSync itself go on; a server of HotSync's that waits does not.
    """
    stop: set[str] = set()
    restart: set[str] = set()
    for process in processes:
        unit = process.unit
        waits = unit.startswith(waiting_servers.PREFIX)
        if unit and (waits or not unit.startswith(("user@", "dbus", "hotsync"))):
            (restart if base_reason(unit) and not waits else stop).add(unit)
    return Owners(tuple(sorted(stop)), tuple(sorted(restart)))


def remember_numbers(run: Path, uids: frozenset[int], gids: frozenset[int], proc: Path = _PROC) -> None:
    """Note, until the next boot, that these numbers were somebody else's until now."""
    now = int(float((proc / "uptime").read_text().split()[0]) * os.sysconf("SC_CLK_TCK"))
    run.mkdir(parents=True, exist_ok=True)
    append_line(run / _BEFORE, {"until": now, "uids": _text(uids), "gids": _text(gids)})


def read_old_runners(run: Path, proc: Path = _PROC) -> list[str]:
    """Return the processes that began while one of their numbers was somebody else's, in a person's words."""
    found: dict[str, None] = {}
    for line in read_lines(run / _BEFORE):
        uids, gids = _numbers(line["uids"]), _numbers(line["gids"])
        for process in processes_of(uids, gids, proc):
            if process.since < int(str(line["until"])):
                found[str(process)] = None
    return list(found)


def _text(numbers: frozenset[int]) -> str:
    return " ".join(map(str, sorted(numbers)))


def _numbers(text: object) -> frozenset[int]:
    return frozenset(map(int, str(text).split()))


def strays(known: frozenset[int], proc: Path = _PROC) -> list[str]:
    """Given the numbers of this host's users, return the processes that run under a number that none of them has.

    Numbers that systemd and containers give for a while do not count.
    """
    everybody = frozenset(range(1, _FIRST_DYNAMIC)) - known
    return [str(process) for process in processes_of(everybody, frozenset(), proc)]


def processes_of(uids: frozenset[int], gids: frozenset[int], proc: Path = _PROC) -> list[Process]:
    """Given numbers of users and groups, return the processes that run under one of them, or are a member."""
    found: list[Process] = []
    for folder in proc.iterdir() if uids or gids else ():
        if folder.name.isdigit():
            try:
                text = (folder / "status").read_text(errors="replace")
                status = dict(line.split(":", 1) for line in text.split("\n") if ":" in line)
                theirs = frozenset(map(int, status["Uid"].split()))
                members = frozenset(map(int, (*status["Gid"].split(), *status["Groups"].split())))
                if theirs & uids or members & gids:
                    unit = unit_of_cgroup((folder / "cgroup").read_text())
                    # the name may hold anything, also a closing bracket
                    since = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[19]
                    found.append(
                        Process(
                            int(folder.name), (folder / "comm").read_text(errors="replace").strip(), unit, int(since)
                        )
                    )
            except (OSError, KeyError):
                continue  # it ended meanwhile
    return found
