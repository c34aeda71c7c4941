"""Forgetting generations: what one kept moves to the next that is held, repeatably; only the oldest simply goes.

The rows of the ledger say what is held. The oldest generation that is held needs no history: what it replaced is asked
for by nobody. Whatever lies in `history` without a row is what a crash left, and goes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from heapq import merge

from hotsync.model.entry import parent_of, sort_key
from hotsync.model.generation import Generation, Retention, floor
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.journal import Merge, read_journal, remove_journal, write_journal
from hotsync.replica.layout import Layout, numbers_in
from hotsync.replica.ledger import Ledger
from hotsync.replica.record import Kept, Old, merge_kept, read_record, render_kept
from hotsync.system.files import open_atomic, sync_directory, sync_filesystem


class Forgetting:
    """Forgets generations of one replica."""

    def __init__(self, layout: Layout, ledger: Ledger, effects: Effects) -> None:
        self._layout = layout
        self._ledger = ledger
        self._effects = effects

    def forget(self, number: int) -> None:
        """Forget one generation, never the newest; raise OSError. It may be called again after that."""
        if isinstance(entry := read_journal(self._layout), Merge):
            self.finish(entry)
            return
        held = [generation.number for generation in self._ledger.generations()]
        place = held.index(number)
        if number == held[0]:
            self._strike_out(number)
            self.clean()
            return
        into = held[place + 1]
        self._write_merged(number, into)
        self._make_containers(number, into)
        sync_filesystem(self._layout.root)
        write_journal(self._layout, Merge(number, into), self._effects)
        self.finish(Merge(number, into))

    def finish(self, entry: Merge) -> None:
        """Given a journalled merge, do all of it that is still to be done."""
        merged = self._layout.history(entry.into) / "record.merged"
        if merged.exists():
            self._move_unexpected(entry)
            self._move_objects(entry)
            sync_filesystem(self._layout.root)
            with self._effects("merged record"):
                os.replace(merged, self._layout.record(entry.into))
                sync_directory(self._layout.history(entry.into))
        self._strike_out(entry.number)
        remove_journal(self._layout, self._effects)
        self.clean()

    def clean(self) -> None:
        """Remove what no generation that is held needs; only while no journal is open."""
        held = [generation.number for generation in self._ledger.generations()]
        if not held:
            return  # nothing was committed yet, or the manifest is lost: nothing can be told of what lies there
        with Folders(self._layout.histories) as folders:
            for number in numbers_in(self._layout.histories):
                if number not in held:
                    folders.remove(str(number), self._effects)
                    continue
                folders.remove(f"{number}/record.merged", self._effects)
                if number == held[0]:
                    folders.remove(f"{number}/record", self._effects)
                    folders.remove(f"{number}/files", self._effects)

    def _strike_out(self, number: int) -> None:
        """Let the generation no longer be known, also to a manifest that is rebuilt."""
        with self._effects("forget"):
            self._layout.note(number).unlink(missing_ok=True)
            self._ledger.forget([number])

    def _write_merged(self, number: int, into: int) -> None:
        older, newer = read_record(self._layout.record(number)), read_record(self._layout.record(into))
        with (
            self._effects("write merged record"),
            open_atomic(self._layout.history(into) / "record.merged", mode=0o600) as file,
        ):
            last: Kept | None = None
            for kept in merge(older, newer, key=lambda kept: sort_key(kept.path)):  # of equals, the older comes first
                if last is not None and last.path == kept.path:
                    last = merge_kept(last, kept)
                    continue
                if last is not None:
                    file.write(render_kept(last))
                last = kept
            if last is not None:
                file.write(render_kept(last))

    def _make_containers(self, number: int, into: int) -> None:
        """Make the folders that the moves need while running out of room still does no harm."""
        with Folders(self._layout.files(into)) as new:
            for kept in read_record(self._layout.record(number)):
                if kept.old is not Old.OBJECT:
                    continue
                try:
                    new.make(parent_of(kept.path), self._effects)
                except OSError as error:
                    if error.errno not in (errno.ENOTDIR, errno.ELOOP):  # a file or link there will make way first
                        raise

    def _move_objects(self, entry: Merge) -> None:
        """Bring each old object to the newer generation; it takes the place of what that one kept of the same path."""
        source, target = self._layout.files(entry.number), self._layout.files(entry.into)
        with Folders(source) as old, Folders(target) as new:
            for kept in read_record(self._layout.record(entry.number)):
                if kept.is_folder:
                    found = new.stat(kept.path)
                    if found is not None and not stat.S_ISDIR(found.st_mode):
                        new.remove(kept.path, self._effects)
                elif kept.old is Old.OBJECT:
                    self._move(kept.path, old, new)
                elif kept.old is not Old.ATTRIBUTES:
                    new.remove(kept.path, self._effects)

    def _move(self, path: str, old: Folders, new: Folders) -> None:
        if old.stat(path) is None:
            return  # it was moved before a crash
        found = new.stat(path)
        if found is not None and stat.S_ISDIR(found.st_mode):
            new.remove(path, self._effects)
        new.make(parent_of(path), self._effects)
        (old_dir, name), (new_dir, new_name) = old.at(path), new.at(path)
        with self._effects("merge"):
            os.rename(name, new_name, src_dir_fd=old_dir, dst_dir_fd=new_dir)

    def _move_unexpected(self, entry: Merge) -> None:
        for item in sorted(self._layout.history(entry.number).glob("unexpected*")):
            name = item.name if "-" in item.name else f"unexpected-{entry.number}"
            with self._effects("merge"):
                os.rename(item, self._layout.history(entry.into) / name)


def for_room(held: Sequence[Generation], now: float, rule: Retention) -> list[int]:
    """Given what is held, oldest first, return what may go when room is needed: the oldest first, never the floor."""
    stays = floor([(generation.number, generation.committed_at) for generation in held], now, rule)
    return [generation.number for generation in held if generation.number not in stays]
