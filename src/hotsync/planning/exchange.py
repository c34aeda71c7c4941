"""Which paths move into production, each by one rename: a pure function of what lies in the tree and what lies live.

A unit is the highest folder, or single file, of the tree that is selected, is no mount point, and holds no mount point,
nothing protected, and nothing unselected that this SLAVE needs. Folders that cannot be units stay in place ("opened"),
and their children are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hotsync.model.changeset import folders_of
from hotsync.model.entry import Kind, sort_key
from hotsync.model.promotion import ETC, OURS, SHARED, ExchangeUnit, How
from hotsync.model.selection import Action, Selection
from hotsync.model.sqlite_files import SIDES as SQLITE_SIDES
from hotsync.model.tree import Listing, Node


def _none(path: str) -> bool:
    del path
    return False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides besides the two trees.

    `kept` are live paths that stay this SLAVE's own (its protect rules, as far as something lies there), `mounts` its
    mount points, `device` the file system that holds the replica. `is_sqlite` says it of a file of the replica's tree.
    """

    selection: Selection
    kept: frozenset[str]
    mounts: frozenset[str]
    device: int
    is_sqlite: Callable[[str], bool] = _none
    _above: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        above = {folder for path in (*self.kept, *self.mounts, OURS, ETC) for folder in folders_of(path)}
        object.__setattr__(self, "_above", frozenset(above))

    def is_kept(self, path: str) -> bool:
        """Given a path, return whether it is this SLAVE's own, or ours, or handled apart."""
        return path in self.kept or path in (OURS, ETC)

    def holds_apart(self, path: str) -> bool:
        """Given a path, return whether something in it must not move with it."""
        return path in self._above


@dataclass(frozen=True, slots=True)
class Layout:
    """The outcome, each in the order of a walk.

    `folders` are the selected folders that stay in place; `blocked` are paths that cannot move as things lie here: a
    file where this SLAVE has a mount point, or a link where the MASTER has a folder that must stay in place.
    """

    units: tuple[ExchangeUnit, ...]
    folders: tuple[str, ...]
    blocked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str


@dataclass(frozen=True, slots=True)
class _Blocked:
    path: str


_Found = ExchangeUnit | _Folder | _Blocked


def exchange_layout(tree: Listing, live: Listing, around: Surroundings) -> Layout:
    """Given the replica's tree, the live root and its surroundings, return what moves and what stays in place."""
    # a part of a file may also be what only this SLAVE has in its folder
    found = sorted(set(_below("", tree, live, around)), key=lambda one: sort_key(one.path))
    return Layout(
        tuple(one for one in found if isinstance(one, ExchangeUnit)),
        tuple(one.path for one in found if isinstance(one, _Folder)),
        tuple(one.path for one in found if isinstance(one, _Blocked)),
    )


def _below(folder: str, tree: Listing, live: Listing, around: Surroundings) -> Iterator[_Found]:
    for name in tree.names(folder):
        path = f"{folder}/{name}" if folder else name
        node = tree.node(path)
        if node is None or path in (OURS, ETC):
            continue
        decision = around.selection.decide(path)
        carried = decision.action is Action.INCLUDE
        named = decision.rule is not None and not carried
        holds_more = named and node.kind is Kind.DIRECTORY and around.selection.wanted_below(path)
        if named and not holds_more:
            continue  # named as not carried, whatever an older generation had
        if holds_more or (node.kind is Kind.DIRECTORY and _must_open(path, carried, tree, live, around)):
            yield from _opened(path, carried, tree, live, around)
        elif path in around.mounts or (around.holds_apart(path) and not around.is_kept(path)):
            yield _Blocked(path)
        elif not around.is_kept(path):
            yield _unit(path, node, live, around)
            if node.kind is Kind.FILE:
                yield from _parts_left(path, tree, live, around)


def _opened(path: str, carried: bool, tree: Listing, live: Listing, around: Surroundings) -> Iterator[_Found]:
    here = live.node(path)
    if here is not None and here.kind is not Kind.DIRECTORY:
        yield _Blocked(path)
        return
    if carried and not around.is_kept(path):
        yield _Folder(path)
        if path not in SHARED:
            yield from _set_aside(path, tree, live, around)
    yield from _below(path, tree, live, around)


def _must_open(path: str, carried: bool, tree: Listing, live: Listing, around: Surroundings) -> bool:
    if path in SHARED or path in around.mounts or path in around.kept or around.holds_apart(path):
        return True
    if carried:
        return False
    # only a folder above something that is carried, or carried by a rule that an older generation does not tell: it is
    # left in place if this SLAVE has something in it that the tree has not
    here = live.node(path)
    if here is None or here.kind is not Kind.DIRECTORY:
        return False
    return not set(live.names(path)) <= set(tree.names(path)) or around.selection.wanted_below(path)


def _set_aside(folder: str, tree: Listing, live: Listing, around: Surroundings) -> Iterator[ExchangeUnit]:
    """In a carried folder that stays in place: what only this SLAVE has goes aside, as if the folder had moved."""
    there = set(tree.names(folder))
    for name in live.names(folder):
        path = f"{folder}/{name}"
        node = live.node(path)
        if name == "lost+found" or name.startswith(".hotsync-"):
            continue  # the file system's own, and what earlier promotions set aside there
        if name in there or node is None or path in around.mounts or around.is_kept(path) or around.holds_apart(path):
            continue
        yield ExchangeUnit(path, How.ASIDE, node.kind, node.inode, node.device)


def _parts_left(path: str, tree: Listing, live: Listing, around: Surroundings) -> Iterator[ExchangeUnit]:
    """A SQLite file that moves by itself: what this SLAVE has beside it belongs to the file that leaves, and goes aside
    also where its folder is this SLAVE's own."""
    for beside in (path + side for side in SQLITE_SIDES):
        node = live.node(beside)
        if node is None or node.kind is not Kind.FILE or tree.node(beside) is not None:
            continue
        if beside not in around.mounts and not around.is_kept(beside) and around.is_sqlite(path):
            yield ExchangeUnit(beside, How.ASIDE, node.kind, node.inode, node.device)


def _unit(path: str, node: Node, live: Listing, around: Surroundings) -> ExchangeUnit:
    target = live.node(path) or _nearest(path, live)
    apart = node.device != around.device or (target is not None and target.device != around.device)
    return ExchangeUnit(path, How.COPY if apart else How.EXCHANGE, node.kind, node.inode, node.device)


def _nearest(path: str, live: Listing) -> Node | None:
    """Return the nearest folder above a path that exists live: there it will be made."""
    for folder in (*folders_of(path), ""):
        if node := live.node(folder):
            return node
    return None
