"""Reads what mariadb-dump writes, and splits it by database while it comes. Pure: bytes in, bytes out.

A line that looks like the dump's own `-- Current Database:` may stand in a routine's body, in a comment of one or in a
name. So the dump is cut only where the mariadb client, reading the same bytes, would be between two statements with the
delimiter `;`; and the databases must come in the order in which they were asked for, each exactly as often as it
should: a dump that has one too many is refused as a whole. The text of INSERT statements is not looked at byte by byte:
the dump escapes line ends inside values, so the first `);` at the end of a line ends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Protocol

MARKER = b"-- Current Database: "
COMPLETED = b"-- Dump completed"
_FOOTER = b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;"
_SANDBOX = b"/*M!999999\\-"
_INSERT = re.compile(rb"(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO `")
_VALUES = b" VALUES"
_END_OF_DATA = b");\n"
_DELIMITER = re.compile(rb"delimiter[ \t]", re.IGNORECASE)
_SQL_MODE = re.compile(rb"/\*!50003 SET sql_mode\s*= (?:'([^']*)'|@)")
_ENGINE = re.compile(rb"\n\) ENGINE=(\w+)")
_CREATE_TABLE = re.compile(rb"CREATE TABLE (?:/\*!32312 IF NOT EXISTS\*/ )?`((?:[^`]|``)*)` \(\n")
_USE = re.compile(rb"USE `((?:[^`]|``)*)`;\n\Z")
_LONGEST_STATEMENT = 1 << 30


class DumpError(ValueError):
    """The dump is not what it should be: cut off, or of another form."""


class Kind(Enum):
    """What a piece of the dump is: a comment or empty line between statements, a whole statement, part of an INSERT."""

    NOTE = 1
    CODE = 2
    DATA = 3


Piece = tuple[Kind, bytes]


class _Buffer:
    """The bytes that have come and were not passed on yet. Positions count from the first of them."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._data = b""
        self._start = 0

    def __len__(self) -> int:
        return len(self._data) - self._start

    def more(self) -> bool:
        """Add the next chunk; return False at the end."""
        for chunk in self._chunks:
            if chunk:
                self._data = self._data[self._start :] + chunk
                self._start = 0
                return True
        return False

    def at_least(self, count: int) -> bool:
        """Return whether so many bytes are there, after waiting for them."""
        while len(self) < count:
            if not self.more():
                return False
        return True

    def peek(self, position: int, count: int) -> bytes:
        """Return what lies at `position` by now (less at the end of what has come)."""
        return self._data[self._start + position : self._start + position + count]

    def match(self, pattern: re.Pattern[bytes]) -> bool:
        """Return whether the first bytes match."""
        return pattern.match(self._data, self._start) is not None

    def search(self, pattern: re.Pattern[bytes], position: int) -> tuple[bytes, int] | None:
        """Return what is found from `position` on, and where that ends; None if what has come does not hold it."""
        found = pattern.search(self._data, self._start + position)
        return None if found is None else (found.group(), found.end() - self._start)

    def find(self, wanted: bytes, position: int = 0) -> int:
        """Return where `wanted` begins in what has come, or -1."""
        found = self._data.find(wanted, self._start + position)
        return found if found < 0 else found - self._start

    def await_end_of(self, wanted: bytes, position: int = 0) -> int:
        """Return where `wanted` ends, after waiting for it; raise DumpError if it never comes."""
        while (found := self.find(wanted, position)) < 0:
            position = max(position, len(self) - len(wanted) + 1)
            self.must_go_on()
        return found + len(wanted)

    def must_go_on(self) -> None:
        """Add the next chunk; raise DumpError at the end."""
        if not self.more():
            raise DumpError("the dump ends in the middle of a statement")
        if len(self) > _LONGEST_STATEMENT:
            raise DumpError("a statement is too long")

    def take(self, count: int) -> bytes:
        """Return the first bytes and pass them on."""
        taken = self._data[self._start : self._start + count]
        self._start += count
        return taken


