"""Before the transfer: staging made ready, and what a cut run left in it kept where it is still right."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hotsync.errors import ProtocolError
from hotsync.manifest.changeset_file import read_lines
from hotsync.model.changeset import parse_change
from hotsync.model.entry import sort_key
from hotsync.model.stamps import COARSE_NS, doubt_ns
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders, Walk
from hotsync.replica.layout import Layout, numbers_in
from hotsync.replica.metadata import differences, set_time
from hotsync.system.files import open_atomic, sync_filesystem, write_atomic

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MARGIN_NS = 100_000_000
_BLOCK = 128 * 1024
_SIZE = re.compile(rb'"size":([0-9]{1,20})')
_LINKS = re.compile(rb'"links":([0-9]{1,20})')


@dataclass(slots=True)
class Present:
    """What a cut run left that is still right; and how many files and bytes the plan has in all."""

    files: int = 0
    bytes: int = 0
    planned: int = 0
    planned_bytes: int = 0


def make_ready(layout: Layout, number: int, planned: Path, effects: Effects) -> Present:
    """Given the planned changeset, leave in staging only what it names with the same entry, and remember the plan.

    Any other staging goes: only one generation is to come. Raise ProtocolError if the plan is no changeset.
    """
    for folder in (layout.stagings, layout.works):
        with Folders(folder) as folders:
            for other in numbers_in(folder):
                if other != number:
                    folders.remove(str(other), effects)
    staging, work = layout.staging(number), layout.work(number)
    for folder in (staging, work):
        if not folder.is_dir():
            with effects("mkdir"):
                folder.mkdir(mode=0o700)
    staging.chmod(0o700)  # the receiver may have given it the mode of the MASTER's root
    present = _prune(staging, work, planned, effects)
    with effects("entries"), planned.open("rb") as source, open_atomic(work / "entries", mode=0o600) as target:
        shutil.copyfileobj(source, target, _BLOCK)
    return present


def mark_durable(layout: Layout, number: int, now_ns: int, effects: Effects) -> None:
    """Make what has arrived durable, and note the moment: after a power cut nothing younger is trusted."""
    sync_filesystem(layout.root)
    mark = {"boot": _boot(), "durable_ns": now_ns - _MARGIN_NS}
    with effects("mark"):
        write_atomic(layout.work(number) / "mark", json.dumps(mark).encode(), mode=0o600)


def _durable_ns(work: Path) -> int | None:
    """Return up to which change time staged files are known to be on the disk; None: all of them (the same boot)."""
    try:
        mark = json.loads((work / "mark").read_bytes())
        return None if mark["boot"] == _boot() else int(mark["durable_ns"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _latest(ctime_ns: int) -> int:
    """Return when a change at the latest was made that bears this time, but for the tick of a kernel."""
    return ctime_ns + doubt_ns(ctime_ns) - COARSE_NS


def _boot() -> str:
    return _BOOT_ID.read_text().strip()


class _Lines:
    """A changeset file, read as far as it was asked for; only a line that is looked at is parsed."""

    def __init__(self, path: Path) -> None:
        self._lines: Iterator[bytes] = read_lines(path) if path.exists() else iter(())
        self.files = 0
        self.bytes = 0
        self.line = b""
        self.path = ""
        self._key: bytes | None = b""
        self._next()

    def find(self, key: bytes) -> bytes | None:
        """Given keys in ascending order, return the line of each, or None."""
        while self._key is not None and self._key < key:
            self._next()
        return self.line if self._key == key else None

    def inside(self, folder: str) -> bool:
        """Return whether the next path lies inside a folder."""
        return self._key is not None and self.path.startswith(folder + "/")

    def count(self) -> tuple[int, int]:
        """Return how many paths with content, folders aside, there are in all, and their bytes; reads to the end."""
        for line in self._lines:
            self._count(line)
        return self.files, self.bytes

    def _count(self, line: bytes) -> None:
        if b'"verb":"content"' not in line or b'"kind":"d"' in line:
            return
        self.files += 1
        # within a path a quotation mark has a backslash before it: no path can pretend to be a size
        size, links = _SIZE.search(line), _LINKS.search(line)
        if size is not None:
            self.bytes += int(size[1]) // max(1, int(links[1]) if links else 1)

    def _next(self) -> None:
        self.line = next(self._lines, b"")
        if not self.line:
            self._key = None
            return
        self._count(self.line)
        try:
            self.path = json.loads(self.line)["path"]
            key = sort_key(self.path)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ProtocolError(reason="a planned changeset is malformed") from error
        if self._key is not None and key <= self._key:
            raise ProtocolError(reason="a planned changeset is not sorted")
        self._key = key


def _prune(staging: Path, work: Path, planned: Path, effects: Effects) -> Present:
    present = Present()
    before, plan = _Lines(work / "entries"), _Lines(planned)
    durable_ns = _durable_ns(work)
    with Folders(staging) as folders:
        walk = Walk(folders)
        for path, status in walk:
            key = sort_key(path)
            line, sent_for = plan.find(key), before.find(key)
            if stat.S_ISDIR(status.st_mode):
                # a folder may stay: rsync sets its attributes anew, and what it holds is looked at by itself
                if not (plan.inside(path) if line is None else b'"kind":"d"' in line):
                    walk.skip()
                    folders.remove(path, effects)
                continue
            same = line is not None and line == sent_for
            durable = durable_ns is None or _latest(status.st_ctime_ns) < durable_ns
            if same and durable and _complete(line or b"", status, folders):
                present.files += 1
                present.bytes += status.st_blocks * 512 // status.st_nlink
            elif same and stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                # the part of a large file that came (rsync --partial): with a time that no quick check takes for the
                # right one, rsync builds upon it, and its own sum over the whole file decides
                with effects("time"):
                    set_time(folders.at(path), 0 if b'"mtime_ns":' in (line or b"") else 10**9)
            else:
                folders.remove(path, effects)
    present.planned, present.planned_bytes = plan.count()
    return present


def _complete(line: bytes, status: os.stat_result, folders: Folders) -> bool:
    """Return whether a file arrived whole: rsync writes to another name, and renames when all is right."""
    entry = parse_change(line).entry
    if entry is None or entry.unsettled:
        return False
    return not {"kind", "size", "time", "target"} & {*differences(entry, status, folders)}
