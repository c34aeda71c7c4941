"""An older generation as a new one: what differs is staged out of history, and committed as if it had arrived.

So nothing is lost by it: the generation that was the newest is in the history of the new one, to be gone back on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hotsync.errors import NoSpace
from hotsync.manifest.changeset_file import ChangesetWriter
from hotsync.model.entry import Change, Entry, Kind, Verb, parent_of
from hotsync.model.report import Notice
from hotsync.replica.arrival import make_ready
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.history import History, Was
from hotsync.replica.layout import Layout
from hotsync.replica.restore import Restoring
from hotsync.replica.space import free_bytes, needed_for
from hotsync.system.holes import holes_at

_HELD = 512


@dataclass(slots=True)
class Back:
    """What going back amounts to: the digest of the changeset, its file in the work folder, and what is missing; `lost`
    counts what the replica has lost of it."""

    digest: str = ""
    changes: int = 0
    bytes: int = 0
    lost: int = 0
    notices: list[Notice] = field(default_factory=list[Notice])


def count_back(layout: Layout, history: History, number: int) -> Back:
    """Given a generation, return how many paths differ from it now, and the bytes that are copied; changes nothing."""
    found = Back()
    for was, now in history.since(number):
        if is_same(was, now):
            continue
        found.changes += 1
        if was is not None and was.lost:
            found.lost += 1
        elif was is not None and was.entry.kind is Kind.FILE:
            place = layout.files(was.number) if was.number else layout.tree
            holes = holes_at(place, was.path, was.entry.size)
            found.bytes += (was.entry.size - holes) // max(1, was.entry.links)
    return found


def stage_back(layout: Layout, history: History, number: int, base: tuple[int, str], effects: Effects) -> Back:
    """Given a generation and the newest one (number, digest), stage all that makes the next one equal to it.

    What the replica has lost of it stays as it is now, and is told. Raise NoSpace, nothing staged, or OSError.
    """
    coming = count_back(layout, history, number)
    needed, free = needed_for(coming.bytes, coming.changes), free_bytes(layout.root)
    if needed > free:
        raise NoSpace(needed=needed, free=free)  # nothing is forgotten for it: that could be what is gone back to
    target = base[0] + 1
    work = layout.work(target)
    work.mkdir(mode=0o700, exist_ok=True)
    planned = work / "none"
    planned.write_bytes(b"")
    make_ready(layout, target, planned, effects)  # whatever a cut run of the MASTER's left goes
    found = Back()
    restoring = Restoring(layout, history, number, "", None)
    with Folders(layout.staging(target), _HELD) as staging, ChangesetWriter(work / "back", base[1]) as writer:
        for change in _changes(history, number, restoring, staging, found, effects):
            writer.write(change)
        restoring.finish_staging(staging)
    summary = writer.summary()
    found.digest, found.changes, found.bytes = summary.digest, summary.changes, summary.content_bytes
    return found


def _changes(
    history: History, number: int, restoring: Restoring, staging: Folders, found: Back, effects: Effects
) -> Iterator[Change]:
    """Stage what was, path by path, and return the changes that name it."""
    for was, now in history.since(number):
        if is_same(was, now):
            continue
        if was is None:
            assert now is not None
            yield Change(Verb.DELETE, now.path)
            continue
        staging.make(parent_of(was.path), effects)
        missing = restoring.stage(was, staging)
        if missing is not None:
            found.notices.append(missing)
            continue
        both = now is not None and now.kind is Kind.DIRECTORY and was.entry.kind is Kind.DIRECTORY
        yield Change(Verb.META if both else Verb.CONTENT, was.path, was.entry)


def is_same(was: Was | None, now: Entry | None) -> bool:
    """Return whether a path is now what it was: never named since, or changed and changed back."""
    if was is None or now is None:
        return was is None and now is None
    return was.number == 0 and was.attributes is None and was.entry == now
