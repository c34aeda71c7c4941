"""The table of contents that pg_dump writes in its directory format. Pure: bytes in, bytes out.

Two dumps of the same database differ in it by the time at which they were made, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC = b"PGDMP"
_TIME_FIELDS = 7  # second, minute, hour, day, month, year, summer time
_OLDEST, _ALGORITHM_SINCE, _NEWEST = (1, 10), (1, 15), (1, 16)
_ACCESS_METHOD_SINCE, _KIND_SINCE = (1, 14), (1, 16)
_VIA_ROOT = b"-- load via partition root"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a dump: what it is ("TABLE DATA"), its schema and name, the file of its data ("" if none), and its
    number.

    Names are bytes in the database's own encoding.
    """

    kind: bytes
    schema: bytes
    name: bytes
    definition: bytes
    file: str
    number: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a dump holds: the table (schema, name) of each data file whose rows are that table's own, and extensions."""

    tables: dict[str, tuple[bytes, bytes]]
    extensions: tuple[str, ...]


def without_time(toc: bytes) -> bytes | None:
    """Given a toc.dat, return it with its time of making blanked; None if its form is not known."""
    place = _time_in(toc)
    if place is None:
        return None
    start, end, _ = place
    return toc[:start] + bytes(end - start) + toc[end:]


def contents(toc: bytes) -> Contents | None:
    """Given a toc.dat, return what the dump holds; None if its form is not known."""
    found = entries(toc)
    if found is None:
        return None
    made = {(entry.schema, entry.name) for entry in found if entry.kind == b"TABLE"}
    # the tables of extensions hold rows of their own besides; what is loaded via the root may land in another part
    tables = {
        entry.file: (entry.schema, entry.name)
        for entry in found
        if entry.kind == b"TABLE DATA"
        and entry.file
        and (entry.schema, entry.name) in made
        and not entry.definition.startswith(_VIA_ROOT)
    }
    extensions = sorted({entry.name.decode("utf-8", "replace") for entry in found if entry.kind == b"EXTENSION"})
    return Contents(tables, tuple(extensions))


def entries(toc: bytes) -> tuple[Entry, ...] | None:
    """Given a toc.dat, return all that the dump holds, in its order; None if its form is not known."""
    try:
        return tuple(_entries(toc))
    except ValueError:
        return None


def _time_in(toc: bytes) -> tuple[int, int, int] | None:
    """Return where the time of making begins and ends, and how wide a number is; None if the form is not known."""
    if len(toc) < 11 or not toc.startswith(_MAGIC):
        return None
    version, width = (toc[5], toc[6]), toc[8]
    if not _OLDEST <= version <= _NEWEST or width not in (4, 8):
        return None
    integer = 1 + width  # a sign, then the number
    start = 11 + (1 if version >= _ALGORITHM_SINCE else integer)
    end = start + _TIME_FIELDS * integer
    return (start, end, width) if len(toc) >= end else None


class _Reader:
    """Reads numbers and strings one after the other; raises ValueError where there is none."""

    def __init__(self, data: bytes, position: int, width: int) -> None:
        self._data, self._position, self._width = data, position, width

    def number(self) -> int:
        sign, value = self._take(1), self._take(self._width)
        return -int.from_bytes(value, "little") if sign != b"\0" else int.from_bytes(value, "little")

    def text(self) -> bytes | None:
        length = self.number()
        return None if length < 0 else self._take(length)

    def _take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise ValueError("it ends too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken


def _entries(toc: bytes) -> Iterator[Entry]:
    place = _time_in(toc)
    if place is None:
        raise ValueError("not a table of contents of a known form")
    version, (_, end, width) = (toc[5], toc[6]), place
    reader = _Reader(toc, end, width)
    for _ in range(3):  # database, version of the server, version of pg_dump
        reader.text()
    for _ in range(reader.number()):
        number = reader.number()
        reader.number()  # whether it has data
        reader.text()  # oid of the catalog's table
        reader.text()  # oid
        name, kind = reader.text(), reader.text()
        reader.number()  # section
        definition = reader.text()
        reader.text()  # DROP statement
        reader.text()  # COPY statement
        schema = reader.text()
        reader.text()  # tablespace
        if version >= _ACCESS_METHOD_SINCE:
            reader.text()
        if version >= _KIND_SINCE:
            reader.number()
        reader.text()  # owner
        reader.text()  # "false": it has no OIDs
        while reader.text() is not None:
            pass  # what it depends on
        file = (reader.text() or b"").decode("ascii", "replace")
        yield Entry(kind or b"", schema or b"", name or b"", definition or b"", file, number)
