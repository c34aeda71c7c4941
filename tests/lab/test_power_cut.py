"""The SLAVE's disk as it was at random instants of running syncs, booted: old or new, complete, byte for byte."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.conftest import bugs_of, paired_lab, status, sync
from tests.lab.twin import Running, Twin, rehearse
from tests.support.busy_tree import BusyTree

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]


@dataclass
class Camera:
    """Takes images of the SLAVE's disk: every other one at an instant of a whole run, the rest within a commit."""

    twin: Twin
    dice: random.Random
    run_seconds: float
    commit_seconds: float
    images: list[Path] = field(default_factory=list[Path])
    caught: int = 0
    """How many of them are of an instant within a commit; on a busy machine a commit may be over by then."""

    def film(self, shots: int) -> None:
        """Let one run take place, with so many images of it; keep what its generation must be."""
        whole = sorted(self.dice.uniform(0, self.run_seconds) for _ in range(shots // 2))
        within = sorted(self.dice.uniform(0, self.commit_seconds) for _ in range(shots - shots // 2))

        def at(seconds: float, commit: float | None) -> bool:
            if whole and seconds >= whole[0]:
                whole.pop(0)
                self._take()
            if within and commit is not None and commit >= within[0]:
                within.pop(0)
                self._take()
            return False

        run = Running(self.twin)
        run.watch(at)
        code, record, said = run.result()
        assert code == 0, (record, said)
        self.twin.keep(record["generation"])

    def _take(self) -> None:
        slave = self.twin.lab.slave
        image = slave.disk.with_name(f"instant-{len(self.images)}.img")
        slave.image(image)
        self.images.append(image)
        self.caught += self.twin.journal.exists()


def cut_power(lab: Lab, dice: random.Random, count: int, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Take so many images of runs, boot each, and compare what it holds with what the MASTER was."""
    work = BusyTree(lab.master.root / "srv/busy", dice)
    work.fill(size)
    twin = Twin(lab)
    rehearse(twin)
    work.change(size // 4)
    camera = Camera(twin, dice, *rehearse(twin))
    twin.keep(status(lab.slave)["generation"]["number"])
    try:
        while len(camera.images) < count or (camera.caught < 2 and len(camera.images) < count + 20):
            work.change(size // 4)
            camera.film(min(4, max(2, count - len(camera.images))))
        phases = Counter(look_at(twin, image) for image in camera.images)
        with capsys.disabled():
            lengths = f"{camera.run_seconds:.1f} s, {camera.commit_seconds:.2f} s of them the commit"
            print(f"\n{lab.wish.fs}: {len(camera.images)} instants of runs of {lengths}: {dict(phases)}")
        assert phases["in the commit"] > 0, phases
        go_on(twin, camera)
    finally:
        for image in camera.images:
            with suppress(FileNotFoundError):
                image.unlink()


def look_at(twin: Twin, image: Path) -> str:
    """Boot an image; fail unless it holds one complete generation and nothing else; return what the instant was."""
    slave = twin.lab.slave
    slave.boot_from(image)
    assert slave.run(["systemctl", "is-active", "hotsyncd"], check=False).stdout.strip() == "active"
    generation = status(slave)["generation"]["number"]
    assert twin.compare(generation) == [], (image.name, generation)
    assert twin.leftovers(generation) == [], image.name
    assert bugs_of(slave) == []
    if slave.run("journalctl -b -o cat -t hotsyncd | grep -q 'rolling generation'", check=False).returncode == 0:
        return "in the commit"
    return "before the commit" if any((twin.replica / "staging").iterdir()) else "at rest"


def go_on(twin: Twin, camera: Camera) -> None:
    """From the oldest image, which is behind what the MASTER believes, the next run goes on."""
    twin.lab.slave.boot_from(camera.images[0])
    record = sync(twin.lab, "--accept-changes")
    assert record["exit_code"] == 0, record
    assert twin.compare_now() == []
    assert status(twin.lab.slave)["generation"]["number"] == record["generation"]


def test_at_whatever_instant_the_slave_loses_its_power_it_holds_a_complete_generation(
    pair: Lab, dice: random.Random, full_size: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    cut_power(pair, dice, 50 if full_size else 4, 4000 if full_size else 1500, capsys)


@pytest.mark.full
@pytest.mark.parametrize("fs", ["xfs", "btrfs"])
def test_the_same_on_other_file_systems(fs: str, dice: random.Random, capsys: pytest.CaptureFixture[str]) -> None:
    with paired_lab(fs, fs) as lab:
        cut_power(lab, dice, 8, 4000, capsys)
