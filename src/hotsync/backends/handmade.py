"""Which of this host's units an administrator wrote although they are called like a part of the machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from hotsync.backends.package_files import owners_of
from hotsync.errors import CommandFailed
from hotsync.model.handmade import comes_early, may_be_handmade
from hotsync.model.mute import KINDS
from hotsync.model.unit_names import template_of
from hotsync.system.files import read_small
from hotsync.system.trees import names_in

_HIS = ("/etc/systemd/system", "/usr/local/lib/systemd/system")
_VENDORS = ("/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/generator", "/run/systemd/generator.late")
_NOT_HIS = ("/usr/lib/", "/lib/", "/run/", "/dev/")
_log = logging.getLogger("hotsync.handmade")


def handmade_units(root: Path) -> frozenset[str]:
    """Given a root, return the units there that are called like the machine's, and that an administrator wrote.

    Its own file (no drop-in) lies in his folders, no package brought it, nor one of that name, and nothing of the
    machine waits for it.
    """
    top = os.fspath(root).rstrip("/")
    found: dict[str, str] = {}
    for folder in _HIS:
        for name in names_in(f"{top}{folder}"):
            if name.endswith(KINDS) and may_be_handmade(name) and not _is_brought(top, name):
                place = _place(top, f"{folder}/{name}")
                if place and not comes_early(_text(top, place, name)):
                    found.setdefault(name, place)
    places = {name: {place, *(f"{folder}/{name}" for folder in _HIS)} for name, place in found.items()}
    owned = _owned(root, frozenset(place for several in places.values() for place in several))
    return frozenset(name for name, several in places.items() if owned.isdisjoint(several))


@cache
def _owned(root: Path, places: frozenset[str]) -> frozenset[str]:
    """Return which of these paths packages brought: asked once by each program, as it reads all that packages own."""
    try:
        return frozenset(owners_of(root, places))
    except (CommandFailed, OSError) as error:
        # packages bring units into these folders hardly ever; what is his must not run on two servers for that
        _log.warning("which packages own units is not known: %s", error)
        return frozenset()


def is_here(root: Path, unit: str) -> bool:
    """Given a unit, return whether this host has a file of it, or of its template."""
    top = os.fspath(root).rstrip("/")
    names = {unit, template_of(unit)}
    return any(os.path.lexists(f"{top}{folder}/{name}") for folder in (*_HIS, *_VENDORS) for name in names)


def _is_brought(top: str, name: str) -> bool:
    """Return whether something that a package brings, or a generator makes, has this name: then he changed that."""
    return any(os.path.lexists(f"{top}{folder}/{each}") for folder in _VENDORS for each in (name, template_of(name)))


def _place(top: str, path: str) -> str:
    """Return where a unit's file lies, at the end of one link; "" if it is none of his."""
    place = path
    if os.path.islink(f"{top}{path}"):
        place = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(f"{top}{path}")))
    is_his = not place.startswith(_NOT_HIS) and not os.path.islink(f"{top}{place}")
    return place if is_his and os.path.isfile(f"{top}{place}") else ""


def _text(top: str, place: str, name: str) -> str:
    """Return what a unit's file and the drop-ins beside it say, and what wants it by a link."""
    drop_ins = [f"{folder}/{name}.d/{each}" for folder in _HIS for each in names_in(f"{top}{folder}/{name}.d")]
    places = [place, *(path for path in drop_ins if path.endswith(".conf"))]
    texts = [read_small(f"{top}{path}", whole=False).decode("utf-8", "replace") for path in places]
    return "\n".join([*texts, *(f"WantedBy={unit}" for unit in _wanting(top, name))])


def _wanting(top: str, name: str) -> Iterator[str]:
    """Return what wants a unit or an instance of it, by links."""
    for folder in (f"{top}{each}" for each in _HIS):
        for wants in names_in(folder):
            unit, _, kind = wants.rpartition(".")
            links = names_in(f"{folder}/{wants}") if kind in ("wants", "requires", "upholds") else []
            if any(name in (link, template_of(link)) for link in links):
                yield unit
