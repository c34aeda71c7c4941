"""A tree of files as planning sees it: what lies where, without opening anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hotsync.model.entry import Kind


@dataclass(frozen=True, slots=True)
class Node:
    """What lies at a path, without following a link; `device` tells file systems (and subvolumes) apart."""

    kind: Kind
    inode: int
    device: int


class Listing(Protocol):
    """A tree of files as planning sees it; paths are relative, "" is its root."""

    def node(self, path: str) -> Node | None:
        """Given a path, return what lies there, or None."""
        ...

    def names(self, path: str) -> Sequence[str]:
        """Given a folder, return the names in it (none if it is no folder)."""
        ...
