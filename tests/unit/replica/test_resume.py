"""A sync that was cut goes on where it was, and never commits what was sent for another state of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.errors import NoSpace, ProtocolError, ReplicaError
from hotsync.manifest.changeset_file import ChangesetWriter
from hotsync.model.entry import Change
from hotsync.model.generation import Generation
from hotsync.replica import arrival, space
from hotsync.replica.store import Ready, Replica
from tests.support.replica_world import World, look, send


def begin(world: World, replica: Replica | None = None, expected: int = 0) -> tuple[Ready, list[Change]]:
    replica = replica or world.replica()
    state = replica.state()
    changes = world.plan()
    with ChangesetWriter(world.base / "planned", state.digest) as writer:
        for change in changes:
            writer.write(change)
    return replica.begin(state.generation + 1, state.digest, world.base / "planned", expected), changes


def test_what_arrived_before_the_cut_need_not_be_sent_again(world: World) -> None:
    for name in ("a", "b", "c"):
        world.write(f"folder/{name}", name * 100)
    ready, changes = begin(world)
    assert (ready.present, world.replica().state().staging) == (0, 1)
    send(world.master, world.replica().staging_path(1), changes[:3])
    ready, changes = begin(world)
    assert ready.present == 2
    assert ready.present_bytes > 0
    assert world.generation() == 1
    world.check_tree()


def test_a_file_that_changed_in_disguise_meanwhile_is_sent_anew(world: World) -> None:
    path = world.write("file", "first")
    _, changes = begin(world)
    send(world.master, world.replica().staging_path(1), changes)
    status = path.stat()
    path.write_text("other")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    ready, _ = begin(world)
    assert ready.present == 0
    assert not (world.replica().staging_path(1) / "file").exists()
    assert world.generation() == 1
    assert (world.root / "tree/file").read_text() == "other"


def test_the_part_of_a_file_that_came_is_built_upon_but_never_taken_for_the_whole(world: World) -> None:
    world.write("whole", "12345")
    world.write("cut", "1234567890")
    _, changes = begin(world)
    staging = world.replica().staging_path(1)
    send(world.master, staging, changes)
    with (staging / "cut").open("r+b") as file:
        file.truncate(5)
    (staging / ".whole.XyZ123").write_text("rsync's own")
    ready, _ = begin(world)
    assert ready.present == 1
    assert {*look(staging)} == {"whole", "cut"}
    assert (staging / "cut").stat().st_mtime_ns == 0
    with pytest.raises(ReplicaError, match=r"/cut \(size, time\)"):
        world.replica().commit(1, world.base / "planned", Generation(1, "00" * 32, 1, 0, 0, 0))


def test_an_unsettled_file_is_always_sent_anew(world: World) -> None:
    from dataclasses import replace

    world.write("busy", "x")
    (change,) = world.plan()
    assert change.entry is not None
    unsettled = Change(change.verb, change.path, replace(change.entry, unsettled=True))
    world.sync([unsettled], cut=True)
    send(world.master, world.replica().staging_path(1), [unsettled])
    replica = world.replica()
    assert replica.begin(1, replica.state().digest, world.base / "changes", 0).present == 0


def test_files_without_a_plan_that_they_came_for_are_removed(world: World) -> None:
    world.write("file", "f")
    _, changes = begin(world)
    send(world.master, world.replica().staging_path(1), changes)
    (world.root / "work/1/entries").unlink()
    assert begin(world)[0].present == 0


def test_a_staging_of_another_number_goes(world: World) -> None:
    world.write("file", "f")
    begin(world)
    os.rename(world.root / "staging/1", world.root / "staging/7")
    begin(world)
    assert [item.name for item in (world.root / "staging").iterdir()] == ["1"]


def test_after_a_power_cut_only_what_was_known_to_be_on_the_disk_is_kept(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    world.clock.time = time.time()
    world.write("early", "e")
    _, changes = begin(world)
    send(world.master, world.replica().staging_path(1), changes)
    world.clock.time = time.time() + 1
    world.replica().checkpoint(1)
    world.write("late", "l")
    staged = world.replica().staging_path(1)
    _, changes = begin(world)
    send(world.master, staged, changes)
    os.utime(staged / "late", ns=((staged / "late").stat().st_atime_ns, (world.master / "late").stat().st_mtime_ns))
    mark = world.root / "work/1/mark"
    early = (staged / "early").stat().st_ctime_ns
    mark.write_text(f'{{"boot": "x", "durable_ns": {early + 1}}}')
    boot = tmp_path / "boot_id"
    boot.write_text("another boot\n")
    monkeypatch.setattr(arrival, "_BOOT_ID", boot)
    assert begin(world)[0].present == 1
    assert (staged / "late").stat().st_mtime_ns == 0


def test_a_change_within_a_whole_second_may_be_younger_than_it_says() -> None:
    second = 1_800_000_000 * 10**9
    assert arrival._latest(second + 1) == second + 1
    assert arrival._latest(second) == second + 2 * 10**9


def test_a_plan_that_is_none_is_refused(world: World) -> None:
    replica = world.replica()
    (world.root).mkdir(exist_ok=True)
    digest = replica.state().digest
    replica.begin(1, digest, _file(world, b""), 0)
    (replica.staging_path(1) / "x").write_text("x")
    for lines in (b"nonsense\n", b'{"path":7}\n', b'{"path":"b"}\n{"path":"a"}\n', b'{"path":"b"'):
        with pytest.raises(ProtocolError):
            replica.begin(1, digest, _file(world, lines), 0)


def _file(world: World, data: bytes) -> Path:
    file = world.base / "plan"
    file.write_bytes(data)
    return file


def test_too_little_room_is_said_before_anything_is_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("file", "f")
    world.generation()
    os.truncate(world.write("file", "g"), 2_000_000_000)
    monkeypatch.setattr("hotsync.replica.room.free_bytes", lambda _: 1_000_000_000)
    with pytest.raises(NoSpace, match=r"20[0-9]{8} bytes needed, 1000000000 free") as caught:
        begin(world, expected=2_000_000_000)
    assert caught.value.exit_code == 8
    assert begin(world, expected=900_000_000)[0].number == 2


def kept_bytes(world: World) -> int:
    return sum(path.stat().st_blocks * 512 for path in world.root.glob("history/*/files/*"))


def test_the_oldest_generations_go_for_room_but_never_the_floor(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        world.write("file", str(number))
        world.generation()
        world.clock.time += 60
    os.truncate(world.write("file", "last"), 10**9)
    kept, needed = kept_bytes(world), space.needed_for(10**9, 1)
    lacking = kept * 2 // 7  # of the objects of seven generations, two must go
    monkeypatch.setattr("hotsync.replica.room.free_bytes", lambda _: needed - lacking + kept - kept_bytes(world))
    ready, _ = begin(world, expected=10**9)
    assert ready.forgotten == (1, 2)
    monkeypatch.setattr("hotsync.replica.room.free_bytes", lambda _: needed - kept)
    with pytest.raises(NoSpace):
        begin(world, expected=10**9)
    held = [generation.number for generation in world.replica().generations()]
    assert held == [3, 4, 5, 6, 7, 8], "what would not have been enough is not forgotten"
    lacking = kept * 3 // 7
    monkeypatch.setattr(
        "hotsync.replica.room.free_bytes", lambda _: needed - lacking + kept * 5 // 7 - kept_bytes(world)
    )
    assert begin(world, expected=10**9)[0].forgotten == (3, 4, 5)
    monkeypatch.undo()
    world.check_generations()


def test_too_few_inodes_are_too_little_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        world.write(f"file{number}", "f")
    monkeypatch.setattr("hotsync.replica.room.free_inodes", lambda _: 21)
    with pytest.raises(NoSpace):
        begin(world)
    assert space.free_inodes(world.base) is not None
