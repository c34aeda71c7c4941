"""Walks where no rule speaks of what lies there, for what changed lately."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.model.coverage.certificates import KEY_FILE
from hotsync.model.coverage.groups import Folder, Group
from hotsync.model.coverage.judge import Cover, Judge, Standing

_MOST_KEYS = 500
_SAY_EVERY = 5000


@dataclass(slots=True)
class Walked:
    """What a walk found: files that changed lately, by folder; files that are called like certificates or keys, of any
    age; how many folders could not be read."""

    groups: tuple[Group, ...] = ()
    keys: list[str] = field(default_factory=list[str])
    unreadable: int = 0


class Walk:
    """One walk from the root over all that no rule decides about; `since`: what changed at or after it is told.

    No link is followed; `say` is told from time to time how many files were looked at.
    """

    def __init__(self, root: Path, judge: Judge, since: float, say: Callable[[int], None]) -> None:
        self._root, self._judge, self._since, self._say = os.fspath(root).rstrip("/"), judge, since, say
        self._found = Walked()
        self._count = 0

    def run(self) -> Walked:
        """Walk to the end and return what was found; what vanishes meanwhile is left out."""
        top = Folder("", other=True)
        stack = [(top, self._judge.root, self._entries(""))]
        while stack:
            folder, standing, entries = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                if stack:
                    stack[-1][0].take(folder)
                continue
            below = self._meet(folder, standing, entry)
            if below is not None:
                stack.append((Folder(below[0]), below[1], self._entries(below[0])))
        self._found.groups = tuple(group for group in top.groups() if group.files)
        return self._found

    def _meet(self, folder: Folder, standing: Standing, entry: os.DirEntry[str]) -> tuple[str, Standing] | None:
        """Count one name in a folder; return it if the walk is to go into it."""
        path = f"{folder.path}/{entry.name}"
        here = self._judge.enter(standing, entry.name, path)
        if here.judged is not None:
            # caches and the like beside data do not make two things of it
            folder.other |= here.judged.cover is not Cover.NO_DATA
            return None
        try:
            if entry.is_dir(follow_symlinks=False):
                return path, here
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return None
        if stat.S_ISREG(status.st_mode):
            self._file(folder, path, status)
        return None

    def _file(self, folder: Folder, path: str, status: os.stat_result) -> None:
        self._count += 1
        if self._count % _SAY_EVERY == 0:
            self._say(self._count)
        if self._judge.rest(path).is_covered:
            folder.other = True
            return
        changed = max(status.st_mtime, status.st_ctime)
        if len(self._found.keys) < _MOST_KEYS and KEY_FILE.search(path):
            self._found.keys.append(path)
        folder.file(path, status.st_size, changed, lately=changed >= self._since)

    def _entries(self, path: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(f"{self._root}{path}/") as entries:
                yield from entries
        except OSError:
            self._found.unreadable += 1
