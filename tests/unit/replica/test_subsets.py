"""A crash may leave any subset of a commit's operations on the disk, not only the first few: all of them are tried."""

from __future__ import annotations

import json
import os
import shutil
from itertools import chain, combinations
from pathlib import Path

import pytest

from hotsync.system.files import rename_exchange
from tests.support.replica_world import Died, Mortal, World


class DiesAt(Mortal):
    """Dies right before one kind of change."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def before(self, what: str) -> None:
        if what == self.what:
            raise Died(what)


def first(world: World) -> None:
    world.write("etc/replaced", "old")
    world.write("etc/deleted", "gone soon")
    world.write("etc/to-folder", "a file")
    world.write("etc/to-file/inner/x", "a folder")
    world.write("gone/deep/er", "x")
    os.link(world.write("linked", "l"), world.master / "etc/linked")
    world.generation()


def second(world: World) -> None:
    world.write("etc/replaced", "new!")
    (world.master / "etc/deleted").unlink()
    (world.master / "etc/to-folder").unlink()
    world.write("etc/to-folder/with/more", "m")
    shutil.rmtree(world.master / "etc/to-file")
    (world.master / "etc/to-file").symlink_to("replaced")
    shutil.rmtree(world.master / "gone")
    world.write("fresh/folder/f", "f")
    (world.master / "linked").unlink()


def operations(root: Path, number: int) -> list[tuple[str, int]]:
    lines = (root / f"work/{number}/operations").read_bytes().splitlines()
    return [(path, inode) for path, inode in map(json.loads, lines)]


def carry_out(root: Path, number: int, path: str) -> None:
    """Do one operation as the contract describes it, with this test's own code."""
    tree, staged = root / "tree" / path, root / f"staging/{number}" / path
    if os.path.lexists(tree) and os.path.lexists(staged):
        rename_exchange(str(tree), str(staged))
    elif os.path.lexists(staged):
        os.rename(staged, tree)
    else:
        os.rename(tree, staged)


def journalled(place: Path, world: World) -> list[str]:
    """Bring a world to the moment right after the point of no return; return the paths of its operations."""
    first(world)
    second(world)
    with pytest.raises(Died):
        world.sync(changes := world.plan(), DiesAt("exchange"))
    # whatever was done before the first exchange is undone: this is the moment right after the journal appeared
    for path, inode in operations(world.root, 2):
        tree = world.root / "tree" / path
        if inode and os.path.lexists(tree) and os.lstat(tree).st_ino == inode:
            os.rename(tree, world.root / "staging/2" / path)
        elif not inode and not os.path.lexists(tree):
            os.rename(world.root / "staging/2" / path, tree)
    world.remember(2, changes)
    return [path for path, _ in operations(world.root, 2)]


PATHS = ["etc/deleted", "etc/linked", "etc/replaced", "etc/to-file", "etc/to-folder", "fresh", "gone", "linked"]
SUBSETS = list(chain.from_iterable(combinations(range(len(PATHS)), size) for size in range(len(PATHS) + 1)))


def test_the_operations_of_the_small_commit_are_the_topmost_paths(place: Path, world: World) -> None:
    assert sorted(journalled(place, world)) == PATHS


@pytest.mark.parametrize("part", range(8))
def test_any_subset_of_the_operations_is_rolled_forward(place: Path, world: World, part: int) -> None:
    for index, subset in enumerate(SUBSETS[part::8]):
        folder = place / str(index)
        other = World(folder, world.dice)
        journalled(folder, other)
        for which in subset:
            carry_out(other.root, 2, PATHS[which])
        other.replica().recover()
        assert other.replica().state().generation == 2
        other.check_tree()
        other.check_generations()
        other.check_history()
        other.check_leftovers()
        shutil.rmtree(folder)


@pytest.mark.parametrize("moved", [("files",), ("record",), ("files", "record")])
def test_history_may_have_been_filled_before_the_operations_reached_the_disk(
    place: Path, world: World, moved: tuple[str, ...]
) -> None:
    for done in ((), PATHS[::2], PATHS[1::2], PATHS):
        folder = place / f"{len(done)}{done[:1]}".replace("/", "")
        other = World(folder, world.dice)
        journalled(folder, other)
        for path in done:
            carry_out(other.root, 2, path)
        if "files" in moved:
            os.rename(other.root / "staging/2", other.root / "history/2/files")
        if "record" in moved:
            os.rename(other.root / "work/2/record", other.root / "history/2/record")
        other.replica().recover()
        other.check_tree()
        other.check_generations()
        other.check_history()
        other.check_leftovers()


def test_what_is_neither_in_staging_nor_in_the_tree_is_named(world: World) -> None:
    from hotsync.errors import ReplicaError

    journalled(world.base, world)
    (world.root / "staging/2/etc/replaced").unlink()
    with pytest.raises(ReplicaError, match="/etc/replaced of generation 2 is neither in staging nor in its tree"):
        world.replica().recover()
