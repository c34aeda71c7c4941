"""Before the point of no return: the changeset checked against manifest and staging, and every list the apply needs.

One pass over the changeset. Operations are the topmost paths where tree and staging differ: no operation lies inside
another one, so that any subset of them may have survived a crash.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import IO

from hotsync.errors import ProtocolError, ReplicaError
from hotsync.manifest.changeset_file import read_lines
from hotsync.manifest.store import Manifest
from hotsync.model.changeset import check_order, parse_change
from hotsync.model.entry import Change, Entry, Kind, Verb, parent_of, sort_key
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.ledger import Ledger
from hotsync.replica.links import Leaving, complete_groups
from hotsync.replica.metadata import attributes_at, kind_of
from hotsync.replica.record import Kept, Old, parse_kept, render_kept
from hotsync.replica.staged import Staged
from hotsync.replica.sums import SumWriter
from hotsync.replica.work import MetadataLine, Operation, Work, render_applied
from hotsync.system.attributes import Attributes, hash_attributes


@dataclass(slots=True)
class Prepared:
    """What the final changeset amounts to."""

    digest: str
    changed: int = 0
    deleted: int = 0
    bytes: int = 0
    unsettled: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Frame:
    """A path of the changeset that is a folder before or after. `whole`: it, or one above it, moves in one rename."""

    path: str
    old: Entry | None
    new: Entry | None
    whole: bool
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class Sources:
    """What a preparation reads: the tree, staging, the manifest; and the hook around what it writes."""

    tree: Folders
    staging: Folders
    manifest: Manifest
    ledger: Ledger
    effects: Effects


def prepare(sources: Sources, changes: Path, work: Work, base_digest: str) -> Prepared:
    """Given a final changeset, check it, and write to `work` all that its apply needs.

    Raise ProtocolError if the changeset is not lawful on this base, ReplicaError if what arrived is not what it names.
    """
    with ExitStack() as stack:
        sums = stack.enter_context(SumWriter(stack.enter_context(work.create("sums"))))
        planner = _Planner(sources, Staged(sources.staging, sums, sources.effects), work, stack)
        prepared = planner.run(changes, base_digest)
    if more := complete_groups(sources, work, planner.leaving, planner.touched):
        merge_records(work, more)
    _write_touched(work, planner.touched)
    for operation in work.operations():
        if not operation.inode:
            sources.staging.make(parent_of(operation.path), sources.effects)
    return prepared


def _write_touched(work: Work, touched: dict[str, int]) -> None:
    with work.create("times") as file:
        for path, mtime_ns in touched.items():
            file.write(json.dumps([path, mtime_ns]).encode("ascii") + b"\n")


class _Planner:
    def __init__(self, sources: Sources, staged: Staged, work: Work, stack: ExitStack) -> None:
        self._sources = sources
        self._staged = staged
        self._operations: IO[bytes] = stack.enter_context(work.create("operations"))
        self._record: IO[bytes] = stack.enter_context(work.create("record"))
        self._metadata: IO[bytes] = stack.enter_context(work.create("metadata"))
        self._changes: IO[bytes] = stack.enter_context(work.create("changes"))
        self._frames: list[_Frame] = []
        self._parent: tuple[str, Entry | None] = ("", None)
        self._fresh = sources.manifest.generation == 0
        self.touched: dict[str, int] = {}
        self.leaving: dict[str, Leaving] = {}

    def run(self, changes: Path, base_digest: str) -> Prepared:
        digest = hashlib.sha256(bytes.fromhex(base_digest))
        prepared = Prepared("")

        def parsed() -> Iterator[Change]:
            for line in read_lines(changes):
                digest.update(line)
                yield parse_change(line)

        for change in check_order(parsed()):
            self._step(change)
            self._changes.write(render_applied(change))
            if change.entry is None:
                prepared.deleted += 1
            else:
                prepared.changed += 1
                prepared.unsettled += change.entry.unsettled
        while self._frames:
            self._close(self._frames.pop())
        self._staged.finish()
        if self._staged.faults.count:
            raise ReplicaError(
                reason=f"what arrived is not what the changeset says: {self._staged.faults.summary()}",
                hint="The last generation is untouched; the next run sends these paths again.",
            )
        prepared.digest, prepared.bytes = digest.hexdigest(), self._staged.bytes
        prepared.warnings = self._staged.warnings.lines()
        return prepared

    def _step(self, change: Change) -> None:
        status = self._staged.find(change)
        while self._frames and not change.path.startswith(self._frames[-1].path + "/"):
            self._close(self._frames.pop())
        above = self._frames[-1] if self._frames else None
        old = self._old(change.path, above)
        self._lawful(change, old, above)
        covered = above is not None and above.whole
        old_folder = old is not None and old.kind is Kind.DIRECTORY
        new_folder = change.entry is not None and change.entry.kind is Kind.DIRECTORY
        stays = old is not None and change.entry is not None and (
            (old_folder and new_folder) or change.verb is Verb.META
        )  # fmt: skip
        usable = change.entry is None or stays or self._arrived(change.entry, status)
        if old_folder or new_folder:
            self._frames.append(_Frame(change.path, old, change.entry, covered or not stays))
        if change.verb is Verb.DELETE and covered:
            next(frame for frame in self._frames if frame.whole).deleted += 1
        if not usable:
            return
        if stays and old is not None and change.entry is not None:
            if status is not None and not stat.S_ISDIR(status.st_mode):
                self._staged.lie(change.path, "kind")
                return
            self._set(change, change.entry, old, status is not None)
            return
        self._keep(change, old, covered)
        if not covered:
            inode = 0
            if change.entry is not None:
                found = self._sources.staging.stat(change.path)
                inode = found.st_ino if found else 0
            self._operations.write(Operation(change.path, inode).render())
            self._touch(parent_of(change.path))
            if change.entry is not None and new_folder:
                self.touched[change.path] = change.entry.mtime_ns  # XFS moves it where the folder moves

    def _old(self, path: str, above: _Frame | None) -> Entry | None:
        if self._fresh or (above is not None and (above.old is None or above.old.kind is not Kind.DIRECTORY)):
            return None
        return self._sources.manifest.get(path)

    def _lawful(self, change: Change, old: Entry | None, above: _Frame | None) -> None:
        """Raise ProtocolError unless the change fits the generation that it is made for."""
        path, entry = change.path, change.entry
        if change.verb is Verb.MOVED:
            raise ProtocolError(reason=f"this SLAVE takes no moved paths yet (/{path})")
        if change.verb is Verb.DELETE and old is None:
            raise ProtocolError(reason=f"a changeset deletes /{path}, which does not exist")
        if change.verb is Verb.META and (
            old is None or entry is None or old.kind is not entry.kind
            or (entry.kind is not Kind.DIRECTORY and (old.links > 1 or entry.links > 1 or old.size != entry.size))
        ):  # fmt: skip
            raise ProtocolError(reason=f"a changeset gives new attributes to /{path}, which is not what it says")
        parent = parent_of(path)
        if entry is None or not parent:
            return
        if above is not None and above.path == parent:
            folder = above.new
        else:
            folder = None if above is not None and above.whole else self._entry_of(parent)
        if folder is None or folder.kind is not Kind.DIRECTORY:
            raise ProtocolError(reason=f"a changeset puts /{path} into a folder that does not exist")

    def _entry_of(self, folder: str) -> Entry | None:
        if self._parent[0] != folder:
            self._parent = (folder, self._sources.manifest.get(folder))
        return self._parent[1]

    def _close(self, frame: _Frame) -> None:
        """Raise ProtocolError if a folder vanished and something that it held was not named."""
        outermost = frame.whole and not any(above.whole for above in self._frames)
        vanished = outermost and frame.old is not None and frame.old.kind is Kind.DIRECTORY
        if vanished and self._sources.ledger.count_below(frame.path) != frame.deleted:
            raise ProtocolError(reason=f"a changeset removes /{frame.path} but does not name all that it holds")

    def _arrived(self, entry: Entry, status: os.stat_result | None) -> bool:
        if status is None:
            self._staged.missing(entry.path)
            return False
        return self._staged.check(entry, status)

    def _keep(self, change: Change, old: Entry | None, covered: bool) -> None:
        """Write down what was there, for the history; note what the tree has that the manifest does not know."""
        path = change.path
        status = None if covered and old is None else self._sources.tree.stat(path)
        if status is not None and status.st_dev != self._sources.tree.device:
            raise ReplicaError(reason=f"/{path} lies on another file system in its tree", hint="Unmount it.")
        if status is not None and (old is None or kind_of(status) is not old.kind):
            self._staged.warnings.add(f"/{path}: the tree holds something else than the manifest says")
            status = None
        kept = Kept(path, change.verb, Old.NOTHING)
        if old is not None and status is None:
            self._staged.warnings.add(f"/{path}: the tree has lost it")
            kept = Kept(path, change.verb, Old.LOST, old, {} if old.kind is Kind.DIRECTORY else None)
        elif old is not None and old.kind is Kind.DIRECTORY:
            kept = Kept(path, change.verb, Old.ATTRIBUTES, old, attributes_at(self._sources.tree, path))
        elif old is not None:
            kept = Kept(path, change.verb, Old.OBJECT, old, None, self._sources.ledger.sum_of(path))
            if status is not None and status.st_nlink > 1:
                self.leaving[path] = Leaving(old, status.st_ino, status.st_nlink)
        if not self._fresh:  # before the first generation there is nothing to go back to
            self._record.write(render_kept(kept))

    def _set(self, change: Change, entry: Entry, old: Entry, arrived: bool) -> None:
        """Plan new attributes for what stays where it is."""
        path = change.path
        status = self._sources.tree.stat(path)
        if status is None or kind_of(status) is not old.kind:
            raise ReplicaError(
                reason=f"its tree has lost /{path}", hint="`hotsync verify` lists all that differs from the manifest."
            )
        present = attributes_at(self._sources.tree, path)
        wanted = self._wanted(entry, present, arrived)
        if wanted is None:
            self._staged.missing(path)
            return
        self._record.write(render_kept(Kept(path, change.verb, Old.ATTRIBUTES, old, present)))
        self._metadata.write(MetadataLine(entry, wanted).render())

    def _wanted(self, entry: Entry, present: Attributes, arrived: bool) -> Attributes | None:
        sent = attributes_at(self._sources.staging, entry.path) if arrived else None
        for candidate in (sent, present, {}):
            if candidate is not None and hash_attributes(candidate) == entry.attributes:
                return candidate
        if sent is not None:
            self._staged.warnings.add(f"/{entry.path}: its ACL or extended attributes differ from the MASTER's")
        return sent

    def _touch(self, folder: str) -> None:
        if folder and folder not in self.touched:
            entry = self._entry_of(folder)
            if entry is not None:
                self.touched[folder] = entry.mtime_ns


def merge_records(work: Work, more: list[Kept]) -> None:
    """Add lines to a record that is written already, in their places."""
    old = work.path("record")
    with old.open("rb") as lines, work.create("record.more") as file:
        everything = merge(map(parse_kept, lines), more, key=lambda kept: sort_key(kept.path))
        file.writelines(map(render_kept, everything))
    work.path("record.more").replace(old)
