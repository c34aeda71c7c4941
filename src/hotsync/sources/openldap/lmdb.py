"""What tells whether anything was written to an LMDB file (OpenLDAP's `mdb`): its own count of transactions."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from hotsync.sources.spool import open_plain

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEADER = 16
# magic, version, address, map size; the two inner databases begin with the page size; last page, transaction
_META = struct.Struct("<IIQQI92xQQ")
_PAGE_SIZES = frozenset(1 << bits for bits in range(8, 17))


def moment_of(file: Path) -> str:
    """Given a file, return a word that is another one after every write to it, or where it is another file.

    It is "" where the file is not of the known form; then nothing can be said. Raise OSError.
    """
    with open_plain(file) as opened:
        status = os.fstat(opened.fileno())
        first = _read(opened.fileno(), 0)
        second = _read(opened.fileno(), first[0]) if first else None
    if first is None or second is None or first[0] != second[0]:
        return ""
    stamps = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return " ".join(map(str, (*stamps, max(first[1], second[1]))))


def _read(descriptor: int, offset: int) -> tuple[int, int] | None:
    """Return page size and transaction of the page of facts at an offset, None if there is none."""
    data = os.pread(descriptor, _META.size, offset + _HEADER)
    if len(data) != _META.size:
        return None
    magic, version, _, _, page_size, _, transaction = _META.unpack(data)
    return (page_size, transaction) if (magic, version) == (_MAGIC, _VERSION) and page_size in _PAGE_SIZES else None
