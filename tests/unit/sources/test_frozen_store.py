"""The copy of a folder becomes the new one as a whole: old or new, or for now none at all, never a mixture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.sources.frozen import store
from hotsync.sources.frozen.scan import scan
from hotsync.sources.frozen.staging import Staging, pour
from hotsync.sources.frozen.store import Known, copy_of, finish_all, load_copies
from hotsync.system.clock import SystemClock
from tests.support.dying import Cut, dying_before

Tree = dict[str, str]
ODD = "caf\udce9/\udce9.ibd"
"""No UTF-8, as an old client may have named a table."""
FIRST: Tree = {"ibdata1": "one", "shop/a.ibd": "a", "shop/b.ibd": "b", "gone/x": "x", "kind": "a file", ODD: "one"}
SECOND: Tree = {"ibdata1": "two", "shop/a.ibd": "a", "new/deep/c.ibd": "c", "kind/inner": "a folder now", ODD: "two"}


def nothing() -> None:
    return


def write(live: Path, tree: Tree) -> None:
    live.mkdir(parents=True, exist_ok=True)
    for path, text in tree.items():
        (live / path).parent.mkdir(parents=True, exist_ok=True)
        (live / path).write_text(text)


def rewrite(live: Path, tree: Tree) -> None:
    """Make the folder another one; what is equal is not touched."""
    for path in sorted(live.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir() if not os.listdir(path) else None
        elif tree.get(str(path.relative_to(live))) != path.read_text():
            path.unlink()
    write(live, tree)


def read(folder: Path) -> Tree:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def copy(place: Path, live: Path, taken_at: float) -> None:
    top = os.open(live, os.O_RDONLY | os.O_DIRECTORY)
    try:
        made = copy_of(place, "/srv/db")
        made.prepare()
        known = made.known()
        staging = Staging(SystemClock(), top, made.staging, known.looks if known else {})
        staging.stage(staging.look(), live=True, check=nothing)
        made.publish(Known("/srv/db", "x in container y", taken_at, staging.looks()), staging.seen, staging.staged, top)
    finally:
        os.close(top)


STEPS = ("write_atomic", "sync_directory", "remove", "_dress", "sync_file")


def test_a_run_that_dies_anywhere_leaves_the_old_copy_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, seen = 0, set[float]()
    for after in range(1, 1000):
        place, live = tmp_path / str(after) / "frozen", tmp_path / str(after) / "live"
        write(live, FIRST)
        copy(place, live, 1.0)
        rewrite(live, SECOND)
        with dying_before(after, [(store, name) for name in STEPS], monkeypatch) as count:
            try:
                copy(place, live, 2.0)
            except Cut:
                steps = count[0]
            else:
                break
        half = list(load_copies(place))
        assert all(read(copy_of(place, known.path).tree) == (FIRST, SECOND)[int(known.taken_at) - 1] for known in half)
        finish_all(place)
        (known,) = load_copies(place)
        seen.add(known.taken_at)
        assert read(copy_of(place, "/srv/db").tree) == (FIRST, SECOND)[int(known.taken_at) - 1]
    assert steps > 10
    assert seen == {1.0, 2.0}


def test_what_is_equal_keeps_its_file_and_what_changed_has_the_live_ones_mode_and_time(tmp_path: Path) -> None:
    place, live = tmp_path / "frozen", tmp_path / "live"
    write(live, FIRST)
    (live / "link").symlink_to("/elsewhere")
    os.mkfifo(live / "fifo")
    copy(place, live, 1.0)
    tree = copy_of(place, "/srv/db").tree
    before = (tree / "shop/a.ibd").stat()
    (live / "ibdata1").write_text("two")
    (live / "ibdata1").chmod(0o640)
    os.utime(live / "ibdata1", ns=(5, 12345678901))
    (live / "shop/a.ibd").write_text("a")  # the same once more
    (live / "shop").chmod(0o750)
    copy(place, live, 2.0)
    after = (tree / "shop/a.ibd").stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)
    status = (tree / "ibdata1").stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o640, 12345678901)
    assert (tree / "shop").stat().st_mode & 0o7777 == 0o750
    assert (tree / "shop").stat().st_mtime_ns == (live / "shop").stat().st_mtime_ns
    assert os.readlink(tree / "link") == "/elsewhere"
    assert not (tree / "fifo").exists()


def test_a_link_that_was_put_in_a_folders_place_leads_nowhere(tmp_path: Path) -> None:
    live, secret = tmp_path / "live", tmp_path / "secret"
    write(live, {"shop/a": "a"})
    write(secret, {"shadow": "secret"})
    top = os.open(live, os.O_RDONLY | os.O_DIRECTORY)
    try:
        staging = Staging(SystemClock(), top, tmp_path, {})
        due = staging.look()
        (live / "shop").rename(live / "other")
        (live / "shop").symlink_to(secret)
        with pytest.raises(OSError, match="symbolic links"):
            staging.stage(due, live=True, check=nothing)
        assert sorted(scan(top).files) == ["other/a"]
    finally:
        os.close(top)


def test_holes_stay_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.seek(1 << 20)
        file.write(b"data" * 3000)
        file.truncate(64 << 20)
    with source.open("rb") as one, target.open("wb") as two:
        pour(one.fileno(), two.fileno(), 64 << 20, nothing)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks * 512 < 4 << 20


def test_a_damaged_plan_is_no_copy_and_the_next_one_is_made_anew(tmp_path: Path) -> None:
    place, live = tmp_path / "frozen", tmp_path / "live"
    write(live, FIRST)
    copy(place, live, 1.0)
    next(place.iterdir()).joinpath("publish.json").write_text("damaged")
    assert list(load_copies(place)) == []
    copy(place, live, 2.0)
    assert [known.taken_at for known in load_copies(place)] == [2.0]
    assert read(copy_of(place, "/srv/db").tree) == FIRST
