"""The table of contents that pg_dump writes in its directory format. Pure: bytes in, bytes out.

Two dumps of the same database differ in it by the time at which they were made, and by nothing else.
"""

from __future__ import annotations

_MAGIC = b"PGDMP"
_TIME_FIELDS = 7  # second, minute, hour, day, month, year, summer time
_OLDEST, _ALGORITHM_SINCE, _NEWEST = (1, 10), (1, 15), (1, 16)


def without_time(toc: bytes) -> bytes | None:
    """Given a toc.dat, return it with its time of making blanked; None if its form is not known."""
    if len(toc) < 11 or not toc.startswith(_MAGIC):
        return None
    version, width = (toc[5], toc[6]), toc[8]
    if not _OLDEST <= version <= _NEWEST or width not in (4, 8):
        return None
    integer = 1 + width  # a sign, then the number
    start = 11 + (1 if version >= _ALGORITHM_SINCE else integer)
    end = start + _TIME_FIELDS * integer
    return toc[:start] + bytes(end - start) + toc[end:] if len(toc) >= end else None
