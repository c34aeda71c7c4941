"""Detect: the sorted walk merge-joined with the sorted manifest, written down as the planned changeset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync.changes.folders import GONE
from hotsync.changes.groups import complete_groups
from hotsync.changes.notes import Notes
from hotsync.changes.proofs import Proofs
from hotsync.changes.scratch import Scratch
from hotsync.changes.sealing import Sealing
from hotsync.changes.seen import SoundCopies
from hotsync.changes.verbs import is_coarse, is_rewritten, may_be_proven, verb_for
from hotsync.changes.walk import Gap, Remark, Same, Walk
from hotsync.manifest.changeset_file import ChangesetSummary, ChangesetWriter
from hotsync.manifest.store import Manifest, Stamp
from hotsync.model.entry import Change, Kind, Verb, path_of_key
from hotsync.model.guard import Place
from hotsync.model.report import Notice
from hotsync.model.selection import Selection
from hotsync.system.clock import Clock
from hotsync.system.mounts import read_mounts


@dataclass(frozen=True, slots=True)
class Detection:
    """What a run found: the planned changeset in figures, what could not be seen, and what the guard asks about.

    `entries` counts what the selection carries; `problems` are paths that keep their previous version (a warning
    each), `remarks` paths that are left out on purpose; `places` are the roots and mounts as they were met. A file that
    only got another name is not among the deleted ones, one with other attributes not among the rewritten ones.
    `holes` are bytes of content that take no room.
    """

    planned: Path
    summary: ChangesetSummary
    entries: int
    deleted_files: int
    rewritten_files: int
    places: Mapping[str, Place]
    problems: tuple[Notice, ...]
    remarks: tuple[Notice, ...]
    holes: int = 0

    @property
    def empty(self) -> bool:
        """Say whether nothing changed."""
        return self.summary.changes == 0


def detect(
    root: Path,
    selection: Selection,
    manifest: Manifest,
    out: Path,
    clock: Clock,
    mounts: frozenset[str],
    previous_digest: str,
    *,
    table: Mapping[str, str] | None = None,
    status_of: Callable[..., os.stat_result] = os.stat,
    keep_seals: bool = True,
    copies: SoundCopies | None = None,
    proofs: Proofs | None = None,
) -> Detection:
    """Given the manifest of the last generation, write what differs below `root` to `out` and return its figures.

    `mounts` are mount points (without a slash in front) that may be entered although no rule names them. What could
    not be seen is reported and left out, so that its previous version stays. Without `keep_seals` (a dry run) the
    manifest is only read. `copies` puts sound copies in the place of what must not be copied live. `proofs` tell what
    the SLAVE has already. Files beside `out` whose names begin with its name are a former run's, and removed. Raise
    OSError if `root` cannot be read or `out` not be written, ManifestDamaged if the manifest is.
    """
    _clear_leftovers(out)
    problems, remarks = Notes(), Notes()
    hidden: dict[str, Place] = {}

    def note(remark: Remark) -> None:
        remarks.add(remark.code, remark.path, remark.reason)
        if remark.code == "skipped.mount" and (entries := manifest.count_below(remark.path)):
            hidden[remark.path] = Place(Kind.DIRECTORY, mounted=True, hidden=entries)

    sealing = Sealing(manifest, keep=keep_seals)
    walk = Walk(
        root, selection, mounts, mount_table(root) if table is None else table, note, status_of, sealing, copies
    )
    with Scratch() as scratch, sealing, ChangesetWriter(out, previous_digest) as writer:
        join = _Join(walk, manifest, writer, scratch, problems, clock, proofs)
        join.run()
        deleted = join.deleted - scratch.moved()
    summary = writer.summary()
    if join.linked and manifest.generation:
        summary = complete_groups(root, manifest, out, clock, previous_digest) or summary
    return Detection(
        planned=out,
        summary=summary,
        entries=walk.count,
        deleted_files=deleted,
        rewritten_files=join.rewritten,
        places={**walk.places, **hidden},
        problems=problems.notices(),
        remarks=remarks.notices(),
        holes=join.holes,
    )


def _clear_leftovers(out: Path) -> None:
    """Remove what an earlier run that was cut left beside the planned changeset (see `settle.Settling`)."""
    for path in out.parent.iterdir():
        if path.name.startswith((f"{out.name}.", f".{out.name}.")):
            path.unlink()


def mount_table(root: Path) -> dict[str, str]:
    """Return what is mounted at and below `root`: path (the root's own is "") to type of file system."""
    top = os.fsencode(root.resolve()).rstrip(b"/")
    table: dict[str, str] = {}
    for mount in read_mounts():
        point = mount.point.encode("utf-8", "surrogateescape").rstrip(b"/")
        if point == top or top.startswith(point + b"/"):
            table[""] = mount.kind  # the last and deepest one above is the one that holds the root
        elif point.startswith(top + b"/"):
            table[point[len(top) + 1 :].decode("utf-8", "surrogateescape")] = mount.kind
    return table


class _Join:
    """Walks and manifest side by side; each difference becomes a line."""

    def __init__(
        self,
        walk: Walk,
        manifest: Manifest,
        writer: ChangesetWriter,
        scratch: Scratch,
        problems: Notes,
        clock: Clock,
        proofs: Proofs | None,
    ) -> None:
        self._walk, self._manifest, self._writer = walk, manifest, writer
        self._scratch, self._problems, self._clock, self._proofs = scratch, problems, clock, proofs
        self._first = manifest.generation == 0
        self.deleted = self.rewritten = self.linked = self.holes = 0

    def run(self) -> None:
        """Compare all of both."""
        stamps = self._manifest.stamps()
        with closing(iter(self._walk)) as walked:
            old = next(stamps, None)
            for new in walked:
                if new == old:
                    old = next(stamps, None)
                    continue
                start = new.start if isinstance(new, Gap | Same) else new[0]
                while old is not None and old[0] < start:
                    self._gone(old)
                    old = next(stamps, None)
                if isinstance(new, Gap):
                    old = self._missed(new, old, stamps)
                elif isinstance(new, Same):
                    stamps.close()
                    stamps = self._manifest.stamps(new.end)
                    old = next(stamps, None)
                elif old is not None and old[0] == start:
                    if new != old:
                        self._differs(new, old)
                    old = next(stamps, None)
                else:
                    self._differs(new, None)
            while old is not None:
                self._gone(old)
                old = next(stamps, None)
        stamps.close()

    def _gone(self, old: Stamp) -> None:
        self._writer.write(Change(Verb.DELETE, path_of_key(old[0])))
        if old[1] == "f":
            self.deleted += 1
            self._scratch.gone(old)

    def _missed(self, gap: Gap, old: Stamp | None, stamps: Iterator[Stamp]) -> Stamp | None:
        kept = 0
        while old is not None and old[0] < gap.end:
            kept += 1
            old = next(stamps, None)
        self._report(gap.key, gap.vanished, gap.reason, known=kept > 0)
        return old

    def _differs(self, new: Stamp, old: Stamp | None) -> None:
        try:
            entry = self._walk.complete(new)
        except OSError as error:
            self._report(new[0], error.errno in GONE, error.strerror or "cannot be read", known=old is not None)
            if new[1] == "d":
                self._walk.refuse()
            return
        new = self._walk.stamp or new
        if new == old:
            return  # a sound copy lies there now, and it is the one that the manifest has
        if is_coarse(entry.mtime_ns, entry.ctime_ns, self._clock.now_ns()):
            entry = replace(entry, unsettled=True)
        proven = self._proofs is not None and may_be_proven(old, new) and self._proofs.holds(entry, self._manifest)
        verb = verb_for(old, new, proven=proven)
        self._writer.write(Change(verb, entry.path, entry))
        if verb is Verb.CONTENT:
            self.holes += self._walk.holes // max(1, entry.links)
        self.linked += new[9] > 1
        if new[1] == "f" and not self._first:
            if old is None:
                self._scratch.come(new)
            elif old[1] == "f":
                self.rewritten += is_rewritten(old, new)
        if old is not None and old[1] == "f" != new[1]:
            self.deleted += 1

    def _report(self, key: bytes, vanished: bool, reason: str, *, known: bool) -> None:
        if vanished and not known:
            return  # it came and went while we looked: nobody misses it
        kept = "; its previous version stays" if known else "; it is not protected"
        self._problems.add("path.vanished" if vanished else "path.unreadable", path_of_key(key), reason + kept)
