"""Is there room for what a promotion writes: the prepared /etc, units on other file systems, loaded databases."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from hotsync.manifest.store import Manifest
from hotsync.model.changeset import folders_of
from hotsync.model.entry import Entry
from hotsync.model.promotion import ETC, How, Promotion
from hotsync.system.holes import holes_at
from hotsync.system.paths import Paths

SPARE = 64 * 1024 * 1024
"""Left free beside what is copied, on each file system."""
_BLOCK = 4096


def room_missing(paths: Paths, promotion: Promotion, loads: Iterable[tuple[str, int]] = ()) -> str:
    """Given a promotion that would be, return what room is missing where, in words; "" if there is enough.

    `loads` are the folders that databases are loaded into, with the bytes that they will take.
    """
    needed: dict[int, int] = defaultdict(int)
    places: dict[int, Path] = {}
    tree = paths.replica / "tree"
    copied = [unit.path for unit in promotion.units if unit.how is How.COPY]
    with Manifest(paths.manifest) as manifest:
        for path in (ETC, *copied):
            place = _nearest(paths.root, path)
            device = os.lstat(place).st_dev
            places[device] = place
            needed[device] += sum(_bytes_of(tree, entry) for entry in manifest.entries(path))
    for folder, size in loads:
        place = _nearest(paths.root, f"{folder}/x")
        device = os.stat(place).st_dev  # a data directory may be a link to another disk
        places.setdefault(device, place)
        needed[device] += size
    faults: list[str] = []
    for device, bytes_needed in needed.items():
        free = free_at(places[device])
        if free < bytes_needed + SPARE:
            lacking = (bytes_needed + SPARE - free) / 2**20
            faults.append(f"the file system of {places[device]} lacks {lacking:.0f} MiB")
    return "; ".join(faults)


def free_at(place: Path) -> int:
    """Return how many bytes may still be written below a folder."""
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


def _bytes_of(tree: Path, entry: Entry) -> int:
    return entry.size - holes_at(tree, entry.path, entry.size) + _BLOCK


def _nearest(root: Path, path: str) -> Path:
    """Return the deepest folder above a path that is there."""
    for folder in folders_of(path):
        if (root / folder).is_dir():
            return root / folder
    return root
