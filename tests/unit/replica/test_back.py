"""Going back: an older generation becomes the newest, exactly, and the one before it is still held."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from hotsync.errors import NoSpace, ReplicaClosed, ReplicaError
from hotsync.model.generation import Retention
from tests.support.replica_world import Died, Mortal, World, changeset, grouped, look, scan
from tests.unit.replica.test_laws import cases


def lived(place: Path, dice: random.Random) -> World:
    """A pair with a few generations."""
    world = World(place, dice, Retention(all_hours=1000))
    world.write("srv/first", "to begin with")
    world.generation()
    for _ in range(dice.randrange(2, 8)):
        world.clock.time += 600
        world.live(dice.randrange(1, 12))
        changes = world.plan()
        if changes:
            generation = world.sync(changes)
            assert generation is not None
            world.remember(generation.number, changes)
    world.clock.time += 600
    return world


def as_it_was(world: World, number: int) -> None:
    """The tree is what that generation was, and the newest generation says so."""
    assert grouped(look(world.root / "tree")) == grouped(world.expected[number])


@pytest.mark.parametrize("case", cases(12))
def test_any_generation_that_is_held_comes_back_exactly_and_the_newest_is_held_still(
    place: Path, dice: random.Random, case: int
) -> None:
    world = lived(place, dice)
    held = [generation.number for generation in world.replica().generations()]
    to, newest = dice.choice(held), held[-1]
    made, notices = world.replica().go_back(to)
    assert notices == []
    assert made.number == newest + 1
    as_it_was(world, to)
    world.expected[made.number] = world.expected[to]
    world.current = world.expected[to]
    assert list(world.replica().diff(to, made.number)) == []
    world.check_history()
    world.check_leftovers()
    again, _ = world.replica().go_back(newest)  # and back again
    as_it_was(world, newest)
    assert world.replica().verify().faults == ()
    assert [one.number for one in world.replica().generations()][-1] == again.number


@pytest.mark.parametrize("case", cases(6))
def test_killed_anywhere_on_the_way_it_is_the_newest_or_the_older_one(
    place: Path, dice: random.Random, case: int
) -> None:
    world = lived(place, dice)
    held = [generation.number for generation in world.replica().generations()]
    to, newest, ticks = dice.choice(held), held[-1], 40
    while world.replica().state().generation == newest:
        mortal = Mortal(dice.randrange(ticks))
        try:
            world.replica(mortal).go_back(to)
        except Died:
            ticks += 4
        world.replica().recover()
        as_it_was(world, to if world.replica().state().generation > newest else newest)
    as_it_was(world, to)
    assert world.replica().verify().faults == ()


def test_the_master_goes_on_from_what_it_finds(world: World) -> None:
    file = world.write("srv/offer", "old")
    world.generation()
    file.write_text("new words")
    world.generation()
    world.replica().go_back(1)
    world.known = {path: entry for path, entry in scan(world.root / "tree").items()}
    changes = changeset(world.known, scan(world.master))
    generation = world.sync(changes)
    assert generation is not None
    assert (world.root / "tree/srv/offer").read_text() == "new words"


def test_what_it_would_amount_to_is_told_beforehand(world: World) -> None:
    file = world.write("srv/offer", "old")
    world.generation()
    file.write_text("new words")
    world.write("srv/more")
    world.generation()
    found = world.replica().count_back(1)
    assert (found.changes, found.bytes) == (3, 3)
    assert world.replica().state().generation == 2


def test_holes_take_no_room_on_the_way_back(world: World) -> None:
    file = world.write("srv/image", os.urandom(5000))
    os.truncate(file, 2**26)
    world.generation()
    file.write_text("new words")
    world.generation()
    kept = world.root / "history/2/files/srv/image"  # arrived by the means of this test, which know no holes
    os.truncate(kept, 5000)
    os.truncate(kept, 2**26)
    found = world.replica().count_back(1)
    assert 5000 <= found.bytes < 2**20


def test_a_generation_that_is_not_held_and_a_closed_replica_refuse(world: World) -> None:
    world.write("srv/offer", "old")
    world.generation()
    with pytest.raises(ReplicaError, match="not held"):
        world.replica().go_back(7)
    world.replica().close("it is promoted")
    with pytest.raises(ReplicaClosed):
        world.replica().go_back(1)


def test_without_room_nothing_is_touched_and_nothing_is_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = world.write("srv/offer", "old")
    world.generation()
    file.write_text("new words")
    world.generation()
    monkeypatch.setattr("hotsync.replica.back.free_bytes", lambda _: 1)
    with pytest.raises(NoSpace):
        world.replica().go_back(1)
    assert [one.number for one in world.replica().generations()] == [1, 2]
    assert (world.root / "tree/srv/offer").read_text() == "new words"


def test_what_the_replica_has_lost_stays_as_it_is_and_is_told(world: World) -> None:
    file = world.write("srv/offer", "old")
    other = world.write("srv/other", "first")
    world.generation()
    file.write_text("new words")
    other.write_text("second!")
    world.generation()
    (world.root / "history/2/files/srv/offer").unlink()
    _, notices = world.replica().go_back(1)
    assert [notice.path for notice in notices] == ["srv/offer"]
    assert (world.root / "tree/srv/offer").read_text() == "new words"
    assert (world.root / "tree/srv/other").read_text() == "first"
    shutil.rmtree(world.master)
