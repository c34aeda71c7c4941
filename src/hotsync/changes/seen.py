"""What a walk meets besides entries: what could not be seen, what need not be looked at, what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


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
