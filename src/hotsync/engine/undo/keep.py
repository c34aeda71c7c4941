"""What production had written since its promotion: counted beforehand, and kept aside when it has left.

It is kept below undone/EPOCH: `files/` has everything new or changed, `etc/` all of production's /etc, `databases/` the
dumps; written.txt and written.json say of each path what production did with it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from hotsync.manifest.store import Manifest
from hotsync.model.entry import Kind
from hotsync.model.loss import Fate, Tally
from hotsync.model.mail_queue import is_queued_mail
from hotsync.model.promotion import ETC, How, Promotion
from hotsync.model.readable import readable
from hotsync.model.undo import Place, What, Written
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders, Walk
from hotsync.replica.ledger import Ledger
from hotsync.replica.metadata import attributes_at, copy_object, kind_of
from hotsync.replica.touched import Touched, touched
from hotsync.system import files, flags
from hotsync.system.attributes import write_attributes
from hotsync.system.paths import Paths
from hotsync.system.trees import copy_exactly, inode, remove

_FATES = {What.NEW: Fate.NEW, What.CHANGED: Fate.CHANGED, What.DELETED: Fate.DELETED}


@dataclass(frozen=True, slots=True)
class One:
    """One path that production wrote: what it did with it, and what lies there now (None: nothing any more)."""

    path: str
    what: What
    now: os.stat_result | None


class Keeping:
    """What production wrote into the files of one promotion."""

    def __init__(self, paths: Paths, promotion: Promotion, since: float, mail_folders: tuple[str, ...] = ()) -> None:
        self._paths = paths
        self._promotion = promotion
        self._since = since
        self._mail_folders = mail_folders
        self._kept = paths.undone / str(promotion.epoch)
        self._tree = paths.replica / "tree"

    # --- beforehand, where production lives ---------------------------------------------------------------------------

    def count(self, new: Iterable[str] = ()) -> Written:
        """Return what production has written up to now, `new` paths beside units too; it may go on meanwhile."""
        counts = _Counts(Tally(self._mail_folders))
        with ExitStack() as stack:
            live = stack.enter_context(Folders(self._paths.root))
            manifest, ledger = self._manifest(stack)
            for unit in self._promotion.units:
                if unit.how is How.ASIDE or self._waits(unit.path, unit.inode, unit.how):
                    continue
                for one in _judged(touched(manifest, ledger, live, self._since, unit.path, tolerant=True)):
                    counts.add(one)
            for path in new:
                for one in _judged(touched(manifest, ledger, live, self._since, path, tolerant=True)):
                    counts.add(one)
        return counts.written(len(list(self._of_etc(self._paths.at("/etc")))))

    def _waits(self, path: str, number: int, how: How) -> bool:
        """Return whether a unit has not been moved into production yet."""
        if how is How.COPY:
            return self._promotion.copy_of(path) is None
        return inode(self._tree / path) == number

    def _of_etc(self, etc: Path) -> Iterator[str]:
        """Return the files of production's /etc that were changed since production began."""
        if not self._since or not self._promotion.etc_inode or inode(etc) != self._promotion.etc_inode:
            return
        with Folders(etc) as folders:
            for path, status in Walk(folders, tolerant=True):
                if status.st_ctime >= self._since and not stat.S_ISDIR(status.st_mode):
                    yield path

    # --- when it has left ---------------------------------------------------------------------------------------------

    def keep(self, places: Iterable[Place]) -> Written:
        """Copy what production wrote aside, with a list for people and one for programs; doing it again is fine."""
        counts, configuration = _Counts(Tally(self._mail_folders)), 0
        target = self._kept / "files"
        remove(target)
        target.mkdir(mode=0o700, parents=True)
        with ExitStack() as stack:
            manifest, ledger = self._manifest(stack)
            text = stack.enter_context(files.open_atomic(self._kept / "written.txt", mode=0o600))
            lines = stack.enter_context(files.open_atomic(self._kept / "written.json", mode=0o600))
            copies = stack.enter_context(Folders(target))
            tree = stack.enter_context(Folders(self._tree))
            for entry in manifest.flagged():  # what the promotion set, maybe long before production began
                if entry.kind in (Kind.FILE, Kind.DIRECTORY):
                    _free(tree, entry.path)
            for one in _judged(touched(manifest, ledger, tree, self._since, "", partial(_free, tree))):
                counts.add(one)
                _keep(one, tree, copies)
                _list(one, text, lines)
            for place in places:
                moved = self._paths.root / place.to
                if place.tree or not place.live or inode(moved / place.path) is None:
                    continue
                if place.path == ETC:
                    changed = list(self._of_etc(moved / ETC))
                    configuration = len(changed)
                    for path in changed:
                        _list(One(f"{ETC}/{path}", What.CHANGED, None), text, lines)
                    remove(self._kept / ETC)
                    copy_exactly(moved / ETC, self._kept / ETC)
                    continue
                with Folders(moved) as folders:
                    for one in self._of_moved(place, manifest, ledger, folders):
                        counts.add(one)
                        _keep(one, folders, copies)
                        _list(one, text, lines)
        files.sync_filesystem(self._kept)
        return counts.written(configuration)

    def _of_moved(self, place: Place, manifest: Manifest, ledger: Ledger, folders: Folders) -> Iterator[One]:
        yield from _judged(touched(manifest, ledger, folders, self._since, place.path))

    def _manifest(self, stack: ExitStack) -> tuple[Manifest, Ledger]:
        manifest = stack.enter_context(Manifest(self._paths.manifest))
        ledger = Ledger(manifest)
        stack.callback(ledger.close)
        return manifest, ledger


