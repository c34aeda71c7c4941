"""What loads at rest have in common: the server does not run while its data is put where it finds it."""

from __future__ import annotations

import os
from pathlib import Path

from hotsync.errors import OlderServer, RestoreFailed
from hotsync.sources.documents import FileRecord, content_of
from hotsync.sources.source import Dataset
from hotsync.sources.versions import series
from hotsync.system.files import rename_exchange

BESIDE = ".hotsync-new"
"""The folder, beside what it will replace, in which all that is new lies until it is whole."""


def check_version(dataset: Dataset, theirs: str, ours: str) -> None:
    """Raise OlderServer if the server here is older than the one that was collected."""
    if series(ours) < series(theirs):
        raise OlderServer(dataset=dataset.name, theirs=theirs, ours=ours)


def check_place(dataset: Dataset, place: str, what: str) -> None:
    """Raise RestoreFailed if a folder that the MASTER named is an odd one to keep a server's data in."""
    if os.path.normpath(place) != place or place.count("/") < 2 or not place.startswith("/"):
        raise RestoreFailed(dataset=dataset.name, reason=f"{place!r} is no place for {what}")


def copy_collected(
    folder: Path, file: FileRecord, dataset: Dataset, target: Path, *, mode: int, owner: tuple[int, int]
) -> None:
    """Copy a collected file to where nothing lies yet; raise RestoreFailed if it is not what was collected."""
    with target.open("xb") as opened:
        os.fchmod(opened.fileno(), mode)
        os.fchown(opened.fileno(), *owner)
        for chunk in content_of(folder, file, dataset):
            opened.write(chunk)


def put(new: Path, place: Path) -> None:
    """Put a file or folder into its place in one move; what was there goes where it came from."""
    if os.path.lexists(place):
        rename_exchange(str(new), str(place))
    else:
        new.rename(place)
