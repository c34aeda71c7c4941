"""Reads this machine's tables of disks: which files they name, which stay here, and what they mount from elsewhere."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from hotsync.model.disk_tables import (
    FSTAB,
    MAPPED,
    UNITS,
    Mounted,
    Named,
    files_of_mapped,
    files_of_mount,
    images_of,
    parse_fstab,
    parse_unit,
)
from hotsync.model.facts import ShareFact
from hotsync.model.selection import Action, Rule, Voice
from hotsync.system.files import read_small
from hotsync.system.paths import Paths
from hotsync.system.trees import names_in

_MOST_LINKS = 40


def own_files(paths: Paths) -> tuple[Named, ...]:
    """Return the plain files that this machine's tables name, each by its true path."""
    return tuple(dict.fromkeys(places[-1] for places in _named(paths)))


def own_links(paths: Paths) -> tuple[Named, ...]:
    """Return the links on the way to the files that this machine's tables name."""
    return tuple(dict.fromkeys(link for places in _named(paths) for link in places[:-1]))


def own_images(paths: Paths) -> tuple[Named, ...]:
    """Return the plain files that this machine mounts, or opens as a disk, by its tables."""
    found = _there(paths, images_of(read_mounted(paths), _mapped(paths)))
    return tuple(dict.fromkeys(places[-1] for places in found))


def rules_for(named: Iterable[Named]) -> tuple[Rule, ...]:
    """Given what tables of disks name, return the rules that keep it on its machine."""
    return tuple(
        Rule(glob.escape(each.path), Action.PROTECT, f"named in {each.table}", Voice.PROFILE) for each in named
    )


def disk_rules(paths: Paths) -> tuple[Rule, ...]:
    """Return the rules that keep from being carried what only this machine's disks need, above all their keys."""
    return rules_for(each for each in own_files(paths) if each.of_disk)


def read_shares(paths: Paths) -> tuple[ShareFact, ...]:
    """Return what this machine's tables mount by themselves from other servers and other folders, by mount point."""
    found = {
        each.point: ShareFact(each.point, each.source, each.share, each.table)
        for each in (replace(line, point=line.point.rstrip("/") or "/") for line in read_mounted(paths))
        if each.share and _mounts_by_itself(paths, each)
    }
    return tuple(found[point] for point in sorted(found))


def read_mounted(paths: Paths) -> tuple[Mounted, ...]:
    """Return the lines of fstab, and the units that are such lines in another form."""
    return (*parse_fstab(_text(paths.at(FSTAB))), *_of_units(paths))


def _mapped(paths: Paths) -> list[tuple[str, str]]:
    return [(table, _text(paths.at(table))) for table in MAPPED]


def _of_units(paths: Paths) -> Iterator[Mounted]:
    folder = paths.at(UNITS)
    for name in names_in(folder):
        if name.endswith((".mount", ".swap")) and not (folder / name).is_symlink():
            more = (folder / f"{name}.d" / each for each in names_in(folder / f"{name}.d"))
            text = "\n".join(_text(each) for each in (folder / name, *more))
            if (mounted := parse_unit(text, f"{UNITS}/{name}")) is not None:
                yield mounted


def _mounts_by_itself(paths: Paths, mounted: Mounted) -> bool:
    if mounted.table == FSTAB:
        return "noauto" not in mounted.options or "x-systemd.automount" in mounted.options
    stem = os.path.basename(mounted.table).rpartition(".")[0]
    folder = paths.at(UNITS)
    return any(
        os.path.lexists(folder / wanting / f"{stem}.{kind}")
        for wanting in names_in(folder)
        if wanting.endswith((".wants", ".requires"))
        for kind in ("mount", "automount")
    )


def _named(paths: Paths) -> list[tuple[Named, ...]]:
    named = [each for mounted in read_mounted(paths) for each in files_of_mount(mounted)]
    named += [each for table, text in _mapped(paths) for each in files_of_mapped(text, table)]
    return _there(paths, named)


def _there(paths: Paths, named: Iterable[Named]) -> list[tuple[Named, ...]]:
    """Given what is named, return what is there of it: the links on the way to each file, and at last that."""
    found = ((each, _places(paths.root, each.path)) for each in named)
    return [tuple(replace(each, path=place) for place in places) for each, places in found if places]


def _places(root: Path, path: str) -> list[str]:
    """Given a path, return the links on the way to the plain file there, and that file; nothing for anything else.

    Links are followed as if the root were `/`.
    """
    found: list[str] = []
    left, here = [name for name in path.split("/") if name], ""
    while left:
        name = left.pop(0)
        here = os.path.normpath(f"{here}/{name}") if name != ".." else os.path.dirname(here).rstrip("/")
        try:
            status = os.lstat(root / here.lstrip("/"))
            target = os.readlink(root / here.lstrip("/")) if stat.S_ISLNK(status.st_mode) else ""
        except (OSError, ValueError):  # a table that was damaged may name what no path can be
            return []
        if stat.S_ISLNK(status.st_mode):
            if len(found) == _MOST_LINKS:
                return []
            found.append(here)
            left = [each for each in target.split("/") if each not in ("", ".")] + left
            here = "" if target.startswith("/") else os.path.dirname(here).rstrip("/")
        elif not left and not stat.S_ISREG(status.st_mode):
            return []
    return [*found, here] if here else []


def _text(path: Path) -> str:
    return read_small(path).decode("utf-8", "surrogateescape")
