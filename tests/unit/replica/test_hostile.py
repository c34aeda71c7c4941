"""The peer lies: nothing that it sends leads out of staging, into history, or past the last generation."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from hotsync.errors import HotSyncError, ProtocolError, ReplicaError
from hotsync.model.changeset import chain_digest, render_change
from hotsync.model.entry import Change, Entry, Kind, Verb
from hotsync.model.generation import Generation
from tests.support.replica_world import World, send


@pytest.fixture
def filled(world: World) -> World:
    world.write("etc/passwd", "root")
    world.write("home/user/file", "data")
    world.write("var/x/y", "y")
    os.link(world.write("linked/a", "l"), world.master / "linked/b")
    world.generation()
    (world.base / "outside").mkdir()
    (world.base / "outside/secret").write_text("untouched")
    return world


def line(path: str, verb: str = "content", kind: str = "f", **more: object) -> bytes:
    """One line, canonical in all but what is wrong with it."""
    fields = {"verb": verb, "path": path, **({} if verb == "delete" else {"kind": kind}), **more}
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def offer(world: World, lines: list[bytes]) -> None:
    """Send a changeset of lines as they are, with the digest that they have."""
    replica = world.replica()
    state = replica.state()
    file = world.base / "hostile"
    file.write_bytes(b"".join(lines))
    digest = chain_digest(state.digest, lines)
    replica.begin(state.generation + 1, state.digest, file, 0)
    send(world.master, replica.staging_path(state.generation + 1), world.plan())
    replica.commit(state.generation + 1, file, Generation(state.generation + 1, digest, 1, 0, 0, 0))


@pytest.mark.parametrize(
    "path",
    ["../outside/secret", "/etc/shadow", "etc/../../outside/secret", "etc//x", "etc/./x", "..", ".", "", "a/", "x\0y",
     "etc/" + "n" * 256, "/".join(["d" * 100] * 50)],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(filled: World, path: str) -> None:
    with pytest.raises(ProtocolError):
        offer(filled, [line(path)])
    filled.check_tree()
    assert (filled.base / "outside/secret").read_text() == "untouched"


@pytest.mark.parametrize(
    "lines",
    [
        [line("zz"), line("aa")],
        [line("aa"), line("aa")],
        [line("aa", "delete"), line("aa")],
        [line("etc/passwd"), line("etc/passwd/inside")],
        [line("home", "delete"), line("home/user/new")],
        [line("aa", kind="x")],
        [line("aa", mode=0o10000)],
        [line("aa", size=-1)],
        [line("aa", uid=2**70)],
        [line("aa", colour="red")],
        [b'{"path":"aa", "verb":"delete"}\n'],
        [b"[]\n"],
        [b"{" * 70000 + b"\n"],
        [b"\n"],
        [b'{"path":"aa","verb":"delete"}'],
        [b"\xff\xfe\n"],
    ],
)
def test_a_changeset_that_is_not_one_is_refused(filled: World, lines: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        offer(filled, lines)
    filled.check_tree()


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([line("nowhere", "delete")], "does not exist"),
        ([line("home", "delete")], "does not name all that it holds"),
        ([line("home", "delete"), line("home/user", "delete")], "does not name all that it holds"),
        ([line("home/user", kind="l", target="/etc")], "does not name all that it holds"),
        ([line("none/file")], "into a folder that does not exist"),
        ([line("etc/passwd/file")], "into a folder that does not exist"),
        ([line("etc/passwd", "meta", "d")], "not what it says"),
        ([line("new", "meta")], "not what it says"),
        ([line("linked/a", "meta", links=1)], "not what it says"),
        ([line("aa", "moved", source="etc/passwd")], "no moved paths"),
    ],
)
def test_a_changeset_that_does_not_fit_the_last_generation_is_refused(
    filled: World, lines: list[bytes], why: str
) -> None:
    with pytest.raises(ProtocolError, match=why):
        offer(filled, lines)
    filled.check_tree()


def test_a_changeset_with_another_digest_than_announced_is_refused(filled: World) -> None:
    filled.write("etc/new", "n")
    changes = filled.plan()
    replica = filled.replica()
    file = filled.base / "changes"
    file.write_bytes(b"".join(map(render_change, changes)))
    replica.begin(2, replica.state().digest, file, 0)
    send(filled.master, replica.staging_path(2), changes)
    with pytest.raises(ReplicaError, match="does not have the digest"):
        replica.commit(2, file, Generation(2, "ab" * 32, 1, 0, 0, 0))
    filled.check_tree()


def test_a_generation_on_another_base_is_refused(filled: World) -> None:
    file = filled.base / "changes"
    file.write_bytes(line("aa"))
    for number, digest in ((1, filled.replica().state().digest), (3, filled.replica().state().digest), (2, "cd" * 32)):
        with pytest.raises(ReplicaError, match="at generation 1 and cannot take generation"):
            filled.replica().begin(number, digest, file, 0)


def run(world: World, staged: object) -> None:
    """One honest changeset, while staging is filled by a liar."""
    world.write("etc/new", "honest")
    world.write("etc/passwd", "changed")
    world.sync(world.plan(), hostile=staged)  # type: ignore[arg-type]


def test_what_was_not_announced_is_removed(filled: World) -> None:
    def lie(staging: Path) -> None:
        (staging / "etc/cron.d").mkdir()
        (staging / "etc/cron.d/evil").write_text("* * * * * root evil")
        (staging / "zz").write_text("too much")
        (staging / "bin").symlink_to("/bin")

    changes = filled.plan()
    filled.write("etc/new", "honest")
    changes = filled.plan()
    filled.sync(changes, hostile=lie)
    filled.remember(2, changes)
    filled.check_tree()
    assert not [*(filled.root / "history/2").glob("unexpected*")]


@pytest.mark.parametrize("name", ["etc", "etc/new"])
def test_a_link_in_the_place_of_something_leads_nowhere(filled: World, name: str) -> None:
    def lie(staging: Path) -> None:
        shutil.rmtree(staging / name) if (staging / name).is_dir() else (staging / name).unlink()
        (staging / name).symlink_to(filled.base / "outside")

    with pytest.raises(ReplicaError, match="what arrived is not what the changeset says"):
        run(filled, lie)
    filled.check_tree()
    assert sorted(os.listdir(filled.base / "outside")) == ["secret"]


def test_a_hard_link_to_something_outside_is_refused(filled: World) -> None:
    outside = filled.base / "outside/secret"

    def lie(staging: Path) -> None:
        target = staging / "etc/new"
        status = target.stat()
        outside.write_text("honest")
        target.unlink()
        os.link(outside, target)
        os.chmod(outside, status.st_mode)
        os.utime(outside, ns=(status.st_atime_ns, status.st_mtime_ns))

    with pytest.raises(ReplicaError, match="linked from elsewhere"):
        run(filled, lie)
    filled.check_tree()
    assert outside.read_text() == "honest"


def test_two_files_that_are_one_behind_our_back_are_refused(filled: World) -> None:
    def lie(staging: Path) -> None:
        status = (staging / "etc/new").stat()
        (staging / "etc/new").write_text("changed")
        (staging / "etc/passwd").unlink()
        os.link(staging / "etc/new", staging / "etc/passwd")
        os.utime(staging / "etc/new", ns=(status.st_atime_ns, status.st_mtime_ns))

    with pytest.raises(ReplicaError, match="what arrived is not"):
        run(filled, lie)
    filled.check_tree()


@pytest.mark.parametrize("what", ["size", "time", "mode", "missing", "kind"])
def test_what_arrived_otherwise_than_announced_is_refused_and_sent_anew(filled: World, what: str) -> None:
    def lie(staging: Path) -> None:
        target = staging / "etc/new"
        status = target.stat()
        if what == "size":
            target.write_text("longer than that")
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        elif what == "time":
            os.utime(target, ns=(0, 5))
        elif what == "mode":
            target.chmod(0o4777)
        else:
            target.unlink()
            if what == "kind":
                os.mkfifo(target)

    with pytest.raises(ReplicaError, match=rf"/etc/new \({what}"):
        run(filled, lie)
    filled.check_tree()
    assert filled.generation() == 2
    filled.check_tree()


def test_an_entry_of_every_kind_with_every_value_survives_or_is_refused(filled: World) -> None:
    extremes = Entry(
        "etc/extreme", Kind.FIFO, 0o7777, 2**32, 2**32, 0, -(2**62), 2**62, 2**64 - 1, 2**64 - 1, 1, flags=2**40
    )
    with pytest.raises(HotSyncError):
        offer(filled, [render_change(Change(Verb.CONTENT, "etc/extreme", extremes))])
    filled.check_tree()
