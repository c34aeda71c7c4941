"""An old MASTER's own data becomes its replica's tree: by renaming, part by part; whether it happened is told by inode.

An empty folder with the same attributes stays where one was taken away: nothing of production runs, and what the
machine itself does there finds its place. People who log in with a key find it where it was.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from hotsync.engine.open_replica import open_replica
from hotsync.engine.rejoin.readable_copy import copied_but_for
from hotsync.engine.rejoin.room import HINT, check_room
from hotsync.engine.rejoin.work import drop_work
from hotsync.errors import CommandFailed, ReplicaError
from hotsync.model.changeset import chain_digest, folders_of
from hotsync.model.entry import Kind, parent_of
from hotsync.model.generation import Generation
from hotsync.model.lines import lines_of
from hotsync.model.rejoin import KEYS, Part, Rejoin, Way, held_number
from hotsync.model.selection import Action, Selection
from hotsync.replica.handles import Folders, Walk
from hotsync.replica.layout import Layout
from hotsync.state.rejoin import add_note, drop_rejoin, load_rejoin, set_copied, unfinished_rejoin
from hotsync.system import files
from hotsync.system.clock import Clock
from hotsync.system.flags import HOLDING, clear_flags
from hotsync.system.paths import Paths
from hotsync.system.trees import copy_exactly, inode, make_folder_like, opened, remove

_REASON = "this server's own data becomes its tree: rejoin at epoch"


@dataclass(frozen=True)
class RejoinFiles:
    """The live root and the replica of a server that rejoins. `selection` is what was carried of it as MASTER."""

    paths: Paths
    clock: Clock
    selection: Callable[[], Selection]

    @property
    def tree(self) -> Path:
        """Return the tree that is made."""
        return self.paths.replica / "tree"

    def make_replica(self) -> None:
        """Have an empty replica that takes nothing; what an earlier time as SLAVE left keeps its place by another
        name."""
        rejoin, replica = self._rejoin(), open_replica(self.paths, self.clock)
        reason = _reason(rejoin)
        if replica.closed == reason:
            return
        if self.paths.replica.is_dir():
            os.rename(self.paths.replica, former_replica(self.paths))
            files.sync_directory(self.paths.state)
        beside = self.paths.state / "replica.new"
        remove(beside)
        made = Layout(beside)
        made.make()
        document = b'{"reason": "%s"}' % reason.encode()
        files.write_atomic(made.closed, document, mode=0o600)
        os.rename(beside, self.paths.replica)
        files.sync_directory(self.paths.state)

    def move(self, path: str) -> None:
        """Bring one part into the tree; raise ReplicaError if what lies there is not what was noted."""
        part = self._rejoin().part(path)
        if part is None:
            raise ReplicaError(reason=f"/{path} is no part of this rejoin")
        self._make_parents(path)
        if part.way is Way.MOVE:
            self._move(part)
        elif path not in self._rejoin().copied:
            self._copy(part)

    def hold_generation(self) -> None:
        """Make what lies in the tree the generation that the new MASTER goes on from, and open the replica to it."""
        rejoin = self._rejoin()
        digest = chain_digest(rejoin.terms.digest, [b"made of the old MASTER's own data\n"])
        now, terms = self.clock.now(), rejoin.terms
        open_replica(self.paths, self.clock).open_with_tree(
            Generation(held_number(terms), digest, terms.epoch, now, now, now)
        )

    def clear(self, path: str) -> None:
        """Remove what was copied to the tree from another file system, and is not needed here."""
        part = self._rejoin().part(path)
        place = self.paths.root / path
        if part is None or part.way is not Way.CARRY or inode(place) != part.inode:
            return
        self._let_go(path)
        if part.kind is not Kind.DIRECTORY:
            place.unlink()
            return
        for child in place.iterdir():
            remove(child)
        self._keep_keys(path, place)

    def _rejoin(self) -> Rejoin:
        rejoin = load_rejoin(self.paths)
        if rejoin is None:
            raise ReplicaError(reason="there is no rejoin to work on", hint="Run hotsync rejoin.")
        return rejoin

    def _move(self, part: Part) -> None:
        target = self.tree / part.path
        if inode(target) == part.inode:
            return
        if inode(self.paths.root / part.path) != part.inode:
            raise ReplicaError(
                reason=f"/{part.path} is neither live nor in the replica as it was when the rejoin began",
                hint=f"Somebody changed it by hand: compare /{part.path} with {target}.",
            )
        parent, name = parent_of(part.path), os.path.basename(part.path)
        self._let_go(part.path)
        if part.kind is Kind.DIRECTORY:
            self._make_empty(part.path, target)
        with opened(self.paths.root, parent) as old, opened(self.tree, parent) as new:
            if part.kind is Kind.DIRECTORY:
                files.rename_exchange(name, name, old_dir=old, new_dir=new)
            else:
                files.rename_noreplace(name, name, old_dir=old, new_dir=new)
            os.fsync(new)
            os.fsync(old)

    def _let_go(self, path: str) -> None:
        """Take from a part what keeps files from being changed (chattr +i, +a, +P): a promotion sets it again."""
        with Folders(self.paths.root) as folders:
            found = folders.stat(path)
            if found is None:
                return
            below = Walk(folders, path) if stat.S_ISDIR(found.st_mode) else ()
            for inner, status in chain([(path, found)], below):
                if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                    continue
                try:
                    descriptor = folders.open_file(inner)
                    try:
                        clear_flags(descriptor, HOLDING)
                    finally:
                        os.close(descriptor)
                except OSError as error:
                    if error.errno == errno.ENOTTY:
                        return  # this file system knows no such thing
                    raise

    def _copy(self, part: Part) -> None:
        """Copy a part whole, or leave nothing of it in the tree and raise ReplicaError; it stays live either way."""
        target = self.tree / part.path
        remove(target)
        check_room(self.paths, (part,))
        try:
            unread = copied_but_for(self.paths.root / part.path, target)
            self._strip(part.path, target)
            files.sync_filesystem(target.parent)
        except (CommandFailed, OSError) as error:
            remove(target)  # what is half there would take the room of the next attempt, and of everything else
            said = error.sentence if isinstance(error, CommandFailed) else str(error)
            raise ReplicaError(reason=f"/{part.path} was not copied: {said}", hint=HINT) from error
        if unread:
            named = ", ".join(unread[:3]) + (f" and {len(unread) - 3} more" if unread[3:] else "")
            add_note(self.paths, f"{named} could not be read here: the MASTER sends what it has of it.")
        set_copied(self.paths, part.path)

    def _strip(self, path: str, target: Path) -> None:
        """Remove from a copy what is not carried: it stays this machine's own."""
        selection = self.selection()
        waiting = [(path, target)]
        while waiting:
            outer, folder = waiting.pop()
            if folder.is_symlink() or not folder.is_dir():
                continue
            for child in folder.iterdir():
                inner = f"{outer}/{child.name}"
                if selection.decide(inner).action is Action.INCLUDE or selection.wanted_below(inner):
                    waiting.append((inner, child))
                else:
                    remove(child)

    def _make_empty(self, path: str, target: Path) -> None:
        """Make the empty folder that will stay live in the place of one that moves."""
        remove(target)  # an attempt that was cut left it
        with opened(self.paths.root, parent_of(path)) as parent:
            make_folder_like(os.path.basename(path), parent, target)
        self._keep_keys(path, target, source=self.paths.root / path)

    def _keep_keys(self, path: str, target: Path, source: Path | None = None) -> None:
        """Give those who log in with a key their folder, with that key, below what stays in the place of `path`."""
        for home in self._homes():
            if home != path and not home.startswith(path + "/"):
                continue
            inner = home[len(path) :].strip("/")
            origin = (source or self.tree / path) / inner / KEYS
            if not origin.is_dir() or origin.is_symlink():
                continue
            place, live = target, source or self.tree / path
            for name in filter(None, inner.split("/")):
                place, live = place / name, live / name
                if not place.is_dir():
                    with opened(live.parent, ".") as parent:
                        make_folder_like(name, parent, place)
            copy_exactly(origin, place / KEYS)

    def _homes(self) -> Iterator[str]:
        with suppress(OSError):
            text = self.paths.at("/etc/passwd").read_text(encoding="utf-8", errors="surrogateescape")
            for line in lines_of(text):
                words = line.split(":")
                if len(words) == 7 and not words[6].endswith(("nologin", "false")):
                    yield os.path.normpath(words[5]).strip("/")

    def _make_parents(self, path: str) -> None:
        """Make the folders above a path in the tree, with the attributes of the live ones."""
        for folder in reversed(list(folders_of(path))):
            if not os.path.lexists(self.tree / folder):
                with opened(self.paths.root, parent_of(folder)) as parent:
                    make_folder_like(os.path.basename(folder), parent, self.tree / folder)


def forget_attempt(paths: Paths, clock: Clock) -> None:
    """Forget a rejoin that has moved nothing, with the replica that was being made of copies, and what its vault was
    made of; a whole vault stays."""
    rejoin = unfinished_rejoin(paths)
    drop_rejoin(paths)
    drop_work(paths, rejoin.vault if rejoin is not None else "")
    if rejoin is not None and not rejoin.is_moving and open_replica(paths, clock).closed == _reason(rejoin):
        beside = paths.state / "replica.new"  # where the next attempt removes it, if this is cut
        remove(beside)
        os.rename(paths.replica, beside)
        with suppress(OSError):  # a copy that goes on just now may still put something there
            remove(beside)


def _reason(rejoin: Rejoin) -> str:
    return f"{_REASON} {rejoin.terms.epoch}"


def former_replica(paths: Paths) -> Path:
    """Return a free name for what an earlier time as SLAVE left of a replica."""
    number = 1
    while os.path.lexists(paths.state / f"replica.{number}"):
        number += 1
    return paths.state / f"replica.{number}"
