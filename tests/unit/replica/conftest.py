"""A place in memory for each test: the replica's laws have nothing to do with the speed of a disk."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.replica_world import World


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that goes when the test ends."""
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="hotsync-", dir=shm if shm.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def world(place: Path, dice: random.Random) -> World:
    """A MASTER and a SLAVE without a generation."""
    return World(place, dice)
