"""A run of hotsync-slave that a person started is ended for a promotion, and no other run is."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hotsync.engine import clear_way
from hotsync.system import lock
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

SLAVE_RUN = """
import fcntl, json, os, signal, sys, time
file = open(sys.argv[2], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(json.dumps({"pid": os.getpid(), "since": 0}))
file.flush()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _no_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """No service manager runs here."""
    monkeypatch.setattr(clear_way, "_is_going", lambda *_: False)


def test_a_run_that_a_person_started_is_ended_too(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    script = tmp_path / "hotsync-slave"
    script.write_text(SLAVE_RUN)
    said: list[str] = []
    argv = [sys.executable, str(script), "run", str(paths.sync_lock)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert lock.owner(paths.sync_lock) is not None
        clear_way.end_slave_run(paths, said.append, SystemClock())
        assert process.wait() == -signal.SIGTERM
    assert said == ["Ending a run of hotsync-slave that is in the way"]


def test_any_other_run_is_left_to_be_busy(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    with lock.held(paths.sync_lock, "run of HotSync"):
        clear_way.end_slave_run(paths, lambda _said: None, SystemClock())
