"""A platform's package manager as the engine sees it; no word of one of them belongs here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hotsync.model.packages.values import Package, Request, Space, Transaction
from hotsync.model.packages.wants import Machine, Marks


@dataclass(frozen=True, slots=True)
class Hints:
    """What a person types on this platform, and what brings locales there."""

    repair: str
    lists: str
    upgrade: str
    install: str
    reinstall: str
    locales: str


class PackageManager(Protocol):
    """Installs what is asked for, starting nothing; what may be asked for is decided elsewhere."""

    @property
    def name(self) -> str:
        """Return how it is called."""
        ...

    @property
    def hints(self) -> Hints:
        """Return what a person types."""
        ...

    def machine(self) -> Machine:
        """Return of which family and architectures this host's packages are."""
        ...

    def installed(self) -> dict[str, Package]:
        """Return the installed packages by what names them here."""
        ...

    def broken(self) -> str:
        """Return what is wrong with the package database, "" if nothing is."""
        ...

    def updates(self) -> tuple[str, ...]:
        """Return the packages that would be updated, by the lists that are here."""
        ...

    def refresh(self) -> str:
        """Refresh the lists; return "" or why it did not work (the old lists stay)."""
        ...

    def digest(self) -> str:
        """Return a digest of everything that an answer depends on: lists, sources, what is installed."""
        ...

    def available(self, names: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """Given names, return the versions that can be had of each, the candidate first; others are left out."""
        ...

    def take_architecture(self, architecture: str) -> None:
        """Take packages of another architecture from now on; raise CommandFailed."""
        ...

    def simulate(self, requests: Sequence[Request]) -> Transaction | tuple[str, ...]:
        """Given requests, return what installing them would do, or the reasons why it cannot be done."""
        ...

    def space(self, packages: Collection[tuple[str, str]]) -> Space:
        """Given packages (name, version), return the bytes that their files and contents take."""
        ...

    def download(self, requests: Sequence[Request], packages: Collection[tuple[str, str]]) -> None:
        """Fetch the files of these packages (name, version), which the requests bring, and keep them on this host, so
        that nothing needs a network later; raise CommandFailed."""
        ...

    @property
    def fetches_into(self) -> Path:
        """Return where files are fetched to before they are kept."""
        ...

    def forget_files(self, packages: Collection[tuple[str, str]]) -> None:
        """Let the kept package files go but those of these packages (name, version)."""
        ...

    def units_of(self, packages: Collection[tuple[str, str]]) -> tuple[str, ...]:
        """Given packages (name, version) whose files are kept, return the units that they bring."""
        ...

    def install(self, requests: Sequence[Request], transaction: Transaction) -> Mapping[str, str]:
        """Install, starting nothing, what was simulated; return by name why packages were stopped by what is in them.

        What such a failure left half done is brought to its end. Raise CommandFailed if it was no package's fault.
        """
        ...

    def mark(self, marks: Marks) -> None:
        """Mark installed packages; raise CommandFailed."""
        ...

    @property
    def was_cut(self) -> bool:
        """Return whether what is half done is what an install of ours left, and nothing else is: ours to finish."""
        ...

    def finish(self) -> Mapping[str, str]:
        """Finish an install of ours that was cut or failed, starting nothing; return by name why packages could not be
        configured."""
        ...

    def tidy(self) -> None:
        """Take away what an install that was cut left."""
        ...
