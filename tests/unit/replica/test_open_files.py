"""A history of many generations is read with few open files."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

from hotsync.model.entry import Verb
from hotsync.replica.record import Kept, Old, read_record, render_kept
from tests.support.replica_world import World, grouped, look

GENERATIONS, FOLDERS = 36, 12


@pytest.fixture
def few_files() -> Iterator[None]:
    """A process that may hold 256 files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_oldest_of_many_generations_restores_although_each_later_one_keeps_many_folders_of_it(
    world: World, few_files: None
) -> None:
    for number in range(GENERATIONS):
        for folder in range(FOLDERS):
            world.write(f"srv/{number:02}/{folder:02}/file", f"{number} {folder}")
    world.generation()
    for number in range(GENERATIONS):
        world.clock.time += 60
        for folder in range(FOLDERS):
            world.write(f"srv/{number:02}/{folder:02}/file", "changed later")
        world.generation()
    report = world.replica().restore("srv", world.base / "out", 1)
    assert (report.files, report.notices) == (GENERATIONS * FOLDERS, [])
    assert grouped(look(world.base / "out")) == grouped(world.expected[1])
    assert len([*world.replica().diff(1, GENERATIONS + 1)]) == GENERATIONS * FOLDERS


def test_a_record_that_is_being_read_is_not_held_open(world: World) -> None:
    record = world.base / "record"
    lines = [Kept(f"etc/{number:04}", Verb.CONTENT, Old.NOTHING) for number in range(3000)]
    record.write_bytes(b"".join(map(render_kept, lines)))
    before = len(os.listdir("/proc/self/fd"))
    readers = [read_record(record) for _ in range(50)]
    firsts = [next(reader) for reader in readers]
    assert len(os.listdir("/proc/self/fd")) == before
    assert {first.path for first in firsts} == {"etc/0000"}
    assert [*readers[0]] == lines[1:]
    assert [*read_record(record, "etc/1234")] == [lines[1234]]
    assert [*read_record(record, "etc")] == lines
