"""Seals: one digest over all that lies right in a folder, so that a walk compares a folder at once.

A seal says nothing that the entries do not say: it is made of them, and dropped as soon as one of them changes. So it
may be missing at any time, and an equal one means what equal stamps mean, for every name in the folder. Only folders
that hold no folder have one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain, islice

from hotsync.model.entry import KIND_OF_MODE

Look = tuple[int, ...]
"""What a stat tells of a name: mode with the bits of its kind, uid, gid, size, mtime_ns, ctime_ns, inode, links."""

Batch = tuple[list[bytes], list[Look]]
"""Some names in order, and the look of each; a large folder is sealed in several."""

LOOKS = (
    "SELECT key, kind, mode, uid, gid, CASE kind WHEN 'l' THEN length(target) ELSE size END,"
    " mtime_ns, ctime_ns, inode, links FROM entry WHERE key > ? AND key < ? ORDER BY key"
)
UNFIT = "SELECT count(*) FROM entry WHERE key > ? AND key < ? AND (kind = 'd' OR unsettled OR inode = 0)"
"""A folder in which another lies, or a name that the next run must treat as changed, gets no seal."""

_AT_ONCE = 1000
_BITS = {kind.value: bits for bits, kind in KIND_OF_MODE.items()}
_Row = tuple[bytes, str, int, int, int, int, int, int, int, int]


def seal(batches: Iterable[Batch]) -> bytes:
    """Given a folder's names in order, and the look of each, return its seal; raise struct.error for odd numbers."""
    hashed = blake2b(digest_size=16)
    for names, looks in batches:
        numbers = list(chain.from_iterable(looks))
        hashed.update(b"\0".join(names) + b"\0/")
        hashed.update(struct.pack(f"<{len(numbers)}q", *numbers))
    return hashed.digest()


def slices(names: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Given a folder's names, return them as its batches have them."""
    for start in range(0, len(names), _AT_ONCE):
        yield list(names[start : start + _AT_ONCE])


def batches_of_rows(folder: bytes, rows: Iterator[_Row]) -> Iterator[Batch]:
    """Given a folder's key and the rows of what it holds (`LOOKS`), return their batches."""
    length = len(folder) + 1
    while some := list(islice(rows, _AT_ONCE)):
        yield [row[0][length:] for row in some], [(_BITS[row[1]] | row[2], *row[3:]) for row in some]
