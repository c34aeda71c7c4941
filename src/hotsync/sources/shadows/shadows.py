"""Shadows: sound copies of files that must not be copied live (SQLite, TDB), shown to this run at their own paths.

    with Shadows(paths, clock) as shadows:
        shadows.refresh(carried)     # those that are known; afterwards each lies, for this thread, over its live file
        ... walk (it calls `met` for each file that changed), send, settle ...

Within the block a path holds the sound copy for whoever looks: the walk, settling, rsync. The host sees nothing of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from hotsync.changes.folders import Reach
from hotsync.model.entry import path_of_key, sort_key
from hotsync.model.generation import DatasetPoint
from hotsync.model.readable import readable, shown_path
from hotsync.model.report import Notice
from hotsync.sources.shadows.copy import TEMPORARY, Copier, CopyFailed, Original
from hotsync.sources.shadows.index import (
    FORMATS,
    SIDES,
    SQLITE,
    TDB,
    Format,
    Known,
    Looks,
    format_of,
    is_young,
    load_index,
    must_copy,
    save_index,
)  # fmt: skip
from hotsync.sources.shadows.look import LEASED, format_at, looks_at, may_be_hidden
from hotsync.sources.shadows.store import ShadowStore
from hotsync.system.attributes import read_attributes
from hotsync.system.clock import Clock
from hotsync.system.files import open_beneath
from hotsync.system.namespace import PrivateMounts, bind
from hotsync.system.paths import Paths

_STALE = "source.stale"
_NONE: frozenset[bytes] = frozenset()
_NAMED = 20
_OWN_POINTS = 50
_LONGEST_NAME = 200


class Shadows:
    """The shadows of one run; use it as a context manager. Without `make` (a dry run) none is made or changed."""

    def __init__(self, paths: Paths, clock: Clock, *, make: bool = True, temporary: Path = TEMPORARY) -> None:
        self._paths, self._clock, self._make = paths, clock, make
        self._store = ShadowStore(paths.shadows)
        self._index = paths.shadows / "index.json"
        self._copier = Copier(paths.shadows, temporary)
        self._stack = ExitStack()
        self._known: dict[str, Known] = {}
        self._tried: dict[str, Known] = {}
        self._bound: set[tuple[int, int]] = set()
        self._hidden: dict[bytes, set[bytes]] = {}
        self._covered: set[bytes] = set()
        self._closed = self._halted = ""
        self._passed_by = 0
        self._refreshed_at = 0.0
        self._troubles: list[str] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                stack.enter_context(PrivateMounts())
            except OSError as error:
                self._closed = error.strerror or str(error)
            else:
                self._prepare(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _prepare(self, stack: ExitStack) -> None:
        self._known = load_index(self._index)
        if not self._make:
            return
        try:
            self._store.prepare()
            stack.enter_context(self._copier)
        except OSError as error:
            self._make, self._halted = False, f"no SQLite or TDB file could be copied: {error}"
            self._troubles.append(self._halted)

    # --- what a run asks for ------------------------------------------------------------------------------------------

    @property
    def refused(self) -> str:
        """Return why nothing can be shown in the place of anything ("": it can)."""
        return self._closed

    def cover(self, path: str, copy: Path) -> None:
        """Show the copy of a whole folder in its place, before `refresh` looks at what lies there; raise OSError."""
        with ExitStack() as stack:
            root = os.open(self._paths.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, root)
            live = open_beneath(root, path, os.O_PATH | os.O_DIRECTORY)
            stack.callback(os.close, live)
            source = os.open(copy, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, source)
            bind(source, live)
        self._covered.add(sort_key(path))

    def refresh(self, carried: Callable[[str], bool]) -> None:
        """Bring the known shadows up to date, drop those of files that are gone, and bind each over its live file."""
        self._refreshed_at = self._clock.now()
        if self._closed or not self._known:
            return
        with Reach(self._paths.root) as reach:
            for path in sorted(self._known, key=sort_key):
                known = self._refreshed(reach, path) if carried(path) else None
                if known is None:
                    self._forget(path)
                else:
                    self._known[path] = known
        self._save()

    def finish(self) -> None:
        """Remember what was found, and remove shadows that nobody knows any more; the walk is over."""
        if self._closed or not self._make:
            return
        try:
            self._store.drop_others([path for path, known in self._known.items() if known.has_shadow])
        except OSError as error:
            self._troubles.append(f"old copies below {self._store.folder} could not be removed: {error}")
        self._save()

    def points(self) -> tuple[DatasetPoint, ...]:
        """Return the consistency point of all files of each format, and of each that is older, or no sound copy."""
        points: list[DatasetPoint] = []
        for format in FORMATS:
            taken = [known.taken_at for known in self._known.values() if known.format == format and known.has_shadow]
            if taken and self._halted:
                points.append(DatasetPoint(format, min(taken), min(taken), readable(self._halted)[:500]))
            elif taken:
                points.append(DatasetPoint(format, self._refreshed_at))
        failing = [known for known in self._known.values() if known.trouble]
        for known in sorted(failing, key=lambda one: one.path)[:_OWN_POINTS]:
            name = f"{known.format}:{shown_path(known.path)}"
            if len(name) > _LONGEST_NAME:
                name = f"{known.format}:...{name[-_LONGEST_NAME:]}"
            note = readable(known.trouble if known.has_shadow else f"carried as it lies: {known.trouble}")[:500]
            points.append(DatasetPoint(name, known.taken_at, known.taken_at or self._refreshed_at, note))
        return tuple(points)

    def notices(self) -> tuple[Notice, ...]:
        """Return what went less than well in this run, some of it named."""
        found = [Notice(_STALE, sentence) for sentence in self._troubles]
        if self._passed_by:
            sentence = (
                f"SQLite and TDB files are carried as they lie ({self._passed_by} of those that changed), which may be "
                f"no sound copy: a private view of the file systems is refused here ({self._closed}). Where HotSync "
                "runs in a container, give that CAP_SYS_ADMIN"
            )
            found.append(Notice(_STALE, sentence))
        failed = sorted((known for known in self._tried.values() if known.trouble), key=lambda one: one.path)
        found += [Notice(_STALE, self._sentence(known), known.path) for known in failed[:_NAMED]]
        if len(failed) > _NAMED:
            found.append(Notice(_STALE, f"and {len(failed) - _NAMED} more such files"))
        return tuple(found)

    # --- what the walk asks for ---------------------------------------------------------------------------------------

    def hidden(self, folder: bytes) -> AbstractSet[bytes]:
        """Given the key of a folder, return the names in it that are parts of a live file, as far as they are known."""
        return self._hidden.get(folder, _NONE)

    def covers(self, key: bytes) -> bool:
        """Say whether a sound copy of a whole folder lies at a key: it may be on another file system."""
        return key in self._covered

    def hides(self, key: bytes) -> bool:
        """Given the key of a path, say whether it is a part of a live file."""
        folder, _, name = key.rpartition(b"\0")
        return name in self.hidden(folder)

    def lies_at(self, path: str) -> bool:
        """Say whether a shadow lies at a path."""
        known = self._known.get(path)
        return known is not None and known.has_shadow and not self._closed

    def met(self, folder: int, key: bytes, head: bytes, status: os.stat_result) -> bool:
        """Given a changed file (its open folder, key, first bytes and stat), return whether a shadow lies there now."""
        format = format_of(head)
        if format is None or (status.st_dev, status.st_ino) in self._bound:
            return False
        path = path_of_key(key)
        if self._closed:
            self._passed_by += 1
            return False
        before = self._tried.get(path)
        if not self._make or (before is not None and not before.has_shadow) or (format == TDB and status.st_uid != 0):
            return False
        try:
            known = self._tried_at(folder, key, format, self._known.get(path))
        except OSError:
            return False  # it is gone, or another thing now: the walk will say what
        self._known[path] = known
        return known.has_shadow

    # --- one file -----------------------------------------------------------------------------------------------------

    def _refreshed(self, reach: Reach, path: str) -> Known | None:
        """Return what is known of a file now, or None if there is no such file any more."""
        key, known = sort_key(path), self._known[path]
        name = key.rpartition(b"\0")[2]
        try:
            folder = reach.folder_of(key)
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                return None
            if not self._make or not self._is_due(known, looks_at(folder, name, known.format, status)):
                self._show(folder, key, known)
                return known
            if format_at(folder, name) not in (known.format, LEASED) or (known.format == TDB and status.st_uid != 0):
                return None
            return self._tried_at(folder, key, known.format, known)
        except OSError:
            return None

    def _is_due(self, known: Known, looks: Looks) -> bool:
        lost = known.has_shadow and not self._store.place(known.path).exists()
        return lost or must_copy(known, looks)

    def _tried_at(self, folder: int, key: bytes, format: Format, before: Known | None) -> Known:
        """Copy a file anew and show its shadow; return what is known then. Raise OSError if it cannot be looked at."""
        path, name = path_of_key(key), key.rpartition(b"\0")[2]
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        attributes = read_attributes(os.fsdecode(name), folder)
        looks, now = looks_at(folder, name, format, status), self._clock.now_ns()
        taken_at = before.taken_at if before is not None else 0.0
        known = Known(path, format, looks, is_young(format, looks, now), now / 1e9)
        try:
            with self._copier.copied(Original(folder, name, format, status)) as copy:
                # a log moves on while the file's own time stands still
                times = [found[2] for found in looks[:2] if found is not None]
                self._store.keep(path, copy, status, attributes, min(max(times), now))
        except (CopyFailed, OSError) as error:
            reason, damaged = _reason(error)
            known = replace(known, taken_at=taken_at, trouble=reason, damaged=damaged)
            if known.has_shadow:
                with suppress(OSError):
                    self._store.dress(path, status, attributes)
        self._tried[path] = known
        self._show(folder, key, known)
        return known

    def _show(self, folder: int, key: bytes, known: Known) -> None:
        """Bind a shadow over its live file, and hide what lies beside that."""
        if not known.has_shadow:
            return
        name = key.rpartition(b"\0")[2]
        with ExitStack() as stack:
            live = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            stack.callback(os.close, live)
            shadow = os.open(self._store.place(known.path), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, shadow)
            try:
                bind(shadow, live)
            except OSError as error:
                self._troubles.append(f"{shown_path(known.path)} is carried as it lies: its copy was refused: {error}")
                return
            status = os.fstat(shadow)
            self._bound.add((status.st_dev, status.st_ino))
        if known.format == SQLITE:
            hidden = self._hidden.setdefault(key.rpartition(b"\0")[0], set())
            hidden.update(name + side for side in SIDES if may_be_hidden(folder, name + side))

    def _forget(self, path: str) -> None:
        known = self._known.pop(path)
        if self._make and known.has_shadow:
            try:
                self._store.drop(path)
            except OSError as error:
                self._troubles.append(f"the copy of {shown_path(path)} could not be removed: {error}")

    def _save(self) -> None:
        if self._make:
            try:
                self._store.sync()
                save_index(self._index, self._known.values())
            except OSError as error:
                self._troubles.append(f"what is known of SQLite and TDB files could not be written: {error}")

    def _sentence(self, known: Known) -> str:
        where = shown_path(known.path)
        if known.has_shadow:
            minutes = (self._clock.now() - known.taken_at) / 60
            age = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"
            what = f"its sound copy is {age} old and goes on being carried, as no new one could be made"
        else:
            what = "no sound copy could be made, it is carried as it lies"
        return f"{where}: {what}: {readable(known.trouble)}"


def _reason(error: CopyFailed | OSError) -> tuple[str, bool]:
    if isinstance(error, CopyFailed):
        return error.reason, error.damaged
    return error.strerror or str(error), False
