"""Which files belong to which packages, asked of rpm; few questions, each for many packages at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from hotsync.system import command

_FIELDS = r"%{NAME}\t%{SOURCERPM}\t[%{REQUIRENAME},]\n"
_UNITS = ("/lib/systemd/system/", "/etc/systemd/system/", "/init.d/")
_CHUNK = 100
"""Packages in one question: an answer of more than 16 MB is none, and a thousand packages' files could exceed that."""


def read_names(root: Path) -> frozenset[str]:
    """Given a root, return the names of the packages that are installed there; raise CommandFailed."""
    return frozenset(command.run(_rpm(root, "-qa", "--qf", r"%{NAME}\n")).text.split())


def read_fields(root: Path) -> dict[str, dict[str, str]]:
    """Given a root, return of each package its name, source and needs, called as dpkg calls them."""
    found: dict[str, dict[str, str]] = {}
    for line in _all(root, _FIELDS):
        fields = line.split("\t")
        if len(fields) == 3:
            name, source, needs = fields
            named = ",".join(need.partition("(")[0] for need in needs.split(","))
            found[name] = {"Package": name, "Source": source.rsplit("-", 2)[0], "Depends": named}
    return found


def read_files(root: Path, names: Iterable[str]) -> frozenset[str]:
    """Given package names (with an architecture or without), return every path that they own."""
    return frozenset(path for _, path in _owned(root, {name.partition(":")[0] for name in names}))


def file_lists(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Given a root, return each package with every path that it brought."""
    for owner, files in groupby(_owned(root, read_names(root)), itemgetter(0)):
        yield owner, [path for _, path in files]


def unit_files(root: Path) -> Iterator[tuple[str, str]]:
    """Given a root, return (path, package) of the files that packages brought into the folders of units."""
    lines = _all(root, r"[%{=NAME}\t%{DIRNAMES}\n]")
    for owner, path in _owned(root, {line.partition("\t")[0] for line in lines if line.endswith(_UNITS)}):
        if f"{os.path.dirname(path)}/".endswith(_UNITS):
            yield path, owner


def _all(root: Path, form: str) -> list[str]:
    """Return what rpm says of every package that is installed."""
    return command.run(_rpm(root, "-qa", "--qf", form), limit=command.LARGE_OUTPUT).text.splitlines()


def _owned(root: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Given package names, return (package, path) of what those that are installed own."""
    wanted = sorted(names)
    for start in range(0, len(wanted), _CHUNK):
        argv = _rpm(root, "-q", "--qf", r"[%{=NAME}\t%{FILENAMES}\n]", "--", *wanted[start : start + _CHUNK])
        for line in command.run(argv, ok=range(256)).text.splitlines():
            owner, _, path = line.partition("\t")
            if path.startswith("/"):
                yield owner, path


def _rpm(root: Path, *words: str) -> list[str]:
    return ["rpm", *(["--root", os.fspath(root)] if os.fspath(root) != "/" else []), *words]
