"""Past the point of no return: the operations of a journalled commit, each of which can be repeated; rolled forward."""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from hotsync.errors import ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.entry import parent_of, sort_key
from hotsync.model.readable import readable, shown_path
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders, Walk
from hotsync.replica.journal import Commit, remove_journal
from hotsync.replica.layout import Layout
from hotsync.replica.ledger import Ledger
from hotsync.replica.metadata import set_metadata, set_time
from hotsync.replica.rebuild import is_lost
from hotsync.replica.record import Kept, Old, read_record
from hotsync.replica.space import is_short, with_room
from hotsync.replica.work import Operation, Work
from hotsync.system.files import rename_exchange, rename_noreplace, sync_directory, sync_filesystem

log = logging.getLogger(__name__)
_DOES_NOT_FIT = (errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)
"""What a file system says of one attribute. ENOSPC is ext4's word also where there is room: for all that an inode has,
there is one block."""


class Applying:
    """One journalled commit, being carried out."""

    def __init__(self, layout: Layout, manifest: Manifest, ledger: Ledger, effects: Effects, entry: Commit) -> None:
        self._layout = layout
        self._manifest = manifest
        self._ledger = ledger
        self._effects = effects
        self._entry = entry
        self._lost = is_lost(layout, manifest, in_flight=entry.number)
        self._work = Work(layout.work(entry.number))

    def run(self) -> None:
        """Do all that is still to be done; raise NoSpace if the disk is full (it goes on when there is room)."""
        number, at = self._entry.number, self._manifest.generation
        if at not in (number, number - 1) and not self._lost:
            raise ReplicaError(
                reason=f"its journal is about generation {number}, its manifest about {at}",
                hint="Put the manifest.db back that belongs to this replica, or move it away to have it rebuilt.",
            )
        if at < number:
            with ExitStack() as stack:
                tree = stack.enter_context(Folders(self._layout.tree))
                staging = stack.enter_context(Folders(self._outgoing()))
                for operation in self._work.operations():
                    with_room(self._layout, partial(self._do, operation, tree, staging))
                with_room(self._layout, partial(self._sweep, staging))
                with_room(self._layout, partial(self._set_metadata, tree))
            with_room(self._layout, self._into_history)
            sync_filesystem(self._layout.root)
            if not self._lost:  # else it is rebuilt from what the tree is now
                with_room(self._layout, self._write_manifest)
        remove_journal(self._layout, self._effects)

    def _outgoing(self) -> Path:
        """Return where the old objects go: staging, which later becomes the files of the history in one rename."""
        staging, files = self._layout.staging(self._entry.number), self._layout.files(self._entry.number)
        return files if files.is_dir() else staging

    def _do(self, operation: Operation, tree: Folders, staging: Folders) -> None:
        """Bring one path in or out, unless what lies there says that it was done."""
        path = operation.path
        present = tree.stat(path)
        if operation.inode == 0:
            if present is not None:
                self._move(tree.at(path), staging.at(path))
            return
        if present is not None and present.st_ino == operation.inode:
            return
        staged = staging.stat(path)
        if staged is None or staged.st_ino != operation.inode:
            raise ReplicaError(
                reason=f"/{path} of generation {self._entry.number} is neither in staging nor in its tree",
                hint="Its disk or file system is damaged; check it (fsck), then see `hotsync verify`.",
            )
        if present is None:
            self._move(staging.at(path), tree.at(path))
        else:
            (old_dir, old), (new_dir, new) = staging.at(path), tree.at(path)
            with self._effects("exchange"):
                rename_exchange(old, new, old_dir=old_dir, new_dir=new_dir)

    def _move(self, source: tuple[int, str], target: tuple[int, str]) -> None:
        with self._effects("rename"):
            rename_noreplace(source[1], target[1], old_dir=source[0], new_dir=target[0])

    def _sweep(self, staging: Folders) -> None:
        """Move what the manifest did not know out of what is kept, into `unexpected`."""
        record = self._work.path("record")
        lines = read_record(record if record.exists() else self._layout.record(self._entry.number))
        kept = next(lines, None)
        walk = Walk(staging)
        for path, status in walk:
            while kept is not None and sort_key(kept.path) < sort_key(path):
                kept = next(lines, None)
            if kept is not None and kept.path == path:
                known = _accounts_for(kept, status)
            else:
                known = stat.S_ISDIR(status.st_mode) and kept is not None and kept.path.startswith(path + "/")
            if not known:
                walk.skip()
                self._set_aside(path, staging)

    def _set_aside(self, path: str, staging: Folders) -> None:
        log.warning("/%s was in the replica's tree, unknown to the manifest: moved to unexpected", path)
        aside = self._layout.history(self._entry.number) / "unexpected"
        with suppress(FileExistsError), self._effects("mkdir"):
            aside.mkdir(mode=0o700)
        with Folders(aside) as folders:
            folders.make(parent_of(path), self._effects)
            self._move(staging.at(path), folders.at(path))

    def _set_metadata(self, tree: Folders) -> None:
        for path, mtime_ns in self._work.times():
            with self._effects("time"):
                set_time(tree.at(path), mtime_ns)
        for line in self._work.metadata():
            with self._effects("metadata"):
                refused = partial(self._refuse, line.entry.path)
                set_metadata(tree.at(line.entry.path), line.entry, line.attributes, refused)

    def _refuse(self, path: str, attribute: str, error: OSError) -> None:
        """Go on without an attribute that does not fit: here the generation exists, and would never be finished.

        Raise the error if it is the disk that is full, or does not do its work.
        """
        if error.errno not in _DOES_NOT_FIT or (error.errno == errno.ENOSPC and is_short(self._layout)):
            raise error
        log.warning("%s: its attribute %s cannot be set (%s)", shown_path(path), readable(attribute), error.strerror)

    def _into_history(self) -> None:
        number = self._entry.number
        for source, target in (
            (self._layout.staging(number), self._layout.files(number)),
            (self._work.path("record"), self._layout.record(number)),
            (self._work.path("generation"), self._layout.note(number)),
        ):
            if not target.exists():
                with self._effects("into history"):
                    os.rename(source, target)
        sync_directory(self._layout.history(number))

    def _write_manifest(self) -> None:
        with self._effects("manifest"):
            self._ledger.commit(self._entry.generation, self._work.changes(), self._work.sums())


def _accounts_for(kept: Kept, status: os.stat_result) -> bool:
    """Return whether a line of the record is about what lies in staging after the operations."""
    if kept.is_folder and kept.old is not Old.LOST:
        return stat.S_ISDIR(status.st_mode)
    return kept.old is Old.OBJECT
