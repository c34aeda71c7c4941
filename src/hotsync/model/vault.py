"""What a returning MASTER had and the new one never received: the list of it, for people and for programs; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from hotsync.model.loss import Fate
from hotsync.model.readable import readable

SCHEMA = 1
SIGNS = {Fate.NEW: "new", Fate.CHANGED: "changed", Fate.DELETED: "deleted", Fate.PERHAPS: "perhaps"}


@dataclass(frozen=True, slots=True)
class Kept:
    """One path (no slash in front) that differs from what the new MASTER received; `mail`: it is one.

    `unread`: it could not be read, or was gone when it was to be copied, so it is not in the vault.
    """

    path: str
    fate: Fate
    bytes: int = 0
    folder: bool = False
    mail: bool = False
    unread: bool = False


@dataclass(frozen=True, slots=True)
class KeptDatabase:
    """One database server: how many rows are only here, and only in what was received; `note`: what is not known."""

    name: str
    only_here: int = 0
    only_there: int = 0
    note: str = ""

    @property
    def is_empty(self) -> bool:
        """Return whether all of it had been received."""
        return not (self.only_here or self.only_there or self.note)

    @property
    def sentence(self) -> str:
        """Return what differs, in a few words."""
        return f"{self.name}: {self.note or f'{self.only_here} rows only here, {self.only_there} only there'}"


@dataclass(frozen=True, slots=True)
class VaultSummary:
    """What is in a vault. `place` is its folder, `generation` and `epoch` those that it is compared with; `queued` are
    the mails that wait for being delivered, each of one file or more; `unread` paths are not in it, and in no other
    count.
    """

    place: str
    made_at: float
    generation: int
    epoch: int
    files: int = 0
    bytes: int = 0
    mails: int = 0
    folders: int = 0
    deleted: int = 0
    perhaps: int = 0
    databases: tuple[KeptDatabase, ...] = ()
    queued: int = 0
    unread: int = 0

    @property
    def is_empty(self) -> bool:
        """Return whether everything had been received."""
        same = all(database.is_empty for database in self.databases)
        return same and not (self.files or self.folders or self.deleted or self.perhaps or self.unread)

    @property
    def sentence(self) -> str:
        """Return what is in it, in one line."""
        if self.is_empty:
            return "The new MASTER has received everything: the vault is empty."
        said = [f"{self.files} files new or changed ({self.mails} of them mails, {self.bytes} bytes)"]
        said += [f"{self.queued} mails that wait for being delivered"] if self.queued else []
        said += [f"{self.deleted} deleted"] if self.deleted else []
        said += [f"{self.perhaps} perhaps"] if self.perhaps else []
        said += [f"{self.unread} that could not be read, and are not in it (LIST.txt: unread)"] if self.unread else []
        said += [database.sentence for database in self.databases if not database.is_empty]
        return f"Never received: {'; '.join(said)}."


def render_list(summary: VaultSummary, kept: Iterable[Kept], moment: str) -> Iterator[str]:
    """Given what is in a vault, return the page for people, line by line; `moment` is when it was made, readable."""
    yield f"What this server had, and the server that took its place never received ({moment}).\n"
    yield f"Compared with generation {summary.generation}, from which that one was promoted (epoch {summary.epoch}).\n"
    yield "\n"
    yield f"{summary.sentence}\n"
    yield "\n"
    yield "files/      each path as it was here, with all its metadata\n"
    yield "databases/  of each server that differs: dump/ is whole, and of now; difference.txt has the rows\n"
    yield "            that differ (+ only here, - only there); server/ has its files, where it could not be dumped\n"
    yield "list.json   this list, for programs\n"
    yield "\n"
    yield "To bring something back, copy it to the MASTER:\n"
    yield "  rsync -aHAX files/home/anna/ MASTER:/home/anna/\n"
    if summary.queued:
        yield f"{summary.queued} mails wait for being delivered; here nobody delivers them. With the MASTER's mail\n"
        yield "server stopped:\n"
        yield "  rsync -aHAX files/var/spool/ MASTER:/var/spool/\n"
    if summary.unread:
        yield f"{summary.unread} could not be read, or were gone by then, and are not here. What of them is on this\n"
        yield "server's disks still goes with the rejoin, or with the next run of the MASTER.\n"
    yield "Nothing here is ever removed by HotSync.\n"
    yield "\n"
    for one in kept:
        what = "mail" if one.mail else "folder" if one.folder else "file"
        sign = "unread" if one.unread else SIGNS[one.fate]
        yield f"{sign:8}{what:7}{one.bytes:>14}  /{readable(one.path)}\n"


def render_json(summary: VaultSummary, kept: Iterable[Kept]) -> Iterator[str]:
    """Given what is in a vault, return the document for programs, piece by piece; paths are readable text."""
    head = json.dumps({"schema": SCHEMA, **asdict(summary)})
    yield head[:-1] + ', "paths": ['
    separator = "\n"
    for one in kept:
        yield separator + json.dumps({**asdict(one), "path": readable(one.path)})
        separator = ",\n"
    yield "\n]}\n"
