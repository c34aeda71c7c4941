"""Files of packages as both servers see them: found or built anew on the MASTER, looked into on the SLAVE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from hotsync.model.packages.values import Package


class PackageFiles(Protocol):
    """What a family of packages knows of the files that its packages come in."""

    @property
    def ending(self) -> str:
        """Return how the names of such files end, with the dot."""
        ...

    @property
    def lack(self) -> str:
        """Return why no file can be built anew here ("": one can)."""
        ...

    def seen(self, package: Package) -> str:
        """Given an installed package, return what changes when it is installed again; raise CommandFailed."""
        ...

    def find(self, package: Package) -> Iterator[Path]:
        """Given an installed package, return the files on this host that it may have been installed from."""
        ...

    def unpacked(self, package: Package) -> int:
        """Given an installed package, return the bytes that it takes; raise CommandFailed."""
        ...

    def rebuild(self, package: Package, folder: Path) -> Path:
        """Given an installed package and an empty folder, build its file anew there.

        Raise CommandFailed, or ValueError where that gave no file.
        """
        ...

    def identity(self, file: Path) -> tuple[str, str, str]:
        """Given a package's file, return its name, version and architecture; raise CommandFailed."""
        ...

    def file_name(self, name: str, version: str, architecture: str) -> str:
        """Given a package, return how its file is called."""
        ...
