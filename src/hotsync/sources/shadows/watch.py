"""For whoever looks at the live files without copying any: what has a sound copy, and may be newer than that."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from enum import Enum
from pathlib import Path

from hotsync.changes.folders import Reach
from hotsync.model.entry import Entry, sort_key
from hotsync.model.nesting import lies_in
from hotsync.sources.frozen.scan import look_of
from hotsync.sources.frozen.store import copy_of, load_copies
from hotsync.sources.shadows.index import SIDES, SQLITE, Known, load_index, must_copy
from hotsync.sources.shadows.look import format_at, looks_at
from hotsync.sources.shadows.store import ShadowStore
from hotsync.system.paths import Paths


class Live(Enum):
    """What a path is beside its sound copy: no case for one; as it was copied; newer, perhaps; a part of another."""

    PLAIN = "plain"
    SAME = "same"
    PERHAPS = "perhaps"
    PART = "part"


class LiveFiles:
    """Judges live files by what the last run remembered of them; ask in the order of a walk."""

    def __init__(self, paths: Paths, reach: Reach) -> None:
        self._reach = reach
        self._store = ShadowStore(paths.shadows)
        self._known = load_index(paths.shadows / "index.json")
        self._frozen = {known.path.strip("/"): known for known in load_copies(paths.frozen)}
        self._copies = paths.frozen

    def judge(self, path: str, carried: Entry | None) -> Live:
        """Given a path that differs from the manifest, and what that has there, return what it is.

        Whether what was written to such a file changed anything in it only a copy would tell: it is newer, perhaps.
        """
        if (folder := self._covered(path)) is not None:
            return self._in_copy(path, folder, carried)
        known = self._known.get(path)
        if known is not None and known.has_shadow:
            return self._beside(path, known, carried)
        return Live.PART if carried is None and self._is_part(path) else Live.PLAIN

    def is_covered(self, path: str) -> bool:
        """Say whether a path lies in a folder of which the last run made a copy as a whole."""
        return self._covered(path) is not None

    def _covered(self, path: str) -> str | None:
        return next((folder for folder in self._frozen if lies_in(path, folder)), None)

    def _in_copy(self, path: str, folder: str, carried: Entry | None) -> Live:
        known, inside = self._frozen[folder], path.removeprefix(folder).lstrip("/")
        try:
            same = known.looks.get(inside) == look_of(self._reach.look(sort_key(path)))
            came = carried is not None and _is_of(copy_of(self._copies, known.path).tree / inside, carried)
        except OSError:
            return Live.PERHAPS
        return Live.SAME if same and came else Live.PERHAPS

    def _beside(self, path: str, known: Known, carried: Entry | None) -> Live:
        key = sort_key(path)
        name = key.rpartition(b"\0")[2]
        try:
            folder = self._reach.folder_of(key)
            looks = looks_at(folder, name, known.format, os.stat(name, dir_fd=folder, follow_symlinks=False))
            # a run that did not come to its end copied it, and did not carry the copy
            came = carried is not None and _is_of(self._store.place(path), carried)
        except OSError:
            return Live.PERHAPS
        return Live.SAME if came and not known.trouble and not must_copy(known, looks) else Live.PERHAPS

    def _is_part(self, path: str) -> bool:
        for side in SIDES:
            if not path.endswith(side.decode()):
                continue
            base = path.removesuffix(side.decode())
            known = self._known.get(base)
            if known is not None and known.format == SQLITE:
                return True
            key = sort_key(base)
            with suppress(OSError):
                return format_at(self._reach.folder_of(key), key.rpartition(b"\0")[2]) == SQLITE
        return False


def _is_of(place: Path, entry: Entry) -> bool:
    status = place.stat(follow_symlinks=False)
    looks = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return stat.S_ISREG(status.st_mode) and looks == (entry.inode, entry.size, entry.mtime_ns, entry.ctime_ns)
