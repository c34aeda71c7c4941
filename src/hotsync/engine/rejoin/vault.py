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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hotsync.backends.production_units import MUTE_DROP_IN
from hotsync.changes.detect import detect, mount_table
from hotsync.changes.folders import Reach
from hotsync.engine.promotion.room import SPARE, free_at
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
from hotsync.system.paths import Paths
from hotsync.system.trees import copy_exactly, folders_below, items_of, make_folder_like, opened, remove

FILES, DATABASES, LIST, DOCUMENT = "files", "databases", "LIST.txt", "list.json"
_OWN = "var/lib/hotsync"
_BLOCK = 4096


class Vault:
    """One vault in the making; `work` is a folder for what is needed besides."""

    def __init__(self, paths: Paths, clock: Clock, place: Path, watched: Watched) -> None:
        self._paths, self._clock, self._place, self._watched = paths, clock, place, watched
        self._part = part_of(place)

    @property
    def part(self) -> Path:
        """Return the folder that becomes the vault."""
        return self._part

    def start(self) -> None:
        """Make the folder anew, 0700."""
        remove(self._part)
        self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._part.mkdir(mode=0o700)

    def keep_directories(self, name: str, places: Iterable[str]) -> None:
        """Copy where a database server keeps its files, as they lie: it does not run.

        Raise ReplicaError if there is no room for it.
        """
        for place in (place for place in places if self._paths.at(place).is_dir()):
            self._check_free(
                sum(_size_of(path) for each in folders_below(self._paths.at(place)) for path in items_of(each))
            )
            target = self._part / DATABASES / name / "server" / place.strip("/")
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy_exactly(self._paths.at(place), target)

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
                for notice in detection.problems:  # it stays where it is, and nobody knows whether it differs
                    file.write(json.dumps(asdict(Kept(notice.path, Fate.PERHAPS))) + "\n")
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
            if change.entry is not None and not _is_ours(change.path):
                needed += _BLOCK + (change.entry.size if change.entry.kind is Kind.FILE else 0)
        self._check_free(needed)

    def _check_free(self, bytes_needed: int) -> None:
        needed, free = bytes_needed + SPARE, free_at(self._part)
        if free < needed:
            raise ReplicaError(
                reason=f"what the new MASTER never received takes {needed >> 20} MiB, and {self._part.parent} has "
                f"{free >> 20} MiB free",
                hint="Mount a larger disk below /media, where nothing is carried, and name a folder on it: hotsync "
                "rejoin --vault /media/DISK/DIR. Or free space, and run it again.",
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
                if entry is not None and (entry.kind is not Kind.DIRECTORY or wanted):
                    self._copy(entry)  # also a part of a database file, which is nothing by itself
                if fate is not None and not (fate is Fate.NEW and _is_bare_queue(entry)):
                    yield self._kept(change, fate)

    def _kept(self, change: Change, fate: Fate) -> Kept:
        entry = change.entry
        is_file = entry is not None and entry.kind is Kind.FILE
        mail = is_file and is_mail(change.path, self._watched.mail_folders)
        size = entry.size if entry is not None and is_file else 0
        return Kept(change.path, fate, size, entry is not None and entry.kind is Kind.DIRECTORY, mail)

    def _copy(self, entry: Entry) -> None:
        target = self._part / FILES / entry.path
        self._make_folders(entry.path if entry.kind is Kind.DIRECTORY else entry.path.rpartition("/")[0])
        if entry.kind is not Kind.DIRECTORY:
            copy_exactly(self._paths.root / entry.path, target)

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
    status = path.lstat()
    return _BLOCK + (status.st_size if stat.S_ISREG(status.st_mode) else 0)


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
    files = size = mails = queued = folders = deleted = perhaps = 0
    for one in kept:
        if one.fate is Fate.DELETED:
            deleted += 1
        elif one.folder:
            folders += 1
        elif one.fate is Fate.PERHAPS:
            perhaps += 1
        else:
            files, size, mails = files + 1, size + one.bytes, mails + one.mail
            queued += is_queued_mail(one.path)
    return replace(
        summary, files=files, bytes=size, mails=mails, folders=folders, deleted=deleted, perhaps=perhaps, queued=queued
    )
