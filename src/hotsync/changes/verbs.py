"""Which verb a changed path gets, and whether its time stamps can be trusted: pure rules."""

from __future__ import annotations

from hotsync.manifest.store import Stamp
from hotsync.model.entry import Verb
from hotsync.model.stamps import doubt_ns

LATEST_NS = 2**63 - 1
OLDEST_NS = -(2**31) * 10**9
"""December 1901, where ext4 ends."""


def verb_for(old: Stamp | None, new: Stamp, *, proven: bool = False) -> Verb:
    """Given what the manifest and the disk say of a path, return its verb.

    A folder that is a folder still is META. A file is META only if its content was `proven` to be what the SLAVE has.
    """
    if old is None or old[1] != new[1]:
        return Verb.CONTENT
    if new[1] == "d":
        return Verb.META
    return Verb.META if proven and may_be_proven(old, new) else Verb.CONTENT


def may_be_proven(old: Stamp | None, new: Stamp) -> bool:
    """Say whether it is worth looking whether both servers have the same content at a path.

    Only files of one size with one name: the names of a file travel together.
    """
    return old is not None and old[1] == new[1] == "f" and old[5] == new[5] and old[9] == new[9] == 1


def is_rewritten(old: Stamp, new: Stamp) -> bool:
    """Say whether a file of the manifest has other content now, as far as size and mtime tell.

    Another inode alone is no sign: a server that was moved to a new disk has nothing but such files.
    """
    return (old[5], old[6]) != (new[5], new[6])


def is_coarse(mtime_ns: int, ctime_ns: int, read_ns: int) -> bool:
    """Say whether a time stamp is so young (or in the future) that a later change could bear the same one.

    Or so old that not every file system can hold it.
    """
    return max(mtime_ns, ctime_ns) > read_ns - doubt_ns(mtime_ns, ctime_ns) or mtime_ns < OLDEST_NS


def in_range(stamp_ns: int) -> int:
    """Return a time stamp, or the nearest one that an entry can hold (years 1677 to 2262)."""
    return max(-LATEST_NS, min(stamp_ns, LATEST_NS))
