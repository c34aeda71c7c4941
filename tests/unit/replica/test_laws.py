"""The law of the replica: whatever happens, each generation that is held restores exactly."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from hotsync.model.generation import Retention
from tests.support.replica_world import Died, Mortal, World


def cases(first_ring: int) -> list[Any]:
    """Return the numbers of so many lives, and of ten times as many in the second ring."""
    more = range(first_ring, first_ring * 10)
    return [*map(pytest.param, range(first_ring)), *(pytest.param(case, marks=pytest.mark.full) for case in more)]


def random_retention(dice: random.Random) -> Retention:
    return Retention(
        all_hours=dice.choice((0, 0.1, 1, 2)),
        quarter_hours=dice.choice((1, 2, 5)),
        hourly_days=dice.choice((0.2, 0.5)),
        daily_days=dice.choice((1, 2)),
        floor_days=dice.choice((0, 1)),
        floor_generations=dice.choice((1, 2, 3)),
    )


@pytest.mark.parametrize("case", cases(8))
def test_each_generation_that_is_held_restores_exactly(place: Path, dice: random.Random, case: int) -> None:
    world = World(place, dice, random_retention(dice))
    for _ in range(12):
        world.live(dice.randrange(1, 12))
        changes = world.plan(omit=dice.choice((0, 0, 0.3)))
        if not changes:
            continue
        generation = world.sync(changes)
        assert generation is not None
        world.remember(generation.number, changes)
        world.check_tree()
        world.clock.time += dice.choice((60, 600, 900, 7200, 30000))
    world.check_inodes()
    world.check_history()
    world.check_leftovers()
    world.check_generations()


def kill_a_run(world: World, dice: random.Random) -> None:
    """One run that dies somewhere, whose recovery dies somewhere, and that is at last finished."""
    changes = world.plan(omit=dice.choice((0, 0, 0.3)))
    if not changes:
        return
    before = world.replica().state().generation
    while True:
        mortal = Mortal(dice.randrange(world.ticks + world.ticks // 3))
        try:
            world.sync(changes, mortal, cut=dice.random() < 0.1)
            world.ticks = mortal.ticks + 2
        except Died:
            world.deaths += 1
            world.ticks += 4
        while True:
            try:
                world.replica(Mortal(dice.randrange(dice.choice((3, 10, 40))))).recover()
                break
            except Died:
                world.deaths += 1
                if dice.random() < 0.3:
                    break
        generation = world.replica().state().generation
        if generation == before + 1:
            world.remember(generation, changes)
            world.check_tree()
            return
        assert generation == before
        world.check_tree()
        if dice.random() < 0.3:  # the MASTER went on living before its next try
            world.live(2)
            changes = world.plan()
            if not changes:
                return


@pytest.mark.parametrize("case", cases(16))
def test_a_replica_that_is_killed_anywhere_holds_old_or_new(place: Path, dice: random.Random, case: int) -> None:
    world = World(place, dice, random_retention(dice))
    for _ in range(10):
        world.live(dice.randrange(1, 10))
        kill_a_run(world, dice)
        world.clock.time += dice.choice((60, 900, 7200, 30000))
    # what the last one had sent lies there until there is something to send again
    world.write("zz/the last one")
    world.generation()
    world.check_inodes()
    world.check_history()
    world.check_leftovers()
    world.check_generations()


def test_a_folder_that_became_a_link_and_then_a_file_is_no_obstacle_to_forgetting(world: World) -> None:
    world.retention = Retention(all_hours=0, quarter_hours=24, floor_days=0, floor_generations=1)
    turns = world.write("srv/turns/holds/file", "in a folder").parent.parent
    world.generation()
    world.clock.time += 900
    shutil.rmtree(turns)
    turns.symlink_to("elsewhere")
    world.generation()
    world.clock.time += 60
    turns.unlink()
    turns.write_text("file")
    world.generation()
    world.clock.time += 60
    world.write("etc/other")
    world.generation()
    assert [generation.number for generation in world.replica().generations()] == [1, 3, 4]
    world.check_generations()
    world.check_history()
