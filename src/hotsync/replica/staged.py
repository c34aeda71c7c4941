"""What has arrived, held against the final changeset: everything that it names, nothing else, and no lies."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from hotsync.model.entry import Change, Entry, Kind, Verb, parent_of, sort_key
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders, Walk
from hotsync.replica.metadata import attributes_at, differences, kind_of, set_time
from hotsync.replica.sums import Answer, SumWriter, value_of
from hotsync.system.attributes import Attributes, attributes_of, hash_attributes
from hotsync.system.sums import sum_of_file

_SHOWN = 5
_KEPT = 100


class Notes:
    """What is to be said of paths: the first ones in words, of all the number, however many a changeset brings."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self.count = 0

    def add(self, note: str) -> None:
        """Note one more."""
        self.count += 1
        if len(self.first) < _KEPT:
            self.first.append(note)

    def summary(self, shown: int = _SHOWN) -> str:
        """Return the first of them and how many more there are, in one clause."""
        more = f" and {self.count - shown} more" if self.count > shown else ""
        return "; ".join(self.first[:shown]) + more

    def lines(self) -> tuple[str, ...]:
        """Return the first of them, each for itself, with a last one that says how many more there are."""
        more = self.count - len(self.first)
        return (*self.first, f"and {more} more like these") if more else tuple(self.first)


@dataclass(slots=True)
class _Inode:
    """Something in staging with more than one name: the group that it is on the MASTER, and the names seen."""

    group: object
    path: str
    names: int
    sum: Answer | None


