"""Which files belong to which packages, read from the package manager's own lists."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from hotsync.backends import package_files_rpm as rpm
from hotsync.backends.packages import rpm_state
from hotsync.backends.packages.units import units_in
from hotsync.system.paths import Paths

_BASE = frozenset(("required", "important"))
"""Priorities of packages without which no host runs: their programs are nobody's production."""


def read_names(root: Path) -> frozenset[str]:
    """Given a root, return the names of the packages that are installed there."""
    if _is_rpms(root):
        return rpm.read_names(root)
    return parse_status(_status_of(root))


def read_with_siblings(root: Path, names: Iterable[str]) -> frozenset[str]:
    """Given packages, return those of them that are installed, with the siblings that hold their programs."""
    if _is_rpms(root):
        return with_siblings(rpm.read_fields(root), names)
    return with_siblings({fields["Package"]: fields for fields in _installed(_status_of(root))}, names)


def with_siblings(installed: Mapping[str, Mapping[str, str]], names: Iterable[str]) -> frozenset[str]:
    """Given the fields of installed packages, return these packages and those of the same source that they need.

    A server's program often lies in a package of its own (mariadb-server-core, apache2-bin) that brings no unit.
    """
    found: set[str] = set()
    for name in installed.keys() & set(names):
        found.add(name)
        source = _source_of(installed[name])
        for needed in _needs(installed[name]) & installed.keys():
            sibling = _source_of(installed[needed]) == source and "-client" not in needed  # a client serves nobody
            if sibling and installed[needed].get("Priority") not in _BASE:
                found.add(needed)
    return frozenset(found)


def _source_of(fields: Mapping[str, str]) -> str:
    return fields.get("Source", fields["Package"]).partition(" ")[0]


def _needs(fields: Mapping[str, str]) -> set[str]:
    words = re.split(r"[,|]", f"{fields.get('Depends', '')},{fields.get('Pre-Depends', '')}")
    return {word.strip().partition(" ")[0].partition(":")[0] for word in words}


def _status_of(root: Path) -> str:
    try:
        return (root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""


def parse_status(text: str) -> frozenset[str]:
    """Given dpkg's status file, return the names of the packages that it says are installed."""
    return frozenset(fields["Package"] for fields in _installed(text))


def _installed(text: str) -> Iterator[dict[str, str]]:
    for record in text.split("\n\n"):
        fields: dict[str, str] = {}
        for line in record.splitlines():
            key, _, value = line.partition(": ")
            if line[:1] not in (" ", "\t", ""):
                fields[key] = value
        if fields.get("Status", "").endswith(" installed"):
            yield fields


def read_files(root: Path, names: Iterable[str]) -> frozenset[str]:
    """Given package names, return every path that they own (absolute)."""
    if _is_rpms(root):
        return rpm.read_files(root, names)
    info = root / "var/lib/dpkg/info"
    owned: set[str] = set()
    for name in names:
        for listed in (info / f"{name}.list", *info.glob(f"{name}:*.list")):
            if listed.is_file():
                owned.update(listed.read_text(encoding="utf-8", errors="surrogateescape").splitlines())
    return frozenset(owned)


def read_all_files(root: Path) -> frozenset[str]:
    """Given a root, return every path that any package brought there, under the names that they have.

    What lies in /bin, /sbin and /lib* is named below /usr where these are links; a file that a package diverted is
    named as it is called since then.
    """
    owned = {path for _, paths in _lists(root) for path in paths}
    return frozenset((*owned, *_diverted(root)))


def owners_of(root: Path, paths: Collection[str]) -> dict[str, str]:
    """Given paths as they lie, return for each that a package brought the name of that package."""
    wanted, found = frozenset(paths), dict[str, str]()
    for package, listed in _lists(root) if wanted else ():
        found.update((path, package) for path in listed if path in wanted)
    return found


def _lists(root: Path) -> Iterator[tuple[str, Iterator[str]]]:
    """Return each package with the paths that it brought, as they lie where /bin and the like are links."""
    links = (name.name for name in root.glob("*") if name.is_symlink())
    merged = tuple(f"/{name}/" for name in links if (root / "usr" / name).is_dir())
    for owner, paths in rpm.file_lists(root) if _is_rpms(root) else _dpkgs_lists(root):
        yield owner, (f"/usr{path}" if path.startswith(merged) else path for path in paths)


def _dpkgs_lists(root: Path) -> Iterator[tuple[str, list[str]]]:
    for file in (root / "var/lib/dpkg/info").glob("*.list"):
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        yield file.stem.partition(":")[0], lines


def _diverted(root: Path) -> Iterator[str]:
    """Return the new names of diverted files: of three lines in dpkg's list the second."""
    try:
        lines = (root / "var/lib/dpkg/diversions").read_text("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        return
    yield from lines[1::3]


def read_unit_owners(root: Path) -> tuple[tuple[str, str], ...]:
    """Given a root, return (unit, package) of every unit that a package brought."""
    if _is_rpms(root):
        return tuple((unit, owner) for path, owner in rpm.unit_files(root) for unit in units_in([path]))
    lists = ((owner, units_in(path for path in paths if "/system/" in path or "/init.d/" in path))
             for owner, paths in _lists(root))  # fmt: skip
    return tuple((unit, owner) for owner, units in lists for unit in units)


def _is_rpms(root: Path) -> bool:
    return not (root / "var/lib/dpkg/status").exists() and rpm_state.is_here(Paths(root))
