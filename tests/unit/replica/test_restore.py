"""Back in time: a path out of a generation, somewhere else, with all its metadata."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from hotsync.errors import Refused, ReplicaError, TargetRefused, UsageError
from hotsync.model.generation import Retention
from hotsync.replica import restore
from hotsync.replica.history import Change, Difference
from hotsync.system import files
from tests.support.replica_world import World, grouped, look

ORDER = ("link", "one", "pipe", "two")


@pytest.fixture
def lived(world: World) -> World:
    """Three generations: made, changed, removed."""
    world.write("etc/odd\nname/\udcff", "odd")
    first = world.write("etc/site/one", "first")
    os.link(first, world.master / "etc/site/two")
    (world.master / "etc/site/link").symlink_to("/nowhere/\udcfe")
    os.mkfifo(world.master / "etc/site/pipe")
    os.setxattr(world.master / "etc/site", "user.note", b"folder")
    (world.master / "etc/site").chmod(0o750)
    world.generation()
    world.clock.time += 60
    first.write_text("second")
    os.setxattr(world.master / "etc/site", "user.note", b"changed")
    world.write("etc/added", "a")
    world.generation()
    world.clock.time += 60
    shutil.rmtree(world.master / "etc/site")
    world.generation()
    return world


def test_a_folder_comes_back_with_everything_that_it_held(lived: World) -> None:
    told: list[str] = []
    report = lived.replica().restore("etc/site", lived.base / "out", 1, told.append)
    snapshot = {path: item for path, item in lived.expected[1].items() if path.startswith("etc/site")}
    found = {path: item for path, item in look(lived.base / "out").items() if path.startswith("etc/site")}
    assert grouped(found) == grouped(snapshot)
    assert told == ["etc/site", "etc/site/link", "etc/site/one", "etc/site/pipe", "etc/site/two"]
    assert (report.folders, report.files, report.bytes, report.notices) == (1, 4, 5, [])
    assert os.stat(lived.base / "out/etc").st_mtime_ns == lived.expected[1]["etc"].mtime_ns


def test_a_file_with_an_odd_name_comes_back_from_the_tree(lived: World) -> None:
    lived.replica().restore("etc/odd\nname/\udcff", lived.base / "out", 2)
    assert (lived.base / "out/etc/odd\nname/\udcff").read_text() == "odd"
    assert (lived.base / "out/etc/odd\nname/\udcff").stat().st_nlink == 1


def test_nothing_is_written_over(lived: World) -> None:
    out = lived.base / "out"
    (out / "etc").mkdir(parents=True)
    (out / "etc/site").write_text("mine")
    with pytest.raises(Refused, match="etc/site exists already"):
        lived.replica().restore("etc/site", out, 1)
    assert (out / "etc/site").read_text() == "mine"
    lived.replica().restore("etc/added", out, 2)
    assert sorted(os.listdir(out / "etc")) == ["added", "site"]


def test_a_path_that_did_not_exist_then_is_refused(lived: World) -> None:
    with pytest.raises(UsageError, match="/etc/added did not exist in generation 1"):
        lived.replica().restore("etc/added", lived.base / "out", 1)
    with pytest.raises(UsageError, match="/etc/site did not exist in generation 3"):
        lived.replica().restore("etc/site", lived.base / "out", 3)
    with pytest.raises(ReplicaError, match="generation 9 is not held"):
        lived.replica().restore("etc/site", lived.base / "out", 9)
    assert not (lived.base / "out").exists()


def test_a_target_that_is_a_file_is_the_targets_trouble_and_not_the_replicas(lived: World) -> None:
    (lived.base / "out").write_text("a file")
    for to in (lived.base / "out", lived.base / "out/inner"):
        with pytest.raises(TargetRefused, match=f"{to} cannot be written"):
            lived.replica().restore("etc/site", to, 1)


def test_a_link_to_a_folder_is_a_name_of_that_folder(lived: World) -> None:
    (lived.base / "real").mkdir()
    (lived.base / "out").symlink_to("real")
    lived.replica().restore("etc/site", lived.base / "out", 1)
    assert (lived.base / "real/etc/site/one").read_text() == "first"


def test_a_disk_that_fails_while_it_is_read_is_the_replicas_trouble(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("hotsync.replica.restore.copy_object", broken)
    with pytest.raises(ReplicaError, match="Input/output error"):
        lived.replica().restore("etc/site", lived.base / "out", 1)


def test_the_replica_itself_is_no_place_to_restore_to(lived: World) -> None:
    for to in (lived.root, lived.root / "tree", lived.base / "replica/../replica/staging"):
        with pytest.raises(Refused, match="inside the replica"):
            lived.replica().restore("etc/site", to, 1)


def test_a_restore_that_fails_leaves_nothing_behind(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hotsync.replica.restore.copy_object", full)
    with pytest.raises(TargetRefused, match="out cannot be written: No space left on device"):
        lived.replica().restore("etc/site", lived.base / "out", 1)
    assert [*look(lived.base / "out")] == ["etc"]


def test_into_the_root_things_are_replaced_one_by_one(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root is a folder here; what the code takes for the root is what `resolve` says."""
    live = lived.base / "live"
    shutil.copytree(lived.root / "tree", live, symlinks=True)
    (live / "etc/site").mkdir()
    (live / "etc/site/one").write_text("of today")
    (live / "etc/site/own").write_text("stays")
    (live / "etc/site/pipe").mkdir()
    (live / "etc/site/link").write_text("in the way, but no folder")
    resolve = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda path: Path("/") if path == live else resolve(path))
    report = lived.replica().restore("etc/site", live, 1)
    assert (live / "etc/site/one").read_text() == "first"
    assert (live / "etc/site/own").read_text() == "stays"
    assert os.readlink(live / "etc/site/link") == "/nowhere/\udcfe"
    assert [(notice.code, notice.path) for notice in report.notices] == [("restore.in_the_way", "etc/site/pipe")]
    assert oct((live / "etc/site").stat().st_mode)[-3:] == "750"
    assert not [*live.rglob(".hotsync*")]


