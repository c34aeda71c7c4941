"""What a walk meets besides entries: what could not be seen, what need not be looked at, what is left out."""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple, Protocol

HEAD = 64
"""So many bytes from the start of a file are shown to whoever may have a sound copy of it; a smaller one is not."""


class Gap(NamedTuple):
    """Keys from `start` up to `end` (not included) that could not be seen: the manifest's entries of them stay.

    `vanished`: something was there a moment ago, and is gone or another thing now.
    """

    key: bytes
    start: bytes
    end: bytes
    vanished: bool
    reason: str


class Same(NamedTuple):
    """Keys from `start` up to `end` (not included), of which nothing differs from the manifest."""

    start: bytes
    end: bytes


@dataclass(frozen=True, slots=True)
class Remark:
    """A path that is left out on purpose: a socket, a mount that no rule names."""

    code: str
    path: str
    reason: str


class SoundCopies(Protocol):
    """Who puts sound copies in the place of files that must not be copied live, for this run's eyes only."""

    def hidden(self, folder: bytes) -> AbstractSet[bytes]:
        """Given the key of a folder, return the names in it that are to be left out, as far as is known by now."""
        ...

    def met(self, folder: int, key: bytes, head: bytes, status: os.stat_result) -> bool:
        """Given a file that differs from the manifest, say whether another one, a sound copy, lies at its name now."""
        ...

    def hides(self, key: bytes) -> bool:
        """Say whether what lies at a key is left out on purpose: it counts as gone."""
        ...

    def lies_at(self, path: str) -> bool:
        """Say whether a sound copy lies at a path: nothing else may be carried in its place."""
        ...

    def covers(self, key: bytes) -> bool:
        """Say whether a sound copy of a whole folder lies at a key: it may be on another file system."""
        ...
