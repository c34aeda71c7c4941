"""The files that Debian's packages come in: in apt's cache, or built anew by dpkg-repack."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from hotsync.backends.packages import apt_text
from hotsync.backends.packages.apt import ARCHIVES
from hotsync.errors import CommandFailed
from hotsync.model.packages.local import NO_TOOL
from hotsync.model.packages.values import Package
from hotsync.system import command
from hotsync.system.paths import Paths

_TIMEOUT = 3600.0


class DebFiles:
    """This host's, or another root's (tests)."""

    ending = ".deb"

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._root = [f"--root={paths.root}"] if os.fspath(paths.root) != "/" else []

    @property
    def lack(self) -> str:
        """Return why no file can be built anew here ("": one can)."""
        return "" if shutil.which("dpkg-repack", path=command.environment()["PATH"]) else NO_TOOL

    def seen(self, package: Package) -> str:
        """Given an installed package, return what changes when it is unpacked again: its files in dpkg's own place."""
        digest = hashlib.sha256(f"{package.version}\n".encode())
        for file in self._info(package):
            status = file.stat()
            digest.update(f"{file.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def find(self, package: Package) -> Iterator[Path]:
        """Given an installed package, return the files from which it may have been installed: of the same content."""
        name = self.file_name(package.name, package.version, package.architecture)
        for folder in (self._paths.package_files, self._paths.at(ARCHIVES)):
            file = folder / name
            if file.is_file() and self._is_of(file, package):
                yield file

    def _is_of(self, file: Path, package: Package) -> bool:
        try:
            if self.identity(file) != (package.name, package.version, package.architecture):
                return False
            sums = command.run(["dpkg-deb", "--info", os.fspath(file), "md5sums"]).stdout
        except CommandFailed:
            return False  # half a file, or one without sums
        return any(each.suffix == ".md5sums" and each.read_bytes() == sums for each in self._info(package))

    def _info(self, package: Package) -> list[Path]:
        info = self._paths.at("/var/lib/dpkg/info")
        stems = (f"{package.name}:{package.architecture}", package.name)
        return next((files for stem in stems if (files := sorted(info.glob(f"{stem}.*")))), list[Path]())

    def unpacked(self, package: Package) -> int:
        """Given an installed package, return the bytes that it takes by its own word; raise CommandFailed."""
        argv = ["dpkg-query", *self._root, "-W", "-f", "${Installed-Size}", "--", _named(package)]
        size = command.run(argv).text
        return int(size) * 1024 if size.isdigit() else 0

    def rebuild(self, package: Package, folder: Path) -> Path:
        """Given an installed package and an empty folder, build its file anew there.

        Raise CommandFailed, or ValueError where that gave no file.
        """
        options = [*self._root, "--deb-option=-Zgzip"]  # a run waits for it
        command.run(["dpkg-repack", *options, _named(package)], cwd=os.fspath(folder), timeout=_TIMEOUT)
        (file,) = folder.glob("*.deb")
        return file

    def identity(self, file: Path) -> tuple[str, str, str]:
        """Given a package's file, return its name, version and architecture; raise CommandFailed."""
        text = command.run(["dpkg-deb", "--show", "--showformat", _IDENTITY, os.fspath(file)]).text
        name, version, architecture = (text.split("\t") + [""] * 3)[:3]
        return name, version, architecture

    def file_name(self, name: str, version: str, architecture: str) -> str:
        """Given a package, return how apt calls its file."""
        return f"{apt_text.file_stem(name, version)}{architecture}.deb"


_IDENTITY = r"${Package}\t${Version}\t${Architecture}"


def _named(package: Package) -> str:
    return package.name if package.architecture == "all" else f"{package.name}:{package.architecture}"
