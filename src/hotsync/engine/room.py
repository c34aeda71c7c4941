"""Is there room for what a promotion copies: the prepared /etc, and units that lie on other file systems."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from hotsync.manifest.store import Manifest
from hotsync.model.changeset import folders_of
from hotsync.model.promotion import ETC, How, Promotion
from hotsync.system.paths import Paths

SPARE = 64 * 1024 * 1024
"""Left free beside what is copied, on each file system."""
_BLOCK = 4096


def room_missing(paths: Paths, promotion: Promotion) -> str:
    """Given a promotion that would be, return what room is missing where, in words; "" if there is enough."""
    needed: dict[int, int] = defaultdict(int)
    places: dict[int, Path] = {}
    copied = [unit.path for unit in promotion.units if unit.how is How.COPY]
    with Manifest(paths.manifest) as manifest:
        for path in (ETC, *copied):
            place = _nearest(paths.root, path)
            device = os.lstat(place).st_dev
            places[device] = place
            needed[device] += sum(entry.size + _BLOCK for entry in manifest.entries(path))
    faults: list[str] = []
    for device, bytes_needed in needed.items():
        status = os.statvfs(places[device])
        free = status.f_bavail * status.f_frsize
        if free < bytes_needed + SPARE:
            lacking = (bytes_needed + SPARE - free) / 2**20
            faults.append(f"the file system of {places[device]} lacks {lacking:.0f} MiB")
    return "; ".join(faults)


def _nearest(root: Path, path: str) -> Path:
    for folder in folders_of(path):
        if (root / folder).is_dir():
            return root / folder
    return root
