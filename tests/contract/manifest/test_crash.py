"""The manifest and changeset files of a process that is killed in the middle: old or new, never half."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.errors import ReplicaError
from hotsync.manifest.changeset_file import ChangesetWriter
from hotsync.manifest.store import Manifest
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.model.entry import Change, Entry, Kind, Verb
from hotsync.system.command import DEVNULL, kill_group, run, spawn

pytestmark = pytest.mark.contract
ROOT = Path(__file__).resolve().parents[3]

APPLY = """
import sys
from pathlib import Path
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Change, Entry, Kind, Verb

def changes(number):
    for row in range(9000):
        if row % 500 == 0:
            print(number, row, flush=True)
        path = f"{row:05}"
        if row % 9 == number % 9:
            yield Change(Verb.DELETE, path)
        else:
            yield Change(Verb.CONTENT, path, Entry(path, Kind.FILE, 0, 0, 0, number, 1, 1, 1, 1, 1))

with Manifest(Path(sys.argv[1])) as manifest:
    while True:
        number = manifest.generation + 1
        manifest.apply(changes(number), number, f"{number:064x}")
        print(number, "done", flush=True)
"""

WRITE = """
import sys
from pathlib import Path
from hotsync.manifest.changeset_file import ChangesetWriter
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.model.entry import Change, Verb

number = 0
while True:
    number += 1
    with ChangesetWriter(Path(sys.argv[1]), EMPTY_DIGEST) as writer:
        for row in range(3000):
            if row % 100 == 0:
                print(number, row, flush=True)
            writer.write(Change(Verb.DELETE, f"{row:05}-{number}"))
    print(number, "done", flush=True)
"""


def killed_after(program: str, argument: Path, lines: int) -> int:
    """Run a program, kill it after so many lines of its output, return the last number that it called done."""
    done = 0
    with spawn(
        [sys.executable, "-c", program, str(argument)], env={"PYTHONPATH": str(ROOT / "src")}, stderr=DEVNULL
    ) as process:
        assert process.stdout is not None
        for _ in range(lines):
            number, what = process.stdout.readline().split()
            if what == b"done":
                done = int(number)
        kill_group(process)
        for line in process.stdout:
            number, what = line.split()
            if what == b"done":
                done = int(number)
    return done


@pytest.mark.timeout(1200)
def test_a_manifest_whose_writer_is_killed_is_old_or_new(tmp_path: Path, dice: random.Random, times: int) -> None:
    path = tmp_path / "manifest.db"
    last = 0
    for _ in range(12 * times):
        done = killed_after(APPLY, path, dice.randrange(1, 60))
        with Manifest(path) as manifest:
            number = manifest.generation
            assert number in {max(done, last), max(done, last) + 1}
            assert manifest.digest == f"{number:064x}"
            assert manifest.count() == (8000 if number else 0)
            assert {entry.size for entry in manifest.entries()} <= {number}
            last = number


@pytest.mark.timeout(1200)
def test_a_changeset_whose_writer_is_killed_is_old_or_new(tmp_path: Path, dice: random.Random, times: int) -> None:
    path = tmp_path / "changes"
    for _ in range(8 * times):
        path.unlink(missing_ok=True)
        done = killed_after(WRITE, path, dice.randrange(1, 100))
        if path.exists():
            lines = path.read_bytes().splitlines()
            numbers = {line.rpartition(b"-")[2].partition(b'"')[0] for line in lines}
            assert len(lines) == 3000
            assert numbers in ({b"%d" % done}, {b"%d" % (done + 1)})
        else:
            assert done == 0
    assert {name for name in os.listdir(tmp_path) if not name.startswith(".changes.")} <= {"changes"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(tmp_path)])
    try:
        yield tmp_path
    finally:
        run(["umount", "--lazy", str(tmp_path)])


def many() -> Iterator[Change]:
    for number in range(20_000):
        path = f"{number:05}" * 10
        yield Change(Verb.CONTENT, path, Entry(path, Kind.FILE, 0, 0, 0, 1, 1, 1, 1, 1, 1))


def test_a_changeset_on_a_full_disk_is_refused_with_a_hint_and_leaves_nothing(small_disk: Path) -> None:
    with pytest.raises(ReplicaError, match="No space left on device") as caught:
        write_all(small_disk / "changes")
    assert "df" in caught.value.hint
    assert list(small_disk.iterdir()) == []


def write_all(path: Path) -> None:
    with ChangesetWriter(path, EMPTY_DIGEST) as writer:
        for change in many():
            writer.write(change)


def test_a_manifest_on_a_full_disk_stays_at_its_generation(small_disk: Path) -> None:
    with Manifest(small_disk / "manifest.db") as manifest:
        manifest.apply([Change(Verb.CONTENT, "a", Entry("a", Kind.FILE, 0, 0, 0, 1, 1, 1, 1, 1, 1))], 1, "1" * 64)
        with pytest.raises(ReplicaError, match="full"):
            manifest.apply(many(), 2, "2" * 64)
        assert (manifest.generation, manifest.count()) == (1, 1)
    with Manifest(small_disk / "manifest.db") as manifest:
        assert (manifest.generation, manifest.count()) == (1, 1)
