"""What of a promoted tree was touched in production: each path that is not what the manifest says, told exactly.

A file that keeps size and time may have been written all the same; so whatever was changed (ctime) since production
began is compared with the sum of what once arrived. What was not changed since then is not read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from hotsync.manifest.store import Manifest
from hotsync.model.entry import Entry, Kind, sort_key
from hotsync.replica.handles import Folders, Walk
from hotsync.replica.ledger import Ledger
from hotsync.replica.metadata import attributes_at, differences, kind_of
from hotsync.system.attributes import hash_attributes
from hotsync.system.sums import sum_of_file

MARGIN_NS = 1_020_000_000
"""Time stamps of files are coarse: what was changed so shortly before production began is looked at, too."""


@dataclass(frozen=True, slots=True)
class Touched:
    """One path that production changed: as it was, and what lies there now (None: it did not exist, or does no more).

    `content`: it has another content, or nobody can tell that it has the same; else only its attributes are others.
    """

    path: str
    before: Entry | None
    now: os.stat_result | None
    content: bool


def _nothing(path: str) -> None:
    del path


def touched(
    manifest: Manifest,
    ledger: Ledger,
    folders: Folders,
    since: float,
    below: str = "",
    meet: Callable[[str], None] = _nothing,
    *,
    tolerant: bool = False,
) -> Iterator[Touched]:
    """Given when production began, return in order what differs below `folders` from the manifest; with `below`, of
    that path and what it holds. `meet` is called before with each path of which anything was changed since then.

    Sockets are nothing. `tolerant`: production still runs there, and what goes while it is looked at counts as changed;
    else raise OSError.
    """

    def look(path: str, status: os.stat_result) -> None:
        if _is_young(status, since):
            meet(path)

    found = _lying(folders, below, look, tolerant=tolerant)
    here = next(found, None)
    for entry in manifest.entries(below):
        key = sort_key(entry.path)
        while here is not None and sort_key(here[0]) < key:
            yield Touched(here[0], None, here[1], content=True)
            here = next(found, None)
        if here is None or here[0] != entry.path:
            yield Touched(entry.path, entry, None, content=True)
            continue
        try:
            how = _judge(entry, here[1], folders, ledger, since)
        except OSError:
            if not tolerant:
                raise
            how = True
        if how is not None:
            yield Touched(entry.path, entry, here[1], how)
        here = next(found, None)
    while here is not None:
        yield Touched(here[0], None, here[1], content=True)
        here = next(found, None)


def _is_young(status: os.stat_result, since: float) -> bool:
    return status.st_ctime_ns >= since * 1e9 - MARGIN_NS


def _lying(
    folders: Folders, below: str, look: Callable[[str, os.stat_result], None], *, tolerant: bool
) -> Iterator[tuple[str, os.stat_result]]:
    """Return what lies there, without sockets: they are no more than their process."""
    top = folders.stat(below) if below else None
    if below and top is None:
        return
    first = [(below, top)] if top is not None else []
    inner = Walk(folders, below, tolerant=tolerant) if top is None or stat.S_ISDIR(top.st_mode) else iter(())
    for path, status in chain(first, inner):
        if kind_of(status) is not None:
            look(path, status)
            yield path, status


def _judge(entry: Entry, status: os.stat_result, folders: Folders, ledger: Ledger, since: float) -> bool | None:
    """Return whether an object's content was touched; None if nothing of it was."""
    wrong = differences(entry, status, folders)
    if "kind" in wrong:
        return True
    if not _is_young(status, since) and not wrong:
        return None
    if entry.kind is Kind.FILE:
        # of what would not hold still, the size in the entry may be newer than what arrived
        same = "size" not in wrong and _has_sum(entry.path, folders, ledger)
        if not same:
            return True
    elif {"target", "device number"} & set(wrong):
        return True
    other = not entry.unsettled and hash_attributes(attributes_at(folders, entry.path)) != entry.attributes
    return False if wrong or other else None


def _has_sum(path: str, folders: Folders, ledger: Ledger) -> bool:
    """Return whether a file has the content that once arrived; if that is not known it may have any."""
    expected = ledger.sum_of(path)
    return bool(expected) and sum_of_file(folders.open_file(path)).hex() == expected
