"""The sorted walk: every protected path as a plain tuple, in the order of the manifest, in constant memory.

Folders are read through open handles, one name at a time, so that no link is followed and no path is too long for the
kernel. What vanishes or cannot be read comes out as a `Gap`, never as an exception.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hotsync.changes.folders import DEEPEST, GONE, LONGEST, Frame, entry_at, fold, open_folder, sorted_names, too_long
from hotsync.changes.sealing import Sealing
from hotsync.changes.seen import HEAD, Gap, Remark, Same, SoundCopies
from hotsync.manifest.store import Stamp
from hotsync.model.changeset import MAX_NAME
from hotsync.model.entry import KIND_OF_MODE, Entry, Kind, as_implied, path_of_key, sort_key
from hotsync.model.guard import Place
from hotsync.model.scope import Scope, scope_of
from hotsync.model.selection import Selection
from hotsync.system.files import open_beneath
from hotsync.system.holes import holes_in

__all__ = ["Gap", "Remark", "Same", "Walk"]

PSEUDO = frozenset((
    "autofs", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore",
    "ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
))  # fmt: skip
_WITHOUT_INODES = frozenset(("vfat", "msdos", "exfat"))  # they number anew at each mount
_WITH_SUBVOLUMES = frozenset(("btrfs", "bcachefs"))  # a device number of its own does not make a mount there
_OPEN_FOLDERS = 200
_LARGEST = 2**63 - 1


class Walk:
    """One walk over what a selection carries: iterate once; `complete` turns the last stamp into an Entry.

    `mounts` are mount points that may be entered although no rule names them, `table` is what is mounted (path to
    type, the root's as ""); a folder that is as `sealing` has it comes out as one `Same`. Afterwards `places` tells of
    the roots and mounts, `count` the number of entries. `copies` may put a sound copy in the place of a file that is
    being completed: then `stamp` is of that one. `holes` is how many bytes of it are none that a disk holds.
    """

    def __init__(
        self,
        root: Path,
        selection: Selection,
        mounts: frozenset[str],
        table: Mapping[str, str],
        remark: Callable[[Remark], None],
        status_of: Callable[..., os.stat_result] = os.stat,
        sealing: Sealing | None = None,
        copies: SoundCopies | None = None,
    ) -> None:
        self._sealing, self._copies = sealing, copies
        self._root, self._allowed, self._remark, self._status_of = root, mounts, remark, status_of
        self._scope = scope_of(selection)
        self._roots = frozenset(selection.roots())
        self._root_kind = table.get("", "")
        self._mounted: dict[bytes, dict[bytes, str]] = {}
        for point, kind in table.items():
            if point:
                above, _, name = sort_key(point).rpartition(b"\0")
                self._mounted.setdefault(above, {})[name] = kind
        self._kinds: dict[int, tuple[str, int]] = {}
        self._stack: list[Frame] = []
        self._pending: list[tuple[Stamp, Frame, os.stat_result]] = []
        self._at: tuple[Frame, os.stat_result] | None = None
        self._refused = False
        self._head = b""
        self.stamp: Stamp | None = None
        self.holes = self.count = 0
        self.places: dict[str, Place] = {}

    def complete(self, stamp: Stamp) -> Entry:
        """Given the stamp that came last, return its entry with attributes, flags and target; raise OSError.

        Afterwards `stamp` is the entry's: another one if a sound copy came into its place.
        """
        assert self._at is not None
        frame, status = self._at
        frame.sealable = False
        if frame.descriptor < 0 and (gap := self._reopen(frame)) is not None:
            raise FileNotFoundError(gap.reason)
        numbered = frame.kind not in _WITHOUT_INODES
        self.stamp, self.holes = stamp, 0
        if self._copies is not None and stamp[1] == "f" and stamp[5] >= HEAD:
            return self._sound(self._copies, frame, stamp, status, numbered=numbered)
        entry = entry_at(frame.descriptor, stamp[0], Kind(stamp[1]), status, numbered=numbered, peek=self._measure)
        return as_implied(entry) if stamp[6:9] == (0, 0, 0) else entry

    def _sound(
        self, copies: SoundCopies, frame: Frame, stamp: Stamp, status: os.stat_result, *, numbered: bool
    ) -> Entry:
        """Return the entry of a file, or of the sound copy that lies in its place once it was recognised."""
        key, folder, self._head = stamp[0], frame.descriptor, b""
        entry = entry_at(folder, key, Kind.FILE, status, numbered=numbered, peek=self._peek)
        if copies.met(folder, key, self._head, status):
            frame.leave_out(copies.hidden(frame.key))
            status = self._status_of(key.rpartition(b"\0")[2], dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError(errno.ENOENT, "it was replaced meanwhile")
            entry = entry_at(folder, key, Kind.FILE, status, numbered=numbered, peek=self._measure)
            self.stamp = _stamp_of(entry, stamp)
        return entry

    def _peek(self, descriptor: int) -> None:
        self._head = os.pread(descriptor, HEAD, 0)
        self._measure(descriptor)

    def _measure(self, descriptor: int) -> None:
        self.holes = holes_in(descriptor)

    def refuse(self) -> None:
        """Do not go into the folder of the last stamp: its entry could not be completed."""
        self._refused = True

    def __iter__(self) -> Generator[Stamp | Gap | Same, None, None]:
        # one function, as every call and every generator in between costs as much as the comparison itself
        stack, kinds, status_of = self._stack, self._kinds, self._status_of
        with self._opened():
            while stack:
                frame = stack[-1]
                if frame.same:
                    self.count += frame.same
                    yield Same(frame.prefix, frame.key + b"\1")
                    self._leave()
                    continue
                if frame.descriptor < 0 and (gap := self._reopen(frame)) is not None:
                    frame.names = iter(())
                    yield from self._missing(gap)
                    self._leave()
                    continue
                folder, prefix, plain = frame.descriptor, frame.prefix, frame.plain
                numbered = frame.kind not in _WITHOUT_INODES
                for name in frame.names:
                    try:
                        status = status_of(name, dir_fd=folder, follow_symlinks=False)
                    except OSError as error:
                        yield from self._missing(self._unseen(prefix + name, error))
                        continue
                    inode, mode = status.st_ino if numbered else 0, status.st_mode
                    if inode > _LARGEST:
                        inode = fold(inode)
                    kind, permissions = kinds.get(mode) or self._kind(mode)
                    stamp: Stamp = (
                        prefix + name, kind, permissions, status.st_uid, status.st_gid,
                        status.st_size if kind == "f" else 0, status.st_mtime_ns, status.st_ctime_ns, inode,
                        1 if kind == "d" else status.st_nlink, 0,
                    )  # fmt: skip
                    if plain and kind != "d" and kind:
                        self.count += 1
                        self._at = (frame, status)
                        yield stamp
                        continue
                    yield from self._special(frame, name, stamp, status)
                    if stack[-1] is not frame:
                        break  # into the folder; this one goes on later
                else:
                    self._leave()

    @contextmanager
    def _opened(self) -> Iterator[None]:
        top = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._stack.append(self._framed(b"", top, self._scope, self._root_kind))
            yield
        finally:
            os.close(top)
            for frame in self._stack[1:]:
                frame.close()

    def _special(self, frame: Frame, name: bytes, stamp: Stamp, status: os.stat_result) -> Iterator[Stamp | Gap]:
        """Yield what is not a plain object in a folder that is carried whole; enter it if it is a folder."""
        key, kind = stamp[0], stamp[1]
        scope = frame.child or frame.scope
        frame.sealable = False
        if len(name) > MAX_NAME or len(key) > LONGEST:
            yield from self._missing(Gap(key, key, key + b"\1", False, "its name or path is too long"))
        elif kind == "d" and len(self._stack) > DEEPEST:
            yield from self._missing(Gap(key, key, key + b"\1", False, f"it lies more than {DEEPEST} folders deep"))
        elif not kind:
            if scope.carried:
                self._remark(Remark("skipped.socket", path_of_key(key), "is a socket"))
        else:
            if not frame.plain and (path := path_of_key(key)) in self._roots:
                self.places[path] = Place(Kind(kind), name in frame.mounted)
            if scope.carried:
                refused = yield from self._flushed()
                if refused is None:
                    self.count += 1
                    self._at = (frame, status)
                    yield stamp
                    refused = key if self._refused else None
                if refused is not None:
                    yield self._cut(refused)
                    return
            if kind == "d" and (gap := self._enter(frame, name, stamp, status, scope)) is not None:
                # a folder that is not carried itself has not been shown yet
                yield from self._missing(gap if scope.carried else gap._replace(start=key))

    def _flushed(self) -> Generator[Stamp, None, bytes | None]:
        """Yield the folders above, which are entries now that something in them is; return the key of one refused."""
        waiting, self._pending = self._pending, []
        for stamp, above, status in waiting:
            self.count += 1
            self._at = (above, status)
            yield stamp
            if self._refused:
                return stamp[0]
        return None

    def _missing(self, gap: Gap) -> Iterator[Stamp | Gap]:
        """Yield a gap, after the folders above: what it keeps needs them."""
        refused = yield from self._flushed()
        yield gap if refused is None else self._cut(refused)

    def _cut(self, key: bytes) -> Gap:
        """Leave a folder that was refused: nothing below it may come without it."""
        self._refused = False
        for frame in self._stack:
            if frame.key == key or frame.key.startswith(key + b"\0"):
                frame.names = iter(())
        return self._closed(key, True, "it vanished while it was looked at")

    def _enter(self, frame: Frame, name: bytes, stamp: Stamp, status: os.stat_result, scope: Scope) -> Gap | None:
        key, mounted = stamp[0], frame.mounted.get(name)
        if mounted is None and status.st_dev != frame.device and not self._may_differ(frame, key):
            return self._closed(key, False, "another file system was mounted there meanwhile")
        place = (status.st_dev, status.st_ino)
        if mounted is not None and any((above.device, above.inode) == place for above in self._stack):
            self._remark(Remark("skipped.loop", path_of_key(key), "is a mount of a folder above it"))
            return None
        try:
            descriptor = open_folder(name, frame.descriptor)
        except OSError as error:
            return self._closed(key, error.errno in GONE, error.strerror or "cannot be opened")
        try:
            entered = self._framed(key, descriptor, scope, mounted or frame.kind)
        except OSError as error:
            os.close(descriptor)
            return self._closed(key, False, error.strerror or "cannot be read")
        if (entered.device, entered.inode) != place:
            entered.close()
            return self._closed(key, True, "it was replaced meanwhile")
        if not scope.carried:
            entered.pending = True
            self._pending.append(((*stamp[:6], 0, 0, 0, *stamp[9:]), frame, status))  # as `as_implied` has it
        path = "" if frame.plain else path_of_key(key)
        if mounted is not None or path in self._roots:
            self.places.setdefault(path, Place(Kind.DIRECTORY, mounted is not None))
            entered.place, entered.before = path, self.count
        frame.last = name
        self._stack.append(entered)
        if len(self._stack) > _OPEN_FOLDERS:
            self._stack[-_OPEN_FOLDERS].close()
        return None

    def _may_differ(self, frame: Frame, key: bytes) -> bool:
        """Say whether a folder may have a device number of its own although nothing was mounted there before."""
        return frame.kind in _WITH_SUBVOLUMES or (self._copies is not None and self._copies.covers(key))

    def _framed(self, key: bytes, descriptor: int, scope: Scope, kind: str) -> Frame:
        """Return the frame of an open folder: its names in order, without those that no rule wants."""
        status = os.fstat(descriptor)
        mounted = self._mounted.get(key, {})
        frame = Frame(key, descriptor, status.st_dev, status.st_ino, kind, scope, mounted)
        names = self._shown(frame, sorted_names(descriptor, status.st_size))
        if scope.uniform and not mounted and isinstance(names, list) and not too_long(frame.prefix, names):
            frame.names = iter(names if scope.carried else ())
            if self._sealing is not None and scope.carried and names and kind not in _WITHOUT_INODES:
                frame.same = len(names) if self._sealing.holds(key, descriptor, names, self._status_of) else 0
                frame.sealable = not frame.same
        else:
            frame.plain, frame.names = False, self._wanted(frame, names)
        return frame

    def _shown(self, frame: Frame, names: list[bytes] | Iterator[bytes]) -> list[bytes] | Iterator[bytes]:
        """Return the names of a folder without those that belong to a sound copy."""
        copies = self._copies
        if copies is None:
            return names
        if not isinstance(names, list):
            return (name for name in names if name not in copies.hidden(frame.key))
        frame.listed = names
        frame.leave_out(copies.hidden(frame.key))
        return names

    def _wanted(self, frame: Frame, names: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the names that a rule wants; the scope of each is `frame.child` while it is the last one."""
        for name in names:
            scope = frame.scope.child(name.decode("utf-8", "surrogateescape"))
            if name in frame.mounted:
                scope = self._across(frame.prefix + name, frame.mounted[name], scope)
            if scope.carried or scope.may_carry_below:
                frame.child = scope
                yield name

    def _across(self, key: bytes, kind: str, scope: Scope) -> Scope:
        """Given a mount point, return what holds there: what it would inherit counts only where it is allowed."""
        path = path_of_key(key)
        entered = scope.across(allowed=path in self._allowed, pseudo=kind in PSEUDO)
        if scope.carried and entered is scope.nothing():
            self._remark(Remark("skipped.mount", path, f"is a mounted {kind} file system that no rule names"))
        return entered

    def _unseen(self, key: bytes, error: OSError) -> Gap:
        self._unreadable(key)
        return Gap(key, key, key + b"\1", error.errno in GONE, error.strerror or "cannot be read")

    def _closed(self, key: bytes, vanished: bool, reason: str) -> Gap:
        self._unreadable(key)
        return Gap(key, key + b"\0", key + b"\1", vanished, reason)

    def _unreadable(self, key: bytes) -> None:
        path = path_of_key(key)
        if path in self._roots:
            self.places[path] = Place(Kind.DIRECTORY, readable=False)

    def _leave(self) -> None:
        frame = self._stack.pop()
        if self._stack:
            frame.close()
        if frame.sealable and self._sealing is not None:
            self._sealing.want(frame.key)
        if frame.pending and self._pending:
            self._pending.pop()
        if frame.place:
            self.places[frame.place] = replace(self.places[frame.place], entries=1 + self.count - frame.before)

    def _reopen(self, frame: Frame) -> Gap | None:
        """Open a folder again whose handle was given up in a deep tree; return a gap if it is gone or another."""
        rest = (frame.key, frame.prefix + frame.last + b"\1", frame.key + b"\1")
        try:
            descriptor = self._descend(frame.key)
        except OSError as error:
            return Gap(*rest, error.errno in GONE, error.strerror or "cannot be opened")
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != (frame.device, frame.inode):
            os.close(descriptor)
            return Gap(*rest, True, "it was replaced meanwhile")
        frame.descriptor = descriptor
        return None

    def _descend(self, key: bytes) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        return open_beneath(self._stack[0].descriptor, key.replace(b"\0", b"/"), flags)

    def _kind(self, mode: int) -> tuple[str, int]:
        kind = KIND_OF_MODE.get(stat.S_IFMT(mode))
        return self._kinds.setdefault(mode, (kind.value if kind else "", stat.S_IMODE(mode)))


def _stamp_of(entry: Entry, stamp: Stamp) -> Stamp:
    """Given the entry of a file and the stamp that another one had at its place, return its own."""
    inode = fold(entry.inode) if entry.inode > _LARGEST else entry.inode
    return (
        *stamp[:2], entry.mode, entry.uid, entry.gid, entry.size, entry.mtime_ns, entry.ctime_ns, inode, entry.links,
        stamp[10],
    )  # fmt: skip
