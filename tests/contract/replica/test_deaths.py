"""Real deaths: a process that is killed, a disk whose power is cut, a disk that is full."""

from __future__ import annotations

import os
import pickle
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from hotsync.errors import NoSpace
from hotsync.manifest.changeset_file import ChangesetWriter
from hotsync.model.entry import Change
from hotsync.replica.generations import read_generations
from tests.support.images import MIB, make_disk, mounted, snapshot
from tests.support.replica_child import Order
from tests.support.replica_deaths import child, stage
from tests.support.replica_world import Mortal, Snapshot, World, send

pytestmark = pytest.mark.contract


def kill_commits(world: World, dice: random.Random, times: int) -> set[str]:
    """Kill so many commits, each somewhere else; return which outcomes there were."""
    outcomes: set[str] = set()
    seconds, ticks = 0.1, 60
    for number in range(times):
        world.live(10)
        staged = stage(world)
        if staged is None:
            continue
        generation, changes = staged
        order = Order(world.base, world.disk, generation)
        if number % 2:
            order.tick = dice.randrange(ticks)
        else:
            order.seconds = dice.uniform(0.001, seconds)
        process = child(order)
        output, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL, -signal.SIGALRM), errors.decode()
        if process.returncode == 0:
            took, ticked = output.split()
            seconds, ticks = float(took) * 1.1, int(ticked) + 2
        world.replica().recover()
        found = world.replica().state().generation
        assert found in (generation.number, generation.number - 1)
        outcomes.add("new" if found == generation.number else "old")
        if found == generation.number:
            world.remember(found, changes)
        world.check_tree()
        world.clock.time += 600
    world.check_inodes()
    world.check_history()
    world.check_generations()
    return outcomes


def test_a_commit_whose_process_is_killed_is_old_or_new(world: World, dice: random.Random) -> None:
    kill_commits(world, dice, 14)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_very_many_commits_whose_process_is_killed_are_old_or_new(world: World, dice: random.Random) -> None:
    assert kill_commits(world, dice, 200) == {"old", "new"}


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Path]:
    """A file system on which a disk image can be copied in an instant."""
    image = tmp_path / "pool.xfs"
    make_disk(image, 2048 * MIB, "xfs")
    with mounted(image, tmp_path / "pool") as folder:
        yield folder


