"""Copies folders as of one moment: most of it while they are written, the rest while what writes them stands still."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hotsync.model.readable import readable
from hotsync.sources.frozen.pause import NotPaused, paused
from hotsync.sources.frozen.scan import shape_of
from hotsync.sources.frozen.staging import Staging
from hotsync.sources.frozen.store import FolderCopy, Known, copy_of
from hotsync.sources.shadows.copy import ROOM
from hotsync.system.clock import Clock
from hotsync.system.files import open_beneath
from hotsync.system.mounts import read_mounts
from hotsync.system.paths import Paths

_PASSES = 3
_STILL_SECONDS = 0.5
"""So long after its last change the time of a file tells whether it was changed again."""
_SMALL = 32 * 1024 * 1024
"""So much is copied in a pause without having been copied before it."""


def copy_moment(paths: Paths, clock: Clock, wanted: Mapping[str, str], place: Path | None, seconds: float) -> float:
    """Given folders (below our root) with the names of their servers, and the cgroup that writes them (None: nobody
    does), make their copies those of one moment, and return it.

    Raise NotPaused, TooMany, OSError: then the last copies stay.
    """
    with ExitStack() as stack:
        works = [_begin(stack, paths, clock, path, server) for path, server in wanted.items()]
        rate = _copy_before(paths, clock, works)
        taken_at = clock.now()
        due = {work.path: work.staging.look() for work in works}
        if any(due.values()):
            if place is None:
                _stage_what_rests(clock, works, due)
            else:
                _check_time(sum(work.staging.size_of(due[work.path]) for work in works), rate, seconds)
                taken_at = _stage_paused(paths, clock, works, place, seconds)
        for work in works:
            work.finish(taken_at)
    return taken_at


@dataclass(slots=True)
class _Work:
    """One folder while it is copied."""

    path: str
    server: str
    top: int
    copy: FolderCopy
    known: Known | None
    staging: Staging

    def finish(self, taken_at: float) -> None:
        """Make what was staged the copy; raise OSError."""
        known = Known(self.path, self.server, taken_at, self.staging.looks(), shape_of(self.staging.seen))
        if self.known is not None and not self.staging.staged and self.known.shape == known.shape:
            self.copy.confirm(known)
        else:
            self.copy.publish(known, self.staging.seen, self.staging.staged, self.top)


def _begin(stack: ExitStack, paths: Paths, clock: Clock, path: str, server: str) -> _Work:
    at = f"{os.path.realpath(paths.root).rstrip('/')}{path}/"
    if any(f"{mount.point}/".startswith(at) and f"{mount.point}/" != at for mount in read_mounts()):
        raise NotPaused(f"a file system is mounted inside of {readable(path)}")
    root = os.open(paths.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        top = open_beneath(root, path.strip("/"), os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(root)
    stack.callback(os.close, top)
    copy = copy_of(paths.frozen, path)
    copy.prepare()
    known = copy.known()
    return _Work(path, server, top, copy, known, Staging(clock, top, copy.staging, known.looks if known else {}))


def _copy_before(paths: Paths, clock: Clock, works: Iterable[_Work]) -> float:
    """Copy what is too much for the pause while it is written; return how many bytes a second could be copied."""
    rate = 0.0
    for _ in range(_PASSES):
        due = [(work.staging, work.staging.look()) for work in works]
        size = sum(staging.size_of(found) for staging, found in due)
        _check_room(paths.frozen, size)
        if size <= _SMALL:
            break
        began = clock.monotonic()
        for staging, found in due:
            staging.stage(found, live=True, check=_nothing)
        rate = size / max(clock.monotonic() - began, 0.001)
    return rate


def _check_room(store: Path, size: int) -> None:
    room = os.statvfs(store)
    if room.f_bavail * room.f_frsize < size + ROOM:
        raise NotPaused(f"the disk of {store} has no room for a copy of {size >> 20} MiB")


def _check_time(size: int, rate: float, seconds: float) -> None:
    """Raise NotPaused if so much cannot be copied in a pause, at so many bytes a second (0: that is not known)."""
    if rate and size / rate > seconds:
        raise NotPaused(f"{size >> 20} MiB of it change while they are copied: too much for a pause of {seconds:g} s")


def _stage_paused(paths: Paths, clock: Clock, works: Sequence[_Work], place: Path, seconds: float) -> float:
    until = clock.monotonic() + seconds

    def check() -> None:
        if clock.monotonic() > until:
            raise NotPaused(f"what changed could not be copied in a pause of {seconds:g} seconds")

    with paused(paths, place, seconds) as confirm:
        taken_at = clock.now()
        for work in works:
            work.staging.stage(work.staging.look(), live=False, check=check)
        confirm()
    return taken_at


def _stage_what_rests(clock: Clock, works: Sequence[_Work], due: Mapping[str, list[str]]) -> None:
    for work in works:
        left = due[work.path]
        for _ in range(_PASSES):
            work.staging.stage(left, live=True, check=_nothing)
            left = work.staging.look()
            if not left:
                break
            clock.sleep(_STILL_SECONDS)
        else:
            raise NotPaused(f"{readable(work.path)} is written, and no database server was found that does it")


def _nothing() -> None:
    return
