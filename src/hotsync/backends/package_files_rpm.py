"""Which files belong to which packages, asked of rpm; few questions, each for many packages at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hotsync.system import command

_FIELDS = r"%{NAME}\t%{SOURCERPM}\t[%{REQUIRENAME},]\n"
_UNITS = ("/lib/systemd/system/", "/etc/systemd/system/", "/init.d/")
_CHUNK = 1000


def read_names(root: Path) -> frozenset[str]:
    """Given a root, return the names of the packages that are installed there; raise CommandFailed."""
    return frozenset(command.run(_rpm(root, "-qa", "--qf", r"%{NAME}\n")).text.split())


def read_fields(root: Path) -> dict[str, dict[str, str]]:
    """Given a root, return of each package its name, source and needs, called as dpkg calls them."""
    found: dict[str, dict[str, str]] = {}
    for line in command.run(_rpm(root, "-qa", "--qf", _FIELDS)).text.splitlines():
        fields = line.split("\t")
        if len(fields) == 3:
            name, source, needs = fields
            named = ",".join(need.partition("(")[0] for need in needs.split(","))
            found[name] = {"Package": name, "Source": source.rsplit("-", 2)[0], "Depends": named}
    return found


def read_files(root: Path, names: Iterable[str]) -> frozenset[str]:
    """Given package names (with an architecture or without), return every path that they own."""
    wanted = sorted({name.partition(":")[0] for name in names})
    owned: set[str] = set()
    for start in range(0, len(wanted), _CHUNK):
        text = command.run(_rpm(root, "-ql", "--", *wanted[start : start + _CHUNK]), ok=range(256)).text
        owned.update(line for line in text.splitlines() if line.startswith("/"))
    return frozenset(owned)


def unit_files(root: Path) -> Iterator[tuple[str, str]]:
    """Given a root, return (path, package) of the files that packages brought into the folders of units."""
    lines = command.run(_rpm(root, "-qa", "--qf", r"[%{=NAME}\t%{DIRNAMES}\n]")).text.splitlines()
    owners = sorted({line.partition("\t")[0] for line in lines if line.endswith(_UNITS)})
    for start in range(0, len(owners), _CHUNK):
        argv = _rpm(root, "-q", "--qf", r"[%{=NAME}\t%{FILENAMES}\n]", "--", *owners[start : start + _CHUNK])
        for line in command.run(argv, ok=range(256)).text.splitlines():
            owner, _, path = line.partition("\t")
            if f"{os.path.dirname(path)}/".endswith(_UNITS):
                yield path, owner


def _rpm(root: Path, *words: str) -> list[str]:
    return ["rpm", *(["--root", os.fspath(root)] if os.fspath(root) != "/" else []), *words]
