"""Trees of very many levels: nothing in the replica counts them by calls of itself."""

from __future__ import annotations

import os
from pathlib import Path

from hotsync.model.generation import Retention
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.layout import Layout
from hotsync.replica.pin import pinned, unpin
from hotsync.system import trees
from tests.support.deep import dig, little_recursion
from tests.support.replica_world import World

LEVELS = 400


def test_folders_are_made_and_removed_as_deep_as_a_path_can_be(place: Path) -> None:
    path = "/".join(["d"] * 1900)
    with Folders(place) as folders:
        folders.make(path, Effects())
        folders.make(path, Effects())
        assert folders.stat(path) is not None
        folders.remove("d", Effects())
    assert os.listdir(place) == []


def goes(world: World) -> int:
    """Make a generation of the world as it is, and check it; return its number."""
    changes = world.plan()
    with little_recursion():
        made = world.sync(changes)
    assert made is not None
    world.remember(made.number, changes)
    world.check_tree()
    return made.number


def test_a_deep_tree_comes_goes_and_is_forgotten(world: World) -> None:
    dig(world.master / "srv", LEVELS)
    world.write("srv/other", "stays")
    goes(world)
    here = world.master / "srv" / "/".join(["d"] * 100) / "file"
    here.write_text("new")
    for _ in range(2):
        world.clock.time += 60
        number = goes(world)
        os.rename(world.master / "srv/d", world.base / f"gone{number}") if number == 2 else None
    with little_recursion():
        assert world.replica().verify().faults == ()
        report = world.replica().restore("srv", world.base / "out", 1)
    assert report.notices == []
    assert (world.base / "out/srv" / "/".join(["d"] * LEVELS) / "file").exists()
    world.retention = Retention(0, 0, 0, 0, floor_days=0, floor_generations=1)  # what was kept moves on, or goes
    for name in ("one", "two"):
        world.clock.time += 60
        world.write(f"srv/{name}", name)
        goes(world)
    assert not any(folder.name == "d" for folder in trees.folders_below(world.root / "history"))


def test_a_deep_tree_is_kept_for_a_while_and_let_go_again(place: Path) -> None:
    layout = Layout(place / "replica")
    layout.make()
    dig(layout.tree / "srv", LEVELS)
    dig(layout.pins / "drill", LEVELS)
    with little_recursion():
        unpin(layout, "drill")
        with pinned(layout, layout.root / "lock", "srv", "dumps") as kept:
            assert (kept / "/".join(["d"] * LEVELS) / "file").exists()
    assert os.listdir(layout.pins) == []
