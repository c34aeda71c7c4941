"""What was taken over of one database's dump: its files, and the rows that they hold of each table."""

from __future__ import annotations

import os
import stat
from typing import Any

from hotsync.sources import documents
from hotsync.sources.documents import FileRecord, PostgresqlDatabase
from hotsync.sources.postgresql import toc as pgtoc
from hotsync.sources.spool import Digest

_END_OF_ROWS = b"\\.\n\n\n"
_UTF8 = "UTF8"


class Taken:
    """The files of one database's dump while they are taken over."""

    def __init__(self, toc: bytes) -> None:
        self.toc = toc
        self._contents = pgtoc.contents(toc)
        self._files: list[FileRecord] = []
        self._rows: dict[str, int] = {}
        self._large_objects = 0

    def ends_as_rows(self, dump: int, entry: str) -> bool:
        """Given a file of the dump, return whether it holds a table's rows, one a line, up to the mark of their end."""
        if self._contents is None or entry not in self._contents.tables:
            return False
        descriptor = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dump)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return False
            tail = os.pread(descriptor, len(_END_OF_ROWS) + 1, max(0, status.st_size - len(_END_OF_ROWS) - 1))
            return tail in (_END_OF_ROWS, b"\n" + _END_OF_ROWS)
        finally:
            os.close(descriptor)

    def add(self, name: str, entry: str, digest: Digest, *, rows_end: bool) -> None:
        """Note a file that was taken over under `name`; `rows_end` is what `ends_as_rows` said of it."""
        self._files.append(documents.record(name, digest))
        self._large_objects += entry.startswith("blob_")
        if rows_end and digest.lines >= 0:
            self._rows[entry] = digest.lines - _END_OF_ROWS.count(b"\n")

    def document(self, fields: dict[str, Any]) -> PostgresqlDatabase:
        """Given the fields of pg_database, return what the document says of this database."""
        counted = self._contents is not None
        tables: list[tuple[str, str, int]] = []
        for file, (schema, table) in self._contents.tables.items() if self._contents else ():
            if file in self._rows and (fields["encoding"] == _UTF8 or (schema + table).isascii()):
                tables.append((_text(schema), _text(table), self._rows[file]))
        return PostgresqlDatabase(
            **fields,
            content=tuple(self._files),
            tables=tuple(sorted(tables)),
            large_objects=self._large_objects if counted else -1,
            extensions=self._contents.extensions if self._contents else (),
        )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
