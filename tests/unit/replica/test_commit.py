"""One commit: what it does to tree and history, and what it does when the tree is not what the manifest says."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from hotsync.errors import NoSpace, ReplicaClosed, ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.generation import DatasetPoint
from tests.support.replica_world import Died, Mortal, World, grouped, look


class DiesBefore(Mortal):
    """Dies right before one kind of change."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def before(self, what: str) -> None:
        if what == self.what:
            raise Died(what)


class FullDisk(Mortal):
    """Says that the disk is full at one kind of change, a few times."""

    def __init__(self, what: str, times: int) -> None:
        super().__init__()
        self.what, self.times = what, times

    def before(self, what: str) -> None:
        super().before(what)
        if what == self.what and self.times:
            self.times -= 1
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_s_time_stays_right_when_something_in_it_is_exchanged(world: World) -> None:
    file = world.write("etc/deep/file", "one")
    world.generation()
    with file.open("r+b") as opened:  # in place: the folder's own time does not move on the MASTER
        opened.write(b"two")
    world.generation()
    world.check_tree()


def test_a_name_that_vanished_from_a_link_group_gets_a_file_of_its_own(world: World) -> None:
    first = world.write("a/one", "shared")
    os.link(first, world.master / "a/two")
    os.link(first, world.master / "b")
    world.generation()
    first.write_text("new and longer")
    number = world.generation(omit=("a/two", "b"))
    world.check_tree()
    world.check_inodes()
    tree = world.root / "tree"
    assert (tree / "a/one").read_text() == "new and longer"
    assert (tree / "a/two").read_text() == "shared"
    assert (tree / "a/two").stat().st_ino == (tree / "b").stat().st_ino
    kept = world.root / f"history/{number}/files"
    assert {(kept / name).stat().st_ino for name in ("a/one", "a/two", "b")} == {(kept / "b").stat().st_ino}
    world.check_generations()


def test_two_files_that_are_one_on_the_master_become_one(world: World) -> None:
    os.link(world.write("one", "same"), world.master / "two")

    def apart(staging: Path) -> None:
        shutil.copy2(staging / "one", staging / "copy")
        os.rename(staging / "copy", staging / "two")

    changes = world.plan()
    assert world.sync(changes, hostile=apart) is not None
    world.remember(1, changes)
    world.check_tree()


