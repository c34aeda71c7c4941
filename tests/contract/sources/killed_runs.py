"""Runs that have paused something and are killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from hotsync.system import command
from hotsync.system.paths import Paths

_HOLDING = """
import sys, time
from pathlib import Path
from hotsync.sources.frozen.pause import paused
from hotsync.system.paths import Paths
with paused(Paths(Path(sys.argv[1])), Path(sys.argv[2]), 60.0):
    print("paused", flush=True)
    time.sleep(1000)
"""


class Kill(Protocol):
    """Kills the run, and with it what guards it, if that is asked for."""

    def __call__(self, *, guards_too: bool) -> None: ...


@contextmanager
def holding(paths: Paths, group: Path) -> Iterator[Kill]:
    """A run that has paused a cgroup, until it is killed."""
    argv = [sys.executable, "-c", _HOLDING, str(paths.root), str(group)]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with command.spawn(argv, stdout=command.PIPE, stderr=None, env=environment) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"paused\n"

        def kill(*, guards_too: bool) -> None:
            (guard,) = _children_of(run.pid)
            if guards_too:
                os.kill(guard, signal.SIGKILL)
            os.kill(run.pid, signal.SIGKILL)

        yield kill


def _children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
