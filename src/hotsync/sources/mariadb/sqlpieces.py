"""Reads what mariadb-dump writes, in pieces that end where a statement ends. Pure: bytes in, bytes out.

A statement ends where the mariadb client, reading the same bytes, would end it: quotes, comments, `DELIMITER` and SQL
modes count. The text of INSERT statements is not looked at byte by byte: the dump escapes line ends inside values, so
the first `);` at the end of a line ends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum

_SANDBOX = b"/*M!999999\\-"
_INSERT = re.compile(rb"(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO `")
_VALUES = b" VALUES"
_END_OF_DATA = b");\n"
_DELIMITER = re.compile(rb"delimiter[ \t]", re.IGNORECASE)
_SQL_MODE = re.compile(rb"/\*!50003 SET sql_mode\s*= (?:'([^']*)'|@)")
_LONGEST_STATEMENT = 1 << 30


class DumpError(ValueError):
    """The dump is not what it should be: cut off, or of another form."""


class Kind(Enum):
    """What a piece of the dump is: a comment or empty line between statements, a whole statement, the beginning of an
    INSERT up to its VALUES, a part of its rows.
    """

    NOTE = 1
    CODE = 2
    INSERT = 3
    ROWS = 4


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
    yield Kind.INSERT, buffer.take(lexer.until(_VALUES))
    while (position := buffer.find(_END_OF_DATA)) < 0:
        if len(buffer) >= len(_END_OF_DATA):
            yield Kind.ROWS, buffer.take(len(buffer) - len(_END_OF_DATA) + 1)
        buffer.must_go_on()
    yield Kind.ROWS, buffer.take(position + len(_END_OF_DATA))


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
