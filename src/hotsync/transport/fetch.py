"""What the other server sends is written to a file here: as long as it likes, but not until the disk is full."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hotsync.errors import DiskFull
from hotsync.system import files
from hotsync.system.room import Floor
from hotsync.transport.wire import Channel

MAX_FETCHED = 1 << 40


def fetch(channel: Channel, to: Path, phase: str) -> int:
    """Write the stream that follows to a file; return its length.

    Raise DiskFull, with nothing left of it, where it would take more than half of what was free.
    """
    with floor_below(to.parent) as floor, files.open_atomic(to, mode=0o600) as file:
        return channel.receive_file(file, phase, MAX_FETCHED, floor)


@contextmanager
def floor_below(folder: Path) -> Iterator[Floor]:
    """Give the floor that what the other server sends must stay above; raise DiskFull where the block hits it."""
    try:
        yield Floor.half(folder)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(
            reason=f"what the other server sends does not fit below {folder} ({error.strerror})",
            hint="Make room on this server. If it should fit, look at the other one: it sends more than it can hold.",
        ) from error
