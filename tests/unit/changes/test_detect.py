"""What a run finds when something changed, when nothing did, and when it cannot see."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotsync.changes import folders
from hotsync.manifest.changeset_file import read_changes
from hotsync.model.entry import Kind, Verb
from tests.support.deep import dig
from tests.unit.changes.support import Server, selection


def test_the_first_run_finds_everything_and_the_second_nothing(server: Server) -> None:
    server.write("data/a")
    server.write("data/folder/b")
    server.write("other/c")
    assert server.verbs() == [("content", "data"), ("content", "data/a"), ("content", "data/folder"),
                              ("content", "data/folder/b")]  # fmt: skip
    assert server.commit().entries == 4
    found = server.detect()
    assert found.empty
    assert found.entries == 4


def test_a_change_that_keeps_size_and_time_is_found_by_its_ctime(server: Server) -> None:
    server.write("data/a", b"one")
    before = os.stat(server.path("data/a"))
    server.commit()
    with open(server.path("data/a"), "r+b") as file:
        file.write(b"two")
    os.utime(server.path("data/a"), ns=(before.st_atime_ns, before.st_mtime_ns))
    assert server.verbs() == [("content", "data/a")]


def test_new_gone_and_renamed_files_come_in_the_order_of_a_walk(server: Server) -> None:
    for name in ("data/a", "data/b/x", "data/b/y", "data/c"):
        server.write(name)
    server.commit()
    os.rename(server.path("data/c"), server.path("data/b c"))
    os.unlink(server.path("data/b/x"))
    assert server.verbs() == [("meta", "data"), ("meta", "data/b"), ("delete", "data/b/x"), ("content", "data/b c"),
                              ("delete", "data/c")]  # fmt: skip


def test_a_folder_that_became_a_file_is_one_content_and_its_children_are_deleted(server: Server) -> None:
    server.write("data/p/x/y")
    server.commit()
    os.unlink(server.path("data/p/x/y"))
    os.removedirs(server.path("data/p/x"))
    server.write("data/p")
    verbs = server.verbs()
    assert [one for one in verbs if one[1] != "data"] == [("content", "data/p"), ("delete", "data/p/x"),
                                                          ("delete", "data/p/x/y")]  # fmt: skip


def test_a_file_that_became_a_folder_is_one_content_with_what_it_holds(server: Server) -> None:
    server.write("data/p")
    server.commit()
    os.unlink(server.path("data/p"))
    server.write("data/p/x")
    changes = server.changes()
    assert [(one.verb, one.path) for one in changes][1:] == [(Verb.CONTENT, "data/p"), (Verb.CONTENT, "data/p/x")]
    assert changes[1].entry is not None
    assert changes[1].entry.kind is Kind.DIRECTORY


def test_another_mode_of_a_folder_is_meta_and_of_a_file_content(server: Server) -> None:
    server.write("data/folder/a")
    server.commit()
    os.chmod(server.path("data/folder"), 0o700)
    os.chmod(server.path("data/folder/a"), 0o600)
    assert server.verbs() == [("meta", "data/folder"), ("content", "data/folder/a")]
    assert server.detect().rewritten_files == 0


def test_folders_above_an_included_path_are_entries_if_it_is_there(server: Server) -> None:
    server.rules = selection(
        "+ /var/lib/app", "+ /var/empty/missing", "- /var/lib/app/cache", "+ /var/lib/app/cache/keep"
    )
    server.write("var/lib/app/cache/keep/a")
    server.write("var/lib/app/cache/drop")
    server.write("var/lib/other")
    os.makedirs(server.path("var/empty"))
    assert [path for _, path in server.verbs()] == ["var", "var/lib", "var/lib/app", "var/lib/app/cache",
                                                    "var/lib/app/cache/keep", "var/lib/app/cache/keep/a"]  # fmt: skip
    server.commit()
    os.unlink(server.path("var/lib/app/cache/keep/a"))
    os.rmdir(server.path("var/lib/app/cache/keep"))
    assert ("delete", "var/lib/app/cache") in server.verbs()


def test_the_names_of_one_file_travel_together_also_when_only_one_differs(server: Server) -> None:
    server.write("data/a")
    os.link(server.path("data/a"), server.path("data/b"))
    os.link(server.path("data/a"), server.path("data/z"))
    server.write("data/m")
    server.commit()
    with server.manifest.transaction() as db:
        db.execute("UPDATE entry SET unsettled = 1 WHERE key = ?", (b"data\0b",))
    assert server.verbs() == [("content", "data/a"), ("content", "data/b"), ("content", "data/z")]
    os.unlink(server.path("data/z"))
    assert server.verbs() == [("meta", "data"), ("content", "data/a"), ("content", "data/b"), ("delete", "data/z")]


@pytest.mark.parametrize(
    "name", [b"data/new\nline", b"data/\xff\xfe", b"data/" + b"n" * 255, b"data/\xc3\xa9", b"data/ "]
)
def test_odd_names_go_all_the_way(server: Server, name: bytes) -> None:
    server.write(name)
    server.commit()
    assert [os.fsencode(entry.path) for entry in server.entries()][1:] == [name]
    assert server.detect().empty


def test_a_link_that_is_not_utf8_keeps_its_target(server: Server) -> None:
    server.write("data/a")
    os.symlink(b"\xff/nowhere", server.path("data/link"))
    server.commit()
    entry = server.manifest.get("data/link")
    assert entry is not None
    assert (entry.kind, os.fsencode(entry.target), entry.size) == (Kind.SYMLINK, b"\xff/nowhere", 0)


def test_names_are_sorted_by_their_bytes(server: Server) -> None:
    names = [b"data/\xff", b"data/\xc3\xa9", b"data/\xef\xbf\xbd", b"data/\xf0\x9f\x98\x80", b"data/a", b"data/a b",
             b"data/a/x", b"data/a.b", b"data/\x80"]  # fmt: skip
    for name in names:
        if name != b"data/a":
            server.write(name)
    keys = [os.fsencode(change.path).replace(b"/", b"\0") for change in server.changes()]
    assert keys == sorted(keys)
    assert len(keys) == len(names) + 1


def test_sockets_are_skipped_with_a_word(server: Server) -> None:
    server.write("data/a")
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    os.mknod(server.path("data/socket"), 0o140644)
    found = server.detect()
    assert found.entries == 2
    assert [(note.code, note.path) for note in found.remarks] == [("skipped.socket", "data/socket")]
    assert not found.problems


def fail(number: int, *names: bytes) -> object:
    def status_of(name: bytes, **more: object) -> os.stat_result:
        if name in names:
            raise OSError(number, os.strerror(number))
        return os.stat(name, **more)  # type: ignore[arg-type]

    return status_of


def test_what_cannot_be_read_keeps_its_previous_version_with_all_it_holds(server: Server) -> None:
    for name in ("data/a", "data/bad/x", "data/bad/deep/y", "data/bad!", "data/c"):
        server.write(name)
    server.commit()
    server.write("data/c", b"changed")
    server.write("data/bad/new")
    found = server.detect(status_of=fail(errno.EIO, b"bad"))
    assert server.verbs(status_of=fail(errno.EIO, b"bad")) == [("content", "data/c")]
    assert [(note.code, note.path) for note in found.problems] == [("path.unreadable", "data/bad")]
    assert "previous version stays" in found.problems[0].sentence


def test_a_new_path_that_cannot_be_read_is_named_as_not_protected(server: Server) -> None:
    server.write("data/a")
    server.write("data/bad")
    found = server.detect(status_of=fail(errno.EIO, b"bad"))
    assert "not protected" in found.problems[0].sentence


def test_a_known_path_that_vanishes_under_our_eyes_stays_and_an_unknown_one_is_nobodys_loss(server: Server) -> None:
    server.write("data/a")
    server.write("data/known")
    server.commit()
    server.write("data/temporary")
    found = server.detect(status_of=fail(errno.ENOENT, b"known", b"temporary"))
    assert [(note.code, note.path) for note in found.problems] == [("path.vanished", "data/known")]
    assert found.summary.deleted == 0


def test_a_folder_that_is_replaced_while_it_is_entered_keeps_what_it_held(server: Server) -> None:
    server.write("data/folder/a")
    server.commit()

    def status_of(name: bytes, **more: object) -> os.stat_result:
        status = os.stat(name, **more)  # type: ignore[arg-type]
        if name == b"folder":
            os.rename(server.path("data/folder"), server.path("data/gone"))
            os.mkdir(server.path("data/folder"))
        return status

    found = server.detect(status_of=status_of)
    assert found.summary.deleted == 0
    assert [note.path for note in found.problems] == ["data/folder"]


def test_an_entry_with_a_young_time_stamp_is_unsettled_until_a_later_run(server: Server) -> None:
    server.write("data/a")
    os.utime(server.path("data/a"), ns=(1, 1))
    server.clock.ns = os.stat(server.path("data/a")).st_ctime_ns + 19_999_999
    server.commit()
    entry = server.manifest.get("data/a")
    assert entry is not None
    assert entry.unsettled
    server.clock.ns += 10**12
    assert ("content", "data/a") in server.verbs()
    server.commit()
    assert server.detect().empty


def test_a_time_stamp_in_the_future_is_looked_at_in_every_run(server: Server) -> None:
    server.write("data/a")
    os.utime(server.path("data/a"), ns=(1, server.clock.ns + 10**9))
    server.commit()
    assert server.verbs() == [("content", "data/a")]


def test_a_path_too_deep_to_be_carried_is_reported_and_the_rest_goes_on(server: Server) -> None:
    server.write("data/z")
    os.mkdir(server.path("data/deep"))
    descriptor = os.open(server.path("data/deep"), os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=descriptor)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    found = server.commit()
    assert [note.code for note in found.problems] == ["path.unreadable"]
    assert "too long" in found.problems[0].sentence
    assert server.manifest.get("data/z") is not None
    assert max(len(os.fsencode(entry.path)) for entry in server.entries()) > 3700
    assert server.detect().empty


def test_a_tree_of_very_many_levels_is_carried_as_far_as_can_be_and_told_once(server: Server) -> None:
    server.write("data/z")
    dig(Path(os.fsdecode(server.path("data/deep"))), 520, files=1)
    found = server.commit()
    assert [(note.code, note.sentence.endswith("it is not protected")) for note in found.problems] == [
        ("path.unreadable", True)
    ]
    assert "more than 500 folders deep" in found.problems[0].sentence
    levels = [entry.path.count("/") + 1 for entry in server.entries()]
    assert (
        max(level for level, entry in zip(levels, server.entries(), strict=True) if entry.kind is Kind.DIRECTORY) == 500
    )
    assert max(levels) == 501, "a file in the deepest folder"
    assert server.manifest.get("data/z") is not None
    assert server.detect().empty


def test_what_lies_too_deep_keeps_its_previous_version_if_it_has_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    dig(Path(os.fsdecode(server.path("data/deep"))), 20, files=1)
    server.commit()
    before = server.entries()
    monkeypatch.setattr("hotsync.changes.walk.DEEPEST", 10)
    found = server.detect()
    assert found.empty
    assert [note.sentence.endswith("its previous version stays") for note in found.problems] == [True]
    assert server.entries() == before


def test_a_tree_deeper_than_the_handles_that_are_kept_open_is_walked_whole(server: Server) -> None:
    path = "data"
    for _ in range(450):
        path += "/d"
        server.write(f"{path}/a")
        server.write(f"{path}/z")
    found = server.commit()
    assert found.entries == 1 + 450 * 3
    assert not found.problems
    assert server.detect().empty
    assert len(os.listdir("/proc/self/fd")) < 60


def test_a_folder_that_is_moved_away_while_the_walk_is_deep_below_keeps_its_rest(server: Server) -> None:
    path = "data"
    for _ in range(250):
        path += "/d"
        server.write(f"{path}/z")
    server.commit()
    top = server.path("data/d")

    def status_of(name: bytes, **more: object) -> os.stat_result:
        status = os.stat(name, **more)  # type: ignore[arg-type]
        if name == b"z" and os.path.exists(top) and "d" not in os.listdir(f"/proc/self/fd/{more['dir_fd']}"):
            os.rename(top, server.path("elsewhere"))
        return status

    found = server.detect(status_of=status_of)
    assert found.summary.deleted == 0
    assert found.problems


def test_attributes_and_flags_are_read_of_what_differs(server: Server) -> None:
    server.write("data/a")
    try:
        os.setxattr(server.path("data/a"), "user.test", b"1")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    server.commit()
    first = server.manifest.get("data/a")
    os.setxattr(server.path("data/a"), "user.test", b"2")
    server.commit()
    second = server.manifest.get("data/a")
    assert first is not None
    assert second is not None
    assert first.attributes
    assert second.attributes not in ("", first.attributes)


def test_a_renamed_file_counts_neither_as_deleted_nor_as_rewritten(server: Server) -> None:
    for number in range(20):
        server.write(f"data/old/{number}", b"x" * number)
    server.commit()
    os.rename(server.path("data/old"), server.path("data/new"))
    found = server.detect()
    assert (found.summary.deleted, found.deleted_files, found.rewritten_files) == (21, 0, 0)
    os.unlink(server.path("data/new/3"))
    server.write("data/new/4", b"other")
    found = server.detect()
    assert (found.deleted_files, found.rewritten_files) == (2, 0)


def test_the_planned_file_appears_only_when_it_is_whole(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.write("data/a")

    def status_of(name: bytes, **more: object) -> os.stat_result:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.detect(status_of=status_of)
    assert not (server.work / "planned").exists()
    assert [path for path in os.listdir(server.work) if path.startswith(".")] == []


def test_links_are_not_followed_anywhere(server: Server, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("x")
    os.mkdir(server.path("data"))
    os.symlink(tmp_path / "outside", server.path("data/link"))
    assert server.verbs() == [("content", "data"), ("content", "data/link")]
    server.rules = selection("+ /data/link/secret")
    assert server.verbs() == []


@pytest.mark.parametrize("seconds", [-(2**40), -(2**31) - 1, 2**40])
def test_a_time_that_no_entry_can_hold_is_carried_as_near_as_can_be_and_stays_dirty(
    server: Server, seconds: int
) -> None:
    server.write("data/a")

    def status_of(name: bytes, **more: object) -> os.stat_result:
        status = os.stat(name, **more)  # type: ignore[arg-type]
        if name != b"a":
            return status
        fields = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
        return SimpleNamespace(**fields | {"st_mtime_ns": seconds * 10**9})  # type: ignore[return-value]

    detection = server.detect(status_of=status_of)
    server.manifest.apply(read_changes(detection.planned), 1, detection.summary.digest)
    entry = server.manifest.get("data/a")
    assert entry is not None
    assert entry.unsettled
    assert abs(entry.mtime_ns) == min(abs(seconds) * 10**9, 2**63 - 1)
    os.rename(server.path("data/a"), server.path("data/b"))
    assert server.verbs() == [("meta", "data"), ("delete", "data/a"), ("content", "data/b")]


def test_a_very_large_folder_is_sorted_on_disk(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_LARGE_FOLDER", 0)
    monkeypatch.setattr(folders, "_RUN", 7)
    names = [b"%d" % number for number in range(60)] + [b"\xff%d" % number for number in range(10)]
    for name in names:
        server.write(b"data/" + name)
    server.write("data/sub/x")
    before = len(os.listdir("/proc/self/fd"))
    found = server.commit()
    assert [os.fsencode(entry.path) for entry in server.entries()] == sorted(
        [b"data", b"data/sub", b"data/sub/x", *(b"data/" + name for name in names)],
        key=lambda path: path.replace(b"/", b"\0"),
    )
    assert found.entries == 73
    assert server.detect().empty
    assert len(os.listdir("/proc/self/fd")) == before
