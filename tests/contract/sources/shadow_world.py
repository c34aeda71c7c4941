"""A MASTER's folder with SQLite and TDB files, and runs that look at it as a sync does: shadows, walk, manifest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from hotsync.changes.detect import detect
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Change, Entry
from hotsync.model.selection import Action, Selection
from hotsync.sources.shadows.shadows import Shadows
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.unit.changes.support import selection


@dataclass
class Run:
    """What one run found."""

    verbs: list[tuple[str, str]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    arrived: Path = Path()
    shadows: Shadows | None = None

    @property
    def notices(self) -> list[str]:
        assert self.shadows is not None
        return [notice.sentence for notice in self.shadows.notices()]

    def verb_of(self, path: str) -> str:
        return dict((path, verb) for verb, path in self.verbs).get(path, "")

    def stale(self) -> dict[str, str]:
        assert self.shadows is not None
        return {point.name: point.note for point in self.shadows.points() if point.stale_since}

    def fresh(self) -> list[str]:
        assert self.shadows is not None
        return [point.name for point in self.shadows.points() if not point.stale_since]


class World:
    """A root below which /srv is carried."""

    def __init__(self, folder: Path) -> None:
        self.root, self.work, self.arrived = folder / "root", folder / "work", folder / "arrived"
        self.temporary = folder / "temporary"
        for path in (self.root / "srv", self.work, self.temporary):
            path.mkdir(parents=True)
        folder.chmod(0o711)
        self.temporary.chmod(0o1777)
        self.paths = Paths(self.root)
        self.rules: Selection = selection("+ /srv")
        self.clock = SystemClock()

    @property
    def srv(self) -> Path:
        return self.root / "srv"

    def carried(self, path: str) -> bool:
        return self.rules.decide(path).action is Action.INCLUDE

    @contextmanager
    def looking(self, *, make: bool = True) -> Iterator[Run]:
        """One run up to its changeset; within the block all is seen as rsync would see it."""
        run = Run()
        with Shadows(self.paths, self.clock, make=make, temporary=self.temporary) as shadows:
            run.shadows = shadows
            shadows.refresh(self.carried)
            self.clock.sleep(0.05)
            with Manifest(self.work / "manifest.db") as manifest:
                detection = detect(
                    self.root, self.rules, manifest, self.work / "planned", self.clock, frozenset(), manifest.digest,
                    table={}, keep_seals=make, copies=shadows,
                )  # fmt: skip
                if make:
                    shadows.finish()
                run.changes = list(read_changes(detection.planned))
                run.verbs = [(change.verb.value, change.path) for change in run.changes]
                yield run
                if make:
                    # as settling does it: by now the time stamps are old enough
                    settled = [
                        Change(one.verb, one.path, None if one.entry is None else _settled(one)) for one in run.changes
                    ]
                    manifest.apply(settled, manifest.generation + 1, detection.summary.digest)

    def sync(self) -> Run:
        """One run; what it would send lies in `arrived`, as it would arrive."""
        with self.looking() as run:
            shutil.rmtree(self.arrived, ignore_errors=True)
            for change in run.changes:
                if change.entry is not None and change.entry.kind == "f":
                    target = self.arrived / change.path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(self.root / change.path, target)
                    status = os.stat(self.root / change.path)
                    assert (status.st_ino, status.st_ctime_ns) == (change.entry.inode, change.entry.ctime_ns)
            run.arrived = self.arrived
        return run


def _settled(change: Change) -> Entry:
    assert change.entry is not None
    return replace(change.entry, unsettled=False)
