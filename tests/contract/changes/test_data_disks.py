"""A data disk that no list names: carried while it is mounted, and missed when it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.changes import guard
from hotsync.changes.detect import Detection, detect
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.guard import GuardRule
from hotsync.model.selection import Action, Rule, Selection
from hotsync.profiles.resolve import resolve
from hotsync.system.clock import SystemClock
from hotsync.system.mounts import read_mounts
from tests.support.images import MIB, make_disk, mounted

pytestmark = pytest.mark.contract
ROOT = Path("/")
RULE = GuardRule(share=50, files=1000)


def selected(below: Path, *site: Rule) -> tuple[Selection, frozenset[str]]:
    """What a run would select of this machine, as if it had no other mounts than those of the test."""
    found = [(mount.point, mount.kind) for mount in read_mounts() if Path(mount.point).is_relative_to(below)]
    return resolve([], found, site, lambda _: ()), frozenset(point.strip("/") for point, _ in found)


def look(below: Path, manifest: Manifest, *site: Rule) -> tuple[Detection, tuple[str, ...]]:
    selection, mounts = selected(below, *site)
    detection = detect(ROOT, selection, manifest, below / "planned", SystemClock(), mounts, manifest.digest)
    return detection, guard.check(manifest, selection, detection, RULE)


def test_an_unmounted_data_disk_holds_the_run_although_its_rule_is_gone_with_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    make_disk(tmp_path / "image", 8 * MIB)
    with Manifest(tmp_path / "manifest.db") as manifest:
        with mounted(tmp_path / "image", disk):
            for number in range(20):
                (disk / f"file {number}").write_text("x")
            detection, held = look(tmp_path, manifest)
            assert held == ()
            manifest.apply(read_changes(detection.planned), 1, detection.summary.digest)
            guard.remember(manifest, detection)
            assert look(tmp_path, manifest)[1] == ()
        detection, held = look(tmp_path, manifest)
        assert detection.summary.deleted > 20
        assert held == (f"{disk} is not mounted; it was, and held 22 entries",)
        left_out = Rule(str(disk), Action.EXCLUDE, "/etc/backup-data.d/a.exclude:1")
        assert look(tmp_path, manifest, left_out)[1] == ()
