"""The two trees as planning sees them, and what of this host's own lies live."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hotsync.model.entry import KIND_OF_MODE
from hotsync.model.selection import Action, Rule, Selection
from hotsync.model.tree import Node

_WILDCARD = re.compile(r"[*?\[]")


class DiskListing:
    """A folder of the disk as a Listing; links are seen, never followed below the folder itself."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def node(self, path: str) -> Node | None:
        """Given a path, return what lies there (sockets count as nothing)."""
        try:
            status = os.lstat(self._root / path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        kind = KIND_OF_MODE.get(stat.S_IFMT(status.st_mode))
        return None if kind is None else Node(kind, status.st_ino, status.st_dev)

    def names(self, path: str) -> Sequence[str]:
        """Given a folder, return its names in the order of bytes."""
        try:
            folder = os.open(self._root / path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError, OSError):
            return ()
        try:
            return sorted(os.listdir(folder), key=os.fsencode)
        finally:
            os.close(folder)


def kept_paths(rules: Iterable[Rule], root: Path) -> frozenset[str]:
    """Given rules and the live root, return the paths there that are this host's own and stay (protect rules)."""
    return frozenset(path for rule in rules if rule.action is Action.PROTECT for path in _named(rule, root))


def left_paths(selection: Selection, root: Path) -> frozenset[str]:
    """Given rules and the live root, return the paths there that a rule leaves out, or keeps for this host."""
    named = {path for rule in selection.rules if rule.action is not Action.INCLUDE for path in _named(rule, root)}
    return frozenset(path for path in named if selection.decide(path).action is not Action.INCLUDE)


def _named(rule: Rule, root: Path) -> Iterator[str]:
    """Yield what lies below the root and is named by a rule itself."""
    path = rule.pattern.strip("/")
    if not _WILDCARD.search(path):
        if os.path.lexists(root / path):
            yield path
        return
    found = glob.iglob(path, root_dir=root, recursive=True, include_hidden=True)
    yield from (each.rstrip("/") for each in found)


def mount_points(points: Iterable[str], root: Path) -> frozenset[str]:
    """Given absolute mount points, return those below the root as paths relative to it, the root itself left out."""
    prefix = str(root).rstrip("/") + "/"
    return frozenset(point[len(prefix) :] for point in points if point.startswith(prefix) and len(point) > len(prefix))
