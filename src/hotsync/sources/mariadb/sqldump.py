"""Splits a dump of all databases by database while it comes, and counts the rows that pass. Pure: bytes in, bytes out.

A line that looks like the dump's own `-- Current Database:` may stand in a routine's body, in a comment of one or in a
name. So the dump is cut only where the mariadb client, reading the same bytes, would be between two statements with the
delimiter `;`; and the databases must come in the order in which they were asked for, each exactly as often as it
should: a dump that has one too many is refused as a whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from hotsync.sources.mariadb.sqlpieces import DumpError as DumpError
from hotsync.sources.mariadb.sqlpieces import Kind, Piece, pieces

MARKER = b"-- Current Database: "
COMPLETED = b"-- Dump completed"
_FOOTER = b"/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;"
_ENGINE = re.compile(rb"\n\) ENGINE=(\w+)")
_CREATE_TABLE = re.compile(rb"CREATE TABLE (?:/\*!32312 IF NOT EXISTS\*/ )?`((?:[^`]|``)*)` \(\n")
_INSERT_INTO = re.compile(rb"\w+\s+(?:IGNORE\s+)?INTO `((?:[^`]|``)*)`")
_AROUND_ROWS = re.compile(
    rb"(?:LOCK TABLES |UNLOCK TABLES|/\*!40000 ALTER TABLE |set autocommit|commit;|"
    rb"/\*M?!\d+ SET (?:@old_)?system_versioning_insert_history)",
    re.IGNORECASE,
)
_SNAPSHOT = re.compile(rb"-- CHANGE MASTER TO MASTER_LOG_FILE='([^'\\\n]+)', MASTER_LOG_POS=(\d+);")
_USE = re.compile(rb"USE `((?:[^`]|``)*)`;\n\Z")


class Sink(Protocol):
    """Where the parts of a dump go."""

    def section(self, database: str) -> None:
        """Say that what follows is this database's, until the next one is named."""
        ...

    def write(self, database: str, data: bytes) -> None:
        """Add bytes to a database's file."""
        ...

    def views(self, database: str) -> None:
        """Say that what follows for this database is its second part: the views, to be loaded after all tables."""
        ...

    def table(self, database: str, table: str, engine: str) -> None:
        """Tell of a table and its storage engine."""
        ...

    def rows(self, database: str, table: str, count: int | None) -> None:
        """Add to the rows that were seen of a table; None: they stand in a form in which they cannot be counted."""
        ...


class Definitions:
    """A hash over what a dump says besides the rows: the same for a dump with rows and for one without them.

    `snapshot` is the place in the server's binary log (file and byte) that the dump is of, if it says so.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.snapshot: tuple[str, int] | None = None

    def add(self, kind: Kind, data: bytes) -> None:
        """Take the next piece of the dump."""
        # the dump's own word comes first, whatever a comment of somebody's looks like
        if kind is Kind.NOTE and self.snapshot is None and (match := _SNAPSHOT.match(data)):
            self.snapshot = match[1].decode("utf-8", "surrogateescape"), int(match[2])
        if kind is Kind.CODE and not _AROUND_ROWS.match(data):
            self._hash.update(data)

    def hexdigest(self) -> str:
        """Return the hash of all pieces so far."""
        return self._hash.hexdigest()


def split(
    chunks: Iterable[bytes], databases: Sequence[str], sink: Sink, definitions: Definitions | None = None
) -> None:
    """Given a dump of `databases` in this order, give each one's part, able to stand alone, to the sink.

    `definitions` takes the pieces too. Raise DumpError unless the dump holds exactly these databases and is complete.
    """
    _Splitter(databases, sink).run(_noted(pieces(chunks), definitions or Definitions()))


def _noted(stream: Iterator[Piece], definitions: Definitions) -> Iterator[Piece]:
    for kind, data in stream:
        definitions.add(kind, data)
        yield kind, data


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
        self._table = ""
        self._first = False
        self._one_a_line = False
        self._doubtful: set[tuple[str, str]] = set()

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
        for database, table in () if self._one_a_line else self._doubtful:
            self._sink.rows(database, table, None)
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
        name = _name(match)
        number = len(self._databases)
        if self._expected >= 2 * number or name != self._databases[self._expected % number]:
            raise DumpError(f"database {name!r} comes where another one should")
        self._current, self._awaiting_use = name, False
        self._sink.section(name)
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
            self._sink.table(self._current, _name(match), engine[1].decode("ascii"))
        elif kind is Kind.INSERT and (match := _INSERT_INTO.match(data)):
            self._table, self._first = _name(match), True
        elif kind is Kind.ROWS:
            self._count(data)
        self._sink.write(self._current, data)

    def _count(self, data: bytes) -> None:
        """Count rows: each ends its line, and none holds a line end, which the dump escapes in values."""
        count = data.count(b"\n")
        if self._first and data.startswith(b"\n"):
            self._one_a_line, count = True, count - 1
        elif self._first:
            # where columns are named, the first row stands on the line of VALUES; mysqldump puts all of them there
            self._doubtful.add((self._current, self._table))
        self._sink.rows(self._current, self._table, count)
        self._first = False

    def _flush(self, before: bytes) -> None:
        self._sink.write(self._current, before + b"".join(self._pending))
        self._pending = []


def _name(match: re.Match[bytes]) -> str:
    """Return the identifier that a pattern found, without its quotes."""
    return match[1].replace(b"``", b"`").decode("utf-8", "surrogateescape")
