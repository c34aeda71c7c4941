"""What tests that kill a commit share: the process that will die, and a generation that only needs to be committed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

from hotsync.manifest.changeset_file import ChangesetWriter
from hotsync.model.entry import Change
from hotsync.model.generation import Generation
from tests.support.replica_child import Order
from tests.support.replica_world import World

ROOT = Path(__file__).parents[2]


def child(order: Order) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.replica_child", pickle.dumps(order).hex()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def stage(world: World) -> tuple[Generation, list[Change]] | None:
    """Bring the next generation as far as that it only needs to be committed."""
    replica = world.replica()
    state = replica.state()
    changes = world.plan()
    if not changes:
        return None
    with ChangesetWriter(world.base / "changes", state.digest) as writer:
        for change in changes:
            writer.write(change)
    number = state.generation + 1
    replica.begin(number, state.digest, world.base / "changes", 0)
    world.transport(world.master, replica.staging_path(number), changes)
    return Generation(number, writer.summary().digest, 1, 0, 0, 0), changes
