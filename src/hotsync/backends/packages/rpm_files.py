"""The files that packages of Red Hat's family come in, where dnf or a person kept them: nothing builds them anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hotsync.backends.packages import rpm_text, yum_state
from hotsync.errors import CommandFailed
from hotsync.model.packages.local import NO_FILE
from hotsync.model.packages.values import Package
from hotsync.system import command
from hotsync.system.paths import Paths

_IDENTITY = r"%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n"
_CACHES = ("var/cache/dnf/*/packages", "var/cache/yum/**/packages")


class RpmFiles:
    """This host's, or another root's (tests)."""

    ending = ".rpm"
    lack = NO_FILE

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        # the rpm beside yum 3 knows no other sum of a header
        self._content = r"%{SHA1HEADER}\n" if yum_state.is_here(paths) else r"%{SHA256HEADER}\n"
        self._root = ["--root", os.fspath(paths.root)] if os.fspath(paths.root) != "/" else []

    def seen(self, package: Package) -> str:
        """Given an installed package, return what changes when it is installed again; raise CommandFailed."""
        return self._installed(package, r"%{INSTALLTIME} " + self._content).strip()

    def find(self, package: Package) -> Iterator[Path]:
        """Given an installed package, return the files from which it may have been installed: of the same header."""
        name = self.file_name(package.name, package.version, package.architecture)
        cached = (file for place in _CACHES for file in self._paths.root.glob(f"{place}/{name}"))
        for file in (self._paths.package_files / name, *cached):
            if file.is_file() and self._asked(file, self._content) == self._installed(package, self._content):
                yield file

    def _installed(self, package: Package, what: str) -> str:
        word = f"{rpm_text.spec(package.name, package.version)}.{package.architecture}"
        return command.run(["rpm", *self._root, "-q", "--qf", what, "--", word]).text

    def _asked(self, file: Path, what: str) -> str:
        try:
            return command.run(["rpm", "-qp", "--nosignature", "--qf", what, "--", os.fspath(file)]).text
        except CommandFailed:
            return ""  # half a file

    def unpacked(self, package: Package) -> int:
        """Given an installed package, return the bytes that it takes; raise CommandFailed."""
        return int(self._installed(package, r"%{LONGSIZE}\n"))

    def rebuild(self, package: Package, folder: Path) -> Path:
        """No program of this family's distributions builds an installed package's file anew."""
        raise NotImplementedError

    def identity(self, file: Path) -> tuple[str, str, str]:
        """Given a package's file, return its name, version and architecture; raise CommandFailed."""
        argv = ["rpm", "-qp", "--nosignature", "--qf", _IDENTITY, "--", os.fspath(file)]
        name, version, architecture = (command.run(argv).text.strip().split("\t") + [""] * 3)[:3]
        return name, rpm_text.plain_version(version), architecture

    def file_name(self, name: str, version: str, architecture: str) -> str:
        """Given a package, return how dnf calls its file."""
        return f"{rpm_text.file_stem(name, version)}{architecture}.rpm"
