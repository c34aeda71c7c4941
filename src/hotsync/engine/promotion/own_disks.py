"""What this SLAVE's own disks need, by its tables of them, and what a promotion does with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hotsync.engine.replica_tree import read_plain
from hotsync.model.disk_tables import DisksFound, Named
from hotsync.model.entry import parent_of
from hotsync.model.promotion import ETC
from hotsync.model.selection import Rule
from hotsync.sources.disk_tables import own_files, own_images, own_links, rules_for
from hotsync.system.paths import Paths
from hotsync.system.trees import opened


@dataclass(frozen=True)
class OwnDisks:
    """The files that this host's tables of disks name, beside the replica's tree."""

    paths: Paths
    tree: Path

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return the rules that keep them here, also from a MASTER that carries the same path."""
        return rules_for((*self._kept, *self._keepable(own_links(self.paths))))

    def found(self, moved: Collection[str]) -> DisksFound:
        """Given the paths that a promotion moves, return what of them stays, where the MASTER has another, and what
        goes."""
        gone = [each for each in self._files if each not in self._kept and _leaves(each, moved)]
        gone += [each for each in own_images(self.paths) if _leaves(each, moved) and not self._is_file(each)]
        return DisksFound(self._kept, tuple(each for each in self._kept if self._differs(each)), tuple(gone))

    def notes(self, found: DisksFound) -> Iterator[str]:
        """Given what was found, return sentences for the report of a promotion."""
        for each in found.differing:
            theirs = self.tree / each.path.lstrip("/")
            yield f"{each.path} is still this server's own, as {each.table} names it; the MASTER's lies in {theirs}."

    @cached_property
    def _files(self) -> tuple[Named, ...]:
        return own_files(self.paths)

    @cached_property
    def _kept(self) -> tuple[Named, ...]:
        return tuple(self._keepable(self._files))

    def _keepable(self, named: Iterable[Named]) -> Iterator[Named]:
        """Leave out what would keep more of the MASTER's than this file from its place: where it has a folder at that
        path, or something else than a folder on the way to it."""
        for each in named:
            mode = self._mode(each)
            if mode is not None and not stat.S_ISDIR(mode):
                yield each

    def _is_file(self, named: Named) -> bool:
        return stat.S_ISREG(self._mode(named) or 0)

    def _mode(self, named: Named) -> int | None:
        """Return the mode of what the MASTER has at a path: 0 for nothing, None where the way there is another."""
        path = named.path.lstrip("/")
        try:
            with opened(self.tree, parent_of(path)) as folder:
                return os.stat(os.path.basename(path), dir_fd=folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return 0
        except OSError:
            return None

    def _differs(self, named: Named) -> bool:
        path = named.path.lstrip("/")
        if not self._mode(named):
            return False
        theirs = read_plain(self.tree, path)
        return theirs is None or theirs != read_plain(self.paths.root, path)


def _leaves(named: Named, moved: Collection[str]) -> bool:
    path = Path(named.path.lstrip("/"))
    return path.parts[0] == ETC or any(os.fspath(each) in moved for each in (path, *path.parents))
