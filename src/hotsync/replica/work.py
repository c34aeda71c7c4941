"""The lists that a commit works from; complete and on the disk before its journal appears."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

from hotsync.model.changeset import parse_change, render_change
from hotsync.model.entry import Change, Entry, Kind, Verb
from hotsync.replica.sums import read_sums
from hotsync.system.attributes import Attributes


@dataclass(frozen=True, slots=True)
class Operation:
    """Bring what is staged at a path into the tree (its inode tells whether that was done), or take it out (0)."""

    path: str
    inode: int

    def render(self) -> bytes:
        """Return the operation as a line."""
        return json.dumps([self.path, self.inode]).encode("ascii") + b"\n"


@dataclass(frozen=True, slots=True)
class MetadataLine:
    """New owner, mode, time and attributes of something that stays where it is."""

    entry: Entry
    attributes: Attributes

    def render(self) -> bytes:
        """Return it as a line."""
        line = render_change(Change(Verb.META, self.entry.path, self.entry)).decode("ascii").rstrip("\n")
        attributes = {name: value.hex() for name, value in self.attributes.items()}
        return json.dumps([line, attributes]).encode("ascii") + b"\n"


_FIELDS = tuple(field.name for field in fields(Entry))[1:]
_values_of = attrgetter(*_FIELDS)


def render_applied(change: Change) -> bytes:
    """Return a change that was checked as a line that is read back quickly."""
    values = None if change.entry is None else dict(zip(_FIELDS, _values_of(change.entry), strict=True))
    return json.dumps([change.verb, change.path, values]).encode("ascii") + b"\n"


def parse_applied(line: bytes) -> Change:
    """Given what `render_applied` returned, return the change."""
    verb, path, values = json.loads(line)
    if values is None:
        return Change(Verb(verb), path)
    values["kind"] = Kind(values["kind"])
    return Change(Verb(verb), path, Entry(path, **values))


@dataclass(frozen=True, slots=True)
class Work:
    """The folder with the lists of one commit."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return where a list lies."""
        return self.folder / name

    @contextmanager
    def create(self, name: str) -> Iterator[IO[bytes]]:
        """Return a list to write anew."""
        with self.path(name).open("wb") as file:
            yield file

    def operations(self) -> Iterator[Operation]:
        """Return the operations in order."""
        with self.path("operations").open("rb") as file:
            for line in file:
                path, inode = json.loads(line)
                yield Operation(path, inode)

    def metadata(self) -> Iterator[MetadataLine]:
        """Return the new attributes."""
        with self.path("metadata").open("rb") as file:
            for line in file:
                change, attributes = json.loads(line)
                entry = parse_change(change.encode("ascii") + b"\n").entry
                if entry is not None:
                    yield MetadataLine(entry, {name: bytes.fromhex(value) for name, value in attributes.items()})

    def times(self) -> Iterator[tuple[str, int]]:
        """Return the folders whose time the operations move, with the right one."""
        with self.path("times").open("rb") as file:
            for line in file:
                found: list[Any] = json.loads(line)
                yield found[0], found[1]

    def changes(self) -> Iterator[Change]:
        """Return the changes, checked before the journal appeared."""
        with self.path("changes").open("rb") as file:
            for line in file:
                yield parse_applied(line)

    def sums(self) -> Iterator[tuple[str, bytes]]:
        """Return the sums of what arrived."""
        return read_sums(self.path("sums"))
