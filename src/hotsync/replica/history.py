"""Back in time: a path as of generation G is what the first later generation that names it kept of it.

Kept nothing: it did not exist at G. Kept attributes only: its content is what the generations after that one say. If
none names it, it is what `tree` holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from heapq import merge
from itertools import groupby

from hotsync.errors import ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Entry, Kind, sort_key
from hotsync.model.generation import Generation
from hotsync.replica.layout import Layout
from hotsync.replica.ledger import Ledger
from hotsync.replica.record import Kept, Old, read_record
from hotsync.system.attributes import Attributes

_TREE = 1 << 62
Item = tuple[bytes, int, Kept | Entry]


@dataclass(frozen=True, slots=True)
class Was:
    """A path as it was. `number`: the generation whose history has its object, 0 for the tree.

    `attributes` is None where the object carries its own; `lost`: the replica does not hold its content.
    """

    path: str
    entry: Entry
    number: int
    attributes: Attributes | None = None
    sum: str = ""
    lost: bool = False


class Change(StrEnum):
    """How a path differs between two generations."""

    ADDED = "added"
    REMOVED = "removed"
    CONTENT = "content"
    ATTRIBUTES = "attributes"
    TYPE = "type"


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that differs between two generations, with what it was in each."""

    path: str
    change: Change
    before: Entry | None
    after: Entry | None


class History:
    """The generations that are held, and everything that each of them was."""

    def __init__(self, layout: Layout, manifest: Manifest, ledger: Ledger) -> None:
        self._layout = layout
        self._manifest = manifest
        self._ledger = ledger
        self.generations: list[Generation] = ledger.generations()

    def held(self, number: int) -> Generation:
        """Given a number, return the generation; raise ReplicaError if it is not held."""
        for generation in self.generations:
            if generation.number == number:
                return generation
        first, last = (self.generations[0].number, self.generations[-1].number) if self.generations else (0, 0)
        raise ReplicaError(
            reason=f"generation {number} is not held (the oldest is {first}, the newest {last})",
            hint="`hotsync history` lists the generations that are held.",
        )

    def as_of(self, number: int, below: str = "") -> Iterator[Was]:
        """Given a generation, return what it had, in order; with `below`, that path and what it held."""
        self.held(number)
        tree: Iterator[Item] = ((sort_key(entry.path), _TREE, entry) for entry in self._manifest.entries(below))
        for _, group in groupby(merge(self._records(number, below), tree, key=_order), key=_key):
            was = self._resolve(group)
            if was is not None:
                yield was

    def path_as_of(self, number: int, path: str) -> Was | None:
        """Given a generation and a path, return what it was, or None if it did not exist."""
        items = [item for item in self._records(number, path) if item[2].path == path]
        return self._resolve([*items, *self._in_tree(path)])

    def diff(self, old: int, new: int) -> Iterator[Difference]:
        """Given two generations, return what differs, in order; the newer one first, what would undo it."""
        self.held(old)
        self.held(new)
        if old > new:
            yield from map(_inverse, self.diff(new, old))
            return
        for _, group in groupby(self._records(old, ""), key=_key):
            items = list(group)
            if items[0][1] > new:
                continue
            items += self._in_tree(items[0][2].path)
            before = self._resolve(items)
            after = self._resolve([item for item in items if item[1] > new])
            difference = _difference(items[0][2].path, before, after)
            if difference is not None:
                yield difference

    def since(self, number: int) -> Iterator[tuple[Was | None, Entry | None]]:
        """Given a generation, return of every path that a later one named what it was then and what it is now."""
        self.held(number)
        for _, group in groupby(self._records(number, ""), key=_key):
            items = list(group)
            now = self._in_tree(items[0][2].path)
            yield self._resolve([*items, *now]), now[0][2] if now else None

    def changed_in(self, path: str) -> list[int]:
        """Return the generations that are held and whose changes named a path; what the oldest changed is not known."""
        return [item[1] for item in self._records(0, path) if item[2].path == path]

    def _in_tree(self, path: str) -> list[tuple[bytes, int, Entry]]:
        """Return what the tree has of a path, as the last item of its history; none if it has nothing."""
        entry = self._manifest.get(path)
        return [] if entry is None else [(sort_key(path), _TREE, entry)]

    def _records(self, after: int, below: str) -> Iterator[Item]:
        streams = [
            self._record(generation.number, below) for generation in self.generations if generation.number > after
        ]
        return merge(*streams, key=_order)

    def _record(self, number: int, below: str) -> Iterator[Item]:
        for kept in read_record(self._layout.record(number), below):
            yield sort_key(kept.path), number, kept

    def _resolve(self, items: Iterable[Item]) -> Was | None:
        """Given what the later generations and the tree have of one path, oldest first, return what it was."""
        pinned: Kept | None = None
        for _, number, item in items:
            if isinstance(item, Entry):
                found = Was(item.path, item, 0, None, self._ledger.sum_of(item.path))
            elif item.entry is None:
                return None if pinned is None else _pinned(Was(item.path, _entry(pinned), number, lost=True), pinned)
            elif item.old is Old.ATTRIBUTES and not item.is_folder:
                pinned = pinned or item
                continue
            else:
                found = Was(item.path, item.entry, number, item.attributes, item.sum, item.old is Old.LOST)
            return found if pinned is None else _pinned(found, pinned)
        return None if pinned is None else Was(pinned.path, _entry(pinned), 0, pinned.attributes, lost=True)


def _inverse(found: Difference) -> Difference:
    turned = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED}
    return Difference(found.path, turned.get(found.change, found.change), found.after, found.before)


def _pinned(found: Was, pinned: Kept) -> Was:
    return replace(found, entry=_entry(pinned), attributes=pinned.attributes)


def _entry(kept: Kept) -> Entry:
    assert kept.entry is not None
    return kept.entry


def _order(item: Item) -> tuple[bytes, int]:
    return item[0], item[1]


def _key(item: Item) -> bytes:
    return item[0]


def _difference(path: str, before: Was | None, after: Was | None) -> Difference | None:
    if before is None:
        return None if after is None else Difference(path, Change.ADDED, None, after.entry)
    if after is None:
        return Difference(path, Change.REMOVED, before.entry, None)
    old, new = before.entry, after.entry
    if old.kind is not new.kind:
        change = Change.TYPE
    elif _content(old) != _content(new) or (before.sum and after.sum and before.sum != after.sum):
        change = Change.CONTENT
    elif _visible(old) != _visible(new):
        change = Change.ATTRIBUTES
    else:
        return None
    return Difference(path, change, old, new)


def _content(entry: Entry) -> tuple[object, ...]:
    # a folder's time moves with whatever happens in it, which is listed anyway
    time = 0 if entry.kind is Kind.DIRECTORY else entry.mtime_ns
    return entry.size, time, entry.target, entry.rdev


def _visible(entry: Entry) -> tuple[object, ...]:
    return entry.mode, entry.uid, entry.gid, entry.attributes, entry.flags
