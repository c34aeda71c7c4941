"""Every way in which a replica can rot is found, with the MASTER dead."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hotsync.errors import ReplicaClosed
from hotsync.model.entry import Change
from hotsync.model.report import Verdict
from hotsync.replica.handles import Walk
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
    assert report.sentence == "The replica is exactly generation 1: 6 paths were compared, 4 contents read."


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


class Meanwhile(Walk):
    """A walk during which something happens, once."""

    happens: Callable[[], object]

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.steps = 0

    def __next__(self) -> tuple[str, os.stat_result]:
        self.steps += 1
        if self.steps == 5:
            type(self).happens()
        return super().__next__()


def test_a_rotten_file_is_found_behind_all_that_a_large_commit_changes_meanwhile(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1400):
        filled.write(f"srv/{number:04}", "old")
    filled.write("var/rotten", "content")
    filled.generation()
    rot(filled.root / "tree/var/rotten")
    for number in range(1400):
        filled.write(f"srv/{number:04}", "new content")
    Meanwhile.happens = filled.generation
    monkeypatch.setattr("hotsync.replica.verify.Walk", Meanwhile)
    report = filled.replica().verify()
    assert filled.replica().state().generation == 3, "the lock is free while it looks"
    assert (report.verdict, report.generation, report.unlisted) == (Verdict.RED, 3, 0)
    assert [(fault.path, fault.what) for fault in report.faults] == [("var/rotten", "content")]


def test_a_commit_meanwhile_is_no_fault_and_the_sentence_claims_no_more_than_was_looked_at(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.write("etc/file", "changed")
    Meanwhile.happens = filled.generation
    monkeypatch.setattr("hotsync.replica.verify.Walk", Meanwhile)
    report = filled.replica().verify()
    assert (report.verdict, report.faults, report.generation) == (Verdict.GREEN, (), 2)
    assert "exactly" not in report.sentence
    assert "it began with generation 1" in report.sentence


def test_more_faults_than_are_listed_are_counted(filled: World) -> None:
    for number in range(1200):
        filled.write(f"srv/{number:04}", "old")
    filled.generation()
    for file in (filled.root / "tree/srv").iterdir():
        file.chmod(0o777)
    report = filled.replica().verify()
    assert (len(report.faults), report.unlisted, report.sentence) == (1000, 200, "1200 paths differ from generation 2.")


def test_what_nothing_was_noted_of_is_never_called_exact(filled: World) -> None:
    for file in filled.base.glob("manifest.db*"):
        file.unlink()
    filled.replica().recover()  # the manifest is made anew from the tree: it cannot tell what is wrong in there
    rot(filled.root / "tree/etc/file")
    (filled.root / "tree/etc/file").chmod(0o777)
    report = filled.replica().verify()
    assert (report.verdict, report.contents, report.unknown) == (Verdict.AMBER, 0, 5)
    assert "exactly" not in report.sentence
    assert "of 5 paths nothing was noted" in report.sentence


def test_of_what_was_changing_while_it_was_sent_the_content_is_compared_and_no_more_is_claimed(filled: World) -> None:
    filled.write("var/log", "a line")
    (filled.master / "var/link").symlink_to("log")
    changes = [
        Change(change.verb, change.path, change.entry and replace(change.entry, unsettled=change.path == "var/log"))
        for change in filled.plan()
    ]
    assert filled.sync(changes) is not None
    report = filled.replica().verify()
    assert (report.verdict, report.unknown, report.unsettled) == (Verdict.GREEN, 0, 1)
    assert "exactly" not in report.sentence
    assert "the attributes of 1 that were changing" in report.sentence
    rot(filled.root / "tree/var/log")
    assert filled.replica().verify().verdict is Verdict.RED


def test_a_sample_claims_what_it_read(filled: World) -> None:
    rot(filled.root / "tree/etc/file")
    sentences = {filled.replica().verify(sample=1, seed=seed).sentence for seed in range(20)}
    assert sentences == {
        "1 paths differ from generation 1.",
        "Nothing differs from generation 1: 6 paths were compared, 1 contents read.",
    }
    filled.generation()
    assert "exactly" not in filled.replica().verify(sample=1).sentence


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
