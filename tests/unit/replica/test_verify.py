"""Every way in which a replica can rot is found, with the MASTER dead."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hotsync.errors import ReplicaClosed
from hotsync.model.report import Verdict
from tests.support.replica_world import World


@pytest.fixture
def filled(world: World) -> World:
    world.write("etc/file", "content")
    os.link(world.write("etc/one", "l"), world.master / "etc/two")
    (world.master / "etc/link").symlink_to("file")
    world.write("big", b"x" * 3_000_000)
    world.generation()
    return world


def test_an_exact_replica_is_green(filled: World) -> None:
    report = filled.replica().verify()
    assert (report.verdict, report.faults, report.generation) == (Verdict.GREEN, (), 1)
    assert (report.paths, report.contents, report.bytes) == (6, 4, 3_000_009)


def rot(path: Path) -> None:
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"X")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("harm", "path", "what"),
    [
        (rot, "etc/file", "content"),
        (lambda path: path.chmod(0o4755), "etc/file", "mode"),
        (lambda path: os.utime(path, ns=(1, 1)), "etc/file", "time"),
        (lambda path: path.unlink(), "etc/file", "missing"),
        (lambda path: os.setxattr(path, "user.x", b"1"), "etc/file", "ACL or extended attributes"),
        (lambda path: path.chmod(0o700), "etc", "mode"),
    ],
)
def test_what_rots_is_named(filled: World, harm: Callable[[Path], None], path: str, what: str) -> None:
    harm(filled.root / "tree" / path)
    report = filled.replica().verify()
    assert (report.verdict, [(fault.path, fault.what) for fault in report.faults if fault.path == path]) == (
        Verdict.RED,
        [(path, what)],
    )


def test_strangers_wrong_targets_and_broken_links_are_named(filled: World) -> None:
    tree = filled.root / "tree"
    (tree / "etc/stranger/inner").mkdir(parents=True)
    (tree / "etc/link").unlink()
    (tree / "etc/link").symlink_to("elsewhere")
    content = (tree / "etc/one").read_bytes()
    (tree / "etc/one").unlink()
    (tree / "etc/one").write_bytes(content)
    faults = {fault.path: fault.what for fault in filled.replica().verify().faults}
    assert faults["etc/stranger"] == "unknown to the manifest"
    assert "etc/stranger/inner" not in faults
    assert "target" in faults["etc/link"]
    assert "no longer one with" in faults["etc/one"]


def test_a_sample_reads_so_many_files_only(filled: World) -> None:
    report = filled.replica().verify(sample=2, seed=1)
    assert (report.contents, report.paths) == (2, 6)
    assert filled.replica().verify(sample=100).contents == 4
    assert filled.replica().verify(sample=0).bytes == 0


def test_verify_changes_nothing(filled: World) -> None:
    rot(filled.root / "tree/etc/file")
    (filled.root / "tree/etc/one").unlink()
    before = {path: path.lstat() for path in filled.root.rglob("*")}
    filled.replica().verify()
    filled.replica().verify()
    after = {path: path.lstat() for path in filled.root.rglob("*")}
    assert {path: (s.st_ino, s.st_mtime_ns) for path, s in before.items()} == {
        path: (s.st_ino, s.st_mtime_ns) for path, s in after.items()
    }


def test_a_live_tree_is_not_verified(filled: World) -> None:
    filled.replica().close("promotion")
    with pytest.raises(ReplicaClosed):
        filled.replica().verify()
