"""A tree, a manifest, a clock: what the tests of this room stand on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.changes.detect import Detection, detect
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Change, Entry
from hotsync.model.selection import Action, Rule, Selection

WORDS = {"+": Action.INCLUDE, "-": Action.EXCLUDE, "=": Action.PROTECT}


def selection(*lines: str) -> Selection:
    return Selection(Rule(line[1:].strip(), WORDS[line[0]], "test") for line in lines)


@dataclass
class FakeClock:
    """Far in the future of every file, unless a test sets it: then nothing is unsettled."""

    ns: int = 4_000_000_000 * 10**9

    def now(self) -> float:
        return self.ns / 1e9

    def now_ns(self) -> int:
        return self.ns

    def monotonic(self) -> float:
        return self.ns / 1e9

    def sleep(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


@dataclass
class Server:
    """A root with a manifest beside it."""

    root: Path
    work: Path
    manifest: Manifest
    rules: Selection = field(default_factory=lambda: selection("+ /data"))
    clock: FakeClock = field(default_factory=FakeClock)
    mounts: frozenset[str] = frozenset()
    table: Mapping[str, str] = field(default_factory=dict)

    def detect(self, **more: object) -> Detection:
        return detect(
            self.root, self.rules, self.manifest, self.work / "planned", self.clock, self.mounts,
            self.manifest.digest, table=self.table, **more,  # type: ignore[arg-type]
        )  # fmt: skip

    def changes(self, **more: object) -> list[Change]:
        self.detect(**more)
        return list(read_changes(self.work / "planned"))

    def verbs(self, **more: object) -> list[tuple[str, str]]:
        return [(change.verb.value, change.path) for change in self.changes(**more)]

    def commit(self) -> Detection:
        detection = self.detect()
        self.manifest.apply(read_changes(detection.planned), self.manifest.generation + 1, detection.summary.digest)
        return detection

    def entries(self) -> list[Entry]:
        return list(self.manifest.entries())

    def path(self, name: str | bytes) -> bytes:
        return os.fsencode(self.root) + b"/" + os.fsencode(name)

    def write(self, name: str | bytes, content: bytes = b"x") -> None:
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
