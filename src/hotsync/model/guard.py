"""The guard: what a run must not do to the replica unless a person says that it is meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hotsync.model.entry import Kind
from hotsync.model.readable import shown_path


@dataclass(frozen=True, slots=True)
class Place:
    """An included root, or a mount point below one, as a walk met it.

    `entries` counts what is carried of it, itself included; `hidden`: entries of the manifest that a mount now covers
    which is not carried; `readable` is False where it could not be looked into.
    """

    kind: Kind
    mounted: bool = False
    entries: int = 1
    hidden: int = 0
    readable: bool = True


@dataclass(frozen=True, slots=True)
class GuardRule:
    """A run that deletes or rewrites more than `share` percent of the files is held, if it is `files` or more."""

    share: int = 50
    files: int = 1000


@dataclass(frozen=True, slots=True)
class Damage:
    """What a run would do to the files of the manifest: how many there are, how many it deletes and rewrites.

    A file that only got another name is not deleted, one with new attributes not rewritten.
    """

    files: int
    deleted: int
    rewritten: int


def reasons_to_hold(
    before: Mapping[str, Place], now: Mapping[str, Place], damage: Damage, rule: GuardRule
) -> tuple[str, ...]:
    """Given the places of the last generation and of this run, and its damage, return every reason to hold it."""
    return (*_lost_places(before, now), *_share(damage, rule))


def _lost_places(before: Mapping[str, Place], now: Mapping[str, Place]) -> Iterator[str]:
    words = {Kind.FILE: "a file", Kind.DIRECTORY: "a folder", Kind.SYMLINK: "a symbolic link"}
    for path, seen in sorted(now.items()):
        if seen.hidden:
            yield f"{shown_path(path)} is covered by a mount that is not carried, which hides {_count(seen.hidden)}"
    for path, old in sorted(before.items()):
        new = now.get(path)
        if new is None:
            how = "not mounted; it was, and" if old.mounted else "missing; it"
            yield f"{shown_path(path)} is {how} held {_count(old.entries)}"
        elif not new.readable or new.hidden:
            continue  # what cannot be seen keeps its previous version; what is hidden was named above
        elif new.kind is not old.kind:
            was, is_now = words.get(old.kind, "a special file"), words.get(new.kind, "a special file")
            yield f"{shown_path(path)} was {was} and is {is_now} now"
        elif old.mounted and not new.mounted:
            yield f"{shown_path(path)} is not mounted; it was, and held {_count(old.entries)}"
        elif old.entries > 1 and new.entries <= 1:
            yield f"{shown_path(path)} is empty; it held {_count(old.entries)}"


def _share(damage: Damage, rule: GuardRule) -> Iterator[str]:
    touched = damage.deleted + damage.rewritten
    if touched >= max(1, rule.files) and touched * 100 > rule.share * damage.files:
        share = touched * 100 // max(1, damage.files)
        yield (
            f"{damage.deleted} files would be deleted and {damage.rewritten} rewritten, "
            f"{share} % of {damage.files} (GuardShare is {rule.share})"
        )


def _count(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries} entries"
