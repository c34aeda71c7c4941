"""The spool: equal is untouched, different appears whole, and a run that dies leaves the old or the new."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.errors import SourceError
from hotsync.sources import spool
from hotsync.sources.spool import collecting, file_name, forget, recover
from hotsync.system.files import sync_directory
from hotsync.system.paths import Paths
from tests.support.sizes import examples

Seen = dict[str, tuple[int, int, int]]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "var/lib/hotsync").mkdir(parents=True)
    return Paths(tmp_path)


def put(paths: Paths, files: dict[str, bytes], keep: tuple[str, ...] = ()) -> bool:
    with collecting(paths, "x/y") as collection:
        for name, data in files.items():
            candidate = collection.candidate(name)
            for start in range(0, len(data), 3):
                candidate.write(data[start : start + 3])
                candidate.pause()
        for name in keep:
            collection.keep(name)
        return collection.publish()


def held(paths: Paths) -> dict[str, bytes]:
    folder = paths.spool / "x/y"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def seen(paths: Paths) -> Seen:
    found = [paths.state, paths.spool, *paths.spool.rglob("*")]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in found}


def test_equal_files_keep_inode_and_times_and_so_do_the_folders(paths: Paths) -> None:
    files = {"a.sql": b"0123456789", "sub/b.dat": b"", "c": b"x" * 100}
    assert put(paths, files)
    before = seen(paths)
    assert not put(paths, files)
    assert seen(paths) == before


@pytest.mark.parametrize("new", [b"0123456780", b"X123456789", b"012345", b"0123456789more", b""])
def test_a_file_that_differs_anywhere_is_replaced_whole(paths: Paths, new: bytes) -> None:
    put(paths, {"a": b"0123456789", "b": b"same"})
    before = seen(paths)
    assert put(paths, {"a": new, "b": b"same"})
    assert held(paths) == {"a": new, "b": b"same"}
    after = seen(paths)
    assert before[str(paths.spool / "x/y/b")] == after[str(paths.spool / "x/y/b")]
    assert before[str(paths.spool / "x/y/a")][0] != after[str(paths.spool / "x/y/a")][0], "never written in place"


def test_digests_are_those_of_the_content(paths: Paths) -> None:
    with collecting(paths, "x/y") as collection:
        digest = collection.put("a", b"hello")
        collection.publish()
    assert digest == spool.digest_of(paths.spool / "x/y/a")
    assert digest.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


def test_what_is_not_put_again_goes_and_what_is_kept_stays(paths: Paths) -> None:
    put(paths, {"old.sql": b"1", "db.dump/toc": b"2", "db.dump/1": b"3", "new": b"4"})
    put(paths, {"new": b"5"}, keep=("db.dump",))
    assert held(paths) == {"new": b"5", "db.dump/toc": b"2", "db.dump/1": b"3"}
    put(paths, {"new": b"5"})
    assert held(paths) == {"new": b"5"}
    assert not (paths.spool / "x/y/db.dump").exists()


def test_a_folder_can_become_a_file_and_back(paths: Paths) -> None:
    put(paths, {"a/b": b"1"})
    put(paths, {"a": b"2"})
    assert held(paths) == {"a": b"2"}
    put(paths, {"a/b": b"3"})
    assert held(paths) == {"a/b": b"3"}


def test_what_is_not_published_leaves_the_last_copy_and_nothing_else(paths: Paths) -> None:
    put(paths, {"a": b"good"})
    before = seen(paths)
    with collecting(paths, "x/y") as collection:
        collection.candidate("a").write(b"bad, and only ha")
    assert seen(paths) == before
    assert not list(paths.collecting.rglob("*/files"))


def test_everything_is_roots_alone(paths: Paths) -> None:
    put(paths, {"sub/a": b"1"})
    for path in (
        paths.spool,
        paths.collecting,
        paths.spool / "x/y",
        paths.spool / "x/y/sub",
        paths.spool / "x/y/sub/a",
    ):
        assert path.stat().st_mode & 0o077 == 0, path


class Died(BaseException):
    """The process is gone: nothing runs after it, not even a clean-up."""


@pytest.mark.parametrize("calls", range(12))
def test_a_run_that_dies_while_publishing_is_finished_by_the_next(
    paths: Paths, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {"a": b"1", "gone/b": b"2", "same": b"3"}
    new = {"a": b"4", "same": b"3", "sub/c": b"5"}
    put(paths, old)
    left = calls

    def dying(real: object) -> object:
        def call(*arguments: object, **options: object) -> object:
            nonlocal left
            if left == 0:
                raise Died
            left -= 1
            return real(*arguments, **options)  # type: ignore[operator]

        return call

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "rmdir"):
            patch.setattr(os, name, dying(getattr(os, name)))
        patch.setattr("hotsync.sources.spool.sync_directory", dying(sync_directory))
        with suppress(Died):
            put(paths, new)
    decided = (paths.collecting / "x/y/publish.json").exists() or held(paths) == new
    recover(paths, "x/y")
    assert held(paths) == (new if decided else old)
    put(paths, new)
    assert held(paths) == new


def test_a_full_disk_is_an_error_of_the_dataset(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    put(paths, {"a": b"good"})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SourceError) as caught:
        put(paths, {"a": b"better"})
    assert caught.value.sentence == f"x/y could not be collected: the spool {paths.spool} is full"
    assert held(paths) == {"a": b"good"}


def test_two_file_systems_are_named(paths: Paths) -> None:
    error = spool.disk_error(paths, "x/y", OSError(errno.EXDEV, "Invalid cross-device link"))
    assert "two file systems" in error.sentence


def test_a_link_in_place_of_a_collected_file_is_replaced_not_followed(paths: Paths, tmp_path: Path) -> None:
    put(paths, {"a": b"1"})
    victim = tmp_path / "victim"
    victim.write_bytes(b"2")
    (paths.spool / "x/y/a").unlink()
    (paths.spool / "x/y/a").symlink_to(victim)
    put(paths, {"a": b"2"})
    assert not (paths.spool / "x/y/a").is_symlink()
    assert victim.read_bytes() == b"2"


def test_adopting_takes_plain_files_with_one_name_only(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/good").write_bytes(b"1")
    (tmp_path / "w/link").symlink_to(tmp_path / "w/good")
    (tmp_path / "w/twice").write_bytes(b"2")
    os.link(tmp_path / "w/twice", tmp_path / "w/other-name")
    os.mkfifo(tmp_path / "w/pipe")
    folder = os.open(tmp_path / "w", os.O_RDONLY)
    try:
        for name in ("link", "twice", "pipe"):
            with pytest.raises(SourceError), collecting(paths, "x/y") as collection:
                collection.adopt(name, folder, name)
        with collecting(paths, "x/y") as collection:
            collection.adopt("good", folder, "good")
            collection.publish()
    finally:
        os.close(folder)
    assert held(paths) == {"good": b"1"}


def test_a_dataset_that_is_no_more_leaves_the_spool(paths: Paths) -> None:
    put(paths, {"a": b"1"})
    forget(paths, "x/y")
    assert not (paths.spool / "x/y").exists()


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=64)


@given(names=st.lists(NAMES, min_size=2, unique=True))
@settings(max_examples=examples(100), deadline=None)
def test_every_name_has_a_safe_file_name_of_its_own(names: list[str]) -> None:
    encoded = [file_name(name) for name in names]
    assert len(set(encoded)) == len(names)
    for each in encoded:
        assert "/" not in each
        assert not each.startswith(".")
        assert 0 < len(os.fsencode(each)) <= 220
        assert each.isprintable() or not each.isascii()


def test_what_a_run_that_died_had_not_decided_is_dropped(paths: Paths) -> None:
    put(paths, {"a": b"good"})
    left = paths.collecting / "x/y/files/a"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    before = seen(paths)
    recover(paths, "x/y")
    assert not (paths.collecting / "x/y").exists()
    assert seen(paths) == before
    assert put(paths, {"a": b"next"})
    assert held(paths) == {"a": b"next"}
