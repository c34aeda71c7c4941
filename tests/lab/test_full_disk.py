"""The SLAVE's disk becomes full while a sync runs: told as what it is, nothing lost, and room is all that it takes."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

from lab import Host, Lab
from tests.lab.conftest import status, sync
from tests.lab.twin import Running, Twin
from tests.support.busy_tree import BusyTree

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

MIB = 1 << 20


class Filler:
    """A file on a host's disk that takes all of its room, but for what it is told to leave."""

    def __init__(self, host: Host) -> None:
        self.file: Path = host.root / "var/cache/filler"
        self._size = 0

    def take(self, leave: int = 0) -> None:
        """Take what room there is, also what is kept for root."""
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for step in (1024 * MIB, 64 * MIB, MIB, 4096):
                with suppress(OSError):  # there is no room for another step of this size
                    while self._free() >= leave + step:
                        os.posix_fallocate(descriptor, self._size, step)
                        self._size += step
        finally:
            os.close(descriptor)

    def give_back(self) -> None:
        """Let go of all of it."""
        self.file.unlink()
        self._size = 0

    def _free(self) -> int:
        found = os.statvfs(self.file.parent)
        return found.f_bfree * found.f_frsize


def much_to_commit(lab: Lab, dice: random.Random) -> None:
    """Change so much on the MASTER that committing it takes a while, and room for the manifest."""
    BusyTree(lab.master.root / "srv/busy", dice).fill(4000)


def has_large_file(staging: Path) -> bool:
    """Return whether a file of more than a MiB lies in staging; one that is renamed meanwhile is seen the next time."""
    with suppress(FileNotFoundError):
        return any(path.lstat().st_size > MIB for path in staging.rglob("*"))
    return False


def is_told(code: int, record: dict[str, object]) -> None:
    """Fail unless a run ended because the SLAVE's disk is full, and says so."""
    error = record["error"]
    assert isinstance(error, dict)
    assert (code, error["code"]) == (8, "replica.space"), record
    assert "SLAVE lacks space" in str(error["sentence"])
    assert "/var/lib/hotsync" in str(error["hint"])


def test_a_disk_that_fills_up_while_files_arrive_fails_the_run_and_the_next_one_resumes(pair: Lab) -> None:
    twin, filler = Twin(pair), Filler(pair.slave)
    (pair.master.root / "srv/files/big").write_bytes(os.urandom(100 * MIB))
    filler.take(leave=1000 * MIB)
    pair.master.run(["config", "setprop", "hotsync", "BandwidthLimit", "20000"])
    run = Running(twin)
    run.watch(lambda *_: has_large_file(twin.replica / "staging"))
    filler.take()
    code, record, _ = run.result()
    is_told(code, record)
    assert status(pair.slave)["generation"]["number"] == 1
    filler.give_back()
    pair.master.run(["config", "setprop", "hotsync", "BandwidthLimit", "0"])
    assert sync(pair)["exit_code"] == 0
    assert twin.compare_now() == []


def test_a_disk_that_is_full_when_the_commit_begins_does_not_stop_it(pair: Lab, dice: random.Random) -> None:
    twin, filler = Twin(pair), Filler(pair.slave)
    much_to_commit(pair, dice)
    filler.take(leave=1000 * MIB)
    run = Running(twin)
    run.watch(lambda _, commit: commit is not None)
    filler.take()
    code, record, said = run.result()
    assert run.committing is not None
    assert code == 0, (record, said)
    assert twin.compare_now() == []
    again = sync(pair)
    assert again["exit_code"] in (0, 8), again
    filler.give_back()
    assert sync(pair)["exit_code"] == 0
    assert twin.leftovers(record["generation"]) == []


def test_a_commit_that_finds_no_room_at_all_is_told_and_goes_on_when_there_is_some(
    pair: Lab, dice: random.Random
) -> None:
    twin, filler = Twin(pair), Filler(pair.slave)
    much_to_commit(pair, dice)
    filler.take(leave=1000 * MIB)

    def starve(_: float, commit: float | None) -> bool:
        if commit is not None:
            (twin.replica / "ballast").unlink(missing_ok=True)
            filler.take()
        return False

    run = Running(twin)
    run.watch(starve)
    code, record, _ = run.result()
    is_told(code, record)
    again = sync(pair, "--accept-changes")
    is_told(again["exit_code"], again)
    assert status(pair.slave)["role"] == "slave"
    filler.give_back()
    assert sync(pair, "--accept-changes")["exit_code"] == 0
    assert twin.compare_now() == []
    assert status(pair.slave)["generation"]["number"] == 2
    assert twin.leftovers(2) == []
