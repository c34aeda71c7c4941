"""Users and groups of this host: made, and moved to other numbers together with the files that bear them.

A move is written down before it begins: files are renumbered in a walk, and one that was cut must go on with the same
map, not with a new plan.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter

from hotsync.backends.intruders import unit_of_cgroup
from hotsync.backends.renumber import Renumbering, renumber
from hotsync.model.accounts import FILES, Account, Move, NumberPlan, parse_groups, parse_users, render_files, rounds
from hotsync.model.machine_units import base_reason
from hotsync.system import command
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.accounts")
SCHEMA = 1
_FIRST_DYNAMIC = 60001


@dataclass(frozen=True, slots=True)
class _Journal:
    """A move under way: `round` is the next one to walk; `stopped` are units that are started again at its end."""

    schema: int
    user_moves: tuple[Move, ...]
    group_moves: tuple[Move, ...]
    primary: tuple[tuple[str, int], ...]
    stopped: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    round: int = 0


_JOURNAL = TypeAdapter(_Journal)


@dataclass(frozen=True, slots=True)
class Owners:
    """What runs under numbers that are about to change."""

    to_stop: tuple[str, ...] = ()
    to_restart: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move leaves to a person: paths that could not be changed, and what still runs under an old number."""

    unchanged: tuple[str, ...] = ()
    still_running: tuple[str, ...] = ()


class Keeper(Protocol):
    """What a move asks of the service manager: processes of a moved account must not go on under its old number."""

    def of_users(self, uids: frozenset[int]) -> Owners:
        """Return what runs under one of these numbers."""
        ...

    def call(self, verb: str, units: Sequence[str]) -> None:
        """Stop, start or restart units; one that fails is told and does not raise."""
        ...


class LocalAccounts:
    """The account files of this host."""

    def __init__(self, paths: Paths, keeper: Keeper | None = None) -> None:
        self._paths = paths
        self._journal = paths.state / "accounts-move.json"
        self._keeper: Keeper = keeper or SystemKeeper()

    def users(self) -> dict[str, Account]:
        """Return the users of this host by name."""
        return parse_users(self._text("passwd"))

    def groups(self) -> dict[str, Account]:
        """Return the groups of this host by name."""
        return parse_groups(self._text("group"))

    @property
    def unfinished(self) -> bool:
        """Return whether a move was cut."""
        return self._journal.exists()

    def apply(self, plan: NumberPlan) -> Moved:
        """Make and move accounts as planned, and return what a person has to see to. Raise OSError.

        A move that was cut before must have been finished first (`finish`), and the plan made after that.
        """
        moved = Moved()
        if plan.user_moves or plan.group_moves:
            owners = self._keeper.of_users(frozenset(move.old for move in plan.user_moves))
            self._save(
                _Journal(SCHEMA, plan.user_moves, plan.group_moves, plan.primary, owners.to_stop, owners.to_restart)
            )
            moved = replace(self.finish(), still_running=owners.left)
        self._write(NumberPlan(new_groups=plan.new_groups, new_users=plan.new_users))
        return moved

    def finish(self) -> Moved:
        """Finish a move that was written down, if there is one; return what a person has to see to. Raise OSError."""
        if not self._journal.exists():
            return Moved()
        moving = _JOURNAL.validate_json(self._journal.read_bytes())
        self._keeper.call("stop", moving.stopped)
        self._write(NumberPlan(moving.user_moves, moving.group_moves, moving.primary))
        uids, gids = rounds(moving.user_moves), rounds(moving.group_moves)
        failed: list[str] = []
        for number in range(moving.round, max(len(uids), len(gids))):
            maps = Renumbering(uids[number] if number < len(uids) else {}, gids[number] if number < len(gids) else {})
            failed += renumber(self._paths, maps)
            self._save(replace(moving, round=number + 1))
        self._keeper.call("start", moving.stopped)
        self._keeper.call("try-restart", moving.restarted)
        self._journal.unlink()
        return Moved(tuple(dict.fromkeys(failed)))

    def _save(self, moving: _Journal) -> None:
        write_atomic(self._journal, json.dumps(asdict(moving)).encode(), mode=0o600)

    def _write(self, plan: NumberPlan) -> None:
        with self._locked():
            before = {name: self._text(name) for name in FILES}
            after = render_files(before, plan)
            for name in FILES:
                if after[name] != before[name]:
                    path = self._paths.at(f"/etc/{name}")
                    status = path.stat()
                    data = after[name].encode("utf-8", "surrogateescape")
                    write_atomic(path, data, mode=status.st_mode & 0o777, owner=(status.st_uid, status.st_gid))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock that useradd and passwd take, too (lckpwdf)."""
        descriptor = os.open(self._paths.at("/etc/.pwd.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _text(self, name: str) -> str:
        path = self._paths.at(f"/etc/{name}")
        return path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""


class SystemKeeper:
    """The service manager of this machine."""

    def of_users(self, uids: frozenset[int]) -> Owners:
        """Return what runs under one of these numbers."""
        return sort_owners(processes_of(uids)) if uids else Owners()

    def call(self, verb: str, units: Sequence[str]) -> None:
        """Stop, start or restart units; one that fails is told and does not raise."""
        if units:
            for line in command.run(["systemctl", verb, "--", *units], ok=range(256), timeout=600).errors.splitlines():
                _log.warning("systemctl %s: %s", verb, line)


def sort_owners(processes: Iterable[tuple[int, str, str]]) -> Owners:
    """Given (pid, name, unit) of processes, return which units to stop and start again, which of the machine's own to
    restart afterwards, and which processes go on (sessions of people, the message bus)."""
    stop: set[str] = set()
    restart: set[str] = set()
    left: list[str] = []
    for pid, name, unit in processes:
        if not unit or unit.startswith(("user@", "dbus", "hotsync")):
            left.append(f"{unit or name} (process {pid})")
        elif base_reason(unit):
            restart.add(unit)
        else:
            stop.add(unit)
    return Owners(tuple(sorted(stop)), tuple(sorted(restart)), tuple(left))


def strays(known: frozenset[int], proc: Path = Path("/proc")) -> list[str]:
    """Given the numbers of this host's users, return the processes that run under a number that none of them has.

    Numbers that systemd and containers give for a while do not count.
    """
    everybody = frozenset(range(1, _FIRST_DYNAMIC)) - known
    return [f"{unit or name} (process {pid})" for pid, name, unit in processes_of(everybody, proc)]


def processes_of(uids: frozenset[int], proc: Path = Path("/proc")) -> list[tuple[int, str, str]]:
    """Given user numbers, return (pid, name, unit) of the processes that run under one of them."""
    found: list[tuple[int, str, str]] = []
    for folder in proc.iterdir():
        if folder.name.isdigit():
            try:
                if folder.stat().st_uid in uids:
                    unit = unit_of_cgroup((folder / "cgroup").read_text())
                    found.append((int(folder.name), (folder / "comm").read_text().strip(), unit))
            except OSError:
                continue  # it ended meanwhile
    return found
