"""Processes of running syncs, killed on either side at random instants: the next run goes on, and all is exact."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest

from lab import Lab
from tests.lab.conftest import sync
from tests.lab.twin import Running, Twin, rehearse
from tests.support.busy_tree import BusyTree

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

Murder = Callable[[Lab, Running], None]


def master(lab: Lab, run: Running) -> None:
    """Kill hotsync; its rsync finds itself alone."""
    run.process.kill()


def daemon(lab: Lab, run: Running) -> None:
    """Kill hotsyncd."""
    assert kill_unit(lab, "hotsyncd.service") > 0


def receiver(lab: Lab, run: Running) -> None:
    """Kill what receives files, if it is there just now."""
    kill_unit(lab, "*/hotsync-receive@*.service")


def kill_unit(lab: Lab, name: str) -> int:
    """Kill all processes of a unit of the SLAVE and return how many.

    Done from out here: asking its systemd would take longer than a commit.
    """
    killed = 0
    for group in (lab.slave.root / "sys/fs/cgroup/system.slice").glob(name):
        with suppress(OSError):  # it ends of its own just now
            for process in filter(int, (group / "cgroup.procs").read_text().split()):
                os.kill(int(process), signal.SIGKILL)
                killed += 1
    return killed


VICTIMS: tuple[Murder, ...] = (master, daemon, receiver)


def test_whoever_is_killed_whenever_the_next_run_goes_on_and_all_is_exact(
    pair: Lab, dice: random.Random, full_size: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    work = BusyTree(pair.master.root / "srv/busy", dice)
    work.fill(3000 if full_size else 1000)
    twin = Twin(pair)
    rehearse(twin)
    work.change(300)
    lengths = rehearse(twin)
    seen: Counter[str] = Counter()
    for number in range(60 if full_size else 6):
        work.change(300)
        victim = VICTIMS[number % len(VICTIMS)]
        late = number % 2 == 0 and victim is not receiver
        what = kill_once(twin, victim, dice.uniform(0, lengths[late]), late=late)
        seen[f"{victim.__name__}{' in the commit' if late else ''}: {what}"] += 1
        goes_on(twin)
    with capsys.disabled():
        print(f"\n{dict(seen)}")


def kill_once(twin: Twin, victim: Murder, instant: float, *, late: bool) -> int:
    """Kill somebody at an instant of a run, or (late) of its commit; return how hotsync ended."""
    run = Running(twin)
    run.watch(lambda seconds, commit: commit is not None and commit >= instant if late else seconds >= instant)
    victim(twin.lab, run)
    code, record, said = run.result()
    # one that was killed says nothing; one that was not says what happened, and a bug never did
    wanted = (0, -9, 137) if victim is master else (0, 5, 6, 8)
    assert code in wanted, (victim.__name__, instant, code, record, said)
    assert "Traceback" not in said
    if code in (5, 6, 8):
        assert record["error"]["sentence"], record
        assert record["error"]["hint"], record
    return code


def goes_on(twin: Twin) -> None:
    """The next run ends well, and the SLAVE's tree is the MASTER."""
    twin.lab.slave.run("systemctl reset-failed hotsyncd; systemctl start hotsyncd")
    record = sync(twin.lab, "--accept-changes")
    assert record["exit_code"] == 0, record
    assert twin.compare_now() == []
    assert twin.leftovers(record["generation"]) == []
