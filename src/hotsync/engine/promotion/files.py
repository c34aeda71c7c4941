"""The replica's tree moves into production: the Files port of a promotion.

Every move is one rename; whether it happened is told by the tree's side: while the tree holds the inode that was noted
at the claim, it did not. What was this host's own lands in aside/, also when the machine died between the two renames.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hotsync.backends import quotas, rebuild, selinux
from hotsync.engine.network import trial as network_trial
from hotsync.engine.open_replica import open_replica
from hotsync.engine.promotion import folders_before
from hotsync.engine.promotion.master_facts import read_told
from hotsync.engine.promotion.prepared_etc import PREPARED, PreparedEtc
from hotsync.errors import ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.changeset import folders_of
from hotsync.model.entry import Kind, parent_of
from hotsync.model.promotion import ETC, ExchangeUnit, How, Promotion
from hotsync.replica.reopen import LIVE, STATE
from hotsync.state import promotion as document
from hotsync.system import attributes, files, flags
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from hotsync.system.trees import copy_exactly, inode, move_aside, opened, remove

ASIDE = "aside"
NEW_FOLDER = ".hotsync-folder"
"""What a missing folder is called until it has the MASTER's attributes."""


def way_station(epoch: int) -> str:
    """Return the folder of a promotion on another file system than the replica's: where copies are made, and what was
    there goes aside. Each promotion has its own, so that nothing set aside is ever in the way."""
    return f".hotsync-promotion.{epoch}"


