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
_PACKAGE_TOOL = "dpkg"
_LOOK_SECONDS = 0.5


def end_slave_run(paths: Paths, say: Callable[[str], None], clock: Clock) -> None:
    """End a drill, and a run of hotsync-slave, if one is going, the timer's or a person's; what that left half done is
    done again by the next, or by the promotion.

    Only while packages are being unpacked it is waited for: those services would not start.
    """
    _end_drill(say)
    told = False
    while (pid := _persons_run(paths)) or _is_going():
        if not _unpacks(pid):
            say("Ending a run of hotsync-slave that is in the way")
            _end(paths, pid, clock)
            return
        if not told:
            say("hotsync-slave is installing packages: waiting until dpkg is done (journalctl -u hotsync-slave)")
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
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
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


def _unpacks(pid: int) -> bool:
    if pid:
        return _PACKAGE_TOOL in programs_below(pid)
    group = command.run(["systemctl", "show", "--property=ControlGroup", "--value", UNIT], ok=range(256)).text.strip()
    return bool(group) and _PACKAGE_TOOL in programs_in(group)


def programs_below(pid: int, processes: Path = Path("/proc")) -> frozenset[str]:
    """Given a process, return the names of the programs that it started, and that those did."""
    children: dict[int, list[tuple[int, str]]] = {}
    for file in processes.glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            # PID (name) state parent ...; a name may hold anything
            before, _, after = file.read_text().rpartition(")")
            number, _, name = before.partition(" (")
            children.setdefault(int(after.split()[1]), []).append((int(number), name))
    found: set[str] = set()
    waiting = [pid]
    while waiting:
        for child, name in children.pop(waiting.pop(), ()):
            found.add(name)
            waiting.append(child)
    return frozenset(found)


def programs_in(group: str, groups: Path = Path("/sys/fs/cgroup"), processes: Path = Path("/proc")) -> frozenset[str]:
    """Given a control group as systemd names it, return the names of the programs that run in it."""
    found: set[str] = set()
    with suppress(OSError):
        for number in (groups / group.lstrip("/") / "cgroup.procs").read_text().split():
            with suppress(OSError):
                found.add((processes / number / "comm").read_text().strip())
    return frozenset(found)
