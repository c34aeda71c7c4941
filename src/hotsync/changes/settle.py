"""Settling: after each transfer every sent path is looked at again, and the final changeset carries what was seen.

    settling = Settling(root, detection.planned, previous_digest, required)
    for _ in range(3):
        sent_at = clock.now_ns()
        result = send(settling.send_list)
        if not settling.settle(sent_at, result.vanished, dict(result.unreadable), result.changed, result.unstored):
            break
    final = settling.finalize(out)

A list that is sent again must be sent with rsync's quick check off (--ignore-times): it skips what has the size and
the time of what already arrived, and that is exactly what may be old.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from hotsync.changes.folders import GONE, Reach, entry_at, words_of
from hotsync.changes.left_out import LeftOut
from hotsync.changes.notes import Notes
from hotsync.changes.seen import SoundCopies
from hotsync.changes.verbs import in_range, is_coarse
from hotsync.manifest.changeset_file import ChangesetSummary, ChangesetWriter, read_lines, recall_changes, writing
from hotsync.model.changeset import recall_change
from hotsync.model.entry import KIND_OF_MODE, Change, Entry, Kind, Verb, as_implied, is_implied, sort_key
from hotsync.model.report import Notice
from hotsync.model.unstored import Unstored
from hotsync.system.files import sync_directory

_RESTLESS = "would not hold still; its previous version stays"


@dataclass(frozen=True, slots=True)
class Final:
    """The final changeset in figures, and the paths that keep their previous version, a warning each."""

    summary: ChangesetSummary
    problems: tuple[Notice, ...]


class Settling:
    """Turns a planned changeset into the final one, round by round; its files lie beside the planned one.

    `send_list` names what is to be sent next (NUL after each path): all at first, then what changed meanwhile.
    `required` are paths of datasets that are carried whole and settled, or stay as they were. Where one of `copies`
    lay, it is carried, or the previous version stays.
    """

    def __init__(
        self,
        root: Path,
        planned: Path,
        previous_digest: str,
        required: Sequence[str] = (),
        copies: SoundCopies | None = None,
    ) -> None:
        self._root, self._previous, self._copies = root, previous_digest, copies
        self._required = tuple(sort_key(path.strip("/")) for path in required)
        self._current = planned
        self._base = planned
        self._round = 0
        self._looked = False
        self._problems = Notes()
        self._missing: frozenset[str] = frozenset()
        self._unsteady: set[bytes] = set()
        self.send_list = self._beside("send.0")
        with writing(self.send_list), self.send_list.open("wb") as listed:
            for change in recall_changes(planned):
                if change.verb in (Verb.CONTENT, Verb.META) and not _is_proven(change):
                    _list(listed, change)

    def settle(
        self,
        sent_at_ns: int,
        vanished: Collection[str] = (),
        unreadable: Mapping[str, str] | None = None,
        changed: Collection[str] = (),
        unstored: Sequence[Unstored] = (),
        *,
        cut: bool = False,
    ) -> int:
        """Given when the last sending began and what rsync said of it, look again; return how many must be sent again.

        `vanished`, `unreadable` (with the reason) and `changed` are paths that did not arrive. What vanished or cannot
        be read leaves the changeset, as does what is `unstored`; what changed stays in it, unsettled, and is in the new
        `send_list`. `cut`: nobody knows how much arrived, so nothing is looked at yet, and all else must be sent again.
        Raise ReplicaError if what is unstored is not a matter of single paths.
        """
        left_out = LeftOut(unstored, recall_changes(self._current))
        self._round += 1
        sent, self.send_list = self.send_list, self._beside(f"send.{self._round}")
        target = self._beside(f"settled.{self._round}")
        lacking = frozenset(path.removeprefix("./") for path in (*vanished, *changed))
        reasons = {path.removeprefix("./"): reason for path, reason in (unreadable or {}).items()}
        look = _Look(sent_at_ns, lacking, reasons, self._problems, self._copies)
        again = 0
        missing: set[str] = set()
        with ExitStack() as stack:
            stack.enter_context(writing(target))
            reach = stack.enter_context(Reach(self._root))
            listed = stack.enter_context(self.send_list.open("wb"))
            writer = stack.enter_context(ChangesetWriter(target, self._previous))
            for change, line, was_sent in _with_sent(self._current, sent, first=not self._looked and not cut):
                if (reason := left_out.reason(change)) is not None:
                    seen = look.refused(change, reason)
                elif cut:
                    seen = replace(look.past(change), again=was_sent)
                else:
                    seen = look.at(reach, change) if was_sent else look.past(change)
                if seen.change is None:
                    self._unsteady.update(self._required_of(change.path))
                    continue
                if seen.change is change:
                    writer.write_line(change, line)
                else:
                    writer.write(seen.change)
                if seen.again:
                    again += 1
                    _list(listed, change)
                    if seen.missing:
                        missing.add(change.path)
        self._looked = self._looked or not cut
        self._missing = frozenset(missing)
        self._take(target, sent)
        self._summary = writer.summary()
        return again

    def finalize(self, out: Path) -> Final:
        """Write the final changeset to `out`, without what never arrived, or must not come unsettled."""
        if self._round == 0:
            self.settle(0)  # nothing was sent: what is to be deleted must be looked at all the same
        for change in recall_changes(self._current) if self._required and self._summary.unsettled else ():
            if change.entry is not None and change.entry.unsettled and change.entry.kind is not Kind.DIRECTORY:
                self._unsteady.update(self._required_of(change.path))
        if self._missing or self._unsteady:
            self._summary = self._prune(out)
            self._current.unlink()
        else:
            self._current.replace(out)
            sync_directory(out.parent)
        self.send_list.unlink(missing_ok=True)
        return Final(self._summary, self._problems.notices())

    def _prune(self, out: Path) -> ChangesetSummary:
        below = _Below()
        for key in sorted(self._unsteady):
            self._problems.add("dataset.unsettled", _shown(key), _RESTLESS)
        with ChangesetWriter(out, self._previous) as writer:
            for line in read_lines(self._current):
                change = recall_change(line)
                key = sort_key(change.path)
                if below.holds(key) or any(_is_within(key, one) for one in self._unsteady):
                    continue
                if change.path in self._missing:
                    self._problems.add(
                        "path.unsettled", change.path, "would not hold still; its previous version stays"
                    )
                    below.cut(change, key)
                    continue
                writer.write_line(change, line)
        return writer.summary()

    def _required_of(self, path: str) -> Iterator[bytes]:
        key = sort_key(path)
        return (one for one in self._required if _is_within(key, one))

    def _take(self, target: Path, sent: Path) -> None:
        if self._current != self._base:
            self._current.unlink()
        sent.unlink()
        self._current = target

    def _beside(self, name: str) -> Path:
        return self._base.with_name(f"{self._base.name}.{name}")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What became of a change: None if it leaves the changeset; `again`: to be sent again; `missing`: not there yet."""

    change: Change | None
    again: bool = False
    missing: bool = False