class PromotionFiles:
    """The replica's tree and the live root of one host."""

    def __init__(self, paths: Paths, etc: PreparedEtc) -> None:
        self._paths = paths
        self._etc = etc
        self._tree = paths.replica / "tree"
        self._aside = paths.state / ASIDE

    def mark_live(self) -> None:
        """Say in the manifest that the tree is moving into production; what its folders are like here is kept."""
        folders_before.remember(self._paths, self._promotion())
        replica = open_replica(self._paths, SystemClock())
        with replica.hold() as opened:
            if not replica.closed:
                replica.close("a promotion has moved its tree into production")
            opened.manifest.set_meta(STATE, LIVE)

    def prepare_etc(self) -> None:
        """Build the prepared /etc beside the live one."""
        self._etc.prepare(self._promotion())

    def exchange_etc(self) -> None:
        """Exchange the prepared /etc with the live one; the old one goes aside, and the report says where."""
        aside = self._aside_for(ETC)
        if aside != self._aside:  # said before it is true: a cut after the exchange leaves nothing to say it
            place = f"/{(aside / ETC).relative_to(self._paths.root)}"
            document.add_note(self._paths, f"What this server had in /etc lies in {place} (/var is a disk of its own).")
        network_trial.begin(self._paths, self._promotion(), self._paths.at(f"/{PREPARED}"))
        self._etc.exchange(self._promotion(), aside)

    def exchange(self, path: str) -> None:
        """Move one unit into place; raise ReplicaError if what lies there is not what the promotion noted."""
        unit = self._promotion().unit(path)
        if unit is None:
            raise ReplicaError(reason=f"/{path} is no unit of this promotion")
        if unit.how is How.ASIDE:
            self._set_aside(unit)
        elif unit.how is How.COPY:
            self._copy(unit)
        else:
            self._exchange(unit, self._tree, self._aside)

    def set_folders(self) -> None:
        """Give the MASTER's attributes to the selected folders that stayed in place."""
        for path in self._promotion().folders:
            self._copy_attributes(path)

    def set_quotas(self) -> None:
        """Set the MASTER's limits of users, groups and projects; what could not be set is noted for the report."""
        if failed := list(quotas.set_quotas(read_told(self._paths).quotas)):
            document.add_note(self._paths, f"Not all quotas could be set: {'; '.join(failed)}.")

    def restore_labels(self) -> None:
        """Label what moved into place, and what may lie where it was made; what fails is noted for the report."""
        moved = [unit.path for unit in self._promotion().units if unit.how is not How.ASIDE]
        root = self._paths.root
        if fault := selinux.label(self._paths, [os.fspath(root / path) for path in (*moved, ETC)], root):
            document.add_note(self._paths, f"Not everything could be labelled for SELinux: {fault}")

    def rebuild(self, make: str, paths: Sequence[str]) -> None:
        """Make something anew from carried files; what fails is noted for the report."""
        if fault := rebuild.make(make, paths):
            document.add_note(self._paths, f"Could not be made anew: {fault}")

    def set_attributes(self) -> None:
        """Set the file attributes of chattr, and projects of quotas; those that this file system does not know are
        noted for the report."""
        failed: list[str] = []
        disks: dict[int, str] = {}
        with Manifest(self._paths.manifest) as manifest:
            for entry in manifest.flagged():
                if entry.kind not in (Kind.FILE, Kind.DIRECTORY):
                    continue
                try:
                    with opened(self._paths.root, entry.path, os.O_RDONLY | os.O_NONBLOCK) as place:
                        flags.add_flags(place, entry.flags)
                        disks.setdefault(os.fstat(place).st_dev, entry.path)
                except OSError as error:
                    failed.append(f"/{entry.path} ({error.strerror})")
        for path in disks.values():  # all of a project's files may be among them: not each by itself
            files.sync_filesystem(self._paths.root / path)
        if failed:
            shown = ", ".join(failed[:5]) + (f" and {len(failed) - 5} more" if len(failed) > 5 else "")
            document.add_note(self._paths, f"File attributes (chattr, projects) could not be set on {shown}.")

    def _promotion(self) -> Promotion:
        promotion = document.load_promotion(self._paths)
        if promotion is None:
            raise ReplicaError(reason="there is no promotion to work on", hint="Run hotsync-promote.")
        return promotion

    def _exchange(self, unit: ExchangeUnit, source_root: Path, aside: Path) -> None:
        """Move `source_root/path` to the live path, and what was there to `aside/path`."""
        parent, name = parent_of(unit.path), os.path.basename(unit.path)
        there = inode(source_root / unit.path)
        if there == unit.inode:
            self._make_parents(unit.path)
            with opened(source_root, parent) as old, opened(self._paths.root, parent) as new:
                try:
                    files.rename_noreplace(name, name, old_dir=old, new_dir=new)
                except FileExistsError:
                    files.rename_exchange(name, name, old_dir=old, new_dir=new)
                os.fsync(old)
                os.fsync(new)
            there = inode(source_root / unit.path)
        if there is None:
            return
        # between the two renames nothing of production runs, so a folder that was exchanged is still where it went
        if unit.kind is Kind.DIRECTORY and inode(self._paths.root / unit.path) != unit.inode:
            raise ReplicaError(
                reason=f"/{unit.path} is neither in the replica nor live as it was when the promotion was claimed",
                hint=f"Somebody changed it by hand: compare {source_root / unit.path} with /{unit.path}.",
            )
        move_aside(source_root, unit.path, aside)

    def _set_aside(self, unit: ExchangeUnit) -> None:
        """Move away what only this host has, unless it is gone already or something new has come."""
        if inode(self._paths.root / unit.path) == unit.inode:
            move_aside(self._paths.root, unit.path, self._aside_for(unit.path))

    def _copy(self, unit: ExchangeUnit) -> None:
        """Copy the unit to its own file system, completely and durably, then exchange it there."""
        station = self._station(unit.path)
        fresh = station / "new"
        noted = self._promotion().copy_of(unit.path)
        if noted is None:
            target = fresh / unit.path
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            remove(target)
            copy_exactly(self._tree / unit.path, target)
            files.sync_filesystem(target.parent)
            noted = os.lstat(target).st_ino
            document.set_copy(self._paths, unit.path, noted)
        copied = ExchangeUnit(unit.path, How.COPY, unit.kind, noted, unit.device)
        self._exchange(copied, fresh, station / ASIDE)

    def _station(self, path: str) -> Path:
        """Return the way station on the file system that will hold `path`."""
        place = self._nearest(path)
        device = os.lstat(place).st_dev
        root = self._paths.root
        while place != root and os.lstat(place.parent).st_dev == device:
            place = place.parent
        station = place / way_station(self._promotion().epoch)
        station.mkdir(mode=0o700, exist_ok=True)
        return station

    def _aside_for(self, path: str) -> Path:
        state = os.lstat(self._paths.state).st_dev
        here = os.lstat(self._nearest(path)).st_dev
        return self._aside if here == state else self._station(path) / ASIDE

    def _nearest(self, path: str) -> Path:
        """Return the folder that holds `path`, or the nearest one above that exists."""
        for folder in folders_of(path):
            if os.path.lexists(self._paths.root / folder):
                return self._paths.root / folder
        return self._paths.root

    def _make_parents(self, path: str) -> None:
        """Make the folders above a path that are missing live, with the MASTER's attributes, each by one rename."""
        for folder in reversed(list(folders_of(path))):
            parent, name = parent_of(folder), os.path.basename(folder)
            with opened(self._paths.root, parent) as place:
                try:
                    os.stat(name, dir_fd=place, follow_symlinks=False)
                    continue
                except FileNotFoundError:
                    pass
                with suppress(FileExistsError):  # an attempt that was cut left it
                    os.mkdir(NEW_FOLDER, 0o700, dir_fd=place)
                self._copy_attributes(folder, as_name=NEW_FOLDER)
                files.rename_noreplace(NEW_FOLDER, name, old_dir=place, new_dir=place)
                os.fsync(place)

    def _copy_attributes(self, path: str, *, as_name: str = "") -> None:
        """Give a live folder (or that beside it which will be it) all metadata of the tree's, in the order that keeps
        each."""
        parent, name = parent_of(path), os.path.basename(path)
        with opened(self._tree, parent) as source, opened(self._paths.root, parent) as target:
            wanted = os.stat(name, dir_fd=source, follow_symlinks=False)
            live = as_name or name
            with opened(self._paths.root, f"{parent}/{live}".lstrip("/")) as folder:
                os.fchown(folder, wanted.st_uid, wanted.st_gid)
                attributes.write_attributes(live, target, attributes.read_attributes(name, source))
                os.fchmod(folder, stat.S_IMODE(wanted.st_mode))
                os.utime(folder, ns=(wanted.st_atime_ns, wanted.st_mtime_ns))
                os.fsync(folder)  # nothing else would make it durable soon


def units_left(promotion: Promotion, paths: Paths) -> tuple[ExchangeUnit, ...]:
    """Given a promotion, return its units that are not wholly in place yet."""
    return tuple(unit for unit in promotion.units if not _is_done(unit, promotion, paths))


def _is_done(unit: ExchangeUnit, promotion: Promotion, paths: Paths) -> bool:
    if unit.how is How.ASIDE:
        return inode(paths.root / unit.path) != unit.inode
    if unit.how is How.COPY:
        # the copy leaves its way station by the exchange, and what came back by the move aside
        return promotion.copy_of(unit.path) is not None and not any(
            os.path.lexists(folder / way_station(promotion.epoch) / "new" / unit.path)
            for folder in (paths.root / unit.path).parents
            if folder.is_relative_to(paths.root)
        )
    return not os.path.lexists(paths.replica / "tree" / unit.path)
