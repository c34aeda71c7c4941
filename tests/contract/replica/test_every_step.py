"""A commit of everything at once, killed by SIGKILL at each of its changes of the disk."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from hotsync.model.entry import Entry
from hotsync.model.generation import Retention
from tests.support.replica_child import Order
from tests.support.replica_deaths import child, stage
from tests.support.replica_world import Snapshot, TestClock, World

pytestmark = pytest.mark.contract

# at the fourth commit the second generation goes, and what it kept moves to the third
RULE = Retention(all_hours=0, quarter_hours=24, floor_days=0, floor_generations=1)
Known = tuple[Snapshot, dict[str, Entry]]


@dataclass
class Prepared:
    """A SLAVE right before a commit, and all that the oracle knows."""

    base: Path
    disk: Path
    order: Order
    changes: bytes
    known: dict[int, Known]
    expected: dict[int, Snapshot]


def live(world: World, number: int) -> None:
    """Let everything that a changeset can hold happen on the MASTER: content, meta, new, deleted, another kind."""
    master = world.master
    world.write("etc/content", f"content {number}" * number)
    world.write("etc/disguise", f"{number}")
    os.utime(master / "etc/disguise", ns=(10**18, 10**18))
    world.write("etc/mode").chmod(0o600 + number)
    (master / "etc").chmod(0o750 + number)
    os.setxattr(master / "etc", "user.note", bytes([number]))
    world.write(f"srv/new-{number}/deep/er/file", "new")
    (master / f"srv/new-{number}/link").symlink_to("deep")
    os.mkfifo(master / f"srv/new-{number}/pipe")
    os.link(world.write(f"srv/one-{number}", "linked"), master / f"srv/two-{number}")
    if number > 1:
        shutil.rmtree(master / f"srv/new-{number - 1}")
        (master / f"srv/two-{number - 1}").unlink()
    _retype(master / "srv/turns", number % 3)


def _retype(path: Path, kind: int) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    if kind == 0:
        path.write_text("file")
    elif kind == 1:
        (path / "holds").mkdir(parents=True)
        (path / "holds/file").write_text("in a folder")
    else:
        path.symlink_to("elsewhere")


@pytest.fixture
def prepared(tmp_path: Path, dice: random.Random) -> Prepared:
    disk = tmp_path / "disk"
    disk.mkdir()
    world = World(tmp_path / "pair", dice, RULE, disk=disk)
    known: dict[int, Known] = {}
    for number, seconds in enumerate((900, 60, 60), start=1):
        live(world, number)
        world.generation()
        known[number] = world.current, world.known
        world.clock.time += seconds
    live(world, 4)
    staged = stage(world)
    assert staged is not None
    generation, changes = staged
    world.remember(4, changes)
    known[4] = world.current, world.known
    order = Order(world.base, None, generation, retention=RULE, now=world.clock.time)
    return Prepared(world.base, disk, order, (world.base / "changes").read_bytes(), known, world.expected)


def killed_at(prepared: Prepared, tick: int | None, disk: Path) -> tuple[int, bytes]:
    """Commit on a copy of the disk, and die at a tick; return the status and what was said."""
    subprocess.run(["cp", "-a", "--reflink=auto", f"{prepared.disk}/.", disk], check=True)
    order = prepared.order
    (order.base / "changes").write_bytes(prepared.changes)
    process = child(Order(order.base, disk, order.generation, tick, retention=RULE, now=order.now))
    output, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors.decode()
    return process.returncode, output


def ticks_of(prepared: Prepared, tmp_path: Path) -> int:
    disk = tmp_path / "whole"
    status, output = killed_at(prepared, None, disk)
    assert status == 0
    assert survived(prepared, disk, tmp_path) == "new"
    return int(output.split()[1])


def survived(prepared: Prepared, disk: Path, tmp_path: Path) -> str:
    """Recover, and look at everything; then let the next run go on. Return which generation was there: old or new."""
    world = World(prepared.base, random.Random(0), RULE, disk=disk, clock=TestClock(prepared.order.now))
    world.expected = dict(prepared.expected)
    world.replica().recover()
    found = world.replica().state().generation
    assert found in (3, 4)
    world.current, world.known = prepared.known[found]
    for _ in range(2):
        world.check_tree()
        world.check_inodes()
        world.check_history()
        world.check_generations()
        world.clock.time += 60
        if found == world.replica().state().generation:
            world.write("after", disk.name)
            world.generation()
    world.check_leftovers()
    held = [generation.number for generation in world.replica().generations()]
    assert 2 not in held, "it was forgotten, now or by the next run"
    assert world.replica().verify().faults == ()
    (world.master / "after").unlink()
    shutil.rmtree(disk)
    return "new" if found == 4 else "old"


def kill_at(prepared: Prepared, tmp_path: Path, ticks: list[int]) -> None:
    outcomes: list[str] = []
    for tick in ticks:
        disk = tmp_path / f"tick-{tick}"
        status, _ = killed_at(prepared, tick, disk)
        assert status == -signal.SIGKILL
        outcomes.append(survived(prepared, disk, tmp_path))
    assert outcomes[0] == "old"
    assert outcomes[-1] == "new"
    assert outcomes == sorted(outcomes, reverse=True), "once it is new it is never old again"


def test_a_commit_killed_at_some_of_its_steps_is_old_or_new(
    prepared: Prepared, tmp_path: Path, dice: random.Random
) -> None:
    last = ticks_of(prepared, tmp_path) - 1
    kill_at(prepared, tmp_path, [0, *sorted(dice.sample(range(1, last), 12)), last])


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_a_commit_killed_at_each_of_its_steps_is_old_or_new(prepared: Prepared, tmp_path: Path) -> None:
    kill_at(prepared, tmp_path, [*range(ticks_of(prepared, tmp_path))])
