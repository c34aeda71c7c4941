"""Reads what slapcat writes, as far as that is needed: the configuration of a server, and how many entries there are.

Pure: bytes in, values out. Lines are folded at will and values may be base64: nothing is found by searching the text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_LINE = re.compile(rb"([A-Za-z0-9][A-Za-z0-9.;-]*):(:?)[ ]*(.*)\Z", re.DOTALL)
_DATABASE = re.compile(rb"olcDatabase=\{(\d+)\}([A-Za-z0-9_-]+),cn=config\Z", re.IGNORECASE)


class LdifError(ValueError):
    """The text is no LDIF."""


@dataclass(frozen=True, slots=True)
class DirectoryDatabase:
    """One database of a directory server: its number, its kind (`mdb`), its suffix, where its files lie."""

    number: int
    kind: str
    suffix: str
    directory: str


def databases_in(config: bytes) -> list[DirectoryDatabase]:
    """Given cn=config as LDIF, return its databases but for the configuration itself; raise LdifError."""
    found: list[DirectoryDatabase] = []
    for entry in _entries(config):
        match = _DATABASE.match(_value(entry, b"dn"))
        if match is None or int(match[1]) == 0:
            continue
        suffix, directory = (_text(_value(entry, name)) for name in (b"olcSuffix", b"olcDbDirectory"))
        found.append(DirectoryDatabase(int(match[1]), match[2].decode("ascii").lower(), suffix, unquoted(directory)))
    return sorted(found, key=lambda database: database.number)


def with_directories(config: bytes, places: Mapping[int, str]) -> bytes:
    """Given cn=config as LDIF, return it with other directories for the databases of these numbers; raise LdifError."""
    parts: list[bytes] = []
    for entry in _entries(config):
        match = _DATABASE.match(_value(entry, b"dn"))
        place = places.get(int(match[1])) if match else None
        for name, value in entry:
            written = value
            if place is not None and name.lower() == b"olcdbdirectory":
                written = quoted(place).encode("utf-8", "surrogateescape")
            parts.append(name + b":: " + base64.b64encode(written) + b"\n")
        parts.append(b"\n")
    return b"".join(parts)


class EntryCounter:
    """Counts the entries of an LDIF that comes in chunks."""

    def __init__(self) -> None:
        self.count = 0
        self._tail = b"\n"

    def see(self, chunk: bytes) -> None:
        """Take the next chunk: a line that begins with `dn:` begins an entry, and no folded line looks like it."""
        text = self._tail + chunk
        self.count += text.count(b"\ndn:")
        self._tail = text[-3:]


class EntrySum(EntryCounter):
    """Counts them too, and sums them up: the same sum has who has the same entries, in whatever order they come.

    An entry that was moved below a younger one comes before that from the server, and after it from a server that was
    loaded with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sum = 0
        self._begun = b""

    def see(self, chunk: bytes) -> None:
        """Take the next chunk: an empty line ends an entry."""
        super().see(chunk)
        *ended, self._begun = (self._begun + chunk).split(b"\n\n")
        for entry in ended:
            self.sum = (self.sum + int.from_bytes(hashlib.sha256(entry).digest())) % 2**256


def counted(chunks: Iterable[bytes], counter: EntryCounter) -> Iterator[bytes]:
    """Return the chunks, each seen by the counter."""
    for chunk in chunks:
        counter.see(chunk)
        yield chunk


_Entry = list[tuple[bytes, bytes]]


def _entries(text: bytes) -> Iterator[_Entry]:
    entry: _Entry = []
    for line in text.replace(b"\r\n", b"\n").replace(b"\n ", b"").split(b"\n"):
        if not line:
            if entry:
                yield entry
            entry = []
        elif not line.startswith(b"#"):
            entry.append(_attribute(line))
    if entry:
        yield entry


def _attribute(line: bytes) -> tuple[bytes, bytes]:
    match = _LINE.match(line)
    if match is None:
        raise LdifError(f"not a line of LDIF: {line[:80]!r}")
    name, encoded, value = match.groups()
    try:
        return name, base64.b64decode(value, validate=True) if encoded else value
    except binascii.Error as error:
        raise LdifError(f"not base64: {line[:80]!r}") from error


def _value(entry: _Entry, name: bytes) -> bytes:
    return next((value for found, value in entry if found.lower() == name.lower()), b"")


def quoted(word: str) -> str:
    """Return a word as the server reads it in its configuration, where a blank would end it."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(word: str) -> str:
    """Return a word of a configuration without the quotation marks around it, if it has any."""
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if len(word) > 1 and word[0] == word[-1] == '"' else word


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
