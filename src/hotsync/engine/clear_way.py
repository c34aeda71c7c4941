"""On the worst day nothing of ours is in the way: a run of hotsync-slave is ended before a promotion begins."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hotsync.system import command
from hotsync.system.clock import Clock

UNIT = "hotsync-slave.service"
_PACKAGE_TOOL = "dpkg"
_LOOK_SECONDS = 0.5


def end_slave_run(say: Callable[[str], None], clock: Clock) -> None:
    """End the hourly run if one is going; what it left half done is done again by the next, or by the promotion.

    Only while packages are being unpacked it is waited for: those services would not start.
    """
    told = False
    while _is_going():
        if not _unpacks():
            say("Ending a run of hotsync-slave that is in the way")
            command.run(["systemctl", "stop", UNIT], ok=range(256), timeout=300)
            return
        if not told:
            say("hotsync-slave is installing packages: waiting until dpkg is done (journalctl -u hotsync-slave)")
            told = True
        clock.sleep(_LOOK_SECONDS)


def _is_going() -> bool:
    state = command.run(["systemctl", "is-active", UNIT], ok=range(256)).text.strip()
    return state in ("active", "activating", "reloading")


def _unpacks() -> bool:
    group = command.run(["systemctl", "show", "--property=ControlGroup", "--value", UNIT], ok=range(256)).text.strip()
    return bool(group) and _PACKAGE_TOOL in programs_in(group)


def programs_in(group: str, groups: Path = Path("/sys/fs/cgroup"), processes: Path = Path("/proc")) -> frozenset[str]:
    """Given a control group as systemd names it, return the names of the programs that run in it."""
    found: set[str] = set()
    with suppress(OSError):
        for number in (groups / group.lstrip("/") / "cgroup.procs").read_text().split():
            with suppress(OSError):
                found.add((processes / number / "comm").read_text().strip())
    return frozenset(found)
