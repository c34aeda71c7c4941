"""A promotion's exchange, backwards: real renames, real mounts, a real replica, cut before every system call."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hotsync.engine.listing import DiskListing, kept_paths
from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion import folders_before
from hotsync.engine.promotion.files import units_left
from hotsync.engine.undo.files import UndoFiles
from hotsync.engine.undo.keep import Keeping
from hotsync.errors import ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.changeset import folders_of
from hotsync.model.entry import Change, Verb
from hotsync.model.plan import Outcome, StepRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.model.selection import Action, Rule, Selection
from hotsync.model.undo import Undo, Written, served_since
from hotsync.planning.exchange import Surroundings, exchange_layout
from hotsync.state import promotion as document
from hotsync.state.undo import add_undo_record, load_undo, save_undo
from hotsync.system import flags
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.engine.test_promotion_files import (
    INCLUDED,
    MASTER,
    PROTECTED,
    SLAVE,
    Stage,
    content,
    dying_at,
    mounted,
    write,
)
from tests.support.dying import Cut
from tests.support.replica_world import Item, Snapshot, World, changeset, grouped, look, scan
from tests.unit.replica.test_laws import cases

pytestmark = pytest.mark.contract

OURS = ("var/lib/hotsync", "etc")


class Promoted(Stage):
    """A SLAVE with a replica of its own, in a folder; then promoted, used, and undone."""

    def __init__(self, root: Path, mounts: tuple[str, ...] = (), dice: random.Random | None = None) -> None:
        self.dice = dice or random.Random(1)
        self.paths = Paths(root)
        self.tree = self.paths.replica / "tree"
        self.mounts = frozenset(mounts)
        write(root, SLAVE)
        for folder in (self.paths.state, self.paths.run):
            folder.mkdir(parents=True, exist_ok=True)
        self.world = World(root.with_name(f"{root.name}-master"), self.dice, disk=self.paths.state)
        write(self.world.master, MASTER)
        self.world.generation()
        self.own = self.live()
        rules = [Rule(path, Action.INCLUDE, "test") for path in INCLUDED]
        rules += [Rule(path, Action.PROTECT, "test") for path in PROTECTED]
        self.kept = kept_paths(rules, root)
        around = Surroundings(Selection(rules), self.kept, self.mounts, os.lstat(self.tree).st_dev)
        self.layout = exchange_layout(DiskListing(self.tree), DiskListing(root), around)
        document.save_promotion(
            self.paths,
            Promotion(3, 1, "d", time.time(), 1.0, 1.0, NetworkPlan(), self.layout.units, self.layout.folders),
        )

    def live(self) -> Snapshot:
        """What lies live, but for what is HotSync's and, on other disks, its way stations."""
        return {
            path: item
            for path, item in look(self.paths.root).items()
            if path != "var/lib/hotsync"
            and not path.startswith("var/lib/hotsync/")
            and ".hotsync-promotion" not in path
            and not path.startswith("run")
        }

    def promote(self) -> None:
        self.files().mark_live()
        self.go_on()
        record = StepRecord("services.start:1", "start", "services", time.time(), time.time(), Outcome.DONE)
        document.add_record(self.paths, record, self.promotion.epoch)

    def begin(self) -> None:
        since = served_since(self.promotion)
        save_undo(self.paths, Undo(3, 1, time.time(), was_master=bool(since), served=since))

    @property
    def undo(self) -> Undo:
        undo = load_undo(self.paths)
        assert undo is not None
        return undo

    def keeping(self) -> Keeping:
        return Keeping(self.paths, self.promotion, self.undo.served or self.undo.began_at)

    def go_back(self) -> None:
        """What the plan of an undo does with files, and its journal."""
        files, paths = UndoFiles(self.paths, self.promotion), self.paths

        def note() -> None:
            if not self.undo.noted:
                save_undo(paths, replace(self.undo, noted=True, places=files.look(self.mounts)))

        def keep() -> None:
            save_undo(paths, replace(self.undo, written=self.keeping().keep(self.undo.places)))

        def reopen() -> None:
            open_replica(paths, SystemClock()).reopen(self.undo.served or self.undo.began_at, 3)

        self.step("note", note)
        for place in self.undo.places:
            self.step(place.path, partial(files.put_back, place))
        self.step("folders", partial(folders_before.restore, paths, self.promotion))
        self.step("times", files.set_times)
        self.step("keep", keep)
        self.step("reopen", reopen)
        files.clean()

    def step(self, key: str, do: Callable[[], object]) -> None:
        if key not in self.undo.done:
            do()
            add_undo_record(self.paths, StepRecord(key, key, "data", 0.0, 0.0, Outcome.DONE))

    def check_own(self) -> None:
        """Everything of this server is as it was, byte for byte; the times of folders that others share go on."""
        now = self.live()
        assert now.keys() == self.own.keys()
        for path, item in self.own.items():
            found, was = plain(now[path]), plain(item)
            if item.kind == "d":
                found, was = (*found[:4], *found[5:]), (*was[:4], *was[5:])
            assert found == was, path
        assert not (self.paths.state / "aside").exists()
        assert not [path for path in self.paths.root.rglob(".hotsync-*") if not path.is_relative_to(self.paths.state)]


