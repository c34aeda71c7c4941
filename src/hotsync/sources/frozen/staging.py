"""Copies the files of one folder that differ from the last copy, first while they are written, then for good."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.changes.verbs import is_coarse
from hotsync.sources.frozen.scan import Look, Seen, look_of, scan
from hotsync.system.attributes import Attributes, attributes_of
from hotsync.system.clock import Clock
from hotsync.system.files import open_beneath

_CHUNK = 8 * 1024 * 1024
_CLONE = 0x40049409
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_MAPPED_NS = 300 * 10**9
"""What is written through memory may move a file's time only once, until the kernel has written it back."""


@dataclass(frozen=True, slots=True)
class Staged:
    """One copied file: where the copy lies, how the live one looked before, and what it had besides its content.

    `young`: it could have changed since and look the same.
    """

    copy: Path
    look: Look
    status: os.stat_result
    attributes: Attributes
    young: bool


class Staging:
    """The files of one open folder that were copied since the last whole copy, which `known` tells the looks of."""

    def __init__(self, clock: Clock, top: int, folder: Path, known: Mapping[str, Look]) -> None:
        self._clock, self._top, self._folder, self._known = clock, top, folder, known
        self._count = 0
        self.staged: dict[str, Staged] = {}
        self.seen = Seen()

    def look(self) -> list[str]:
        """Look at the folder anew; return the files whose last copy may be out of date; raise OSError, TooMany."""
        self.seen = scan(self._top)
        for path in self.staged.keys() - self.seen.files.keys():
            self.staged.pop(path).copy.unlink()
        return [path for path, status in self.seen.files.items() if self._is_due(path, look_of(status))]

    def size_of(self, paths: Iterable[str]) -> int:
        """Return how many bytes on disk files take that `look` has seen."""
        return sum(self.seen.files[path].st_blocks * 512 for path in paths)

    def stage(self, paths: Iterable[str], *, live: bool, check: Callable[[], None]) -> None:
        """Copy files; what vanished is left to the next look. `check` is called again and again, and may raise.

        Of a file that is written (`live`) everything is written back first, so that another write moves its time.
        """
        for path in paths:
            check()
            with suppress(FileNotFoundError):
                source = open_beneath(self._top, path, _FILE)
                try:
                    self._stage(path, source, live=live, check=check)
                finally:
                    os.close(source)

    def looks(self) -> dict[str, Look]:
        """Return how each file looked when it was copied, without those that may have changed since unseen."""
        found = {path: self._known[path] for path in self.seen.files if path in self._known}
        found |= {path: staged.look for path, staged in self.staged.items()}
        return {path: look for path, look in found.items() if path not in self.staged or not self.staged[path].young}

    def _is_due(self, path: str, look: Look) -> bool:
        staged = self.staged.get(path)
        if staged is None:
            return self._known.get(path) != look
        return staged.look != look or staged.young

    def _stage(self, path: str, source: int, *, live: bool, check: Callable[[], None]) -> None:
        if live and stat.S_ISREG(os.fstat(source).st_mode):
            os.fdatasync(source)
        status, now = os.fstat(source), self._clock.now_ns()
        if not stat.S_ISREG(status.st_mode):
            return
        young = is_coarse(status.st_mtime_ns, status.st_ctime_ns, now)
        if not live:
            young = young or status.st_mtime_ns > now - _MAPPED_NS
        self._count += 1
        before = self.staged.pop(path, None)
        copy = before.copy if before is not None else self._folder / str(self._count)
        with copy.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            pour(source, file.fileno(), status.st_size, check)
        self.staged[path] = Staged(copy, look_of(status), status, attributes_of(source), young)


def pour(source: int, target: int, size: int, check: Callable[[], None]) -> None:
    """Copy an open file into an empty one: by reflink where the disk can, else with its holes; raise OSError."""
    with suppress(OSError):
        fcntl.ioctl(target, _CLONE, source)
        return
    end = 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
            end = min(os.lseek(source, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # a hole up to the end
            raise
        while start < end:
            check()
            chunk = os.pread(source, min(_CHUNK, end - start), start)
            if not chunk:
                break  # it has become shorter
            start += _written(target, chunk, start)
        else:
            continue
        break
    os.ftruncate(target, size)


def _written(target: int, chunk: bytes, offset: int) -> int:
    view, count = memoryview(chunk), 0
    while count < len(chunk):
        count += os.pwrite(target, view[count:], offset + count)
    return count
