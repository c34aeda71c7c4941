"""Which files belong to which packages, read from the package manager's own lists."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def read_names(root: Path) -> frozenset[str]:
    """Given a root, return the names of the packages that are installed there, by dpkg's status file."""
    try:
        text = (root / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return frozenset()
    return parse_status(text)


def parse_status(text: str) -> frozenset[str]:
    """Given dpkg's status file, return the names of the packages that it says are installed."""
    names: set[str] = set()
    for record in text.split("\n\n"):
        fields: dict[str, str] = {}
        for line in record.splitlines():
            key, _, value = line.partition(": ")
            if line[:1] not in (" ", "\t", ""):
                fields[key] = value
        if fields.get("Status", "").endswith(" installed"):
            names.add(fields["Package"])
    return frozenset(names)


def read_files(root: Path, names: Iterable[str]) -> frozenset[str]:
    """Given package names, return every path that they own (absolute), by dpkg's lists."""
    info = root / "var/lib/dpkg/info"
    owned: set[str] = set()
    for name in names:
        for listed in (info / f"{name}.list", *info.glob(f"{name}:*.list")):
            if listed.is_file():
                owned.update(listed.read_text(encoding="utf-8", errors="surrogateescape").splitlines())
    return frozenset(owned)
