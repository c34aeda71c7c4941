"""What was paused goes on, and what somebody else pauses stays paused."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.config.schema import Settings
from hotsync.config.values import Databases
from hotsync.engine.sync.copies import show_copies
from hotsync.engine.sync.select import Selected
from hotsync.sources.frozen import pause
from hotsync.sources.frozen.pause import NotPaused, let_go, paused
from hotsync.sources.shadows.shadows import Shadows
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.sources import killed_runs
from tests.contract.sources.services import Service, service
from tests.unit.changes.support import selection

CLOCK = SystemClock()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Service]:
    """A service that runs."""
    with service("books.service", "daemon") as run:
        run.start(["/bin/sleep", "1000"], tmp_path)
        while len(run.pids()) != 1:
            CLOCK.sleep(0.05)
        yield run


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "var/lib/hotsync").mkdir(parents=True)
    return Paths(tmp_path)


def marks(paths: Paths) -> list[Path]:
    folder = paths.run / "paused"
    return list(folder.iterdir()) if folder.exists() else []


def pause_by_hand(run: Service, word: str = "1") -> None:
    (run.group / "cgroup.freeze").write_text(word)
    while run.is_still() != (word == "1"):
        CLOCK.sleep(0.01)


def kill_all(paths: Paths, run: Service) -> Path:
    """Kill a run that has paused a service together with its guard; return the mark that it leaves."""
    with killed_runs.holding(paths, run.group) as kill:
        kill(guards_too=True)
    assert run.is_still()
    (mark,) = marks(paths)
    return mark


# the guard is slow before it pauses, the run after it let go: whatever is left of the one outlives the other
SLOW_RUN = """
import signal, sys, time
from pathlib import Path
from hotsync.sources.frozen import pause
from hotsync.system.paths import Paths
pause.CHILD = Path(sys.argv[3])
go = pause.Freezer.go
def slow(freezer):
    go(freezer)
    open(sys.argv[4], "w").close()
    time.sleep(2)
pause.Freezer.go = slow
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
with pause.paused(Paths(Path(sys.argv[1])), Path(sys.argv[2]), 60.0):
    raise AssertionError("it was not ended in time")
"""
SLOW_GUARD = """
import importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("guard", {guard!r})
guard = importlib.util.module_from_spec(spec)
spec.loader.exec_module(guard)
stop = guard.Freezer.stop
def late(freezer):
    open({begun!r}, "w").close()
    while not os.path.exists({gone_on!r}):  # as late as it can be
        time.sleep(0.01)
    stop(freezer)
guard.Freezer.stop = late
guard.main(*sys.argv[1:])
"""


def test_it_goes_on_when_a_run_is_ended_right_before_its_guard_pauses_it(
    paths: Paths, run: Service, tmp_path: Path
) -> None:
    begun, gone_on, guard = tmp_path / "begun", tmp_path / "gone on", tmp_path / "guard.py"
    guard.write_text(SLOW_GUARD.format(guard=str(pause.CHILD), begun=str(begun), gone_on=str(gone_on)))
    argv = [sys.executable, "-c", SLOW_RUN, str(paths.root), str(run.group), str(guard), str(gone_on)]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with command.spawn(argv, stdout=command.DEVNULL, stderr=command.PIPE, env=environment) as ended:
        while not begun.exists():
            CLOCK.sleep(0.01)
        os.kill(ended.pid, signal.SIGINT)
        _, told = ended.communicate(timeout=60)
    assert b"KeyboardInterrupt" in told
    assert (run.is_still(), marks(paths)) == (False, [])


def test_after_a_killed_run_what_somebody_else_pauses_stays_paused(paths: Paths, run: Service) -> None:
    with killed_runs.holding(paths, run.group) as kill:
        assert len(marks(paths)) == 1
        kill(guards_too=False)
    while marks(paths):
        CLOCK.sleep(0.01)
    assert not run.is_still()
    pause_by_hand(run)
    let_go(paths)
    assert run.is_still()


def test_a_run_lets_go_on_what_a_killed_one_had_paused_and_only_that(paths: Paths, run: Service) -> None:
    kill_all(paths, run)
    let_go(paths)
    assert (run.is_still(), marks(paths)) == (False, [])
    # somebody had it go on before, and pauses it later
    kill_all(paths, run)
    pause_by_hand(run, "0")
    let_go(paths)
    pause_by_hand(run)
    let_go(paths)
    assert (run.is_still(), marks(paths)) == (True, [])


@pytest.mark.parametrize("what", [{"boot": "another"}, {"inode": 1}, {"place": "2f6e6f6e65"}, {"place": None}])
def test_a_mark_of_another_boot_or_of_what_was_there_before_lets_nothing_go_on(
    paths: Paths, run: Service, what: dict[str, object]
) -> None:
    mark = kill_all(paths, run)
    mark.write_text(json.dumps(json.loads(mark.read_text()) | what))
    let_go(paths)
    assert (run.is_still(), marks(paths)) == (True, [])


@pytest.mark.parametrize("settings", [Settings(pause_seconds=0), Settings(databases=Databases.DISABLED), Settings()])
def test_every_run_lets_go_on_what_was_left_also_one_that_pauses_nothing(
    paths: Paths, run: Service, settings: Settings
) -> None:
    kill_all(paths, run)
    with Shadows(paths, CLOCK) as shadows:
        selected = Selected(selection("+ /srv"), frozenset())
        show_copies(paths, CLOCK, settings, selected, shadows, lambda _: None)
    assert (run.is_still(), marks(paths)) == (False, [])


def test_what_somebody_else_has_paused_needs_no_mark_and_counts_as_long_as_it_stays_so(
    paths: Paths, run: Service
) -> None:
    pause_by_hand(run)
    with paused(paths, run.group, 60.0) as confirm:
        assert marks(paths) == []
        confirm()
    assert run.is_still()
    with paused(paths, run.group, 60.0) as confirm:
        pause_by_hand(run, "0")
        with pytest.raises(NotPaused):
            confirm()
    assert not run.is_still()


def test_a_cgroup_that_is_gone_is_not_paused(paths: Paths, run: Service) -> None:
    with pytest.raises(NotPaused, match="cannot be paused"), paused(paths, run.group / "gone", 60.0):
        raise AssertionError
    assert marks(paths) == []