def test_what_the_manifest_does_not_know_is_set_aside(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.write("etc/known", "k")
    world.write("old/inner/file", "f")
    world.generation()
    tree = world.root / "tree"
    (tree / "etc/new").mkdir()
    (tree / "etc/new/stray").write_text("an administrator's")
    (tree / "old/inner/stray").write_text("another")
    world.write("etc/new", "the MASTER's")
    shutil.rmtree(world.master / "old")
    world.generation()
    world.check_tree()
    aside = world.root / "history/2/unexpected"
    assert {path: item.content for path, item in look(aside).items() if item.kind == "f"} == {
        "etc/new/stray": b"an administrator's",
        "old/inner/stray": b"another",
    }
    assert "/old/inner/stray was in the replica's tree, unknown to the manifest" in caplog.text
    world.check_generations()


def test_what_the_tree_has_lost_is_told_and_the_rest_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.write("etc/lost", "l")
    world.write("etc/kept", "k")
    world.generation()
    (world.root / "tree/etc/lost").unlink()
    world.write("etc/lost", "new")
    world.write("etc/kept", "newer")
    world.generation()
    world.check_tree()
    assert "/etc/lost: the tree has lost it" in caplog.text
    with pytest.raises(ReplicaError, match="the replica has lost it"):
        world.replica().restore("etc/lost", world.base / "out", 1)
    world.replica().restore("etc/kept", world.base / "out", 1)
    assert (world.base / "out/etc/kept").read_text() == "k"


def test_a_folder_that_the_tree_has_lost_stops_the_commit_before_anything_changes(world: World) -> None:
    world.write("etc/folder/file", "f")
    world.generation()
    shutil.rmtree(world.root / "tree/etc/folder")
    before = grouped(look(world.root / "tree"))
    world.write("etc/folder/file", "new")
    (world.master / "etc/folder").chmod(0o700)
    with pytest.raises(ReplicaError, match="its tree has lost /etc/folder"):
        world.generation()
    assert grouped(look(world.root / "tree")) == before
    assert world.replica().state().generation == 1


def test_committing_the_same_generation_again_changes_nothing(world: World) -> None:
    world.write("a", "1")
    changes = world.plan()
    first = world.sync(changes)
    assert first is not None
    world.clock.time += 100
    again = world.replica().commit(1, world.base / "changes", first)
    assert again == first


def test_nothing_changed_moves_the_moment_of_the_last_generation(world: World) -> None:
    with pytest.raises(ReplicaError, match="no generation yet"):
        world.replica().confirm(5)
    world.write("a", "1")
    world.generation()
    assert world.replica().confirm(1_900_000_000.0).confirmed_at == 1_900_000_000.0
    (generation,) = world.replica().generations()
    assert (generation.committed_at, generation.confirmed_at) == (world.clock.time, 1_900_000_000.0)


def test_a_confirmation_tells_how_the_datasets_are_now(world: World) -> None:
    world.write("a", "1")
    world.generation()
    stale = (DatasetPoint("mariadb/default", 5.0, 5.0, "the server is down"), DatasetPoint("facts", 9.0))
    world.replica().confirm(1_900_000_000.0, stale)
    assert world.replica().generations()[-1].datasets == stale
    world.replica().confirm(1_900_000_001.0)
    assert world.replica().generations()[-1].datasets == stale, "nothing was told of them"


def test_a_closed_replica_takes_nothing(world: World) -> None:
    world.write("a", "1")
    world.generation()
    world.write("a", "2")
    world.replica().close("promotion of epoch 2")
    with pytest.raises(ReplicaClosed, match="promotion of epoch 2"):
        world.generation()
    assert world.replica().state().closed == "promotion of epoch 2"
    (world.root / "closed").write_bytes(b"")  # damaged is closed, too
    with pytest.raises(ReplicaClosed):
        world.generation()


@pytest.mark.parametrize("what", ["exchange", "rename", "time", "metadata", "into history", "manifest"])
def test_a_disk_that_is_full_in_the_middle_gets_room_from_the_ballast(world: World, what: str) -> None:
    world.write("etc/file", "1")
    world.write("etc/gone", "1")
    world.generation()
    world.write("etc/file", "longer")
    (world.master / "etc/gone").unlink()
    changes = world.plan()
    assert world.sync(changes, FullDisk(what, 1)) is not None
    world.remember(2, changes)
    world.check_tree()
    world.check_generations()


@pytest.mark.parametrize("what", ["exchange", "rename", "time", "metadata", "into history", "manifest"])
def test_a_disk_that_stays_full_holds_the_commit_until_there_is_room(world: World, what: str) -> None:
    world.write("etc/file", "1")
    world.write("etc/gone", "1")
    world.generation()
    world.write("etc/file", "longer")
    (world.master / "etc/gone").unlink()
    changes = world.plan()
    with pytest.raises(NoSpace):
        world.sync(changes, FullDisk(what, 2))
    with pytest.raises(NoSpace):
        world.replica(FullDisk(what, 1)).recover()
    world.replica().recover()
    world.remember(2, changes)
    world.check_tree()
    world.check_generations()


@pytest.mark.parametrize("what", ["ballast", "mkdir", "journal", "entries"])
def test_a_disk_that_is_full_before_the_point_of_no_return_leaves_the_last_generation(world: World, what: str) -> None:
    world.write("etc/file", "1")
    world.write("etc/sub/gone", "1")
    world.generation()
    world.write("etc/file", "longer")
    (world.master / "etc/sub/gone").unlink()
    changes = world.plan()
    with pytest.raises(NoSpace):
        world.sync(changes, FullDisk(what, 9))
    world.check_tree()
    assert world.sync(changes) is not None
    world.remember(2, changes)
    world.check_tree()


def test_the_manifest_ends_up_as_the_masters(world: World) -> None:
    world.live(40)
    world.generation()
    world.live(20)
    world.generation()
    with Manifest(world.base / "manifest.db") as manifest:
        assert {entry.path: entry for entry in manifest.entries()} == world.known


def test_a_state_can_be_asked_for_while_the_replica_is_held(world: World) -> None:
    world.write("a", "1")
    world.generation()
    with world.replica().hold():
        assert world.replica().state().generation == 1


def test_a_lost_manifest_is_rebuilt_from_the_tree_and_no_generation_is_lost(world: World) -> None:
    for _ in range(3):
        world.live(15)
        world.generation()
        world.clock.time += 60
    before = world.replica().generations()
    digest = world.replica().state().digest
    (world.base / "manifest.db").unlink()
    world.rebuilt = True
    replica = world.replica()
    assert replica.generations() == before
    assert (replica.state().generation, replica.state().digest == digest) == (3, False)
    assert replica.verify().faults == ()
    world.check_generations()
    with Manifest(world.base / "manifest.db") as manifest:
        assert all(entry.unsettled for entry in manifest.entries())
        world.known = {entry.path: entry for entry in manifest.entries()}  # as the MASTER fetches it
    world.live(10)
    world.generation()
    world.check_tree()
    world.check_inodes()
    world.check_generations()


def test_a_manifest_that_is_lost_in_the_middle_of_a_commit_is_rebuilt_as_the_new_generation(world: World) -> None:
    world.live(15)
    world.generation()
    world.clock.time += 60
    world.live(15)
    changes = world.plan()
    with pytest.raises(Died):
        world.sync(changes, DiesBefore("manifest"))
    (world.base / "manifest.db").unlink()
    world.rebuilt = True
    assert world.replica().state().generation == 2
    world.remember(2, changes)
    world.check_tree()
    world.check_generations()


def test_a_manifest_of_another_generation_stops_the_journal(world: World) -> None:
    world.write("a", "1")
    world.generation()
    manifest = (world.base / "manifest.db").read_bytes()
    for content in ("22", "333"):
        world.clock.time += 60
        world.write("a", content)
        if content == "22":
            world.generation()
    changes = world.plan()
    with pytest.raises(Died):
        world.sync(changes, DiesBefore("manifest"))
    (world.base / "manifest.db").write_bytes(manifest)
    with pytest.raises(ReplicaError, match="its journal is about generation 3, its manifest about 1"):
        world.replica().recover()


def test_the_first_generation_is_not_taken_for_a_lost_manifest(world: World) -> None:
    world.write("a", "1")
    changes = world.plan()
    with pytest.raises(Died):
        world.sync(changes, DiesBefore("manifest"))
    world.replica().recover()
    world.remember(1, changes)
    world.check_tree()
    assert world.replica().state().digest == world.replica().generations()[0].digest


def refuse_in_the_tree(world: World, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let no attribute be set in the tree; staging takes any."""
    real = os.setxattr

    def setxattr(path: str, name: str, value: bytes, flags: int = 0, *, follow_symlinks: bool = True) -> None:
        if Path(os.path.realpath(path)).is_relative_to(world.root / "tree"):
            raise OSError(number, os.strerror(number))
        real(path, name, value, flags, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "setxattr", setxattr)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.E2BIG, errno.EOPNOTSUPP])
def test_an_attribute_that_the_tree_does_not_take_does_not_keep_a_generation_from_being_finished(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    world.write("folder/file", "one")
    world.generation()
    os.setxattr(world.master / "folder", "trusted.large", b"x")
    (world.master / "folder").chmod(0o2750)
    with monkeypatch.context() as patched:
        refuse_in_the_tree(world, patched, number)
        assert world.generation() == 2
    assert "/folder: its attribute trusted.large cannot be set" in caplog.text
    folder = world.root / "tree/folder"
    assert (os.listxattr(folder), folder.stat().st_mode & 0o7777) == ([], 0o2750), "all else was set"
    assert [(fault.path, fault.what) for fault in world.replica().verify().faults] == [
        ("folder", "ACL or extended attributes")
    ]
    world.write("folder/file", "two")
    assert world.generation() == 3
    assert (folder / "file").read_text() == "two"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_is_full_or_broken_stops_a_commit_until_it_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    world.write("folder/file", "one")
    world.generation()
    os.setxattr(world.master / "folder", "trusted.small", b"x")
    changes = world.plan()
    with monkeypatch.context() as patched:
        refuse_in_the_tree(world, patched, number)
        patched.setattr("hotsync.replica.space.free_bytes", lambda _: 4096)
        with pytest.raises(ReplicaError):
            world.sync(changes)
    world.remember(world.replica().state().generation, changes)
    world.check_tree()
