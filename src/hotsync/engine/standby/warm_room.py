"""Room for databases that are loaded beforehand: what a load leaves free, and a watch that ends one that would not.

A load is there to save time on the day. What the next generations need comes first: a disk that it filled would cost
the history, and then every generation.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.engine.promotion.loads import GROWTH
from hotsync.engine.promotion.room import free_at
from hotsync.errors import HotSyncError
from hotsync.model.warm import WarmServer
from hotsync.replica.generations import read_generations
from hotsync.replica.space import needed_for
from hotsync.state.warm import untouched
from hotsync.system.paths import Paths

_SHARE, _MOST = 0.03, 8 * 1024**3
_SECONDS = 0.5
_MORE, _AT_LEAST = 1.1, 32 * 1024**2
"""So much more must be free before it is tried again: a server's own temporary files come and go."""
log = logging.getLogger("hotsync.warm")


@dataclass(slots=True)
class Watch:
    """What is seen while a load goes on; `short`: it was ended, since the disk would have been full."""

    short: bool = False


def reserve_at(paths: Paths, directory: Path) -> int:
    """Given a data directory, return how much must stay free on its disk: a share of it and, where the replica lies
    there too, what a generation like the last one needs."""
    status = os.statvfs(directory)
    share = min(int(status.f_blocks * status.f_frsize * _SHARE), _MOST)
    if os.stat(directory).st_dev != os.stat(paths.replica).st_dev:
        return share
    try:
        held = read_generations(paths.manifest) if paths.manifest.exists() else []
    except (sqlite3.Error, HotSyncError, OSError):
        held = []
    # the first one brought everything: none to come is like it
    coming = needed_for(held[-1].bytes, held[-1].changed + held[-1].deleted) if held[1:] else needed_for(0, 0)
    return share + coming


def room_lacking(paths: Paths, directory: Path, left: int, server: WarmServer | None = None) -> str:
    """Given a data directory, the bytes of dumps that are to be loaded, and what is known of the last load, return in
    words what room is lacking, "" if there is enough."""
    free, needed = free_at(directory), int(left * GROWTH) + reserve_at(paths, directory)
    if server is not None and server.short:
        needed = max(needed, int(server.short * _MORE) + _AT_LEAST)
    return f"{directory} lacks room: {needed / 2**20:.0f} MiB are needed" if free < needed else ""


def has_halves(server: WarmServer | None, directory: Path) -> bool:
    """Return whether there may be what a load has left that came to no end: to be dropped before room is asked for."""
    if server is None or server.handed_over:
        return False
    return "" in server.databases.values() if untouched(server, directory) else True


@contextmanager
def watched(directory: Path, reserve: int, end: Callable[[], None]) -> Iterator[Watch]:
    """While the block runs, look whether so much is free, and end what fills the disk if it is not."""
    watch, over = Watch(), threading.Event()

    def look() -> None:
        while not over.wait(_SECONDS):
            with suppress(OSError):
                if free_at(directory) >= reserve:
                    continue
                watch.short = True
                log.warning("the load is ended: less than %d MiB are free at %s", reserve // 2**20, directory)
                try:
                    end()
                except (HotSyncError, OSError) as error:
                    log.warning("the server that loads does not end: %s", error)
                return

    thread = threading.Thread(target=look, name="room for a load", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
