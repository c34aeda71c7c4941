"""A dump as rows that can be compared: a line each, with the table that it belongs to. Bytes in, bytes out.

What is no row (definitions, rights) is compared line by line, under the name of what it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

DEFINITION = b"(definition)"
_INSERT = re.compile(rb"INSERT INTO `((?:[^`]|``)*)` (?:\([^)]*\) )?VALUES ?(.*)", re.DOTALL)
_NOISE = re.compile(rb" AUTO_INCREMENT=\d+")
"""A counter moves with every row, and says nothing of its own."""
_ROWS_END = b"\\."


def is_rows(path: Path) -> bool:
    """Given a file of a dump, return whether it can be read as rows."""
    return path.suffix in (".sql", ".ldif", ".dat") and path.name != "toc.dat"


def rows_of(path: Path, tables: Mapping[str, tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Given a file of a dump, return its rows, each after the name of its table and a tab.

    `tables` are those of PostgreSQL's data files, by name (schema and table).
    """
    with path.open("rb") as file:
        if path.suffix == ".sql":
            yield from _sql(file)
        elif path.suffix == ".ldif":
            yield from _ldif(file)
        else:
            schema, name = tables.get(path.name, (b"", path.name.encode()))
            yield from _copied(file, b".".join(part for part in (schema, name) if part))


def _sql(lines: Iterable[bytes]) -> Iterator[bytes]:
    """A dump of MariaDB's or of PostgreSQL's globals: INSERT with a row a line, or several in one."""
    table = b""
    for line in lines:
        text = line.rstrip(b"\r\n")
        if table and text.startswith(b"("):
            yield table + b"\t" + text.rstrip(b",;")
            if text.endswith(b";"):
                table = b""
            continue
        found = _INSERT.match(text)
        if found is not None:
            table = found[1].replace(b"``", b"`")
            if found[2]:
                yield table + b"\t" + found[2].rstrip(b",;")
                table = b"" if found[2].endswith(b";") else table
            continue
        table = b""
        if text and not text.startswith((b"--", b"/*", b"LOCK TABLES", b"UNLOCK TABLES")):
            yield DEFINITION + b"\t" + _NOISE.sub(b"", text)


def _ldif(lines: Iterable[bytes]) -> Iterator[bytes]:
    """What slapcat writes: an entry is one row, its lines in one."""
    entry: list[bytes] = []
    for line in (*lines, b"\n"):
        text = line.rstrip(b"\r\n")
        if text.startswith(b" ") and entry:
            entry[-1] += text[1:]
        elif text:
            entry += [text] if not text.startswith(b"#") else []
        elif entry:
            yield entry[0] + b"\t" + b" | ".join(entry[1:])
            entry = []


def _copied(lines: Iterable[bytes], table: bytes) -> Iterator[bytes]:
    for line in lines:
        text = line.rstrip(b"\r\n")
        if text == _ROWS_END:
            return
        if text:
            yield table + b"\t" + text