def test_a_restore_into_the_root_that_fails_leaves_nothing_half_written_in_production(
    lived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails is the file system, which does not take an attribute; the content was copied by then."""
    live = lived.base / "live"
    shutil.copytree(lived.root / "tree", live, symlinks=True)
    resolve = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda path: Path("/") if path == live else resolve(path))

    def refused(at: tuple[int, str], *_: object) -> None:
        os.setxattr(f"/proc/self/fd/{at[0]}/{at[1]}", "nonsense.name", b"x", follow_symlinks=False)

    with monkeypatch.context() as patched:
        patched.setattr("hotsync.replica.restore.set_metadata", refused)
        with pytest.raises(TargetRefused, match="not supported"):
            lived.replica().restore("etc/site", live, 1)
    assert not [*live.rglob(".hotsync*")]


class Seen:
    """What is done to the disk, in its order; each call is made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        fsync, rename, noreplace, syncfs = os.fsync, os.rename, files.rename_noreplace, files.sync_filesystem

        def note_fsync(descriptor: int) -> None:
            fsync(descriptor)
            self.calls.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').read_bytes()!r}")

        def note_rename(old: str, new: str, **folders: int) -> None:
            rename(old, new, src_dir_fd=folders["src_dir_fd"], dst_dir_fd=folders["dst_dir_fd"])
            self.calls.append(f"rename {new}")

        def note_noreplace(old: str, new: str, **folders: int) -> None:
            noreplace(old, new, old_dir=folders["old_dir"], new_dir=folders["new_dir"])
            self.calls.append(f"whole {new}")

        def note_syncfs(path: str) -> None:
            syncfs(path)
            self.calls.append(f"syncfs {Path(path).resolve().name}")

        monkeypatch.setattr(os, "fsync", note_fsync)
        monkeypatch.setattr(os, "rename", note_rename)
        monkeypatch.setattr(restore, "rename_noreplace", note_noreplace)
        monkeypatch.setattr(restore, "sync_filesystem", note_syncfs)


def test_what_is_replaced_and_what_is_reported_is_on_the_disk(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    live = lived.base / "live"
    (live / "etc/site").mkdir(parents=True)
    (live / "etc/site/one").write_text("of today")
    (live / "etc/site/link").write_text("of today")
    resolve = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda path: Path("/") if path == live else resolve(path))
    replica = lived.replica()
    seen = Seen(monkeypatch)
    replica.restore("etc/site", live, 1)
    first = seen.calls.index("fsync b'first'")
    assert seen.calls[first + 1] == "rename one", "content first: the old file is gone by that"
    assert [call for call in seen.calls if call.startswith("rename")] == [f"rename {name}" for name in ORDER]
    assert seen.calls[-1].startswith("syncfs ")


def test_what_appears_whole_is_on_the_disk_before_it_appears(lived: World, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = lived.replica()
    seen = Seen(monkeypatch)
    replica.restore("etc/site", lived.base / "out", 1)
    whole = seen.calls.index("whole site")
    assert (seen.calls[whole - 1], seen.calls[-1]) == ("syncfs etc", "syncfs out")


@pytest.mark.parametrize("which", [1, 2])
def test_a_disk_that_fails_at_last_is_no_success(lived: World, monkeypatch: pytest.MonkeyPatch, which: int) -> None:
    left = which

    def full(_path: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(restore, "sync_filesystem", full)
    with pytest.raises(TargetRefused, match="No space left on device"):
        lived.replica().restore("etc/site", lived.base / "out", 1)
    assert not [*(lived.base / "out").rglob(".hotsync*")]


def test_after_a_promotion_history_answers_for_what_it_holds(lived: World) -> None:
    lived.replica().close("promotion of epoch 2")
    shutil.rmtree(lived.root / "tree/etc")  # it is in production now
    lived.replica().restore("etc/site", lived.base / "out", 1)
    assert (lived.base / "out/etc/site/two").read_text() == "first"
    with pytest.raises(ReplicaError, match=r"/etc/added did not change since generation 2, and the tree is live"):
        lived.replica().restore("etc/added", lived.base / "out", 2)
    report = lived.replica().restore("etc", lived.base / "all", 2)
    assert {notice.path for notice in report.notices} == {"etc/added", "etc/odd\nname/\udcff"}
    assert (lived.base / "all/etc/site/one").read_text() == "second"


def test_a_damaged_content_in_history_is_told(lived: World) -> None:
    kept = lived.root / "history/2/files/etc/site/one"
    status = kept.stat()
    kept.write_text("rotte")
    os.utime(kept, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = lived.replica().restore("etc/site/one", lived.base / "out", 1)
    assert [(notice.code, notice.path) for notice in report.notices] == [("restore.damaged", "etc/site/one")]


def test_two_generations_are_compared(lived: World) -> None:
    replica = lived.replica()
    found = [(item.change, item.path) for item in replica.diff(1, 2)]
    assert found == [
        (Change.ADDED, "etc/added"),
        (Change.ATTRIBUTES, "etc/site"),
        (Change.CONTENT, "etc/site/one"),
        (Change.CONTENT, "etc/site/two"),
    ]
    assert {item.change for item in replica.diff(2, 3)} == {Change.REMOVED}
    assert [*replica.diff(2, 2)] == []
    across = {item.path: item.change for item in replica.diff(1, 3)}
    assert across["etc/added"] is Change.ADDED
    assert across["etc/site/one"] is Change.REMOVED
    undone = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED}
    for old, new in ((1, 2), (2, 3), (1, 3)):
        assert [*replica.diff(new, old)] == [
            Difference(item.path, undone.get(item.change, item.change), item.after, item.before)
            for item in replica.diff(old, new)
        ]
    with pytest.raises(ReplicaError):
        [*replica.diff(1, 9)]


def test_the_generations_in_which_a_path_changed_are_known(lived: World) -> None:
    replica = lived.replica()
    assert replica.changed_in("etc/site/one") == [2, 3]
    assert replica.changed_in("etc/added") == [2]
    assert replica.changed_in("etc/nothing") == []


def test_a_difference_is_the_same_after_what_lies_between_was_forgotten(world: World) -> None:
    world.retention = Retention(all_hours=0, quarter_hours=0, hourly_days=0, daily_days=0, floor_days=0)
    replica_keeps_all = Retention()
    rule, world.retention = world.retention, replica_keeps_all
    for _ in range(6):
        world.live(8)
        world.generation()
        world.clock.time += 60
    before = [*world.replica().diff(1, 6)]
    assert before
    with world.replica().hold() as opened:
        from hotsync.replica.effects import Effects
        from hotsync.replica.retention import Forgetting

        for number in (3, 2, 5, 4):
            Forgetting(opened.layout, opened.ledger, Effects()).forget(number)
    assert [generation.number for generation in world.replica().generations()] == [1, 6]
    assert [*world.replica().diff(1, 6)] == before
    assert rule.floor_days == 0
    world.check_generations()
    world.check_history()
