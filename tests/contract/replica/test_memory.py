"""The SLAVE's memory does not follow the size of what it receives."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from hotsync.manifest.changeset_file import ChangesetWriter
from hotsync.model.generation import Generation
from tests.support.replica_world import World, send

pytestmark = pytest.mark.contract

FILES = 400


def peak_of(act: Callable[[], object]) -> int:
    """Do something; return how much memory it held at most."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peaks(base: Path, dice: random.Random, files: int) -> tuple[int, int]:
    """Receive and commit so many new files; return what each of both held in memory."""
    world = World(base, dice)
    for number in range(files):
        world.write(f"srv/{number // 100:03}/file-with-a-name-{number:05}", b"x")
    replica, changes = world.replica(), world.plan()
    planned = world.base / "changes"
    with ChangesetWriter(planned, replica.state().digest) as writer:
        for change in changes:
            writer.write(change)
    digest = writer.summary().digest
    beginning = peak_of(lambda: replica.begin(1, "0" * 64, planned, files))
    send(world.master, replica.staging_path(1), changes)
    committing = peak_of(lambda: replica.commit(1, planned, Generation(1, digest, 1, 0, 0, 0)))
    world.remember(1, changes)
    world.check_tree()
    return beginning, committing


def test_ten_times_the_files_take_no_ten_times_the_memory(
    tmp_path: Path, dice: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotsync.manifest.store._BATCH", 100)  # few files fill it, as many do
    few, many = peaks(tmp_path / "few", dice, FILES), peaks(tmp_path / "many", dice, FILES * 10)
    assert many[0] < 2 * few[0]
    assert many[1] < 2 * few[1]
