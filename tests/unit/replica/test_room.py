"""Room is made by forgetting only where that makes enough, and no word of the MASTER shortens the history."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from hotsync.errors import NoSpace
from hotsync.manifest.changeset_file import ChangesetWriter
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Change
from hotsync.model.generation import Retention
from hotsync.replica.effects import Effects
from hotsync.replica.ledger import Ledger
from hotsync.replica.retention import Forgetting
from hotsync.replica.room import Room, read_refusal, to_be_won
from tests.support.replica_world import World


@pytest.fixture
def long(world: World) -> World:
    """A SLAVE with some generations, of which the rule keeps all and the floor one."""
    world.retention = Retention(floor_generations=1, floor_days=0)
    for number in range(6):
        world.write("etc/file", os.urandom(9000 + number))
        world.write(f"etc/one-{number}", os.urandom(5000))
        world.write("etc/meta").chmod(0o600 + number)
        if number == 4:
            (world.master / "etc/one-1").unlink()
            os.link(world.master / "etc/one-2", world.master / "etc/other")
        world.generation()
        world.clock.time += 60
    return world


def held(world: World) -> list[int]:
    return [generation.number for generation in world.replica().generations()]


def begin(world: World, changes: list[Change], expected_bytes: int) -> None:
    state = world.replica().state()
    with ChangesetWriter(world.base / "changes", state.digest) as writer:
        for change in changes:
            writer.write(change)
    world.replica().begin(state.generation + 1, state.digest, world.base / "changes", expected_bytes)


def test_bytes_that_the_plan_does_not_bear_out_cost_no_generation(long: World) -> None:
    before = held(long)
    long.write("etc/file", b"small")
    begin(long, long.plan(), 2**60)
    assert held(long) == before


def refused(long: World) -> NoSpace:
    """Plan what can never fit."""
    long.write("etc/file", b"small")
    changes = [
        Change(change.verb, change.path, change.entry and replace(change.entry, size=change.entry.size and 2**60))
        for change in long.plan()
    ]
    with pytest.raises(NoSpace) as caught:
        begin(long, changes, 2**60)
    return caught.value


def test_a_plan_that_can_never_fit_is_refused_with_the_history_untouched(long: World) -> None:
    before = held(long)
    assert int(str(refused(long).facts["needed"])) >= 2**60
    assert held(long) == before
    long.check_generations()


def test_a_refusal_is_remembered_until_the_next_commit(long: World) -> None:
    layout = long.replica().layout
    assert read_refusal(layout) is None
    refused(long)
    refusal = read_refusal(layout)
    assert refusal is not None
    assert (refusal.generation, refusal.at) == (7, long.clock.now())
    assert refusal.needed >= 2**60 > refusal.free
    long.generation()
    assert read_refusal(layout) is None


def test_a_refusal_is_forgotten_when_the_last_generation_is_confirmed(long: World) -> None:
    refused(long)
    long.replica().confirm(long.clock.now())
    assert read_refusal(long.replica().layout) is None


def objects(world: World) -> Room:
    """What the old objects of history take, by our own count."""
    found = [path.lstat() for path in world.root.glob("history/*/files/**/*") if not path.is_dir()]
    return Room(sum(each.st_blocks * 512 // each.st_nlink for each in found), sum(each.st_nlink == 1 for each in found))


@pytest.mark.parametrize("going", [[1], [1, 2], [2], [2, 3], [1, 2, 4, 5], [2, 4], [3, 4, 5], [1, 2, 3, 4, 5], []])
def test_what_forgetting_makes_is_told_beforehand(long: World, going: list[int]) -> None:
    layout, before = long.replica().layout, objects(long)
    told = to_be_won(layout, held(long), going)
    with Manifest(long.base / "manifest.db") as manifest:
        ledger = Ledger(manifest)
        for number in going:
            Forgetting(layout, ledger, Effects()).forget(number)
        ledger.close()
    after = objects(long)
    assert told == Room(before.bytes - after.bytes, before.inodes - after.inodes)
    assert (told.bytes > 0) == bool(going)
    long.check_generations()
