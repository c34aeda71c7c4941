"""On the worst day nothing of ours is in the way: a drill, or a run of hotsync-slave, is ended before a promotion."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hotsync.system import command, lock
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

UNIT = "hotsync-slave.service"
DRILL = "hotsync-drill.service"
_COMMAND = b"hotsync-slave"
_DPKG = "dpkg"
_RPM_LOCKS = ("/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock")
_LOOK_SECONDS = 0.5
_QUIET_LOOKS = 4
"""So often in a row no package is being unpacked before a run counts as done with that: apt-get calls dpkg again and
again."""


def end_slave_run(paths: Paths, say: Callable[[str], None], clock: Clock) -> None:
    """End a drill, and a run of hotsync-slave, if one is going, the timer's or a person's; what that left half done is
    done again by the next, or by the promotion.

    Only while packages are being unpacked it is waited for: those services would not start.
    """
    _end_drill(say)
    told, quiet = False, 0
    while (pid := _persons_run(paths)) or _is_going():
        quiet = 0 if _unpacks(paths, pid) else quiet + 1
        if quiet and (quiet >= _QUIET_LOOKS or not told):
            say("Ending a run of hotsync-slave that is in the way")
            _end(paths, pid, clock)
            return
        if not told:
            say("hotsync-slave is installing packages: waiting until they are unpacked (journalctl -u hotsync-slave)")
            told = True
        clock.sleep(_LOOK_SECONDS)


def _end_drill(say: Callable[[str], None]) -> None:
    """End a drill: what it has made is discarded, and nothing of it is here."""
    if _is_going(DRILL):
        say("Ending a drill")
        command.run(["systemctl", "stop", DRILL], ok=range(256), timeout=300)


def _end(paths: Paths, pid: int, clock: Clock) -> None:
    if not pid:
        command.run(["systemctl", "stop", UNIT], ok=range(256), timeout=300)
        return
    # what it started goes on without it, each program in a group of its own: a download would become an installation
    for each in (pid, *processes_below(pid)):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGTERM)
    while _persons_run(paths) == pid:
        clock.sleep(_LOOK_SECONDS)


def _is_going(unit: str = UNIT) -> bool:
    state = command.run(["systemctl", "is-active", unit], ok=range(256)).text.strip()
    return state in ("active", "activating", "reloading")


def _persons_run(paths: Paths, processes: Path = Path("/proc")) -> int:
    """Return the process of a run of hotsync-slave that a person started, 0 if there is none."""
    owner = lock.owner(paths.sync_lock)
    if owner is None:
        return 0
    try:
        words = (processes / str(owner.pid) / "cmdline").read_bytes().split(b"\0")
        group = (processes / str(owner.pid) / "cgroup").read_text()
    except OSError:
        return 0
    ours = any(word.rpartition(b"/")[2] == _COMMAND for word in words[:4])
    return owner.pid if ours and f"/{UNIT}" not in group else 0


def _unpacks(paths: Paths, pid: int) -> bool:
    """Return whether a run is unpacking packages: dpkg runs, or rpm's database is being written (by rpm, dnf or yum,
    which download and unpack in one process)."""
    found = processes_below(pid) if pid else processes_in(_group())
    return _DPKG in found.values() or bool(writers_of(paths).intersection(found))


def _group() -> str:
    argv = ["systemctl", "show", "--property=ControlGroup", "--value", UNIT]
    return command.run(argv, ok=range(256)).text.strip()


def writers_of(paths: Paths, table: Path = Path("/proc/locks")) -> frozenset[int]:
    """Return the processes that are changing rpm's database: they hold its lock."""
    inodes: set[str] = set()
    for lock_file in _RPM_LOCKS:
        with suppress(OSError):
            inodes.add(str(paths.at(lock_file).stat().st_ino))
    found: set[int] = set()
    with suppress(OSError):
        for line in table.read_text().splitlines():
            # 1: POSIX  ADVISORY  WRITE 4711 fe:01:2217 0 EOF; a line with -> is of one who waits
            row = line.split()
            if "->" not in row and row[1:2] == ["POSIX"] and row[3] == "WRITE" and row[5].split(":")[-1] in inodes:
                found.add(int(row[4]))
    return frozenset(found)


def processes_below(pid: int, processes: Path = Path("/proc")) -> dict[int, str]:
    """Given a process, return the processes that it started, and those did, each with the name of its program."""
    children: dict[int, list[tuple[int, str]]] = {}
    for file in processes.glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            # PID (name) state parent ...; a name may hold anything
            before, _, after = file.read_text(errors="replace").rpartition(")")
            number, _, name = before.partition(" (")
            children.setdefault(int(after.split()[1]), []).append((int(number), name))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child, name in children.pop(waiting.pop(), ()):
            found[child] = name
            waiting.append(child)
    return found


def processes_in(group: str, groups: Path = Path("/sys/fs/cgroup"), processes: Path = Path("/proc")) -> dict[int, str]:
    """Given a control group as systemd names it, return the processes in it, each with the name of its program."""
    found: dict[int, str] = {}
    if not group:
        return found
    with suppress(OSError):
        for number in (groups / group.lstrip("/") / "cgroup.procs").read_text().split():
            with suppress(OSError):
                found[int(number)] = (processes / number / "comm").read_text(errors="replace").strip()
    return found
