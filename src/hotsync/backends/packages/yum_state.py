"""yum 3's own state on a host: reasons, the list of locks, and what its answers depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from hotsync.backends.packages.yum_text import package_of
from hotsync.system.paths import Paths

LOCKS = "/etc/yum/pluginconf.d/versionlock.list"
_REASONS = "/var/lib/yum/yumdb"
_CONTENTS = ("etc/yum/*.conf", "etc/yum/pluginconf.d/*", "var/cache/yum/**/repomd.xml")
_STAMPS = ("var/lib/yum/history/*.sqlite", "var/lib/yum/yumdb/*")


def is_here(paths: Paths) -> bool:
    """Return whether this host's packages are looked after by yum 3: where there is dnf, yum is a name of it."""
    return paths.at("/usr/bin/yum").exists() and not paths.at("/usr/bin/dnf").exists()


def dependencies(paths: Paths) -> frozenset[tuple[str, str]]:
    """Return (name, architecture) of what came for something else, by yumdb."""
    return frozenset(
        package
        for reason in paths.at(_REASONS).glob("*/*/reason")
        if reason.read_bytes().strip() == b"dep" and (package := package_of(reason.parent.name))
    )


def protected(root: Path) -> Iterator[str]:
    """Return the names of the packages that must not go."""
    for file in sorted(root.glob("etc/yum/protected.d/*.conf")):
        yield from file.read_text(encoding="utf-8", errors="replace").split()


def digest(paths: Paths) -> str:
    """Return a digest of what yum's answers depend on, besides what they share with dnf's."""
    found = hashlib.sha256()
    for pattern in _CONTENTS:
        for file in sorted(paths.root.glob(pattern)):
            if file.is_file():
                found.update(f"{file}\n".encode("utf-8", "surrogateescape"))
                found.update(file.read_bytes())
    for pattern in _STAMPS:
        for file in sorted(paths.root.glob(pattern)):
            status = file.stat()
            found.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()
