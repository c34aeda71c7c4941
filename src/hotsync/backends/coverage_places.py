"""Finds the folders in which accounts and applications keep data: homes of passwd, and what settings name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hotsync.model.coverage.places import PlaceSeen, Setting, homes_in, paths_in
from hotsync.system.files import read_small


def read_places(root: Path, settings: Iterable[Setting], expand: Callable[[str], Iterable[str]]) -> list[PlaceSeen]:
    """Given what names data, and how a pattern becomes paths, return the folders that are there."""
    found: set[PlaceSeen] = set()
    for home, account in homes_in(_read(root, "/etc/passwd")):
        if place := _folder(root, home):
            found.add(PlaceSeen(place, account, is_home=True))
    for setting in settings:
        for file in _files(setting.files, expand):
            places = (_folder(root, path) for path in paths_in(setting.pattern, _read(root, file)))
            found |= {PlaceSeen(place, f"{setting.title}, {file}") for place in places if place}
    return sorted(found, key=lambda place: (place.path, place.owner))


def _files(patterns: Iterable[str], expand: Callable[[str], Iterable[str]]) -> Iterator[str]:
    for pattern in patterns:
        yield from sorted(expand(pattern))


def _folder(root: Path, path: str) -> str:
    """Return where a folder really lies, "" if it is not there, or is the root itself."""
    top = os.path.realpath(root).rstrip("/")
    real = os.path.realpath(f"{top}{path}")
    return real[len(top) :] if real.startswith(f"{top}/") and os.path.isdir(real) else ""


def _read(root: Path, path: str) -> str:
    """Return the text of a regular file, "" if it cannot be read or is larger than settings are."""
    return read_small(f"{os.fspath(root).rstrip('/')}{path}").decode("utf-8", "surrogateescape")
