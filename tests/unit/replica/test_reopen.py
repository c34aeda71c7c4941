"""After a promotion that was undone: production wrote into the tree, and the replica says of all of it what it was."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from hotsync.errors import ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.generation import Generation, Retention
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.ledger import Ledger
from hotsync.replica.reopen import LIVE, STATE
from hotsync.replica.touched import touched
from tests.support.replica_world import Died, Mortal, Snapshot, World, below, changeset, grouped, look, scan
from tests.unit.replica.test_back import lived
from tests.unit.replica.test_laws import cases

EPOCH = 4


def produced(world: World, steps: int) -> float:
    """A promotion takes the tree, and production lives in it; return since when."""
    since = time.time()
    replica = world.replica()
    with replica.hold() as opened:
        replica.close("promoted")
        opened.manifest.set_meta(STATE, LIVE)
    there = World(world.base / "production", world.dice)
    there.master.rmdir()
    there.master.symlink_to(world.root / "tree")
    there.live(steps)
    return since


def reopened(world: World, since: float, effects: Effects | None = None) -> Generation | None:
    made = world.replica(effects).reopen(since, EPOCH)
    assert world.replica().closed == ""
    return made


def attributes(snapshot: Snapshot) -> dict[str, tuple[object, ...]]:
    """Return what each path is, but for which paths are one file."""
    return {path: values[:7] for path, values in grouped(snapshot).items()}


def check_each_restores_exactly_or_says_that_it_is_lost(world: World, before: Snapshot, after: Snapshot) -> None:
    """Every generation from before; what is said to be lost was really touched."""
    changed = {
        path for path in before.keys() | after.keys() if attributes(before).get(path) != attributes(after).get(path)
    }
    replica = world.replica()
    for generation in replica.generations():
        wanted = world.expected[generation.number]
        out = world.base / "restored"
        told: set[str] = set()
        for name in sorted({path.split("/")[0] for path in wanted}, key=os.fsencode):
            try:
                report = replica.restore(name, out, generation.number)
            except ReplicaError:  # nothing is left of that one path
                told.add(name)
                continue
            told |= {notice.path for notice in report.notices}
        found = attributes(look(out)) if out.exists() else {}
        for path, values in attributes(wanted).items():
            assert found.get(path) == values or path in told, f"generation {generation.number}: {path}"
        assert found.keys() <= wanted.keys()
        if generation.number != replica.generations()[-1].number:
            assert told <= changed
        shutil.rmtree(out, ignore_errors=True)


@pytest.mark.parametrize("case", cases(40))
def test_whatever_production_wrote_every_generation_restores_exactly_or_says_that_it_is_lost(
    place: Path, dice: random.Random, case: int
) -> None:
    world = lived(place, dice)
    newest = world.replica().generations()[-1].number
    before = look(world.root / "tree")
    since = produced(world, dice.randrange(0, 12))
    after = look(world.root / "tree")
    dying = Mortal(dice.randrange(60))
    try:
        made = reopened(world, since, dying)
    except Died:
        made = reopened(world, since)
    replica = world.replica()
    last = replica.generations()[-1]
    if attributes(before) == attributes(after):
        assert made is None
        assert last.number == newest
    elif made is None:  # it died when all was done
        assert last.number == newest + 1
    world.expected[newest + 1] = world.current = after
    assert grouped(look(world.root / "tree")) == grouped(after)
    assert world.replica().reopen(since, EPOCH) is None, "once"
    assert replica.verify().faults == ()
    check_each_restores_exactly_or_says_that_it_is_lost(world, before, after)
    world.check_history()
    world.check_leftovers()
    # the MASTER takes the manifest, and sends what differs
    with Manifest(world.base / "manifest.db") as manifest:
        assert manifest.meta(STATE) != LIVE
        world.known = {entry.path: entry for entry in manifest.entries()}
    changes = changeset(world.known, scan(world.master))
    assert changes or attributes(before) == attributes(after)
    if changes:
        world.sync(changes)
    assert attributes(look(world.root / "tree")) == attributes(look(world.master))


@pytest.fixture
def world(place: Path) -> World:
    world = World(place, random.Random(3), Retention(all_hours=1000))
    for name in ("same", "other", "touched", "renamed", "gone"):
        world.write(f"srv/{name}", f"{name} of the MASTER")
    world.generation()
    return world


def test_a_file_that_keeps_size_and_time_is_told_from_one_that_keeps_its_content(world: World) -> None:
    tree = world.root / "tree"
    since = produced(world, 0)
    status = (tree / "srv/other").stat()
    (tree / "srv/other").write_text("other of somebody")
    os.utime(tree / "srv/other", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tree / "srv/same").write_text("same of the MASTER")
    (tree / "srv/touched").touch()
    (tree / "srv/gone").unlink()
    (tree / "srv/new").write_text("new")
    with Manifest(world.base / "manifest.db") as manifest, Folders(tree) as folders:
        ledger = Ledger(manifest)
        found = {
            one.path: (one.before is None, one.now is None, one.content)
            for one in touched(manifest, ledger, folders, since)
        }
        inside = [one.path for one in touched(manifest, ledger, folders, since, "srv/other")]
        ledger.close()
    assert found == {
        "srv": (False, False, False),
        "srv/gone": (False, True, True),
        "srv/new": (True, False, True),
        "srv/other": (False, False, True),
        "srv/same": (False, False, False),  # its time is another
        "srv/touched": (False, False, False),
    }
    assert inside == ["srv/other"]


def test_what_is_the_same_but_for_its_attributes_is_not_lost(world: World) -> None:
    tree = world.root / "tree"
    since = produced(world, 0)
    (tree / "srv/touched").chmod(0o600)
    made = reopened(world, since)
    assert made is not None
    assert (made.number, made.epoch, made.changed, made.deleted, made.unsettled) == (2, EPOCH, 1, 0, 1)
    assert world.replica().restore("srv/touched", world.base / "out", 1).notices == []
    assert (world.base / "out/srv/touched").stat().st_mode & 0o777 == 0o644
    assert (world.base / "out/srv/touched").read_text() == "touched of the MASTER"
    assert below(look(world.base / "out"), "srv/touched")


def test_a_tree_that_never_moved_is_only_opened_again(world: World) -> None:
    replica = world.replica()
    replica.close("claimed")
    (world.root / "tree/srv/same").write_text("damage, for a verification to find")
    assert replica.reopen(0.0, EPOCH) is None
    assert replica.closed == ""
    assert [one.number for one in replica.generations()] == [1]
