"""An old MASTER's data becomes its replica's tree with real renames, mounts and attributes, cut after every call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hotsync.engine.listing import DiskListing, left_paths
from hotsync.engine.open_replica import open_replica
from hotsync.engine.rejoin.files import RejoinFiles, forget_attempt
from hotsync.engine.rejoin.host import RejoinHost
from hotsync.engine.rejoin.room import bytes_of
from hotsync.errors import ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.rejoin import Rejoin, Terms, Way
from hotsync.model.selection import Action, Rule, Selection
from hotsync.planning.rejoin import RejoinFacts, plan_rejoin
from hotsync.planning.rejoin_parts import rejoin_parts
from hotsync.replica.generations import read_generations
from hotsync.state import rejoin as document
from hotsync.steps.rejoin import MovePart
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.support.disks import bad_sector
from tests.support.dying import Cut, dying_before

pytestmark = pytest.mark.contract

RULES = [
    *(Rule(path, Action.INCLUDE, "test") for path in ("/etc", "/root", "/home", "/srv", "/var/lib")),
    *(Rule(path, Action.EXCLUDE, "test") for path in ("/srv/backup", "/home/*/.cache", "/etc/left-out")),
    *(Rule(path, Action.PROTECT, "test") for path in ("/etc/fstab", "/var/lib/dpkg", "/var/lib/hotsync")),
    Rule("/var/lib/hotsync/spool", Action.INCLUDE, "test"),
]
CARRIED = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nanna:x:1:1::/home/anna:/bin/bash\ncy:x:2:2::/home/people/cy:/bin/sh\n",
    "etc/app/app.conf": "settings\n",
    "root/notes": "root's\n",
    "home/anna/mail": "anna's\n",
    "home/anna/.ssh/authorized_keys": "a key\n",
    "home/bo/file": "bo's\n",
    "home/people/cy/.ssh/authorized_keys": "another key\n",
    "home/people/cy/file": "cy's\n",
    "srv/share/file": "shared\n",
    "srv/disk/data": "on a disk of its own\n",
    "var/lib/app/state": "state\n",
    "var/lib/file": "a single file\n",
    "var/lib/hotsync/spool/facts/facts.json": "{}\n",
}
STAYS = {
    "etc/fstab": "this machine's\n",
    "etc/left-out": "not carried\n",
    "home/anna/.cache/x": "a cache\n",
    "srv/backup/huge": "not carried\n",
    "var/lib/dpkg/status": "packages\n",
    "usr/bin/program": "a program\n",
}


def content(root: Path) -> dict[str, str]:
    return {
        os.fspath(path.relative_to(root)): path.read_text(errors="replace")
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


class Stage:
    """A MASTER in a folder that has begun its rejoin."""

    def __init__(self, root: Path, mounts: tuple[str, ...] = ()) -> None:
        self.paths = Paths(root)
        for path, text in {**CARRIED, **STAYS}.items():
            if path.startswith(mounts) and mounts:
                continue
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        os.chown(root / "home/anna", 1000, 1000)
        (root / "home/anna").chmod(0o2750)
        os.setxattr(root / "home/anna", "user.mark", b"anna's")
        for path in mounts:
            (root / path).mkdir(parents=True)
        self.paths.run.mkdir(parents=True)
        self.selection = Selection(RULES)

    def begin(self, mounts: tuple[str, ...] = ()) -> Rejoin:
        root = self.paths.root
        device = os.stat(self.paths.state).st_dev
        left = left_paths(self.selection, root)
        found = rejoin_parts(DiskListing(root), self.selection, left, frozenset(mounts), device)
        rejoin = Rejoin(Terms(2, 7, "d" * 64), 1.0, "", found.parts, found.folders)
        document.save_rejoin(self.paths, rejoin)
        return rejoin

    def files(self) -> RejoinFiles:
        return RejoinFiles(self.paths, SystemClock(), lambda: self.selection)

    def go_on(self) -> None:
        """What the plan does with files, from its start: each step can be repeated."""
        rejoin = document.load_rejoin(self.paths)
        assert rejoin is not None
        files = self.files()
        files.make_replica()
        for step in plan_rejoin(RejoinFacts(rejoin, begun=True)):
            if isinstance(step, MovePart):
                files.move(step.path)
        files.hold_generation()
        for part in rejoin.parts:
            files.clear(part.path)

    def check(self) -> None:
        root = self.paths.root
        tree = self.paths.replica / "tree"
        assert content(tree) == CARRIED
        live = {path: text for path, text in content(root).items() if not path.startswith(("var/lib/hotsync/", "run/"))}
        kept = {path: text for path, text in CARRIED.items() if path.startswith(("etc/", "root/"))}
        keys = {path: text for path, text in CARRIED.items() if "/.ssh/" in path}
        assert live == {**STAYS, **kept, **keys}
        for place in (tree, root):
            anna = (place / "home/anna").stat()
            assert (anna.st_uid, anna.st_gid, anna.st_mode & 0o7777) == (1000, 1000, 0o2750)
            assert os.getxattr(place / "home/anna", "user.mark") == b"anna's"
        assert (root / "srv/share").is_dir()
        assert os.listdir(root / "srv/share") == []
        replica = open_replica(self.paths, SystemClock())
        assert replica.closed == ""
        with Manifest(self.paths.manifest) as manifest:
            paths = {entry.path for entry in manifest.entries()}
            assert all(entry.unsettled for entry in manifest.entries())
            assert manifest.generation == 7
        assert paths == {os.fspath(path.relative_to(tree)) for path in tree.rglob("*")}
        assert [one.number for one in read_generations(self.paths.manifest)] == [7]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "root")


def test_what_is_carried_is_in_the_tree_and_the_rest_where_it_was(stage: Stage) -> None:
    rejoin = stage.begin()
    assert {part.path for part in rejoin.parts if part.way is Way.COPY} == {"etc", "root", "home/anna/.ssh"}
    before = (stage.paths.root / "srv/share").stat().st_ino
    stage.go_on()
    stage.check()
    assert (stage.paths.replica / "tree/srv/share").stat().st_ino == before


CALLS = [
    (os, "rename"), (os, "mkdir"), (os, "fchown"), (os, "utime"), (os, "chmod"), (os, "fsync"), (os, "replace"),
    (command, "run"),
]  # fmt: skip


def test_cut_before_any_call_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Stage(tmp_path / "0")
    first.begin()
    with dying_before(0, CALLS, monkeypatch) as counted:
        first.go_on()
    for number in range(1, counted[0] + 1, 3):
        stage = Stage(tmp_path / str(number))
        stage.begin()
        with suppress(Cut), dying_before(number, CALLS, monkeypatch):
            stage.go_on()
        rejoin = document.load_rejoin(stage.paths)
        assert rejoin is not None
        if open_replica(stage.paths, SystemClock()).closed or not stage.paths.replica.is_dir():
            stage.go_on()
        else:  # the replica was opened: the journal has all steps before that, so only what follows is repeated
            for part in rejoin.parts:
                stage.files().clear(part.path)
        stage.check()


def test_what_was_immutable_moves_and_can_be_changed_in_the_replica(stage: Stage) -> None:
    file = stage.paths.root / "srv/share/file"
    command.run(["chattr", "+i", str(file)])
    command.run(["chattr", "+a", str(stage.paths.root / "var/lib/file")])
    stage.begin()
    stage.go_on()
    stage.check()
    shown = command.run(["lsattr", str(stage.paths.replica / "tree/srv/share/file")]).text
    assert "i" not in shown.split()[0]


def test_something_that_was_changed_by_hand_is_named(stage: Stage) -> None:
    stage.begin()
    os.rename(stage.paths.root / "srv/share", stage.paths.root / "srv/elsewhere")
    (stage.paths.root / "srv/share").mkdir()
    with pytest.raises(ReplicaError, match="/srv/share is neither live nor in the replica"):
        stage.go_on()


def test_what_an_earlier_time_as_slave_left_keeps_its_place_by_another_name(stage: Stage) -> None:
    (stage.paths.replica / "history/3").mkdir(parents=True)
    (stage.paths.replica / "closed").write_text('{"reason": "promoted"}')
    stage.begin()
    stage.go_on()
    stage.check()
    assert (stage.paths.state / "replica.1/history/3").is_dir()


@contextmanager
def disk(place: Path) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    command.run(["mount", "-t", "tmpfs", "tmpfs", str(place)])
    try:
        yield
    finally:
        command.run(["umount", str(place)])


def test_what_lies_on_another_file_system_is_copied_and_goes_when_the_replica_is_complete(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "root", mounts=("srv/disk",))
    with disk(stage.paths.root / "srv/disk"):
        (stage.paths.root / "srv/disk/data").write_text(CARRIED["srv/disk/data"])
        rejoin = stage.begin(mounts=("srv/disk",))
        assert [part.path for part in rejoin.parts if part.way is Way.CARRY] == ["srv/disk/data"]
        stage.go_on()
        stage.check()


def test_a_bad_sector_on_another_file_system_does_not_keep_this_server_from_coming_back(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "root", mounts=("srv/disk",))
    root = stage.paths.root
    with bad_sector(root / "srv/disk", tmp_path / "image") as bad:
        stage.begin(mounts=("srv/disk",))
        stage.go_on()
        assert sorted(os.listdir(stage.paths.replica / "tree/srv/disk")) == ["a", "c"]
        assert os.listdir(root / "srv/disk") == []
    rejoin = document.load_rejoin(stage.paths)
    assert rejoin is not None
    assert rejoin.notes == (f"{bad} could not be read here: the MASTER sends what it has of it.",)


@contextmanager
def small_disk(place: Path, image: Path, *options: str) -> Iterator[None]:
    """A file system of 100 MiB of its own."""
    place.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(100 << 20)
    command.run(["mkfs.ext4", "-q", *options, str(image)])
    command.run(["mount", "-o", "loop", str(image), str(place)])
    try:
        yield
    finally:
        command.run(["umount", str(place)])


def live_of(stage: Stage) -> dict[str, str]:
    return {path: text for path, text in content(stage.paths.root).items() if not path.startswith("var/lib/hotsync/")}


def test_where_what_is_copied_has_no_room_nothing_begins_and_the_way_back_is_open(tmp_path: Path) -> None:
    with small_disk(tmp_path / "root/var/lib/hotsync", tmp_path / "disk.img"):
        stage = Stage(tmp_path / "root")
        (stage.paths.root / "home/bo/film").write_bytes(os.urandom(50 << 20))
        rejoin = stage.begin()
        before = live_of(stage)
        host = RejoinHost(stage.paths, SystemClock())
        with pytest.raises(ReplicaError, match=r"must be copied to .*, which lacks \d+ MiB") as caught:
            host.make_replica()
        assert "No data has left its place" in caught.value.hint
        assert not stage.paths.replica.exists()
        stage.files().make_replica()
        with pytest.raises(ReplicaError, match="/home/bo must be copied"):  # the disk filled up meanwhile
            stage.files().move("home/bo")
        assert not os.path.lexists(stage.paths.replica / "tree/home/bo")
        assert live_of(stage) == before
        assert bytes_of(stage.paths.root / "home") >= 50 << 20
        assert {part.way for part in rejoin.to_copy} == {Way.CARRY, Way.COPY}
        (stage.paths.root / "home/bo/film").unlink()
        stage.go_on()
        stage.check()


def test_a_copy_that_finds_no_room_all_the_same_leaves_nothing_and_the_attempt_can_be_forgotten(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "root/var/lib/hotsync", tmp_path / "disk.img", "-N", "200"):
        stage = Stage(tmp_path / "root")
        for number in range(300):  # bytes are free, inodes are not
            (stage.paths.root / f"srv/share/{number}").touch()
        stage.begin()
        before = live_of(stage)
        with pytest.raises(ReplicaError, match=r"/srv/share was not copied: cp failed .*No space left") as caught:
            stage.go_on()
        assert "Free space there" in caught.value.hint
        assert not os.path.lexists(stage.paths.replica / "tree/srv/share")
        assert live_of(stage) == before
        assert not document.is_moving(stage.paths)
        forget_attempt(stage.paths, SystemClock())
        assert not stage.paths.replica.exists()
        assert document.load_rejoin(stage.paths) is None
        assert live_of(stage) == before


def test_a_file_of_several_names_takes_room_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(1 << 20))
    once = bytes_of(tmp_path)
    os.link(tmp_path / "a", tmp_path / "b")
    assert bytes_of(tmp_path) == once
    (tmp_path / "small").write_text("x")
    assert bytes_of(tmp_path) >= once + 4096