class Staged:
    """Follows the changes of a changeset through staging; ask in their order, then `finish`."""

    def __init__(self, folders: Folders, sums: SumWriter, effects: Effects) -> None:
        self.folders = folders
        self.faults = Notes()
        self.warnings = Notes()
        self.bytes = 0
        self._sums = sums
        self._effects = effects
        self._walk = Walk(folders)
        self._ahead: tuple[str, os.stat_result] | None = None
        self._groups: dict[tuple[int, int], str] = {}
        self._inodes: dict[int, _Inode] = {}
        self._times: dict[str, int] = {}
        self._touched: set[str] = set()

    def find(self, change: Change) -> os.stat_result | None:
        """Given the next change, remove what lies before it unasked; return what arrived for it, or None."""
        key = sort_key(change.path)
        while (ahead := self._peek()) is not None:
            path, status = ahead
            if path == change.path:
                if change.verb is Verb.DELETE or (
                    change.verb is Verb.META and change.entry and change.entry.kind is not Kind.DIRECTORY
                ):
                    self._discard(path)
                    return None
                self._ahead = None
                return status
            if sort_key(path) > key:
                return None
            if stat.S_ISDIR(status.st_mode) and change.path.startswith(path + "/"):
                self._ahead = None  # a folder on the way
            else:
                self._discard(path)
        return None

    def check(self, entry: Entry, status: os.stat_result) -> bool:
        """Given an entry and what arrived for it, note what is wrong with it; return whether it may be used."""
        wrong = differences(entry, status, self.folders)
        if entry.kind is Kind.DIRECTORY and wrong != ["kind"]:
            # what is removed from a folder or mended in it moves its time; the changeset has the right one
            self._times[entry.path] = entry.mtime_ns
            if "time" in wrong:
                wrong.remove("time")
                self._touched.add(entry.path)
        if not wrong and entry.kind is not Kind.DIRECTORY:
            wrong = self._check_links(entry, status)
        if wrong:
            self.lie(entry.path, ", ".join(wrong))
            return False
        if entry.kind is not Kind.FILE:
            self._compare_attributes(entry, attributes_at(self.folders, entry.path))
        return True

    def _compare_attributes(self, entry: Entry, found: Attributes) -> None:
        if hash_attributes(found) != entry.attributes and not entry.unsettled:
            self.warnings.add(f"/{entry.path}: its ACL or extended attributes differ from the MASTER's")

    def _open(self, entry: Entry) -> int:
        """Return a file open for reading its content; on the way, look at its attributes."""
        descriptor = self.folders.open_file(entry.path)
        self._compare_attributes(entry, attributes_of(descriptor))
        return descriptor

    def missing(self, path: str) -> None:
        """Note that something did not arrive."""
        self.faults.add(f"/{path} (missing)")

    def lie(self, path: str, what: str) -> None:
        """Note that what arrived at a path is wrong, and remove it, so that it is sent anew."""
        self.faults.add(f"/{path} ({what})")
        self._walk.skip()
        self._remove(path)

    def finish(self) -> None:
        """Remove what is left over, look for links from elsewhere, set the times of folders that were touched."""
        while (ahead := self._peek()) is not None:
            self._discard(ahead[0])
        for inode in self._inodes.values():
            status = self.folders.stat(inode.path)
            if status is not None and status.st_nlink != inode.names:
                self.lie(inode.path, "linked from elsewhere")
        for path in self._touched & self._times.keys():
            if self.folders.stat(path) is not None:
                with self._effects("time"):
                    set_time(self.folders.at(path), self._times[path])

    def _check_links(self, entry: Entry, status: os.stat_result) -> list[str]:
        """Return what is wrong with the names that this path shares its object with; ask for the sum of a file."""
        group = (entry.device, entry.inode) if entry.links > 1 else None
        first = self._groups.setdefault(group, entry.path) if group else entry.path
        if first != entry.path:
            joined = self._joined(entry, first, status)
            if joined is None and not entry.unsettled:
                return [f"not one with /{first}"]
            status = joined or status
        known = self._inodes.get(status.st_ino)
        is_file = entry.kind is Kind.FILE
        if known is None:
            answer = self._sums.add(entry.path, self._open(entry), status.st_size) if is_file else None
            self.bytes += status.st_size if is_file else 0
            if group or status.st_nlink > 1:
                self._inodes[status.st_ino] = _Inode(group or entry.path, entry.path, 1, answer)
            return []
        if known.group != (group or entry.path):
            return [f"one with /{known.path}"]
        known.names += 1
        if known.sum is not None:
            self._sums.repeat(entry.path, known.sum)
        return []

    def _joined(self, entry: Entry, first: str, status: os.stat_result) -> os.stat_result | None:
        """Given a name of something that has another, make them one if two equal ones came; return what lies there."""
        path = entry.path
        other = self.folders.stat(first)
        known = None if other is None else self._inodes.get(other.st_ino)
        if other is None or known is None:
            return None
        if other.st_ino == status.st_ino:
            return status
        if kind_of(other) is not entry.kind or other.st_rdev != status.st_rdev:
            return None
        if entry.kind is Kind.SYMLINK and self.folders.target(first) != entry.target:
            return None
        if known.sum is not None and sum_of_file(self.folders.open_file(path)) != value_of(known.sum):
            return None
        folder, name = self.folders.at(path)
        first_folder, first_name = self.folders.at(first)
        with self._effects("unlink"):
            os.unlink(name, dir_fd=folder)
        with self._effects("link"):
            os.link(first_name, name, src_dir_fd=first_folder, dst_dir_fd=folder, follow_symlinks=False)
        self._touched.add(parent_of(path))
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def _peek(self) -> tuple[str, os.stat_result] | None:
        if self._ahead is None:
            self._ahead = next(self._walk, None)
        return self._ahead

    def _discard(self, path: str) -> None:
        self._walk.skip()
        self._ahead = None
        self._remove(path)

    def _remove(self, path: str) -> None:
        try:
            self.folders.remove(path, self._effects)
        except OSError as error:
            if error.errno != errno.EPERM:
                raise
            self.faults.add(f"/{path} (cannot be removed from staging: {error.strerror})")
        self._touched.add(parent_of(path))
