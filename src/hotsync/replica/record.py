"""The record of a generation in history: for each path that its changeset named, what lay there before.

One JSON object a line, in the order of `sort_key`. Folders and *meta* changes keep their old attributes here; the old
content of anything else is the object at the same path in `files/`.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from hotsync.errors import ReplicaError
from hotsync.model.entry import Entry, Kind, Verb, sort_key
from hotsync.system.attributes import Attributes


class Old(StrEnum):
    """What is kept of a path as it was.

    NOTHING: it did not exist. OBJECT: it lies in `files/`. ATTRIBUTES: they are in the record; a folder needs no more,
    of anything else the content is what the generations after this one kept. LOST: the replica did not hold it.
    """

    NOTHING = "nothing"
    OBJECT = "object"
    ATTRIBUTES = "attributes"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Kept:
    """One line: the path, what the generation did with it, and what is kept of it as it was before.

    `attributes` is None where the object in `files/` carries its own; `sum` is the SHA-256 of the old content.
    """

    path: str
    verb: Verb
    old: Old
    entry: Entry | None = None
    attributes: Attributes | None = None
    sum: str = ""

    @property
    def is_folder(self) -> bool:
        """Return whether a folder was there."""
        return self.entry is not None and self.entry.kind is Kind.DIRECTORY


_BLOCK = 16 * 1024
_NUMBERS = ("mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "inode", "device", "links", "rdev", "flags")


def render_kept(kept: Kept) -> bytes:
    """Return the line of a record."""
    document: dict[str, Any] = {"path": kept.path, "verb": kept.verb.value, "old": kept.old.value}
    if kept.entry is not None:
        entry = kept.entry
        fields: dict[str, Any] = {name: value for name in _NUMBERS if (value := getattr(entry, name))}
        fields["kind"] = entry.kind.value
        if entry.target:
            fields["target"] = entry.target
        if entry.attributes:
            fields["attributes"] = entry.attributes
        if entry.unsettled:
            fields["unsettled"] = True
        document["entry"] = fields
    if kept.attributes is not None:
        document["attributes"] = {name: b64encode(value).decode() for name, value in sorted(kept.attributes.items())}
    if kept.sum:
        document["sum"] = kept.sum
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"


def parse_kept(line: bytes) -> Kept:
    """Given a line of our own record, return it; raise ReplicaError if it is damaged."""
    try:
        document: dict[str, Any] = json.loads(line)
        path = document["path"]
        fields: dict[str, Any] | None = document.get("entry")
        entry = None
        if fields is not None:
            entry = Entry(
                path=path,
                kind=Kind(fields["kind"]),
                **{name: fields.get(name, 0) for name in _NUMBERS},
                target=fields.get("target", ""),
                attributes=fields.get("attributes", ""),
                unsettled=fields.get("unsettled", False),
            )
        attributes: dict[str, str] | None = document.get("attributes")
        return Kept(
            path,
            Verb(document["verb"]),
            Old(document["old"]),
            entry,
            None if attributes is None else {name: b64decode(value) for name, value in attributes.items()},
            document.get("sum", ""),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ReplicaError(reason=f"a record of its history is damaged ({error})") from error


def read_record(path: Path, below: str = "") -> Iterator[Kept]:
    """Given a record, return its lines in order; with `below`, that path's and those inside it.

    A record that is not there has no lines: what the oldest generation replaced is not kept.
    """
    for line in _lines(path, sort_key(below) if below else b""):
        kept = parse_kept(line)
        if below and kept.path != below and not kept.path.startswith(below + "/"):
            if sort_key(kept.path) > sort_key(below):
                return
            continue
        yield kept


def _lines(path: Path, key: bytes) -> Iterator[bytes]:
    """Return the lines of a record, from shortly before a key on.

    Between blocks it is not held open: a history of thousands of generations is read side by side.
    """
    place = None
    while True:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            if place is None:
                return
            raise
        with file:
            if place is not None:
                file.seek(place)
            elif key:
                _seek(file, key)
            lines = file.readlines(_BLOCK)
            place = file.tell()
        if not lines:
            return
        yield from lines


def _seek(file: IO[bytes], key: bytes) -> None:
    """Put a sorted file at or shortly before the first line whose key is not below `key`."""
    low, high = 0, os.fstat(file.fileno()).st_size
    while high - low > 4096:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()  # the rest of a line
        line = file.readline()
        if line and sort_key(parse_kept(line).path) < key:
            low = middle
        else:
            high = middle
    file.seek(low)
    if low:
        file.readline()


def merge_kept(older: Kept, newer: Kept) -> Kept:
    """Given what two neighbouring generations keep of one path, return what is left when the older is forgotten.

    The older one wins, its "did not exist" too; where it kept attributes only, the content is still the newer's.
    """
    if older.old is Old.ATTRIBUTES and not older.is_folder and newer.old in (Old.OBJECT, Old.LOST):
        return replace(older, old=newer.old, sum=newer.sum)
    return older
