"""A generation of the past is looked at whole, by names of its own; nothing is copied or changed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hotsync.replica.history import History
from hotsync.replica.pin import pin_past, unpin
from tests.support.replica_world import Snapshot, World, grouped, look
from tests.unit.replica.test_back import lived


def shape(snapshot: Snapshot) -> dict[str, tuple[str, bytes]]:
    """What kind each path is, and what is in it."""
    return {path: (item.kind, item.content) for path, item in snapshot.items()}


@pytest.mark.parametrize("seed", range(12))
def test_any_generation_is_seen_as_it_was_and_nothing_is_left_of_the_look(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    world: World = lived(tmp_path / "world", dice)
    before = look(world.root / "tree")
    to = dice.choice([generation.number for generation in world.replica().generations()])
    with world.replica().hold() as opened:
        history = History(opened.layout, opened.manifest, opened.ledger)
        seen = look(pin_past(opened.layout, history, to, "past/tree"))
        unpin(opened.layout, "past")
    assert shape(seen) == shape(world.expected[to])
    assert grouped(look(world.root / "tree")) == grouped(before)
    world.check_history()
    (world.root / "pins").rmdir()  # empty
    world.check_leftovers()
    assert world.replica().verify().faults == ()
