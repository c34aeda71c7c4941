"""Room for a generation to come: made by forgetting, but only if forgetting makes enough; a refusal is remembered."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from heapq import merge
from itertools import groupby

from hotsync.errors import NoSpace
from hotsync.model.entry import sort_key
from hotsync.model.generation import Retention
from hotsync.replica.handles import Folders
from hotsync.replica.layout import Layout
from hotsync.replica.ledger import Ledger
from hotsync.replica.record import Kept, Old, read_record
from hotsync.replica.retention import Forgetting, for_room
from hotsync.replica.space import free_bytes, free_inodes, needed_for, with_room
from hotsync.system.files import write_atomic

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes and files: needed, there, or to be won."""

    bytes: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A generation that did not fit: when, which, what it needed and what was free."""

    at: float
    generation: int
    needed: int
    free: int


def make_room(
    layout: Layout, ledger: Ledger, forgetting: Forgetting, now: float, rule: Retention, needed: Room
) -> list[int]:
    """Forget what may be forgotten until there is room, and return it.

    Raise NoSpace, and forget nothing at all, if forgetting would not make enough of it.
    """
    if _is_there(layout, needed):
        return []
    held = ledger.generations()
    candidates = for_room(held, now, rule)
    if not _is_there(layout, needed, to_be_won(layout, [each.number for each in held], candidates)):
        raise NoSpace(needed=needed.bytes, free=free_bytes(layout.root))
    forgotten: list[int] = []
    while not _is_there(layout, needed):
        if not candidates:
            raise NoSpace(needed=needed.bytes, free=free_bytes(layout.root))
        number = candidates.pop(0)
        log.warning("forgetting generation %d: room is needed", number)
        with_room(layout, partial(forgetting.forget, number))
        forgotten.append(number)
    return forgotten


def room_for(expected_bytes: int, files: int) -> Room:
    """Given what is still to arrive, return the room that receiving and committing it takes."""
    return Room(needed_for(expected_bytes, files), files + files // 4)


def _is_there(layout: Layout, needed: Room, more: Room | None = None) -> bool:
    more = more or Room(0, 0)
    inodes = free_inodes(layout.root)
    enough = free_bytes(layout.root) + more.bytes >= needed.bytes
    return enough and (inodes is None or inodes + more.inodes > needed.inodes)


def to_be_won(layout: Layout, held: list[int], candidates: list[int]) -> Room:
    """Given what is held, oldest first, and what of it may go, return the room that forgetting all of that makes."""
    going = set(candidates)
    run: list[int] = []
    total = files = 0
    for number in held:
        run.append(number)
        if number in going:
            continue
        if len(run) > 1:
            for size, inodes in _given_up(layout, run, oldest=run[0] == held[0]):
                total, files = total + size, files + inodes
        run = []
    return Room(total, files)


def _given_up(layout: Layout, run: list[int], *, oldest: bool) -> Iterator[tuple[int, int]]:
    """Given generations that will be one, return size and inodes of each old object that nobody needs then.

    What the oldest of all replaced is asked for by nobody; else the oldest object of a path stays.
    """
    streams = [_record(layout, number) for number in run]
    for _, group in groupby(merge(*streams, key=lambda item: item[:2]), key=lambda item: item[0]):
        stays = not oldest
        for _, number, kept in group:
            if kept.old is Old.OBJECT and not stays:
                yield _size_of(layout, number, kept.path)
            stays = stays and kept.old is Old.ATTRIBUTES and not kept.is_folder


def _record(layout: Layout, number: int) -> Iterator[tuple[bytes, int, Kept]]:
    for kept in read_record(layout.record(number)):
        yield sort_key(kept.path), number, kept


def _size_of(layout: Layout, number: int, path: str) -> tuple[int, int]:
    with Folders(layout.files(number)) as files:
        status = files.stat(path)
    if status is None:
        return 0, 0
    return status.st_blocks * 512 // status.st_nlink, int(status.st_nlink == 1)


def note_refusal(layout: Layout, refusal: Refusal) -> None:
    """Remember that a generation did not fit; on a full disk, the next readiness says so by what is free."""
    with suppress(OSError):
        write_atomic(layout.refused, json.dumps({"schema": 1, **asdict(refusal)}).encode(), mode=0o600)


def forget_refusal(layout: Layout) -> None:
    """A generation did fit."""
    with suppress(FileNotFoundError):
        layout.refused.unlink()


def read_refusal(layout: Layout) -> Refusal | None:
    """Return the generation that did not fit since the last commit, or None."""
    try:
        document = json.loads(layout.refused.read_bytes())
        return Refusal(
            float(document["at"]), int(document["generation"]), int(document["needed"]), int(document["free"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
