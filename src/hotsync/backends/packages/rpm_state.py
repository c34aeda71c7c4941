"""rpm's and dnf's own state on a host, read without starting dnf, which takes a second."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from hotsync.backends.packages import yum_state
from hotsync.backends.packages.rpm_text import INSTALLED, is_wanted_by_a_person, parse_installed
from hotsync.model.packages.values import Package
from hotsync.system import command
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

LOCKS = "/etc/dnf/plugins/versionlock.list"
_DATABASES = ("/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages")
_HISTORY = "/var/lib/dnf/history.sqlite"
_SETTINGS = (
    "etc/dnf/*", "etc/dnf/vars/*", "etc/dnf/modules.d/*", "etc/dnf/plugins/*", "etc/yum.repos.d/*.repo",
    "etc/yum/vars/*", "etc/yum.conf", "var/cache/dnf/*/repodata/repomd.xml",
)  # fmt: skip
_REASONS = """
SELECT rpm.name, rpm.arch, trans_item.reason FROM trans_item JOIN rpm ON rpm.item_id = trans_item.item_id
ORDER BY trans_item.id
"""


def is_here(paths: Paths) -> bool:
    """Return whether this host's packages are rpm's."""
    return any(paths.at(place).exists() for place in _DATABASES)


def read_installed(paths: Paths) -> list[Package]:
    """Return what is installed, with marks and holds; raise CommandFailed."""
    root = os.fspath(paths.root)
    argv = ["rpm", *(["--root", root] if root != "/" else []), "-qa", "--qf", INSTALLED]
    listed = command.run(argv, limit=command.LARGE_OUTPUT).text
    dependencies = yum_state.dependencies(paths) if yum_state.is_here(paths) else _dependencies(paths)
    locks = read_locks(paths)
    protected = (*_protected(paths.root), *yum_state.protected(paths.root))
    return [
        replace(each, manual=(each.name, each.architecture) not in dependencies)
        for each in parse_installed(listed, locks, protected)
    ]


def read_locks(paths: Paths) -> list[str]:
    """Return the lines of the list of locks: yum's where it looks after the packages, else dnf's."""
    try:
        return _locks(paths).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def write_locks(paths: Paths, lines: Iterable[str]) -> None:
    """Make these the lines of the list of locks."""
    place = _locks(paths)
    place.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines)
    write_atomic(place, text.encode("utf-8", "surrogateescape"), mode=0o644)


def _locks(paths: Paths) -> Path:
    return paths.at(yum_state.LOCKS if yum_state.is_here(paths) else LOCKS)


def _protected(root: Path) -> Iterator[str]:
    for file in sorted(root.glob("etc/dnf/protected.d/*.conf")):
        yield from file.read_text(encoding="utf-8", errors="replace").split()


def _dependencies(paths: Paths) -> frozenset[tuple[str, str]]:
    """Return (name, architecture) of what came for something else, by the newest word of dnf's own history."""
    place = paths.at(_HISTORY)
    if not place.exists():
        return frozenset()
    reasons: dict[tuple[str, str], int] = {}
    try:
        with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as history:
            for name, architecture, reason in history.execute(_REASONS):
                reasons[str(name), str(architecture)] = int(reason)
    except sqlite3.Error:
        return frozenset()  # then all count as wanted: nothing goes with an autoremove
    return frozenset(package for package, reason in reasons.items() if not is_wanted_by_a_person(reason))


def digest(paths: Paths) -> str:
    """Return a digest of everything that an answer of dnf depends on: lists, sources, what is installed, marks."""
    found = hashlib.sha256()
    for pattern in _SETTINGS:
        for file in sorted(paths.root.glob(pattern)):
            if file.is_file():
                found.update(f"{file}\n".encode("utf-8", "surrogateescape"))
                found.update(file.read_bytes())
    for place in (*_DATABASES, *(f"{each}-wal" for each in _DATABASES), _HISTORY):
        file = paths.at(place)
        if file.exists() and file.stat().st_size:
            status = file.stat()
            changed = 0 if place.endswith("-wal") else status.st_mtime_ns  # a reader touches a log of writes
            found.update(f"{place}\0{status.st_size}\0{changed}\n".encode())
    if yum_state.is_here(paths):
        found.update(yum_state.digest(paths).encode())
    return found.hexdigest()
