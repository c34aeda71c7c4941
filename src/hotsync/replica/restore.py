"""A path out of a generation, written somewhere else with all its metadata; what is there already is not touched."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hotsync.errors import Refused, ReplicaError, TargetRefused, UsageError
from hotsync.model.changeset import folders_of
from hotsync.model.entry import Entry, Kind, parent_of
from hotsync.model.readable import readable
from hotsync.model.report import Notice
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.history import History, Was
from hotsync.replica.layout import Layout
from hotsync.replica.metadata import as_it_lies, attributes_at, copy_object, kind_of, set_metadata
from hotsync.system.attributes import Attributes
from hotsync.system.files import rename_noreplace, sync_filesystem

_NOT_OF_THE_TARGET = (errno.EIO, errno.EUCLEAN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_SOURCES = 8
_HELD = 8

Told = Callable[[str], None]


@dataclass(slots=True)
class RestoreReport:
    """What a restore wrote, where, and what it could not write."""

    generation: int
    path: str
    target: Path
    folders: int = 0
    files: int = 0
    bytes: int = 0
    notices: list[Notice] = field(default_factory=list[Notice])


class Restoring:
    """One restore of one path."""

    def __init__(self, layout: Layout, history: History, number: int, closed: str, told: Told | None) -> None:
        self._layout = layout
        self._history = history
        self._number = number
        self._closed = closed
        self._told = told
        self._sources: OrderedDict[int, Folders] = OrderedDict()
        self._links: dict[tuple[int, int], str] = {}
        self._parents: list[tuple[str, Entry, Attributes]] = []
        self._finish: list[tuple[str, Entry, Attributes]] = []
        self._written: dict[int, str] = {}  # a folder of each file system, by that one's number

    def run(self, path: str, to: Path) -> RestoreReport:
        """Write the path as it was below `to`; raise UsageError if it did not exist, Refused if it exists there.

        Raise TargetRefused if nothing can be written there. Only where `to` is the root itself may things be replaced,
        one by one; nothing is removed there. What was written is on the disk then, also if the power fails.
        """
        try:
            return self._run(path, to)
        except OSError as error:
            if error.errno in _NOT_OF_THE_TARGET:
                raise
            # what lies in the replica was looked at before it is opened, under its lock: what fails is the writing
            raise TargetRefused(path=to, reason=error.strerror or error) from error

    def stage(self, was: Was, target: Folders) -> Notice | None:
        """Write one path under its own name; return why the replica cannot, None if it could. Raise OSError."""
        report = RestoreReport(self._number, was.path, Path())
        self._write(was, was.path, target, report)
        return next((notice for notice in report.notices if notice.code != "restore.damaged"), None)

    def finish_staging(self, target: Folders) -> None:
        """Set what the staged folders are like; nothing is written into them any more. Raise OSError."""
        _set_folders(target, self._finish)
        self._close_sources()

    def _run(self, path: str, to: Path) -> RestoreReport:
        report = RestoreReport(self._number, path, to / path)
        was = self._history.path_as_of(self._number, path)
        if was is None:
            raise UsageError(
                reason=f"/{path} did not exist in generation {self._number}.",
                hint="`hotsync history` lists the generations; name an older or newer one with --at, or mend the path.",
            )
        self._refuse(was, to)
        over = to.resolve() == Path("/")
        to.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.callback(self._close_sources)
            # a link to a folder is the administrator's own way of naming it
            target = stack.enter_context(Folders(Path(os.path.realpath(to)), _HELD * _SOURCES))
            self._make_parents(path, target)
            if over:
                self._write_all(path, path, target, report)
            else:
                self._write_beside(path, target, report)
            _set_folders(target, self._parents)
            self._written[target.device] = ""
            for folder in self._written.values():
                sync_filesystem(_open_path(target.folder(folder)))
        return report

    def _refuse(self, was: Was, to: Path) -> None:
        resolved = to.resolve()
        root = self._layout.root.resolve()
        if resolved == root or root in resolved.parents:
            raise Refused(reason=f"{to} lies inside the replica", hint="Name another folder with --to.")
        if resolved != Path("/") and os.path.lexists(to / was.path):
            raise Refused(
                reason=f"{to / was.path} exists already", hint="Name another folder with --to, or move it away first."
            )
        if self._closed and was.number == 0 and was.entry.kind is not Kind.DIRECTORY:
            raise ReplicaError(
                reason=f"/{was.path} did not change since generation {self._number}, and the tree is live"
                f" ({self._closed})",
                hint=f"/{was.path} on this server is the newest there is.",
            )

    def _make_parents(self, path: str, target: Folders) -> None:
        for folder in reversed([*folders_of(path)]):
            if target.stat(folder) is None:
                was = self._history.path_as_of(self._number, folder)
                target.make(folder, Effects())
                if was is not None and was.entry.kind is Kind.DIRECTORY:
                    self._parents.append((folder, was.entry, self._attributes(was)))

    def _write_beside(self, path: str, target: Folders, report: RestoreReport) -> None:
        """Write under a name of its own first: the path appears whole, or not at all."""
        folder = parent_of(path)
        temporary = f"{folder}/.hotsync-{secrets.token_hex(6)}" if folder else f".hotsync-{secrets.token_hex(6)}"
        try:
            self._write_all(path, temporary, target, report)
            if target.stat(temporary) is None:
                why = report.notices[0].sentence if report.notices else "nothing is left of it"
                raise ReplicaError(reason=f"generation {self._number}, {why}")
            directory, name = target.at(temporary)
            sync_filesystem(_open_path(directory))
            rename_noreplace(name, target.at(path)[1], old_dir=directory, new_dir=directory)
            self._written = {os.fstat(directory).st_dev: folder}
        except BaseException:
            target.forget()
            target.remove(temporary, Effects())
            raise
        target.forget()

    def _write_all(self, path: str, as_path: str, target: Folders, report: RestoreReport) -> None:
        for was in self._history.as_of(self._number, path):
            if self._told is not None:
                self._told(was.path)
            self._write(was, as_path + was.path[len(path) :], target, report)
        _set_folders(target, self._finish)

    def _write(self, was: Was, goal: str, target: Folders, report: RestoreReport) -> None:
        if was.lost or (self._closed and was.number == 0):
            why = "the replica has lost it" if was.lost else "it did not change since, and the tree is live"
            if was.entry.kind is not Kind.DIRECTORY:
                report.notices.append(_notice("missing", was.path, why))
                return
            if was.lost:
                report.notices.append(_notice("damaged", was.path, "its attributes are lost"))
        present = target.stat(goal)
        if was.entry.kind is Kind.DIRECTORY:
            self._write_folder(was, goal, target, report, present)
            return
        if present is not None and stat.S_ISDIR(present.st_mode):
            report.notices.append(_notice("in_the_way", was.path, "a folder is in the way"))
            return
        source = self._source(was.number)
        status = source.stat(was.path)
        if status is None or kind_of(status) is not was.entry.kind:
            report.notices.append(_notice("missing", was.path, "the replica has lost it"))
            return
        self._write_object(was, status, goal, target, report, over=present is not None)

    def _write_folder(
        self, was: Was, goal: str, target: Folders, report: RestoreReport, present: os.stat_result | None
    ) -> None:
        if present is not None and not stat.S_ISDIR(present.st_mode):
            report.notices.append(_notice("in_the_way", was.path, "what is there is no folder"))
            return
        target.make(goal, Effects())
        self._written.setdefault(os.fstat(target.folder(goal)).st_dev, goal)
        self._finish.append((goal, was.entry, self._attributes(was)))
        report.folders += 1

    def _write_object(
        self, was: Was, status: os.stat_result, goal: str, target: Folders, report: RestoreReport, *, over: bool
    ) -> None:
        try:
            folder, name = target.at(goal)
        except OSError:
            report.notices.append(_notice("in_the_way", was.path, "its folder is in the way"))
            return
        temporary = f".hotsync-{secrets.token_hex(6)}"
        try:
            self._write_new(was, status, (folder, temporary), target, report)
            if over and stat.S_ISREG(status.st_mode):
                _sync((folder, temporary))  # else a power cut could leave neither the old file nor this one
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        self._written.setdefault(os.fstat(folder).st_dev, parent_of(goal))
        if status.st_nlink > 1:
            self._links[status.st_dev, status.st_ino] = goal
        report.files += 1

    def _write_new(
        self, was: Was, status: os.stat_result, new: tuple[int, str], target: Folders, report: RestoreReport
    ) -> None:
        """Write an object, or another name of one that was written, under a name that nothing has."""
        source = self._source(was.number)
        folder, temporary = new
        key = (status.st_dev, status.st_ino)
        other = self._links.get(key) if status.st_nlink > 1 else None
        if other is not None:
            other_folder, other_name = target.at(other)
            os.link(other_name, temporary, src_dir_fd=other_folder, dst_dir_fd=folder, follow_symlinks=False)
        else:
            found = copy_object(source.at(was.path), new)
            if was.sum and found and found != was.sum:
                report.notices.append(_notice("damaged", was.path, "its content is not what once arrived"))
            actual = was.entry if was.attributes is not None else as_it_lies(was.entry, status)
            set_metadata(new, actual, self._attributes(was))
            report.bytes += status.st_size if was.entry.kind is Kind.FILE else 0

    def _attributes(self, was: Was) -> Attributes:
        if was.attributes is not None:
            return was.attributes
        if self._closed and was.number == 0:
            return {}
        return attributes_at(self._source(was.number), was.path)

    def _source(self, number: int) -> Folders:
        """Return where a generation's objects lie; few are held open, as a history may be of thousands."""
        if number in self._sources:
            self._sources.move_to_end(number)
            return self._sources[number]
        if len(self._sources) >= _SOURCES:
            self._sources.popitem(last=False)[1].close()
        root = self._layout.files(number) if number else self._layout.tree
        self._sources[number] = Folders(root, _HELD)
        return self._sources[number]

    def _close_sources(self) -> None:
        while self._sources:
            self._sources.popitem()[1].close()


def _open_path(descriptor: int) -> str:
    """Return a path to what is open, whatever has become of its name."""
    return f"/proc/self/fd/{descriptor}"


def _sync(at: tuple[int, str]) -> None:
    """Given an open folder and the name of a file in it, make its content and metadata durable; raise OSError."""
    folder, name = at
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _notice(code: str, path: str, why: str) -> Notice:
    return Notice(f"restore.{code}", f"{readable(f'/{path}')}: {why}", path)


def _set_folders(target: Folders, folders: list[tuple[str, Entry, Attributes]]) -> None:
    """Set what folders are like once nothing is written into them any more, the deepest first."""
    for path, entry, attributes in sorted(folders, key=lambda item: item[0].count("/"), reverse=True):
        set_metadata(target.at(path), entry, attributes)