def _judged(found: Iterable[Touched]) -> Iterator[One]:
    """Return what production did with each path; of a folder that was there before, its time says nothing."""
    for one in found:
        if one.now is None:
            yield One(one.path, What.DELETED, None)
        elif one.before is None:
            yield One(one.path, What.NEW, one.now)
        elif one.content:
            yield One(one.path, What.CHANGED, one.now)
        elif not stat.S_ISDIR(one.now.st_mode) or _has_other_rights(one):
            yield One(one.path, What.RIGHTS, one.now)


def _has_other_rights(one: Touched) -> bool:
    assert one.before is not None
    assert one.now is not None
    before = (one.before.mode, one.before.uid, one.before.gid)
    return before != (stat.S_IMODE(one.now.st_mode), one.now.st_uid, one.now.st_gid)


@dataclass(slots=True)
class _Counts:
    """What was written, counted path by path."""

    tally: Tally
    rights: int = 0
    queued: int = 0

    def add(self, one: One) -> None:
        """Count a path."""
        if one.what is What.RIGHTS:
            self.rights += 1
            return
        size = one.now.st_size if one.now is not None else 0
        folder = one.now is not None and stat.S_ISDIR(one.now.st_mode)
        self.queued += one.what is What.NEW and not folder and is_queued_mail(one.path)
        self.tally.add(one.path, _FATES[one.what], size, folder=folder)

    def written(self, configuration: int) -> Written:
        """Return all of it, with the files of /etc."""
        said = self.tally.statement(0, "", 0.0)
        return Written(said.files, said.bytes, said.mails, self.rights, said.deleted, configuration, queued=self.queued)


def _keep(one: One, source: Folders, copies: Folders) -> None:
    """Copy what is new or changed, with all its metadata."""
    if one.now is None:
        return
    if kind_of(one.now) is None:
        return
    effects = Effects()
    folder = stat.S_ISDIR(one.now.st_mode)
    copies.make(os.path.dirname(one.path), effects)
    at = copies.at(one.path)
    if folder:
        copies.make(one.path, effects)
    else:
        copy_object(source.at(one.path), at)
    os.chown(at[1], one.now.st_uid, one.now.st_gid, dir_fd=at[0], follow_symlinks=False)
    write_attributes(at[1], at[0], attributes_at(source, one.path))
    if not stat.S_ISLNK(one.now.st_mode):
        os.chmod(f"/proc/self/fd/{at[0]}/{at[1]}", stat.S_IMODE(one.now.st_mode))
    times = (one.now.st_atime_ns, one.now.st_mtime_ns)
    os.utime(at[1], ns=times, dir_fd=at[0], follow_symlinks=False)


def _free(folders: Folders, path: str) -> None:
    """What chattr made immutable for production would hold the replica fast."""
    with suppress(OSError):  # it is no file, or its file system has no such attributes
        descriptor = folders.open_file(path)
        try:
            flags.clear_flags(descriptor, flags.CARRIED)
        finally:
            os.close(descriptor)


def _list(one: One, text: IO[bytes], lines: IO[bytes]) -> None:
    text.write(f"{one.what.value:8} {readable(f'/{one.path}')}\n".encode("utf-8", "surrogateescape"))
    size = one.now.st_size if one.now is not None else 0
    document = {"path": one.path, "what": one.what.value, "size": size}
    lines.write(json.dumps(document).encode("ascii") + b"\n")
