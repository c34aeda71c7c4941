"""The tree against the manifest: every path, all its metadata, and content by the sum taken when it arrived.

It reads without the lock, so that syncs go on meanwhile; what looks wrong is looked at again with the lock held.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hotsync.manifest.store import Manifest
from hotsync.model.entry import Entry, Kind, sort_key
from hotsync.model.report import Verdict
from hotsync.replica.handles import Folders, Walk
from hotsync.replica.layout import Layout
from hotsync.replica.ledger import Ledger
from hotsync.replica.metadata import attributes_at, differences
from hotsync.replica.sums import sum_of_file
from hotsync.system.attributes import hash_attributes

LISTED = 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """One path whose replica is not what the manifest says, and in what."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found. `contents` and `bytes` count what was read; `unlisted` faults are not in the list."""

    generation: int
    paths: int
    contents: int
    bytes: int
    faults: tuple[Fault, ...]
    unlisted: int
    verdict: Verdict
    sentence: str


class Held(Protocol):
    """The replica while its lock is held."""

    @property
    def manifest(self) -> Manifest: ...  # noqa: D102
    @property
    def ledger(self) -> Ledger: ...  # noqa: D102


class Verifying:
    """One verification; `hold` gives the replica with its lock held."""

    def __init__(self, layout: Layout, manifest: Path, hold: AbstractContextManager[Held], seed: int | None) -> None:
        self._layout = layout
        self._manifest = manifest
        self._hold = hold
        self._random = random.Random(seed)  # noqa: S311 - a sample, not a secret
        self._paths: int = 0
        self._contents: int = 0
        self._bytes: int = 0
        self._groups: dict[tuple[int, int], tuple[str, int]] = {}

    def run(self, sample: int | None) -> VerifyReport:
        """Compare everything; with `sample`, read the content of so many files only. Nothing is changed."""
        suspects: list[str] = []
        more = 0
        with Manifest(self._manifest) as manifest, Folders(self._layout.tree) as tree:
            ledger = Ledger(manifest)
            try:
                chosen = self._choose(manifest.count(Kind.FILE), sample)
                for path in self._look(manifest, ledger, tree, chosen):
                    if len(suspects) < LISTED:
                        suspects.append(path)
                    else:
                        more += 1
            finally:
                ledger.close()
        faults, generation = self._look_again(suspects)
        return self._report(faults, more, generation)

    def _choose(self, files: int, sample: int | None) -> set[int] | None:
        return None if sample is None else set(self._random.sample(range(files), min(sample, files)))

    def _look(self, manifest: Manifest, ledger: Ledger, tree: Folders, chosen: set[int] | None) -> Iterator[str]:
        """Return the paths that do not look right."""
        walk = Walk(tree, tolerant=True)
        found = next(walk, None)
        rank = 0
        for entry in manifest.entries():
            key = sort_key(entry.path)
            while found is not None and sort_key(found[0]) < key:
                yield found[0]
                walk.skip()  # one word for a folder that nobody knows
                found = next(walk, None)
            self._paths += 1
            read = entry.kind is Kind.FILE and (chosen is None or rank in chosen)
            rank += entry.kind is Kind.FILE
            if found is None or found[0] != entry.path:
                yield entry.path
                continue
            if self._compare(entry, tree, ledger, read=read):
                yield entry.path
            found = next(walk, None)
        while found is not None:
            yield found[0]
            walk.skip()
            found = next(walk, None)

    def _compare(self, entry: Entry, tree: Folders, ledger: Ledger, *, read: bool) -> list[str]:
        try:
            status = tree.stat(entry.path)
            if status is None:
                return ["missing"]
            wrong = differences(entry, status, tree)
            if wrong == ["kind"]:
                return wrong
            if not entry.unsettled and hash_attributes(attributes_at(tree, entry.path)) != entry.attributes:
                wrong.append("ACL or extended attributes")
            if entry.kind is not Kind.DIRECTORY and entry.links > 1 and not entry.unsettled:
                group = (entry.device, entry.inode)
                first, inode = self._groups.setdefault(group, (entry.path, status.st_ino))
                if inode != status.st_ino:
                    wrong.append(f"no longer one with /{first}")
            expected = ledger.sum_of(entry.path) if read else ""
            if expected:
                self._contents += 1
                self._bytes += status.st_size
                if sum_of_file(tree.open_file(entry.path)).hex() != expected:
                    wrong.append("content")
        except OSError as error:
            return [f"cannot be read: {error.strerror}"]
        return wrong

    def _look_again(self, suspects: list[str]) -> tuple[list[Fault], int]:
        faults: list[Fault] = []
        self._groups.clear()
        with self._hold as held, Folders(self._layout.tree) as tree:
            counted = self._paths, self._contents, self._bytes
            for path in suspects:
                entry = held.manifest.get(path)
                if entry is None:
                    wrong = ["unknown to the manifest"] if tree.stat(path) is not None else []
                else:
                    for other in held.ledger.names_of(entry):
                        status = tree.stat(other)
                        if status is not None and other != path:
                            self._groups.setdefault((entry.device, entry.inode), (other, status.st_ino))
                    wrong = self._compare(entry, tree, held.ledger, read=True)
                if wrong:
                    faults.append(Fault(path, ", ".join(wrong)))
            self._paths, self._contents, self._bytes = counted
            return faults, held.manifest.generation

    def _report(self, faults: list[Fault], more: int, generation: int) -> VerifyReport:
        if faults:
            verdict, sentence = Verdict.RED, f"{len(faults) + more} paths differ from generation {generation}."
        else:
            verdict, sentence = Verdict.GREEN, f"The replica is exactly generation {generation}."
        return VerifyReport(
            generation, self._paths, self._contents, self._bytes, tuple(faults), more, verdict, sentence
        )
