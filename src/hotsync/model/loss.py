"""The loss statement: what of the MASTER is newer than the last generation, and up to when that is known; pure.

All its moments are by the MASTER's clock. Paths in it are readable text, as they are shown: told, never opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hotsync.model.generation import Generation
from hotsync.model.readable import readable

MOST_PATHS = 5000
MOST_TEXT = 400_000
"""Bytes that the paths of a statement may have as JSON: with all else it fits into one message."""
_MOST_MAILS = 100_000
_MAIL_FOLDERS = ("cur", "new")
_MAILDIR = "Maildir"


class Fate(StrEnum):
    """What a promotion now would do to a path: lose all of it, lose its last change, bring it back; or nobody knows."""

    NEW = "new"
    CHANGED = "changed"
    DELETED = "deleted"
    PERHAPS = "perhaps"


@dataclass(frozen=True, slots=True)
class Lost:
    """One path (readable, no slash in front) that is newer on the MASTER; `bytes` is its size there."""

    path: str
    fate: Fate
    bytes: int = 0
    folder: bool = False


@dataclass(frozen=True, slots=True)
class DatabaseMoment:
    """One database server: of when its last dump is; `streamed`: the SLAVE has what came after it, too."""

    name: str
    taken_at: float
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class LossStatement:
    """What was newer on the MASTER than this generation at `known_until`; nothing is known of what came later.

    `files` counts what is no folder and would be lost with its last change, of `bytes`; `deleted` what would come back;
    `folders` those of which only times, owner or mode differ; `perhaps` what may be newer, or not. `mails` are those
    among the files, `newest` is the moment of the newest change. `paths` are the first of all these, in walk order.
    """

    generation: int
    digest: str
    known_until: float
    files: int = 0
    bytes: int = 0
    folders: int = 0
    deleted: int = 0
    perhaps: int = 0
    mails: int = 0
    newest: float = 0.0
    paths: tuple[Lost, ...] = ()
    databases: tuple[DatabaseMoment, ...] = ()

    @property
    def count(self) -> int:
        """Return the number of paths that it speaks of."""
        return self.files + self.folders + self.deleted + self.perhaps

    @property
    def beyond(self) -> int:
        """Return how many of them are only counted."""
        return max(0, self.count - len(self.paths))


@dataclass(slots=True)
class Tally:
    """Gathers a statement path by path, in bounded memory; `mail_folders` are paths (no slash) that hold mail."""

    mail_folders: tuple[str, ...] = ()
    _files: int = 0
    _bytes: int = 0
    _folders: int = 0
    _deleted: int = 0
    _perhaps: int = 0
    _newest: float = 0.0
    _text: int = 0
    _paths: list[Lost] = field(default_factory=list[Lost])
    _came: set[str] = field(default_factory=set[str])
    _went: set[str] = field(default_factory=set[str])
    _full: bool = False

    def add(self, path: str, fate: Fate, size: int = 0, changed_at: float = 0.0, *, folder: bool = False) -> None:
        """Add a path as it is on the MASTER (no slash in front), with its size there and when it changed."""
        if fate is Fate.PERHAPS:
            self._perhaps += 1
        elif fate is Fate.DELETED:
            self._deleted += 1
            self._note_mail(path, self._went)
        else:
            self._newest = max(self._newest, changed_at)
            if folder:
                self._folders += 1
            else:
                self._files += 1
                self._bytes += size
                if fate is Fate.NEW:
                    self._note_mail(path, self._came)
        self._list(Lost(readable(path), fate, size, folder))

    def _list(self, lost: Lost) -> None:
        self._text += len(json.dumps(lost.path, ensure_ascii=False).encode())
        # what lies behind the first that has no room is not listed either: the list is whole up to a place
        self._full = self._full or len(self._paths) >= MOST_PATHS or self._text > MOST_TEXT
        if not self._full:
            self._paths.append(lost)

    def _note_mail(self, path: str, names: set[str]) -> None:
        if len(names) < _MOST_MAILS and is_mail(path, self.mail_folders):
            names.add(path.rpartition("/")[2].partition(":")[0])

    def statement(
        self, generation: int, digest: str, known_until: float, databases: Iterable[DatabaseMoment] = ()
    ) -> LossStatement:
        """Return the statement: against this generation, of this moment."""
        return LossStatement(
            generation, digest, known_until, self._files, self._bytes, self._folders, self._deleted, self._perhaps,
            # one that was read, flagged or moved got another name, and is in the generation under its former one
            len(self._came - self._went),
            self._newest, tuple(self._paths), tuple(databases),
        )  # fmt: skip


def is_mail(path: str, mail_folders: Iterable[str]) -> bool:
    """Given the path of a file, and paths (no slash in front) that hold mail, return whether it is one."""
    parts = path.split("/")[:-1]
    if not parts or parts[-1] not in _MAIL_FOLDERS:
        return False
    return _MAILDIR in parts or any(path.startswith(f"{root}/") for root in mail_folders)


def databases_of(generation: Generation) -> tuple[DatabaseMoment, ...]:
    """Given a generation, return of when it has each database server: that of its oldest database."""
    found: dict[str, DatabaseMoment] = {}
    for point in generation.datasets:
        if "/" in point.name and point.taken_at:
            known = found.get(point.server, DatabaseMoment(point.server, point.taken_at, point.streamed))
            oldest = min(known.taken_at, point.taken_at)
            found[point.server] = replace(known, taken_at=oldest, streamed=known.streamed and point.streamed)
    return tuple(found.values())


def against(statement: LossStatement | None, held: Generation) -> LossStatement:
    """Given what the MASTER said last and the generation that is held, return what a promotion of that one would lose.

    A statement that is older than the generation says nothing any more: all that was changed when the generation was
    collected is in it. One that was made while the generation was under way still holds, but what of it came along in
    the meantime nobody knows.
    """
    fresh = LossStatement(held.number, held.digest, held.collected_at, databases=databases_of(held))
    if statement is None or statement.generation > held.number:
        return fresh
    if statement.generation == held.number:
        # the same number and another digest: it speaks of another history
        return replace(statement, databases=fresh.databases) if statement.digest == held.digest else fresh
    if statement.known_until <= held.collected_at:
        return fresh
    return replace(
        fresh,
        known_until=statement.known_until,
        perhaps=statement.count,
        paths=tuple(replace(lost, fate=Fate.PERHAPS) for lost in statement.paths),
    )
