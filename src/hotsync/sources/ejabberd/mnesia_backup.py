"""Reads a backup of Mnesia, as far as that is needed: is it whole, what does it hold, does it hold the same as another?

Pure: bytes in, values out. A backup is a log of terms. Two backups of the same content differ in two places: the first
term says when it was made, and the table of tables has a cookie that is made anew each time. Both are not in the sum.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_HEADER = b"\x01\x02\x03\x04"
_MARK = b"bWLA"
_LARGEST = 1 << 30
_LOG_HEADER = re.compile(rb"\x83h\x06(?:d\x00\x0a|w\x0a)log_header")
_TABLE_OF_TABLES = re.compile(rb"\x83h\x03(?:d\x00\x06|w\x06)schema(?:d\x00\x06|w\x06)schema")
_COOKIE = re.compile(rb"(h\x02(?:d\x00\x06|w\x06)cookie).*?(h\x02(?:d\x00\x07|w\x07)version)", re.DOTALL)
_RECORD = re.compile(rb"\x83h.(?:d(..)|w(.))", re.DOTALL)


class BackupError(ValueError):
    """The file is no backup, or only a part of one."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a backup holds: a sum over all that does not change by itself (hex), and how many records of each name."""

    sum: str
    records: dict[str, int]


def read_content(file: IO[bytes]) -> Content:
    """Given an open backup, return what it holds; raise BackupError if it is not a whole one."""
    hashed, records = hashlib.sha256(), Counter[str]()
    count = 0
    for count, term in enumerate(_terms(file), start=1):
        if count == 1:
            if not _LOG_HEADER.match(term):
                raise BackupError("it does not begin as a backup does")
            continue
        if _TABLE_OF_TABLES.match(term):
            term = _COOKIE.sub(rb"\1\2", term, count=1)
        else:
            records[_name_of(term)] += 1
        hashed.update(struct.pack(">Q", len(term)) + term)
    if count < 2:
        raise BackupError("it is empty")
    del records["schema"]
    return Content(hashed.hexdigest(), dict(sorted(records.items())))


def _name_of(term: bytes) -> str:
    match = _RECORD.match(term)
    if match is None:
        return "?"
    length = int.from_bytes(match[1] or match[2], "big")
    return term[match.end() : match.end() + length].decode("utf-8", "replace")


def _terms(file: IO[bytes]) -> Iterator[bytes]:
    start = file.read(8)
    if start[:4] != _HEADER or len(start) != 8:
        raise BackupError("it is no log of Erlang's")
    while head := file.read(8):
        if len(head) != 8 or head[4:] != _MARK:
            raise BackupError("it is damaged, or ends too early")
        size = int.from_bytes(head[:4], "big")
        if size > _LARGEST:
            raise BackupError("it is damaged: a term is too long")
        term = file.read(size)
        if len(term) != size:
            raise BackupError("it ends too early")
        yield term
