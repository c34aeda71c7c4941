"""Hard links: a changed inode dirties all its names, so that a group travels together."""

from __future__ import annotations

import heapq
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from hotsync.changes.folders import Reach, entry_at
from hotsync.changes.verbs import is_coarse
from hotsync.manifest.changeset_file import ChangesetSummary, ChangesetWriter, recall_changes
from hotsync.manifest.store import Manifest
from hotsync.model.entry import KIND_OF_MODE, Change, Verb, sort_key
from hotsync.system.clock import Clock


def complete_groups(
    root: Path, manifest: Manifest, planned: Path, clock: Clock, previous_digest: str
) -> ChangesetSummary | None:
    """Given a planned changeset, add the names of its inodes that did not differ; return None if there are none.

    The manifest is asked, not the walk: a name that did not differ has there the inode that it has on the disk.
    """
    with Reach(root) as reach:
        added = _unchanged_names(reach, manifest, planned, clock)
        first = next(added, None)
        if first is None:
            return None
        with ChangesetWriter(planned, previous_digest) as writer:
            for change in heapq.merge(recall_changes(planned), [first], added, key=lambda one: sort_key(one.path)):
                writer.write(change)
    return writer.summary()


def _unchanged_names(reach: Reach, manifest: Manifest, planned: Path, clock: Clock) -> Iterator[Change]:
    inodes = (one.entry.inode for one in recall_changes(planned) if one.entry is not None and one.entry.links > 1)
    changes = recall_changes(planned)
    reached = next(changes, None)
    with closing(manifest.names_of(inodes)) as keys:
        for key in keys:
            while reached is not None and sort_key(reached.path) < key:
                reached = next(changes, None)
            if reached is not None and sort_key(reached.path) == key:
                continue
            change = _change_at(reach, key, clock)
            if change is not None:
                yield change


def _change_at(reach: Reach, key: bytes, clock: Clock) -> Change | None:
    try:
        status = reach.look(key)
        kind = KIND_OF_MODE.get(stat.S_IFMT(status.st_mode))
        if kind is None or status.st_nlink < 2:
            return None  # no longer what the walk saw: the next run looks again
        entry = entry_at(reach.folder_of(key), key, kind, status)
    except OSError:
        return None
    if is_coarse(entry.mtime_ns, entry.ctime_ns, clock.now_ns()):
        entry = replace(entry, unsettled=True)
    return Change(Verb.CONTENT, entry.path, entry)
