"""The tree against the manifest: every path, all its metadata, and content by the sum taken when it arrived.

It reads without the lock, so that syncs go on meanwhile; what looks wrong is looked at again with the lock held.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Protocol

from hotsync.manifest.store import Manifest
from hotsync.model.entry import Entry, Kind, sort_key
from hotsync.model.report import Verdict
from hotsync.replica.handles import Folders, Walk
from hotsync.replica.layout import Layout
from hotsync.replica.ledger import Ledger
from hotsync.replica.metadata import attributes_at, differences
from hotsync.system.attributes import hash_attributes
from hotsync.system.sums import sum_of_file

LISTED = 1000
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """One path whose replica is not what the manifest says, and in what."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found. `contents` and `bytes` count what was read; `unlisted` faults are not in the list.

    `unknown` paths had nothing to be compared with; of `unsettled` ones kind and content were compared, no attributes.
    """

    generation: int
    paths: int
    contents: int
    bytes: int
    faults: tuple[Fault, ...]
    unlisted: int
    unknown: int
    unsettled: int
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

    def __init__(
        self,
        layout: Layout,
        manifest: Path,
        hold: Callable[[], AbstractContextManager[Held]],
        seed: int | None,
    ) -> None:
        self._layout = layout
        self._manifest = manifest
        self._hold = hold
        self._random = random.Random(seed)  # noqa: S311 - a sample, not a secret
        self._paths: int = 0
        self._contents: int = 0
        self._bytes: int = 0
        self._unknown: int = 0
        self._unsettled: int = 0
        self._groups: dict[tuple[int, int], tuple[str, int]] = {}

    def run(self, sample: int | None) -> VerifyReport:
        """Compare everything; with `sample`, read the content of so many files only. Nothing is changed."""
        with TemporaryFile() as suspects:  # as many as there are paths, if a large commit comes meanwhile
            with Manifest(self._manifest) as manifest, Folders(self._layout.tree) as tree:
                first = manifest.generation
                ledger = Ledger(manifest)
                try:
                    chosen = self._choose(manifest.count(Kind.FILE), sample)
                    for path in self._look(manifest, ledger, tree, chosen):
                        suspects.write(json.dumps(path).encode("ascii") + b"\n")
                finally:
                    ledger.close()
            suspects.seek(0)
            faults, more, last = self._look_again(map(json.loads, suspects))
        sentence = self._sentence(len(faults) + more, first, last, sampled=sample is not None)
        verdict = Verdict.RED if faults else Verdict.AMBER if self._unknown else Verdict.GREEN
        return VerifyReport(
            last,
            self._paths,
            self._contents,
            self._bytes,
            tuple(faults),
            more,
            self._unknown,
            self._unsettled,
            verdict,
            sentence,
        )

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
        if not wrong:
            self._note_blindness(entry, known=bool(expected) or not read)
        return wrong

    def _note_blindness(self, entry: Entry, *, known: bool) -> None:
        """Count what could not be compared: of an unsettled path the entry may be newer than what arrived."""
        if entry.kind is Kind.FILE:
            self._unknown += not known
            self._unsettled += known and entry.unsettled
        elif entry.kind is Kind.DIRECTORY:
            self._unsettled += entry.unsettled
        else:
            self._unknown += entry.unsettled

    def _look_again(self, suspects: Iterator[str]) -> tuple[list[Fault], int, int]:
        """Return the faults that remain with the lock held, how many more there are, and the generation then.

        The lock is let go now and then: a sync must not wait for all of a verification.
        """
        faults: list[Fault] = []
        more = 0
        counted = self._paths, self._contents, self._bytes
        while True:
            batch = [*islice(suspects, _BATCH)]
            self._groups.clear()
            with self._hold() as held, Folders(self._layout.tree) as tree:
                generation = held.manifest.generation
                for path in batch:
                    wrong = self._wrong(path, held, tree)
                    if wrong and len(faults) < LISTED:
                        faults.append(Fault(path, ", ".join(wrong)))
                    elif wrong:
                        more += 1
            if len(batch) < _BATCH:
                self._paths, self._contents, self._bytes = counted
                return faults, more, generation

    def _wrong(self, path: str, held: Held, tree: Folders) -> list[str]:
        entry = held.manifest.get(path)
        if entry is None:
            return ["unknown to the manifest"] if tree.stat(path) is not None else []
        for other in held.ledger.names_of(entry):
            status = tree.stat(other)
            if status is not None and other != path:
                self._groups.setdefault((entry.device, entry.inode), (other, status.st_ino))
        return self._compare(entry, tree, held.ledger, read=True)

    def _sentence(self, faults: int, first: int, last: int, *, sampled: bool) -> str:
        """Say what was found, and no more than was looked at."""
        looked = f"{self._paths} paths were compared, {self._contents} contents read"
        if faults:
            return f"{faults} paths differ from generation {last}."
        if self._unknown:
            return (
                f"Nothing that can be compared differs from generation {last} ({looked}); but of {self._unknown} paths"
                " nothing was noted when they arrived. The next run of hotsync sends them again."
            )
        exactly = first == last and not sampled and not self._unsettled
        said = f"The replica is exactly generation {last}" if exactly else f"Nothing differs from generation {last}"
        said += f": {looked}"
        if first != last:
            said += f"; it began with generation {first}, and what came meanwhile was looked at where it was met"
        if self._unsettled:
            said += f"; the attributes of {self._unsettled} that were changing while they were sent were not"
        return said + "."