def plain(item: Item) -> tuple[object, ...]:
    return item.kind, item.mode, item.uid, item.gid, item.mtime_ns, item.content, item.attributes


def touched_files(before: Snapshot, after: Snapshot) -> set[str]:
    """The oracle's: what production made or changed, but for folders and /etc."""
    return {
        path
        for path, item in after.items()
        if item.kind != "d" and path.partition("/")[0] != "etc"
        and (path not in before or plain(before[path]) != plain(item))
    }  # fmt: skip


def check_kept(stage: Promoted, before: Snapshot, after: Snapshot) -> None:
    kept = stage.paths.undone / "3"
    found = {path: plain(item) for path, item in look(kept / "files").items() if item.kind != "d"}
    wanted = touched_files(before, after)
    assert found == {path: plain(after[path]) for path in wanted}
    gone = {path for path in before if path not in after and path.partition("/")[0] != "etc"}
    listed = {line[9:] for line in (kept / "written.txt").read_text(errors="surrogateescape").splitlines()}
    assert {f"/{path}" for path in gone if path.isascii() and "\n" not in path} <= listed


def use(stage: Promoted) -> None:
    """What production did here meanwhile."""
    root = stage.paths.root
    write(root, {
        "home/anna/new": "a new mail\n", "srv/share/file": "changed in production\n", "srv/share/more/x": "x\n",
        "var/lib/app/state": "changed\n", "etc/app/app.conf": "changed in production\n",
    })  # fmt: skip
    (root / "home/anna/mail").unlink()
    (root / "var/lib/master-only/x").chmod(0o600)


@pytest.fixture
def stage(tmp_path: Path) -> Promoted:
    return Promoted(tmp_path / "host")


def test_after_use_this_servers_own_is_back_and_what_was_written_is_kept_and_listed(stage: Promoted) -> None:
    stage.promote()
    before = stage.live()
    use(stage)
    after = stage.live()
    stage.begin()
    counted = stage.keeping().count()
    stage.go_back()
    stage.check_own()
    check_kept(stage, before, after)
    assert counted == Written(files=4, bytes=43, deleted=1, rights=1, configuration=1)
    assert stage.undo.written == counted
    kept = stage.paths.undone / "3"
    assert (kept / "etc/app/app.conf").read_text() == "changed in production\n"
    listed = (kept / "written.txt").read_text()
    assert "new      /home/anna/new\n" in listed
    assert "deleted  /home/anna/mail\n" in listed
    assert "rights   /var/lib/master-only/x\n" in listed
    assert "changed  /etc/app/app.conf\n" in listed
    assert {os.fspath(path.relative_to(kept)) for path in kept.iterdir()} == {
        "files", "etc", "written.txt", "written.json",
    }  # fmt: skip


QUEUED = {
    "var/spool/postfix/deferred/A/A1": "waits since an hour\n",
    "var/spool/postfix/active/A2": "on its way\n",
    "var/spool/exim4/input/1t0Abc-000001-2z-H": "its head\n",
}
EMPTY = ("postfix/active", "postfix/deferred", "postfix/hold", "exim4/input", "exim4/msglog")


def with_mail_servers(root: Path, mounts: tuple[str, ...] = ()) -> Promoted:
    """A SLAVE with mail servers of its own, as their packages leave them."""
    for name in EMPTY:
        place = root / "var/spool" / name
        place.mkdir(parents=True)
        place.chmod(0o700)
        os.chown(place, 113, 120)
    write(root, {"var/spool/postfix/etc/hosts": "plumbing\n"})
    return Promoted(root, mounts)


