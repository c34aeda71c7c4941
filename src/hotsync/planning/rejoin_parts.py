"""Which data of an old MASTER becomes its replica's tree, and how each gets there: a pure function of what lies live.

A part is the highest folder, or single file, that is carried, holds no mount point, and nothing that is not carried.
Folders that cannot be parts stay in place, and what they hold is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hotsync.model.changeset import folders_of
from hotsync.model.entry import Kind, sort_key
from hotsync.model.promotion import ETC, SHARED
from hotsync.model.rejoin import KEYS, Part, Way
from hotsync.model.selection import Action, Selection
from hotsync.model.tree import Listing

NEEDED = frozenset((ETC, "root", "var/lib/nethserver/db"))
"""What this server itself cannot do without: it is copied, and stays. So do the keys by which people log in.

A NethServer has its network and all settings in its databases, HotSync's among them.
"""


@dataclass(frozen=True, slots=True)
class Parts:
    """The outcome, each in the order of a walk: what goes into the tree, and carried folders that stay in place."""

    parts: tuple[Part, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Around:
    selection: Selection
    left: frozenset[str]
    mounts: frozenset[str]
    above: frozenset[str]
    device: int


def rejoin_parts(
    live: Listing, selection: Selection, left: frozenset[str], mounts: frozenset[str], device: int
) -> Parts:
    """Given the live root and its rules, return what goes into a replica on the file system `device`.

    `left` are paths that no rule carries, or that are this machine's own, inside of others that are carried.
    """
    above = frozenset(folder for path in (*left, *mounts, *NEEDED) for folder in folders_of(path))
    found = sorted(
        _below("", live, _Around(selection, left, mounts, above, device)),
        key=lambda one: sort_key(one if isinstance(one, str) else one.path),
    )
    return Parts(
        tuple(one for one in found if isinstance(one, Part)), tuple(one for one in found if isinstance(one, str))
    )


def _below(folder: str, live: Listing, around: _Around) -> Iterator[Part | str]:
    for name in live.names(folder):
        path = f"{folder}/{name}" if folder else name
        node = live.node(path)
        if node is None:
            continue
        if around.selection.decide(path).action is not Action.INCLUDE:
            if node.kind is Kind.DIRECTORY and around.selection.wanted_below(path):
                yield from _below(path, live, around)
        elif path in NEEDED or (name == KEYS and node.kind is Kind.DIRECTORY):
            yield Part(path, Way.COPY, node.kind, node.inode)
        elif node.kind is Kind.DIRECTORY and (path in SHARED or path in around.mounts or path in around.above):
            yield path
            yield from _below(path, live, around)
        else:
            yield Part(path, Way.MOVE if node.device == around.device else Way.CARRY, node.kind, node.inode)