def pieces(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Given the dump in chunks, return it in pieces that end where a statement ends; raise DumpError if it is cut off.

    What the pieces hold, put together, is the dump.
    """
    buffer = _Buffer(chunks)
    lexer = _Lexer(buffer)
    while buffer.at_least(1):
        buffer.at_least(64)
        start = buffer.peek(0, 16)
        if start.startswith(b"\n"):
            yield Kind.NOTE, buffer.take(1)
        elif start.startswith(b"--") and start[2:3] in (b" ", b"\n", b"\t", b"\r", b""):
            yield Kind.NOTE, buffer.take(_line(buffer))
        elif start.startswith(_SANDBOX):
            yield Kind.CODE, buffer.take(_line(buffer))
        elif buffer.match(_DELIMITER):
            line = buffer.take(_line(buffer))
            lexer.delimiter = line[10:].strip()
            if not lexer.delimiter:
                raise DumpError("a delimiter is empty")
            yield Kind.CODE, line
        elif lexer.delimiter == b";" and buffer.match(_INSERT):
            yield from _insert(buffer, lexer)
        else:
            statement = buffer.take(lexer.statement())
            lexer.note_mode(statement)
            yield Kind.CODE, statement


def _line(buffer: _Buffer) -> int:
    """Return the length of the line at the beginning; the last line may lack its end."""
    position = 0
    while (found := buffer.find(b"\n", position)) < 0:
        position = len(buffer)
        if not buffer.more():
            return position
    return found + 1


def _insert(buffer: _Buffer, lexer: _Lexer) -> Iterator[Piece]:
    """Pass an INSERT on in parts, never holding more than a few chunks of it."""
    yield Kind.DATA, buffer.take(lexer.until(_VALUES))
    while (position := buffer.find(_END_OF_DATA)) < 0:
        if len(buffer) >= len(_END_OF_DATA):
            yield Kind.DATA, buffer.take(len(buffer) - len(_END_OF_DATA) + 1)
        buffer.must_go_on()
    yield Kind.DATA, buffer.take(position + len(_END_OF_DATA))


class _Lexer:
    """Finds the end of a statement by the rules of the mariadb client."""

    def __init__(self, buffer: _Buffer) -> None:
        self._buffer = buffer
        self.delimiter = b";"
        self._mode = b""

    def statement(self) -> int:
        """Return the length of the statement at the beginning, with its delimiter and the line end after it."""
        end = self.until(self.delimiter)
        self._buffer.at_least(end + 1)
        return end + 1 if self._buffer.peek(end, 1) == b"\n" else end

    def until(self, wanted: bytes) -> int:
        """Return where `wanted` ends, the first time that it is neither quoted nor in a comment."""
        pattern = re.compile(rb"['\"`#]|--|/\*|" + re.escape(wanted))
        position = 0
        while True:
            found = self._buffer.search(pattern, position)
            if found is None:
                position = max(position, len(self._buffer) - len(wanted) + 1)
                self._buffer.must_go_on()
            elif found[0] == wanted:
                return found[1]
            elif self._buffer.at_least(found[1] + 2):
                position = self._skip(*found)
            else:
                raise DumpError("the dump ends in the middle of a statement")

    def note_mode(self, statement: bytes) -> None:
        """Remember the SQL mode that the dump sets for the next routine: it decides what a backslash means."""
        if match := _SQL_MODE.match(statement):
            self._mode = match[1] or b""

    def _skip(self, opening: bytes, position: int) -> int:
        """Return where the quote or comment that opened right before `position` is over."""
        following = self._buffer.peek(position, 2)
        if opening == b"--" and following[:1] not in (b" ", b"\t", b"\r", b"\n"):
            return position
        if opening in (b"--", b"#"):
            return self._buffer.await_end_of(b"\n", position)
        if opening == b"/*":
            # conditional comments hold code, and the client reads it as such
            conditional = following[:1] in (b"!", b"+") or following == b"M!"
            return position if conditional else self._buffer.await_end_of(b"*/", position)
        plain = b"NO_BACKSLASH_ESCAPES" in self._mode or (opening == b'"' and b"ANSI_QUOTES" in self._mode)
        if opening == b"`" or plain:
            return self._buffer.await_end_of(opening, position)
        return self._skip_string(opening, position)

    def _skip_string(self, quote: bytes, position: int) -> int:
        pattern = re.compile(rb"\\|" + quote)
        while True:
            found = self._buffer.search(pattern, position)
            if found is None:
                position = max(position, len(self._buffer))
                self._buffer.must_go_on()
            elif found[0] == quote:
                return found[1]
            else:
                position = found[1] + 1  # what follows a backslash never ends the string


class Sink(Protocol):
    """Where the parts of a dump go."""

    def write(self, database: str, data: bytes) -> None:
        """Add bytes to a database's file."""
        ...

    def views(self, database: str) -> None:
        """Say that what follows for this database is its second part: the views, to be loaded after all tables."""
        ...

    def table(self, database: str, table: str, engine: str) -> None:
        """Tell of a table and its storage engine."""
        ...


def split(chunks: Iterable[bytes], databases: Sequence[str], sink: Sink) -> None:
    """Given a dump of `databases` in this order, give each one's part, able to stand alone, to the sink.

    Raise DumpError unless the dump holds exactly these databases and is complete.
    """
    _Splitter(databases, sink).run(pieces(chunks))


class _Splitter:
    def __init__(self, databases: Sequence[str], sink: Sink) -> None:
        self._databases = list(databases)
        self._sink = sink
        self._expected = 0  # how many sections have come; the views' sections come after all the tables'
        self._current = ""
        self._pending: list[bytes] = []
        self._header: list[bytes] = []
        self._footer: list[bytes] = []
        self._awaiting_use = False
        self._views_begun = True
        self._completed = False

    def run(self, stream: Iterator[Piece]) -> None:
        for kind, data in stream:
            if self._completed and data.strip():
                raise DumpError("something follows the end of the dump")
            if kind is Kind.NOTE:
                self._note(data)
            elif self._footer or data.startswith(_FOOTER):
                self._footer.append(data)
            elif self._awaiting_use:
                self._await_use(data)
            elif not self._current:
                self._header.append(data)
            else:
                self._content(kind, data)
        if not self._completed or not self._footer or self._awaiting_use:
            raise DumpError("the dump is not complete")
        if self._expected not in (len(self._databases), 2 * len(self._databases)):
            raise DumpError(f"the dump holds {self._expected} sections of {len(self._databases)} databases")
        for database in self._databases:
            self._sink.write(database, b"".join(self._footer) + b"\n" + COMPLETED + b"\n")

    def _note(self, line: bytes) -> None:
        if line.startswith(MARKER) and not self._footer:
            self._awaiting_use, self._pending = True, [b"\n--\n", line]
        elif line.startswith(COMPLETED) and self._footer:
            self._completed = True
        elif self._current or self._awaiting_use:
            self._pending.append(line)

    def _await_use(self, data: bytes) -> None:
        self._pending.append(data)
        match = _USE.match(data)
        if match is None:
            if not data.startswith(b"CREATE DATABASE "):
                raise DumpError("a database's section does not begin as it should")
            return
        name = match[1].replace(b"``", b"`").decode("utf-8", "surrogateescape")
        number = len(self._databases)
        if self._expected >= 2 * number or name != self._databases[self._expected % number]:
            raise DumpError(f"database {name!r} comes where another one should")
        self._current, self._awaiting_use = name, False
        self._views_begun = self._expected < number
        self._expected += 1
        if self._views_begun:
            self._flush(b"".join(self._header))

    def _content(self, kind: Kind, data: bytes) -> None:
        if not self._views_begun:
            self._views_begun = True
            self._sink.views(self._current)
            self._flush(b"".join(self._header))
        elif self._pending:
            self._flush(b"")
        if kind is Kind.CODE and (match := _CREATE_TABLE.match(data)) and (engine := _ENGINE.search(data)):
            table = match[1].replace(b"``", b"`").decode("utf-8", "surrogateescape")
            self._sink.table(self._current, table, engine[1].decode("ascii"))
        self._sink.write(self._current, data)

    def _flush(self, before: bytes) -> None:
        self._sink.write(self._current, before + b"".join(self._pending))
        self._pending = []