def cut_power(pool: Path, tmp_path: Path, dice: random.Random, instants: int) -> None:
    """Copy a disk at so many random instants of busy syncing, and look at what a reboot would find on each copy."""
    base, disk = tmp_path / "pair", pool / "slave.ext4"
    base.mkdir()
    make_disk(disk, 128 * MIB)
    taken: list[tuple[Path, int, int]] = []
    with mounted(disk, tmp_path / "slave") as slave:
        process = child(Order(base, slave, generations=20 + instants // 2, seed=dice.randrange(2**32)))
        for number in count():
            if process.poll() is not None:
                break
            before = acknowledged(base)
            copy = pool / f"copy{number}.ext4"
            snapshot(disk, copy)
            taken.append((copy, before, acknowledged(base)))
            if len(taken) > instants * 2 and before:
                taken.pop(dice.randrange(len(taken)))[0].unlink()
        assert process.returncode == 0, process.communicate()[1].decode()
        process.communicate()
    assert len(taken) >= instants
    for copy, before, after in dice.sample(taken, instants):
        reboot(copy, base, tmp_path / "rebooted", before, after)


def acknowledged(base: Path) -> int:
    file = base / "acknowledged"
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return int(lines[-1]) if lines else 0


def reboot(copy: Path, base: Path, at: Path, before: int, after: int) -> None:
    with mounted(copy, at) as disk:
        other = base.with_name("after")
        other.mkdir(exist_ok=True)
        world = World(other, random.Random(0), disk=disk, rebuilt=True)  # what the MASTER's entries were, is not kept
        world.replica().recover()
        number = world.replica().state().generation
        assert before <= number <= after + 1, "an acknowledged generation is never lost"
        for known in range(1, number + 1):
            with suppress(FileNotFoundError):
                world.expected[known] = expected(base, known)
        world.current = world.expected[number] if number else {}
        if number:
            world.check_tree()
            world.check_inodes()
            world.check_history()
            world.check_generations()
            assert world.replica().verify().faults == ()
        # what was arriving may lie there still, to be gone on with; nothing else may
        assert {item.name for item in (world.root / "staging").iterdir()} <= {str(number + 1)}
        assert {item.name for item in (world.root / "work").iterdir()} <= {str(number + 1)}
        assert not (world.root / "journal").exists()


def expected(base: Path, number: int) -> Snapshot:
    found: Snapshot = pickle.loads((base / f"expected-{number}").read_bytes())
    return found


def test_a_disk_whose_power_is_cut_holds_a_whole_generation(pool: Path, tmp_path: Path, dice: random.Random) -> None:
    cut_power(pool, tmp_path, dice, 5)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_disk_whose_power_is_cut_at_fifty_instants_always_holds_a_whole_generation(
    pool: Path, tmp_path: Path, dice: random.Random
) -> None:
    cut_power(pool, tmp_path, dice, 50)


@pytest.fixture
def small(tmp_path: Path, dice: random.Random) -> Iterator[World]:
    """A SLAVE with a small disk, and one generation on it."""
    image = tmp_path / "small.ext4"
    make_disk(image, 96 * MIB)
    with mounted(image, tmp_path / "small") as disk:
        world = World(tmp_path / "pair", dice, disk=disk)
        for number in range(40):
            world.write(f"etc/file{number}", f"one {number}")
        world.generation()
        yield world


def fill(disk: Path | None) -> Path:
    """Leave not a block."""
    assert disk is not None
    filler = disk / f"filler-{len([*disk.glob('filler*')])}"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def empty(disk: Path | None) -> None:
    assert disk is not None
    for filler in disk.glob("filler*"):
        filler.unlink()


class Filling(Mortal):
    """Fills the disk right after one kind of change, or before each change that comes later."""

    def __init__(self, disk: Path | None, when: str, *, again: bool) -> None:
        super().__init__()
        self.disk, self.when, self.again = disk, when, again
        self.filled = False

    def before(self, what: str) -> None:
        if self.filled and self.again:
            fill(self.disk)
        super().before(what)

    def after(self) -> None:
        if self.trail[-1] == self.when and not self.filled:
            fill(self.disk)
            self.filled = True


def change_much(world: World) -> list[Change]:
    for number in range(40):
        world.write(f"etc/file{number}", f"number two {number}")
    for number in range(300):
        world.write(f"new/{'n' * 200}{number}", "fresh")
    return world.plan()


def test_a_disk_that_is_too_small_is_told_before_anything_is_sent(small: World) -> None:
    small.write("large", b"x" * 100 * MIB)
    with pytest.raises(NoSpace) as caught:
        stage_expecting(small, 100 * MIB)
    assert caught.value.exit_code == 8
    small.check_tree()
    (small.master / "large").unlink()
    small.write("large", b"x" * MIB)
    small.generation()
    small.check_tree()


def stage_expecting(world: World, size: int) -> None:
    replica = world.replica()
    state = replica.state()
    with ChangesetWriter(world.base / "changes", state.digest) as writer:
        for change in world.plan():
            writer.write(change)
    replica.begin(state.generation + 1, state.digest, world.base / "changes", size)


def test_a_disk_that_gets_full_while_files_arrive_keeps_the_last_generation_and_goes_on(small: World) -> None:
    small.write("large1", os.urandom(MIB))
    small.write("large2", os.urandom(3 * MIB))
    stage_expecting(small, 0)
    filler = fill(small.disk)
    os.truncate(filler, filler.stat().st_size - 2 * MIB)
    with pytest.raises(OSError, match="No space left"):
        send(small.master, small.replica().staging_path(2), small.plan())
    fill(small.disk)
    assert small.replica().state().generation == 1  # it lives on its ballast
    small.check_tree()
    empty(small.disk)
    assert small.generation() == 2
    small.check_tree()
    small.check_generations()


def test_what_is_held_can_be_told_on_a_disk_without_a_free_block(small: World) -> None:
    fill(small.disk)
    assert small.disk is not None
    assert [each.number for each in read_generations(small.disk / "manifest.db")] == [1]


@pytest.mark.parametrize("when", ["ballast", "sync", "entries"])
def test_a_disk_that_gets_full_before_the_point_of_no_return_keeps_the_last_generation(small: World, when: str) -> None:
    changes = change_much(small)
    with suppress(NoSpace, OSError):
        small.sync(changes, Filling(small.disk, when, again=True))
    if not (small.root / "journal").exists():  # else the commit is past its point of no return
        small.check_tree()
    empty(small.disk)
    small.replica().recover()
    if small.replica().state().generation == 1:
        assert small.sync(changes) is not None
    small.remember(2, changes)
    small.check_tree()
    small.check_generations()
    small.check_leftovers()


def test_a_disk_that_gets_full_in_the_middle_of_the_apply_lives_on_its_ballast(small: World) -> None:
    changes = change_much(small)
    assert small.sync(changes, Filling(small.disk, "journal", again=False)) is not None
    empty(small.disk)
    small.remember(2, changes)
    small.check_tree()
    small.check_generations()


def test_a_disk_that_stays_full_in_the_middle_of_the_apply_goes_on_when_there_is_room(small: World) -> None:
    changes = change_much(small)
    with pytest.raises(NoSpace):
        small.sync(changes, Filling(small.disk, "journal", again=True))
    with pytest.raises(NoSpace):
        small.replica().recover()
    empty(small.disk)
    small.replica().recover()
    small.remember(2, changes)
    small.check_tree()
    small.check_generations()
    small.check_leftovers()


def test_generations_are_forgotten_for_room_on_a_disk_that_is_small(small: World) -> None:
    small.retention = type(small.retention)(floor_generations=2, floor_days=0)
    for _ in range(7):
        small.write("var/database", os.urandom(8 * MIB))
        stage_expecting(small, 8 * MIB)
        small.generation()
        small.clock.time += 60
        small.check_tree()
    held = [generation.number for generation in small.replica().generations()]
    assert 2 <= len(held) < 8
    small.check_generations()
