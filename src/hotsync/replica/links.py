"""No inode is shared between tree and history: a name that stays behind when its file leaves gets a copy of its own.

A changed file takes all its names along (contract 0001). But a name that vanished or could not be read while the run
collected stays out of the changeset; its previous version stays, and must not be the file that history now holds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotsync.model.entry import Entry, Verb, parent_of, sort_key
from hotsync.replica.metadata import as_it_lies, attributes_at, copy_object, set_metadata
from hotsync.replica.record import Kept, Old
from hotsync.replica.work import Operation, Work

if TYPE_CHECKING:
    from hotsync.replica.prepare import Sources


@dataclass(frozen=True, slots=True)
class Leaving:
    """Something with more than one name in the tree that goes into history: its entry, and its inode there."""

    entry: Entry
    inode: int
    links: int


def complete_groups(sources: Sources, work: Work, leaving: dict[str, Leaving], touched: dict[str, int]) -> list[Kept]:
    """Given all that leaves the tree and has other names there, stage a copy for each name that stays behind.

    Return the record lines for these names; `touched` learns of their folders.
    """
    groups: dict[int, list[str]] = {}
    for path, item in leaving.items():
        groups.setdefault(item.inode, []).append(path)
    more: list[Kept] = []
    with work.path("operations").open("ab") as operations:
        for paths in groups.values():
            first = leaving[paths[0]]
            if first.links <= len(paths):
                continue
            copied = ""
            for path in _staying(sources, first, leaving):
                _stage(sources, path, copied or path)
                copied = copied or path
                staged = sources.staging.stat(path)
                assert staged is not None
                operations.write(Operation(path, staged.st_ino).render())
                old = sources.manifest.get(path)
                more.append(Kept(path, Verb.CONTENT, Old.OBJECT, old, None, sources.ledger.sum_of(path)))
                folder = sources.manifest.get(parent_of(path)) if parent_of(path) else None
                if folder is not None:
                    touched.setdefault(folder.path, folder.mtime_ns)
    return sorted(more, key=lambda kept: sort_key(kept.path))


def _staying(sources: Sources, item: Leaving, leaving: dict[str, Leaving]) -> list[str]:
    """Return the other names that the tree has of something, as far as they are not leaving too."""
    names: list[str] = []
    for path in sources.ledger.names_of(item.entry):
        status = None if path in leaving else sources.tree.stat(path)
        if status is not None and status.st_ino == item.inode:
            names.append(path)
    return names


def _stage(sources: Sources, path: str, like: str) -> None:
    """Stage a copy of what the tree holds at a path, or another name of the copy that was staged for `like`."""
    staging, effects = sources.staging, sources.effects
    staging.make(parent_of(path), effects)
    target = staging.at(path)
    if like != path:
        folder, name = staging.at(like)
        with effects("link"):
            os.link(name, target[1], src_dir_fd=folder, dst_dir_fd=target[0], follow_symlinks=False)
        return
    entry = sources.manifest.get(path)
    assert entry is not None
    with effects("copy"):
        copy_object(sources.tree.at(path), target)
    found = sources.tree.stat(path)
    assert found is not None
    with effects("metadata"):
        set_metadata(target, as_it_lies(entry, found), attributes_at(sources.tree, path))
