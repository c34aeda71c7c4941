"""Real rsync, real disks: what the replica's contract tests share."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from hotsync.model.entry import Change, Kind, Verb
from tests.support.replica_world import World

RSYNC = ["rsync", "-aHAXXS", "--numeric-ids", "--modify-window=-1", "--no-implied-dirs", "--partial"]


def send_by_rsync(master: Path, staging: Path, changes: list[Change]) -> None:
    """Send what a changeset names as the product's sender does, only without a line in between."""
    paths = [
        change.path
        for change in changes
        if change.entry is not None and (change.verb is Verb.CONTENT or change.entry.kind is Kind.DIRECTORY)
    ]
    subprocess.run(
        [*RSYNC, "--from0", "--files-from=-", f"{master}/", f"{staging}/"],
        input=b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths),
        check=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )


def rsync_finds(left: Path, right: Path) -> str:
    """Return what rsync would still do to make the right folder equal to the left one."""
    argv = ["rsync", "-naiHAXXS", "--modify-window=-1", "--delete", "--numeric-ids", f"{left}/", f"{right}/"]
    return subprocess.run(argv, capture_output=True, text=True, errors="replace", check=True).stdout


def same_root(world: World) -> None:
    """Give the tree's own folder what the MASTER's has: the root itself is no entry."""
    status = world.master.stat()
    os.chmod(world.root / "tree", status.st_mode & 0o7777)
    os.utime(world.root / "tree", ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def world(tmp_path: Path, dice: random.Random) -> World:
    """A MASTER and a SLAVE on a real disk, with rsync between them."""
    return World(tmp_path / "pair", dice, owners=True, transport=send_by_rsync)
