"""Control groups as the lab's memory of its processes: whoever started what, a group holds it and can end it whole.

A group cannot be mistaken for another's process as a recorded number can, and nothing escapes from it by forking.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Sequence
from pathlib import Path

from lab.command import LabError, wait_until

_TOP = "hotsync-lab"
_ENDING_SECONDS = 300
"""A process that waits for the disk ends when that answers, which takes its time beside other labs."""


@functools.cache
def _trees() -> tuple[Path, ...]:
    """Where the unified tree is mounted, and after it systemd's own tree of version 1 where there is one."""
    unified, named = [], []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2":
            unified.append(Path(where))
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            named.append(Path(where))
    if not unified:
        raise LabError("this machine has no cgroup2 mounted: the lab cannot hold its hosts together")
    return (*unified[:1], *named[:1])


def clock_kept(command: Sequence[str]) -> list[str]:
    """The command line that runs a command without the right to set the clock.

    There is one clock for this machine and every host: no namespace keeps them apart, and entering a host's
    namespaces with nsenter does not take on the host's lesser rights.
    """
    return ["setpriv", "--bounding-set=-sys_time", *command]


class Group:
    """One named group below the lab's own."""

    def __init__(self, *names: str) -> None:
        self._names = (_TOP, *names)

    def child(self, *names: str) -> Group:
        """The group of that name inside this one."""
        return Group(*self._names[1:], *names)

    @property
    def path(self) -> Path:
        """The folder in the unified tree."""
        return _trees()[0].joinpath(*self._names)

    def make(self) -> None:
        """Make the group, and hand down to it what controllers there are."""
        for tree in _trees():
            tree.joinpath(*self._names).mkdir(parents=True, exist_ok=True)
        folder = _trees()[0]
        for name in self._names:
            for controller in (folder / "cgroup.controllers").read_text().split():
                with contextlib.suppress(OSError):  # a controller may be in use elsewhere; the lab needs none
                    (folder / "cgroup.subtree_control").write_text(f"+{controller}")
            folder = folder / name

    def enter(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command in this group, unable to set this machine's clock."""
        files = [str(tree.joinpath(*self._names, "cgroup.procs")) for tree in _trees()]
        script = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'
        return ["sh", "-c", script, "sh", *files, "--", *clock_kept(command)]

    @property
    def populated(self) -> bool:
        """Whether any process lives in it or below it."""
        try:
            return "populated 1" in (self.path / "cgroup.events").read_text()
        except FileNotFoundError:
            return False

    def processes(self) -> list[int]:
        """The processes directly in this group."""
        try:
            return [int(line) for line in (self.path / "cgroup.procs").read_text().split()]
        except (FileNotFoundError, OSError):
            return []

    def freeze(self) -> None:
        """Hold all of them still at one instant; what hangs in the kernel is not waited for longer than a second."""
        (self.path / "cgroup.freeze").write_text("1")
        end = time.monotonic() + 1
        while "frozen 1" not in (self.path / "cgroup.events").read_text() and time.monotonic() < end:
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let them go on."""
        (self.path / "cgroup.freeze").write_text("0")

    def kill(self) -> None:
        """End all of them at once and wait until they are gone."""
        if not self.path.exists():
            return
        (self.path / "cgroup.kill").write_text("1")
        wait_until(f"the processes of {self.path} end", _ENDING_SECONDS, lambda: not self.populated)

    def remove(self) -> None:
        """Remove the empty group with all below it, and the lab's own when it was the last."""
        for tree in _trees():
            top = tree.joinpath(*self._names)
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            with contextlib.suppress(OSError):
                (tree / _TOP).rmdir()
