"""The vault: what this server had and the one that took its place never received, copied out before anything moves.

It is made beside its place, and appears whole by one rename; an attempt that was cut is made anew. Nothing of
production runs, so files hold still.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hotsync.backends.production_units import MUTE_DROP_IN
from hotsync.changes.detect import detect, mount_table
from hotsync.changes.folders import Reach
from hotsync.engine.promotion.room import SPARE, free_at
from hotsync.engine.rejoin.readable_copy import copied_but_for
from hotsync.engine.rejoin.work import part_of
from hotsync.engine.watch import Watched, fate_of
from hotsync.errors import ReplicaError
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Change, Entry, Kind, sort_key
from hotsync.model.loss import Fate, is_mail
from hotsync.model.mail_queue import is_queued_mail, is_queues_folder
from hotsync.model.nesting import lies_in
from hotsync.model.vault import Kept, KeptDatabase, VaultSummary, render_json, render_list
from hotsync.sources.shadows.watch import LiveFiles
from hotsync.system import files
from hotsync.system.clock import Clock
from hotsync.system.holes import holes_at
from hotsync.system.paths import Paths
from hotsync.system.trees import folders_below, items_of, make_folder_like, opened, remove

FILES, DATABASES, LIST, DOCUMENT = "files", "databases", "LIST.txt", "list.json"
ROOM = (
    "Mount a larger disk below /media, where nothing is carried, and name a folder on it: hotsync rejoin --vault "
    "/media/DISK/DIR. Or free space, and run it again."
)
_OWN = "var/lib/hotsync"
_BLOCK = 4096
_MOST_LINKED = 100_000
"""So many files of several names are remembered; of more each name gets a copy of its own."""


class Vault:
    """One vault in the making; `work` is a folder for what is needed besides."""

    def __init__(self, paths: Paths, clock: Clock, place: Path, watched: Watched) -> None:
        self._paths, self._clock, self._place, self._watched = paths, clock, place, watched
        self._part = part_of(place)
        self._linked: dict[tuple[int, int], str] = {}

    @property
    def part(self) -> Path:
        """Return the folder that becomes the vault."""
        return self._part

    @property
    def is_full(self) -> bool:
        """Return whether there is no room left where it is made."""
        with suppress(OSError):  # that folder is gone, or could not be made
            return free_at(self._place.parent) < SPARE
        return False

    def start(self) -> None:
        """Make the folder anew, 0700."""
        remove(self._part)
        self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._part.mkdir(mode=0o700)

    def keep_directories(self, name: str, places: Iterable[str]) -> tuple[str, ...]:
        """Copy where a database server keeps its files, as they lie: it does not run. Return those that could not be
        read.

        Raise ReplicaError if there is no room for it.
        """
        unread: list[str] = []
        for place in (place for place in places if self._paths.at(place).is_dir()):
            self._check_free(
                sum(_size_of(path) for each in folders_below(self._paths.at(place)) for path in items_of(each))
            )
            target = self._part / DATABASES / name / "server" / place.strip("/")
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            unread += copied_but_for(self._paths.at(place), target)
        return tuple(unread)

    def keep(self, epoch: int, databases: tuple[KeptDatabase, ...] = ()) -> VaultSummary:
        """Copy what differs from the manifest, list it, and put the vault in its place; return what is in it.

        Raise ReplicaError if there is no room for it, OSError or CommandFailed if something cannot be copied.
        """
        planned = self._part / "changes"
        with Manifest(self._paths.manifest) as manifest:
            rules = self._watched.selected
            detection = detect(
                self._paths.root, rules.rules, manifest, planned, self._clock, rules.mounts, manifest.digest,
                table=mount_table(self._paths.root), keep_seals=False,
            )  # fmt: skip
            self._check_room(planned)
            empty = VaultSummary(str(self._place), self._clock.now(), manifest.generation, epoch, databases=databases)
            kept = self._part / "kept"
            with kept.open("w", encoding="ascii") as file:
                for one in self._copied(planned, manifest):
                    file.write(json.dumps(asdict(one)) + "\n")
                for notice in detection.problems:  # nobody could look whether it differs
                    file.write(json.dumps(asdict(Kept(notice.path, Fate.PERHAPS, unread=True))) + "\n")
        planned.unlink()
        summary = _counted(empty, _read(kept))
        self._write(
            LIST, render_list(summary, _read(kept), time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(summary.made_at)))
        )
        self._write(DOCUMENT, render_json(summary, _read(kept)))
        kept.unlink()
        files.sync_filesystem(self._part)
        os.rename(self._part, self._place)
        files.sync_directory(self._place.parent)
        return summary

    def _check_room(self, planned: Path) -> None:
        needed = 0
        for change in read_changes(planned):
            entry = change.entry
            if entry is None or _is_ours(change.path) or self._link_of(entry):
                continue
            size = entry.size if entry.kind is Kind.FILE else 0
            needed += _BLOCK + size - holes_at(self._paths.root, entry.path, size)
            self._note_link(entry)
        self._linked.clear()
        self._check_free(needed)

    def _check_free(self, bytes_needed: int) -> None:
        needed, free = bytes_needed + SPARE, free_at(self._part)
        if free < needed:
            raise ReplicaError(
                reason=f"what the new MASTER never received takes {needed >> 20} MiB, and {self._part.parent} has "
                f"{free >> 20} MiB free",
                hint=ROOM,
            )

    def _copied(self, planned: Path, manifest: Manifest) -> Iterator[Kept]:
        """Copy each path that differs, and return those that people should know of."""
        with Reach(self._paths.root) as reach:
            live = LiveFiles(self._paths, reach)
            for change in read_changes(planned):
                if _is_ours(change.path):
                    continue
                fate = fate_of(live, change, manifest.at(sort_key(change.path)))
                entry = change.entry
                wanted = fate is Fate.NEW and not _is_bare_queue(entry)
                if entry is not None and (entry.kind is not Kind.DIRECTORY or wanted) and not self._copy(entry):
                    yield Kept(change.path, fate or Fate.PERHAPS, folder=entry.kind is Kind.DIRECTORY, unread=True)
                elif fate is not None and not (fate is Fate.NEW and _is_bare_queue(entry)):
                    yield self._kept(change, fate)

    def _kept(self, change: Change, fate: Fate) -> Kept:
        entry = change.entry
        is_file = entry is not None and entry.kind is Kind.FILE
        mail = is_file and is_mail(change.path, self._watched.mail_folders)
        size = entry.size if entry is not None and is_file else 0
        return Kept(change.path, fate, size, entry is not None and entry.kind is Kind.DIRECTORY, mail)

    def _copy(self, entry: Entry) -> bool:
        """Copy a path; return whether it is in the vault. That one cannot be read (a bad sector is why many a MASTER
        died), or is gone by now, ends nothing; that it cannot be written does."""
        source, target = self._paths.root / entry.path, self._part / FILES / entry.path
        try:
            self._make_folders(entry.path if entry.kind is Kind.DIRECTORY else entry.path.rpartition("/")[0])
        except (FileNotFoundError, NotADirectoryError):
            if os.path.lexists(source):
                raise
            return False
        if entry.kind is Kind.DIRECTORY:
            return True
        if known := self._link_of(entry):
            os.link(self._part / FILES / known, target, follow_symlinks=False)
            return True
        if copied_but_for(source, target):
            return False
        self._note_link(entry)
        return True

    def _link_of(self, entry: Entry) -> str:
        """Return the path that was copied already and is the same file by another name, "" if none was."""
        return self._linked.get((entry.device, entry.inode), "") if entry.links > 1 else ""

    def _note_link(self, entry: Entry) -> None:
        if entry.kind is Kind.FILE and entry.links > 1 and len(self._linked) < _MOST_LINKED:
            self._linked[entry.device, entry.inode] = entry.path

    def _make_folders(self, folder: str) -> None:
        """Make a folder and those above it, with the attributes of the live ones."""
        top = self._part / FILES
        missing: list[str] = []
        while folder and not (top / folder).is_dir():
            missing.append(folder)
            folder = folder.rpartition("/")[0]
        top.mkdir(mode=0o700, exist_ok=True)
        for each in reversed(missing):
            parent, _, name = each.rpartition("/")
            with opened(self._paths.root, parent) as source:
                make_folder_like(name, source, top / each)

    def _write(self, name: str, pieces: Iterator[str]) -> None:
        with (self._part / name).open("w", encoding="utf-8") as file:
            file.writelines(pieces)


def read_summary(place: Path) -> VaultSummary | None:
    """Given the folder of a vault, return what is in it, None if it is gone or cannot be read."""
    try:
        document = json.loads((place / DOCUMENT).read_bytes())
        databases = tuple(KeptDatabase(**database) for database in document.pop("databases"))
        del document["schema"], document["paths"]
        return VaultSummary(**document, databases=databases)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _size_of(path: Path) -> int:
    try:
        status = path.lstat()
    except OSError:  # told where it cannot be copied
        return 0
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return _BLOCK + size - holes_at(path.parent, path.name, size)


def _is_ours(path: str) -> bool:
    """Return whether a path is HotSync's own: its state, or the mute of a server that holds itself."""
    return lies_in(path, _OWN) or path.endswith(f"/{MUTE_DROP_IN}")


def _is_bare_queue(entry: Entry | None) -> bool:
    """Return whether an entry is a folder of a mail queue: often it is carried in a switchover alone, and no news."""
    return entry is not None and entry.kind is Kind.DIRECTORY and is_queues_folder(entry.path)


def _read(file: Path) -> Iterator[Kept]:
    with file.open(encoding="ascii") as lines:
        for line in lines:
            fields: dict[str, Any] = json.loads(line)
            yield Kept(fate=Fate(fields.pop("fate")), **fields)


def _counted(summary: VaultSummary, kept: Iterator[Kept]) -> VaultSummary:
    files = size = mails = queued = folders = deleted = perhaps = unread = 0
    for one in kept:
        if one.unread:
            unread += 1
        elif one.fate is Fate.DELETED:
            deleted += 1
        elif one.folder:
            folders += 1
        elif one.fate is Fate.PERHAPS:
            perhaps += 1
        else:
            files, size, mails = files + 1, size + one.bytes, mails + one.mail
            queued += is_queued_mail(one.path)
    return replace(
        summary, files=files, bytes=size, mails=mails, folders=folders, deleted=deleted, perhaps=perhaps, queued=queued,
        unread=unread,
    )  # fmt: skip
