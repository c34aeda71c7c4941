"""What a run would send, by application."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hotsync.manifest.changeset_file import read_changes
from hotsync.model.entry import Kind
from hotsync.model.report import Notice
from hotsync.model.selection import Selection
from hotsync.profiles.resolve import application_of


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What a run would send of one application."""

    application: str
    changed: int
    deleted: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would send, by application; `held` are the guard's reasons to hold it.

    `notices` is what is wrong with the site's lists, `skipped` what is left out although a rule carries it.
    """

    rows: tuple[PreviewRow, ...]
    entries: int
    held: tuple[str, ...]
    notices: tuple[Notice, ...] = ()
    skipped: tuple[Notice, ...] = ()


def rows_of(changes: Path, selection: Selection) -> tuple[PreviewRow, ...]:
    """Given the planned changeset, return what it would send by application, the largest first."""
    changed: Counter[str] = Counter()
    deleted: Counter[str] = Counter()
    content: Counter[str] = Counter()
    for change in read_changes(changes):
        application = application_of(selection.decide(change.path).rule)
        if change.entry is None:
            deleted[application] += 1
        else:
            changed[application] += 1
            content[application] += change.entry.size if change.entry.kind is Kind.FILE else 0
    names = sorted(changed.keys() | deleted.keys(), key=lambda name: (-content[name], name))
    return tuple(PreviewRow(name, changed[name], deleted[name], content[name]) for name in names)
