"""Packages of no repository: the MASTER takes their files along, as they were installed or built anew.

Nothing is asked and nothing built while package lists and packages are the same; a file that is there stays the same
file while its package is not installed again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

from hotsync.backends.packages import detect
from hotsync.errors import CommandFailed, ReplicaError, SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.packages.local import (
    FAILED,
    LARGEST_FILE,
    LARGEST_SUM,
    NO_ROOM,
    TOO_LARGE,
    TOO_MANY,
    LocalPackage,
    are_too_many,
    find_local,
)
from hotsync.model.packages.values import Package, Room, lacks_room
from hotsync.model.ports.package_files import PackageFiles
from hotsync.model.ports.package_manager import PackageManager
from hotsync.model.report import Check, Verdict
from hotsync.sources.source import Context, Dataset
from hotsync.sources.spool import CHUNK, Collection, collecting, digest_of, open_plain
from hotsync.state.local_packages import DATASET, DOCUMENT, Seen, load_local, load_seen, render_local, save_seen
from hotsync.system.paths import Paths

NAME: str = DATASET
IS_DATABASE: bool = False

AGAIN_AFTER = 6 * 3600.0
"""What could not be had is tried again so late while nothing changes."""
_log = logging.getLogger("hotsync.packages")


def inspect(context: Context) -> tuple[Dataset, ...]:
    """Given the host, return the one dataset of this source; none where there is no package database."""
    return (Dataset(NAME),) if detect.is_known(context.paths) else ()


def collect(context: Context, dataset: Dataset) -> list[DatasetPoint]:
    """Given the host, bring files and list up to date; raise SourceError if the disk says no.

    Where the package manager cannot be asked, what was found before stays: it tells of that itself.
    """
    paths, taken_at = context.paths, context.clock.now()
    last = _last(paths)
    try:
        manager = detect.manager_of(paths)
        digest, before = _digest(paths, manager), load_seen(paths)
        settled = before.digest == digest and (before.whole or 0 <= taken_at - before.at < AGAIN_AFTER)
        if not settled or not _lie_there(paths, last):
            save_seen(paths, Seen(digest, taken_at, _bring_up_to_date(paths, manager, last)))
    except CommandFailed as error:
        _log.warning("packages of no repository are as before: %s", error)
    except OSError as error:
        raise SourceError(dataset=dataset.name, reason=str(error)) from error
    return [DatasetPoint(dataset.name, taken_at)]


def restore(folder: Path, dataset: Dataset) -> str:
    """Do nothing: hotsync-slave installs what was accepted."""
    del folder, dataset
    return ""


def verify(folder: Path) -> list[Check]:
    """Given the collected files, return whether each is what the list says."""
    title = "package files of no repository are whole"
    try:
        told = load_local(folder.parent)
        ending = {path.stem: path for path in folder.iterdir()}
        bad = [each.name for each in told if each.sha256 and not _is_whole(ending.get(each.sha256), each)]
    except (ReplicaError, OSError) as error:
        return [Check(NAME, title, Verdict.RED, str(error), "The next run of hotsync collects them anew.")]
    if bad:
        return [Check(NAME, title, Verdict.RED, ", ".join(bad), "The next run of hotsync collects them anew.")]
    return [Check(NAME, title, Verdict.GREEN)]


def _is_whole(file: Path | None, package: LocalPackage) -> bool:
    return file is not None and digest_of(file).sha256 == package.sha256


def _last(paths: Paths) -> tuple[LocalPackage, ...]:
    try:
        return load_local(paths.spool)
    except ReplicaError:
        return ()  # of another version, or damaged: all is made anew


def _digest(paths: Paths, manager: PackageManager) -> str:
    found = hashlib.sha256(manager.digest().encode())
    if paths.package_files.is_dir():  # where a person lays what is told as lacking
        found.update(repr(sorted(os.listdir(paths.package_files))).encode("utf-8", "surrogateescape"))
    info = paths.at("/var/lib/dpkg/info")
    if info.is_dir():  # the same version installed again changes no other word of dpkg's
        found.update(str(info.stat().st_mtime_ns).encode())
    return found.hexdigest()


def _place(paths: Paths) -> Path:
    return paths.spool / NAME


def _lie_there(paths: Paths, told: tuple[LocalPackage, ...]) -> bool:
    """Return whether the document and every file that it names lie in the spool."""
    ending = detect.files_of(paths).ending
    sizes = {each.name: each.stat().st_size for each in _place(paths).glob("*")}
    return DOCUMENT in sizes and all(sizes.get(each.sha256 + ending) == each.size for each in told if each.sha256)


def _bring_up_to_date(paths: Paths, manager: PackageManager, last: tuple[LocalPackage, ...]) -> bool:
    """Look which packages are of no repository and carry them; return whether all could be had.

    A host without package lists does not know: then what was carried stays.
    """
    installed = manager.installed()
    if offered := manager.available(installed):
        found = [package for _, package in find_local(installed, offered, manager.machine().family.order)]
        only_known = are_too_many(len(found), len(installed))
        return not any(each.lack for each in _carry(paths, found, last, only_known=only_known))
    if not _lie_there(paths, last):
        _carry(paths, [], last)
    return False


def _carry(
    paths: Paths, found: list[Package], last: tuple[LocalPackage, ...], *, only_known: bool = False
) -> list[LocalPackage]:
    """Bring the spool to exactly these packages, or those of them that it has already; return what is told of them."""
    known = {(each.name, each.version, each.architecture): each for each in last}
    told: list[LocalPackage] = []
    left = LARGEST_SUM
    with collecting(paths, NAME) as collection:
        carrier = _Carrier(paths, collection, detect.files_of(paths))
        for package in found:
            before = known.get((package.name, package.version, package.architecture))
            told.append(carrier.take(package, before, min(left, LARGEST_FILE), only_known=only_known))
            left -= told[-1].size
        collection.put(DOCUMENT, render_local(told))
        collection.publish()
    if only_known:
        _log.warning("%d packages are of no repository: too many to carry; are all repositories set up?", len(found))
        return told
    for each in told:
        if each.lack and known.get((each.name, each.version, each.architecture)) != each:
            _log.warning("%s %s is of no repository and is not carried: %s", each.name, each.version, each.reason)
    return told


class _Carrier:
    def __init__(self, paths: Paths, collection: Collection, files: PackageFiles) -> None:
        self._paths, self._collection, self._files = paths, collection, files

    def take(self, package: Package, before: LocalPackage | None, most: int, *, only_known: bool) -> LocalPackage:
        """Take a package's file along if it can be had; one that is there already stays."""
        told = LocalPackage(package.name, package.version, package.architecture, seen=self._files.seen(package))
        if before is not None and before.sha256 and before.seen == told.seen and before.size <= most:
            file = _place(self._paths) / (before.sha256 + self._files.ending)
            if file.is_file() and file.stat().st_size == before.size:
                self._collection.keep(file.name)
                return before
        if only_known:
            return replace(told, lack=TOO_MANY)
        for file in self._files.find(package):
            return self._put(told, file, most)
        if lack := self._files.lack or self._hindrance(package, most):
            return replace(told, lack=lack)
        return self._rebuild(told, package, most)

    def _hindrance(self, package: Package, most: int) -> str:
        """Return why a package cannot be built anew: it is copied once and packed once."""
        size, usage = self._files.unpacked(package), shutil.disk_usage(self._paths.state)
        if size > 4 * most:
            return TOO_LARGE
        return NO_ROOM if lacks_room(2 * size, Room(usage.total, usage.free)) else ""

    def _rebuild(self, told: LocalPackage, package: Package, most: int) -> LocalPackage:
        folder = self._collection.work / "rebuilt"
        folder.mkdir(mode=0o700)
        try:
            return self._put(replace(told, rebuilt=True), self._files.rebuild(package, folder), most)
        except (CommandFailed, ValueError) as error:
            _log.warning("%s cannot be built anew: %s", package.name, error)
            return replace(told, lack=FAILED)
        finally:
            shutil.rmtree(folder)

    def _put(self, told: LocalPackage, file: Path, most: int) -> LocalPackage:
        if file.stat().st_size > most:
            return replace(told, rebuilt=False, lack=TOO_LARGE)
        digest = digest_of(file)
        candidate = self._collection.candidate(digest.sha256 + self._files.ending)
        with open_plain(file) as content:
            while chunk := content.read(CHUNK):
                candidate.write(chunk)
        candidate.pause()
        if candidate.digest.sha256 != digest.sha256:
            raise OSError(f"{file} changed while it was read")
        return replace(told, sha256=digest.sha256, size=digest.size)