class _Below:
    """Remembers the last change that was left out with all that lies below it."""

    def __init__(self) -> None:
        self._prefix: bytes | None = None

    def holds(self, key: bytes) -> bool:
        """Say whether a key lies below it."""
        return self._prefix is not None and key.startswith(self._prefix)

    def cut(self, change: Change, key: bytes) -> None:
        """Leave out what lies below, unless the replica has the folder: then what it holds may go on."""
        if change.verb is not Verb.META:
            self._prefix = key + b"\0"


class _Look:
    """Looks at single paths after one sending."""

    def __init__(
        self,
        sent_at_ns: int,
        lacking: frozenset[str],
        unreadable: Mapping[str, str],
        notes: Notes,
        copies: SoundCopies | None,
    ) -> None:
        self._sent_at_ns, self._lacking, self._unreadable, self._notes = sent_at_ns, lacking, unreadable, notes
        self._copies = copies
        self._below = _Below()
        self._gone: bytes | None = None

    def at(self, reach: Reach, change: Change) -> _Seen:
        """Given a change of the planned changeset, return what became of it."""
        key = sort_key(change.path)
        if self._below.holds(key):
            return _Seen(None)
        if change.entry is None:
            return self._deleted(reach, change, key)
        if change.path in self._unreadable:
            return self._left_out(change, key, "path.unreadable", self._unreadable[change.path])
        try:
            return self._compared(reach, change, change.entry, key)
        except OSError as error:
            code = "path.vanished" if error.errno in GONE else "path.unreadable"
            return self._left_out(change, key, code, error.strerror or "cannot be read")

    def past(self, change: Change) -> _Seen:
        """Given a change that was settled before, return it, unless what it lies in has left the changeset."""
        return _Seen(None if self._below.holds(sort_key(change.path)) else change)

    def refused(self, change: Change, reason: str) -> _Seen:
        """Given a change that the SLAVE cannot store, with the reason, return that it leaves."""
        key = sort_key(change.path)
        return _Seen(None) if self._below.holds(key) else self._left_out(change, key, "path.unstored", reason)

    def _deleted(self, reach: Reach, change: Change, key: bytes) -> _Seen:
        if self._gone is not None and key.startswith(self._gone):
            return _Seen(change)
        if self._copies is not None and self._copies.hides(key):
            return _Seen(change)
        try:
            reach.look(key)
        except OSError as error:
            if error.errno in GONE:
                self._gone = key + b"\0"
                return _Seen(change)
        # it is there again, or cannot be looked at: the next run decides, over all that lies below too
        self._below.cut(change, key)
        return _Seen(None)

    def _left_out(self, change: Change, key: bytes, code: str, reason: str) -> _Seen:
        self._notes.add(code, change.path, f"{reason}; its previous version stays")
        self._below.cut(change, key)
        return _Seen(None)

    def _compared(self, reach: Reach, change: Change, planned: Entry, key: bytes) -> _Seen:
        status = reach.look(key)
        if KIND_OF_MODE.get(stat.S_IFMT(status.st_mode)) is not planned.kind:
            return self._left_out(change, key, "path.vanished", "it is another kind of object now")
        young = is_coarse(status.st_mtime_ns, status.st_ctime_ns, self._sent_at_ns)
        lacking = change.path in self._lacking
        if _same(planned, status) and not lacking:
            if planned.unsettled == young:
                return _Seen(change)
            return _Seen(replace(change, entry=replace(planned, unsettled=young)))
        if self._copies is not None and self._copies.lies_at(change.path):
            return self._left_out(change, key, "dataset.unsettled", "another file took the place of its sound copy")
        entry = entry_at(reach.folder_of(key), key, planned.kind, status, numbered=planned.inode != 0)
        if is_implied(planned):
            return _Seen(replace(change, entry=as_implied(entry)))
        if planned.kind is Kind.DIRECTORY and not lacking and _same_folder(planned, entry):
            # its times move with what it holds; the replica sets them from the entry
            return _Seen(replace(change, entry=replace(entry, unsettled=young)))
        entry = replace(entry, unsettled=True)
        if _is_proven(change):  # it was equal, and nothing of it was sent
            return _Seen(replace(change, verb=Verb.CONTENT, entry=entry), again=True, missing=True)
        return _Seen(replace(change, entry=entry), again=True, missing=lacking)