def test_mail_that_waits_in_production_is_kept_and_counted_and_the_queues_are_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = with_mail_servers(tmp_path / "host")
    stage.promote()
    before = stage.live()
    use(stage)
    write(stage.paths.root, QUEUED)
    os.chown(stage.paths.root / "var/spool/postfix/active/A2", 113, 120)
    after = stage.live()
    stage.begin()
    files = UndoFiles(stage.paths, stage.promotion)
    waiting = files.queues(stage.mounts)
    assert set(waiting) == {"var/spool/postfix/active", "var/spool/postfix/deferred", "var/spool/exim4/input"}
    counted = stage.keeping().count(waiting)
    assert counted.queued == 3
    assert back_until_done(stage, monkeypatch) > 20
    stage.check_own()
    check_kept(stage, before, after)
    assert stage.undo.written == counted
    kept = stage.paths.undone / "3/files"
    assert {path: (kept / path).read_text() for path in QUEUED} == QUEUED
    assert files.queues(stage.mounts) == ()


def test_with_the_queues_on_a_disk_of_their_own_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "host"
    with mounted(root / "var/spool"):
        stage = with_mail_servers(root, mounts=("var/spool",))
        stage.promote()
        write(root, QUEUED)
        stage.begin()
        back_until_done(stage, monkeypatch)
        stage.check_own()
        kept = stage.paths.undone / "3/files"
        assert {path: (kept / path).read_text() for path in QUEUED} == QUEUED


def test_a_promotion_that_started_nothing_leaves_the_queues_alone(tmp_path: Path) -> None:
    stage = with_mail_servers(tmp_path / "host")
    write(stage.paths.root, QUEUED)
    stage.begin()
    assert not stage.undo.served
    places = UndoFiles(stage.paths, stage.promotion).look(stage.mounts, served=False)
    assert [place.path for place in places if place.path.startswith("var/spool")] == []
    assert {path: (stage.paths.root / path).read_text() for path in QUEUED} == QUEUED


def test_production_that_deleted_what_it_had_leaves_nothing_in_the_way(stage: Promoted) -> None:
    stage.promote()
    shutil.rmtree(stage.paths.root / "home")
    (stage.paths.root / "var/lib/app/state").unlink()
    stage.begin()
    stage.go_back()
    stage.check_own()
    assert stage.undo.written.deleted == 4


def test_file_attributes_of_production_hold_nothing_fast(stage: Promoted) -> None:
    stage.promote()
    for name in ("srv/share/file", "var/lib/app/state"):
        descriptor = os.open(stage.paths.root / name, os.O_RDONLY)
        try:
            flags.add_flags(descriptor, flags.IMMUTABLE)
        except OSError:
            pytest.fail("this file system has no file attributes")
        finally:
            os.close(descriptor)
    stage.begin()
    stage.go_back()
    stage.check_own()
    (stage.tree / "srv/share/file").unlink()
    (stage.tree / "var/lib/app/state").unlink()


def test_file_attributes_that_the_promotion_set_long_before_production_began_hold_nothing_fast(
    stage: Promoted,
) -> None:
    stage.promote()
    with Manifest(stage.paths.manifest) as manifest:
        entry = manifest.get("srv/share/file")
        assert entry is not None
        manifest.apply_changes([Change(Verb.CONTENT, entry.path, replace(entry, flags=flags.IMMUTABLE))])
    stage.files().set_attributes()
    with pytest.raises(PermissionError):
        (stage.paths.root / "srv/share/file").unlink()
    save_undo(stage.paths, Undo(3, 1, time.time(), was_master=True, served=time.time() + 60))
    stage.go_back()
    stage.check_own()
    (stage.tree / "srv/share/file").unlink()


def test_a_promotion_that_is_cut_anywhere_can_be_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dice: random.Random, full_size: bool
) -> None:
    dry = Promoted(tmp_path / "dry")
    dry.files().mark_live()
    with dying_at(0, monkeypatch) as count:
        dry.go_on()
    every = range(1, count[0] + 1)
    for number in every if full_size else dice.sample(every, 12):
        stage = Promoted(tmp_path / str(number))
        tree = look(stage.tree)
        stage.files().mark_live()
        with pytest.raises(Cut), dying_at(number, monkeypatch):
            stage.go_on()
        stage.begin()
        stage.go_back()
        stage.check_own()
        assert grouped(look(stage.tree)) == grouped(tree)
        assert stage.undo.written == Written()
        assert [one.number for one in open_replica(stage.paths, SystemClock()).generations()] == [1]
        shutil.rmtree(stage.paths.root)


