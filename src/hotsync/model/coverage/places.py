"""Folders in which accounts and applications keep data, as passwd and settings name them: pure.

What changed there lately is told as data; these are told whatever their age, since their names say that they are data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from hotsync.model.coverage.findings import Finding, Kind
from hotsync.model.coverage.judge import Cover, Judge

_PEOPLE = 1000
_NOBODY = range(65533, 65536)
_NO_SHELLS = ("nologin", "false", "sync", "halt", "shutdown")
_PLAIN = re.compile(r"/[^\x00-\x1f\x7f]{1,4000}\Z")


@dataclass(frozen=True, slots=True)
class Setting:
    """Where an application's settings say that its data lies: its title, the files, and a pattern whose group is the
    path."""

    title: str
    files: tuple[str, ...]
    pattern: str


@dataclass(frozen=True, slots=True)
class PlaceSeen:
    """A folder that is there, and whose it is: an account, or settings ("Nextcloud, /etc/nextcloud/config.php")."""

    path: str
    owner: str
    is_home: bool = False


def homes_in(passwd: str) -> Iterator[tuple[str, str]]:
    """Given passwd's text, return (home, account) of people, and of other accounts that can log in."""
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) != 7 or not fields[2].isdigit() or not _PLAIN.match(fields[5]):
            continue
        number = int(fields[2])
        people = number >= _PEOPLE and number not in _NOBODY
        if people or (number and fields[6].rpartition("/")[2] not in (*_NO_SHELLS, "")):
            yield fields[5], fields[0]


def paths_in(pattern: str, text: str) -> frozenset[str]:
    """Given a setting's pattern and a file's text, return the paths that it names."""
    found = (match[1] for match in re.finditer(pattern, text))
    return frozenset(path.rstrip("/") for path in found if path and _PLAIN.match(path) and path.strip("/"))


def place_findings(places: Iterable[PlaceSeen], judge: Judge) -> list[Finding]:
    """Given folders that are there, return those that no rule speaks of; homes beside each other become one line."""
    lost = {place for place in places if judge(place.path).cover is Cover.NOTHING}
    homes = sorted((place for place in lost if place.is_home), key=lambda place: (_above(place), place.path))
    found = [_of_homes(above, list(group)) for above, group in groupby(homes, _above)]
    settings = sorted((place for place in lost if not place.is_home), key=lambda place: place.path)
    for path, group in groupby(settings, lambda place: place.path):
        by = tuple(sorted({place.owner for place in group}))
        found.append(Finding(Kind.FOLDER, path, "settings say that data lies there, and no rule names it", by))
    return found


def _above(place: PlaceSeen) -> str:
    return place.path.rpartition("/")[0]


def _of_homes(above: str, homes: list[PlaceSeen]) -> Finding:
    owners = tuple(sorted({home.owner for home in homes}))
    if len({home.path for home in homes}) == 1:
        return Finding(Kind.FOLDER, homes[0].path, "a home of an account, and no rule names it", owners)
    return Finding(Kind.FOLDER, above, "homes of accounts lie there, and no rule names them", owners)
