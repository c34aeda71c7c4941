"""On the worst day nothing of ours is in the way: a drill, or a run of hotsync-slave, is ended before a promotion.

It is waited for while packages are unpacked, but not for ever, and nothing that cannot be ended holds a promotion up.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.backends.container import SCOPE
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
UNPACK_SECONDS = 600.0
"""So long it is waited for packages: then production counts more than the package database."""
_TELL_SECONDS = 60.0
_TERM_SECONDS, _KILL_SECONDS = 30.0, 10.0
_DRILL_SECONDS, _DRILL_LOOK_SECONDS = 300.0, 0.1
_AFTERWARDS = ("SubState=stop-post", "SubState=final-sigterm", "SubState=final-sigkill")


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of hotsync-slave: the timer's, or a person's (its process). `unpacks`: in the middle of packages."""

    pid: int
    unpacks: bool = False


def end_slave_run(paths: Paths, say: Callable[[str], None], clock: Clock) -> tuple[str, ...]:
    """End a drill, and a run of hotsync-slave, if one is going, the timer's or a person's; what that left half done is
    done again by the next, or by the promotion. Return what the report must say.

    Only while packages are being unpacked it is waited for: those services would not start.
    """
    notes = _end_drill(say, clock)
    if (run := _when_unpacked(paths, say, clock)) is not None:
        say("Ending a run of hotsync-slave that is in the way")
        notes += _cut_in_the_middle(paths) if run.unpacks else ()
        notes += _given_up(paths, _end(run.pid, clock))
    for note in notes:
        say(note)
    return notes


def _end_drill(say: Callable[[str], None], clock: Clock) -> tuple[str, ...]:
    """End a drill: nothing of it is here. What it has made is discarded beside the promotion, which does not wait: to
    take away a second name of each file of a large replica lasts minutes."""
    if not _is_going(DRILL):
        return ()
    say("Ending a drill")
    command.run(["systemctl", "stop", "--no-block", DRILL], ok=range(256))
    until = clock.monotonic() + _DRILL_SECONDS
    while not _has_ended(DRILL) or _is_going(SCOPE):
        if clock.monotonic() >= until:
            return ("A drill could not be ended; this went on beside it. Look at it: systemctl status hotsync-drill.",)
        clock.sleep(_DRILL_LOOK_SECONDS)
    return ()


def _has_ended(unit: str) -> bool:
    """Return whether nothing of a unit runs any more but, maybe, what cleans up after it."""
    asked = ["systemctl", "show", "--property=ActiveState,SubState", unit]
    said = set(command.run(asked, ok=range(256)).text.split())
    return not said.isdisjoint({"ActiveState=inactive", "ActiveState=failed", *_AFTERWARDS})


def _when_unpacked(paths: Paths, say: Callable[[str], None], clock: Clock) -> _Run | None:
    """Wait until the run unpacks no package, or for as long as that is waited for; return it, None if none is left."""
    began = told = clock.monotonic()
    seen, quiet = False, 0
    while (pid := _persons_run(paths)) or _is_going():
        quiet = 0 if _unpacks(paths, pid) else quiet + 1
        if quiet and (quiet >= _QUIET_LOOKS or not seen):
            return _Run(pid)
        now = clock.monotonic()
        left = began + UNPACK_SECONDS - now
        if left <= 0:
            return _Run(pid, unpacks=True)
        if not seen or now - told >= _TELL_SECONDS:
            at_once = f"kill {pid}" if pid else "systemctl stop hotsync-slave"
            say(
                "hotsync-slave is installing packages: waiting until they are unpacked, at most"
                f" {max(1, round(left / 60))} min (journalctl -u hotsync-slave shows it, {at_once} ends it)"
            )
            told = now
        seen = True
        clock.sleep(_LOOK_SECONDS)
    return None


def _cut_in_the_middle(paths: Paths) -> tuple[str, ...]:
    if any(paths.at(each).exists() for each in _RPM_LOCKS):
        repair = "`dnf check` says what is damaged (`rpm --rebuilddb` if it cannot read it)"
    else:
        repair = "`dpkg --configure -a` finishes what can be finished"
    return (
        f"Packages were still being installed by hotsync-slave after {UNPACK_SECONDS / 60:.0f} min, and that was ended"
        f" in the middle. The package database must be looked at: {repair}.",
    )


def _end(pid: int, clock: Clock) -> dict[int, str]:
    """End a run with all that it started; return the processes that are still there, whatever was done."""
    group = "" if pid else _group()
    known = {pid: _COMMAND.decode(), **processes_below(pid)} if pid else processes_in(group)
    if pid:
        # what it started goes on without it, in groups of its own: a download would become an installation
        _send(known, signal.SIGTERM)
    else:
        command.run(["systemctl", "stop", "--no-block", UNIT], ok=range(256))
    if left := _after(_TERM_SECONDS, known, group, clock):
        if pid:
            _send(left, signal.SIGKILL)
        else:
            command.run(["systemctl", "kill", "--signal=SIGKILL", UNIT], ok=range(256))
        left = _after(_KILL_SECONDS, known, group, clock)
    return left


def _send(processes: Iterable[int], what: signal.Signals) -> None:
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each, what)


def _after(seconds: float, known: dict[int, str], group: str, clock: Clock) -> dict[int, str]:
    """Return which processes of a run are still there after so many seconds, also what they started meanwhile."""
    until = clock.monotonic() + seconds
    while True:
        below = {child: name for each in known for child, name in processes_below(each).items()}
        known |= below | processes_in(group)
        left = {each: name for each, name in known.items() if _lives(each)}
        if not left or clock.monotonic() >= until:
            return left
        clock.sleep(_LOOK_SECONDS)


def _lives(pid: int, processes: Path = Path("/proc")) -> bool:
    try:
        return (processes / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _given_up(paths: Paths, left: dict[int, str]) -> tuple[str, ...]:
    """Leave what cannot be ended behind: it was killed, and does nothing any more once it comes back to itself."""
    if not left:
        return ()
    owner = lock.owner(paths.sync_lock)
    if owner is not None and owner.pid in left:
        paths.sync_lock.unlink(missing_ok=True)  # it would be held for ever; who comes makes a new one
    named = ", ".join(f"{name} ({pid})" for pid, name in sorted(left.items()))
    return (
        f"Of hotsync-slave's run these could not be ended, not even by SIGKILL, and this went on beside them: {named}."
        " They hang in the kernel, mostly on a disk or a network file system that does not answer: dmesg says which.",
    )


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
