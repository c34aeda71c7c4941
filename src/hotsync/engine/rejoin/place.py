"""Where a vault may lie: nowhere from where this rejoin, or a run after it, would take it away."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from hotsync.errors import Refused
from hotsync.model.rejoin import Part
from hotsync.model.selection import Action, Selection
from hotsync.system.paths import Paths

_OURS = frozenset((
    "aside", "collecting", "drill", "outbox", "packages", "rejoin.spool", "replica", "replica.new", "shadows", "spool",
    "undone", "watch",
))  # fmt: skip
"""What HotSync itself makes, moves and removes below its folder."""
ELSEWHERE = (
    "Name a folder that is not carried: on a disk that you mount below /media, for example "
    "(hotsync rejoin --vault /media/DISK/DIR). `hotsync explain DIR` says which rule carries one."
)


def checked_place(paths: Paths, folder: Path, parts: Iterable[Part], rules: Selection) -> Path:
    """Given the folder that was named for the vault, return it without links; it need not exist yet.

    Raise Refused where it would move away with this server's data, be removed with it, or be carried.
    """
    real, root = os.path.realpath(folder), os.path.realpath(paths.root)
    inside = _below(real, root)
    if inside is None:
        return Path(real)
    moved = next((part.path for part in parts if _below(inside, part.path) is not None), None)
    if moved is not None:
        raise _refused(real, f"/{moved} leaves its place by this rejoin, and the vault would with it")
    if rules.decide(inside).action is Action.INCLUDE:
        raise _refused(real, "that folder is carried, and belongs to what the MASTER says from now on")
    own = _below(real, os.path.realpath(paths.state))
    if own is not None and own.partition("/")[0] in _OURS:
        raise _refused(real, "HotSync itself moves and removes what lies there")
    return Path(real)


def _below(path: str, folder: str) -> str | None:
    """Return a path as seen from a folder, None if it lies outside of it."""
    if path == folder:
        return ""
    start = f"{folder.rstrip('/')}/"
    return path[len(start) :] if path.startswith(start) else None


def _refused(place: str, why: str) -> Refused:
    return Refused(reason=f"the vault must not lie in {place}: {why}", hint=ELSEWHERE)