def back_until_done(stage: Promoted, monkeypatch: pytest.MonkeyPatch) -> int:
    """Go back and die, each time a call later, until an attempt gets to the end; return the number of attempts."""
    number = 0
    while True:
        number += 1
        with dying_at(number, monkeypatch):
            try:
                stage.go_back()
            except Cut:
                continue
        return number


def test_cut_before_every_single_change_and_continued_an_undo_ends_the_same(
    stage: Promoted, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.promote()
    before = stage.live()
    use(stage)
    after = stage.live()
    stage.begin()
    assert back_until_done(stage, monkeypatch) > 20
    stage.check_own()
    check_kept(stage, before, after)


def test_what_lies_on_other_file_systems_goes_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "host"
    with mounted(root / "srv/big"), mounted(root / "data"):
        write(root, {"srv/big/data": "slave's big data\n", "srv/big/old": "only here\n"})
        stage = Promoted(root, mounts=("srv/big", "data"))
        stage.promote()
        before = stage.live()
        use(stage)
        write(root, {"srv/big/data": "changed on the other disk\n", "srv/big/fresh": "new there\n", "srv/new": "new\n"})
        after = stage.live()
        stage.begin()
        new = UndoFiles(stage.paths, stage.promotion).new(stage.mounts)
        counted = stage.keeping().count(new)
        assert back_until_done(stage, monkeypatch) > 20
        stage.check_own()
        check_kept(stage, before, after)
        assert counted == stage.undo.written


def test_with_var_on_a_disk_of_its_own_etc_comes_back_from_the_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "host"
    with mounted(root / "var", "64m"):
        stage = Promoted(root, mounts=("var",))
        stage.promote()
        before = stage.live()
        use(stage)
        after = stage.live()
        stage.begin()
        back_until_done(stage, monkeypatch)
        stage.check_own()
        check_kept(stage, before, after)
        assert (stage.paths.undone / "3/etc/app/app.conf").read_text() == "changed in production\n"


def test_what_was_changed_by_hand_in_the_middle_stops_it_before_anything_is_lost(stage: Promoted) -> None:
    stage.promote()
    stage.begin()
    files = UndoFiles(stage.paths, stage.promotion)
    places = files.look(stage.mounts)
    os.rename(stage.paths.root / "home", stage.paths.root / "home.by-hand")
    (stage.paths.root / "home").mkdir()
    (home,) = [place for place in places if place.path == "home"]
    with pytest.raises(ReplicaError, match="neither set aside nor live"):
        files.put_back(home)
    assert (stage.paths.state / "aside/home/boss/notes").exists()


@pytest.mark.parametrize("case", cases(12))
def test_whatever_production_does_and_wherever_it_is_killed_it_ends_as_it_was(
    tmp_path: Path, dice: random.Random, case: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Promoted(tmp_path / "host", dice=dice)
    tree = look(stage.tree)
    stage.promote()
    before = stage.live()
    for name in ("home/anna", "srv/share"):
        there = World(tmp_path / "use" if name == "home/anna" else tmp_path / "use-too", dice)
        there.master.rmdir()
        there.master.symlink_to(stage.paths.root / name)
        there.live(dice.randrange(12))
    after = stage.live()
    stage.begin()
    for _ in range(dice.randrange(4)):
        with dying_at(dice.randrange(1, 60), monkeypatch):
            try:
                stage.go_back()
            except Cut:
                continue
    stage.go_back()
    stage.check_own()
    check_kept(stage, before, after)
    # the next run of the MASTER brings the tree to what it has
    replica = open_replica(stage.paths, SystemClock())
    with replica.hold() as opened:
        stage.world.known = {entry.path: entry for entry in opened.manifest.entries()}
    changes = changeset(stage.world.known, scan(stage.world.master))
    if changes:
        stage.world.sync(changes)
    assert contents(look(stage.tree)) == contents(tree)
    assert content(stage.tree) == MASTER
    assert units_left(stage.promotion, stage.paths)


def contents(snapshot: Snapshot) -> dict[str, tuple[object, ...]]:
    return {path: values[:7] for path, values in grouped(snapshot).items()}


def test_every_folder_above_a_unit_is_remembered_once(stage: Promoted) -> None:
    stage.promote()
    first = folders_before.document_path(stage.paths).read_bytes()
    stage.files().mark_live()
    assert folders_before.document_path(stage.paths).read_bytes() == first
    above = {folder for unit in stage.promotion.units for folder in folders_of(unit.path)}
    assert above