def _same(entry: Entry, status: os.stat_result) -> bool:
    is_folder = entry.kind is Kind.DIRECTORY
    return (
        entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.ctime_ns, entry.links, entry.size,
    ) == (
        stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid,
        in_range(status.st_mtime_ns), in_range(status.st_ctime_ns),
        1 if is_folder else status.st_nlink, status.st_size if entry.kind is Kind.FILE else 0,
    ) and entry.inode in (0, status.st_ino)  # fmt: skip


def _same_folder(old: Entry, new: Entry) -> bool:
    return (old.mode, old.uid, old.gid, old.attributes) == (new.mode, new.uid, new.gid, new.attributes)


def _is_proven(change: Change) -> bool:
    """Return whether the SLAVE has a file's content already: only its attributes travel, in the changeset."""
    return change.verb is Verb.META and change.entry is not None and change.entry.kind is Kind.FILE


def _with_sent(planned: Path, sent: Path, *, first: bool) -> Iterator[tuple[Change, bytes, bool]]:
    """Return each change with its line and whether it is to be looked at: was sent, or is never sent and it is the
    `first` round."""
    with sent.open("rb") as file:
        listed = _listed(file)
        following = next(listed, None)
        for line in read_lines(planned):
            change = recall_change(line)
            if following is not None and change.path == following:
                yield change, line, True
                following = next(listed, None)
            else:
                yield change, line, first and (change.verb is Verb.DELETE or _is_proven(change))


def _list(file: IO[bytes], change: Change) -> None:
    path = change.path.encode("utf-8", "surrogateescape")
    # tried: rsync takes a path that begins so for a remark, and leaves it out without a word
    file.write((b"./" if path.startswith((b"#", b";")) else b"") + path + b"\0")


def _listed(file: IO[bytes]) -> Iterator[str]:
    return (word.removeprefix(b"./").decode("utf-8", "surrogateescape") for word in words_of(file))


def _is_within(key: bytes, above: bytes) -> bool:
    return key == above or key.startswith(above + b"\0")


def _shown(key: bytes) -> str:
    return key.replace(b"\0", b"/").decode("utf-8", "surrogateescape")
