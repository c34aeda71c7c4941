"""Steps on packages, locales and accounts."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.facts import StreamFact
from hotsync.model.plan import Phase
from hotsync.model.ports import Host


@dataclass(frozen=True, slots=True)
class TakeNumbers:
    """Give every account the MASTER's numbers."""

    phase: Phase = Phase.ACCOUNTS
    key: str = "accounts.numbers"
    title: str = "give every account the MASTER's numbers"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.accounts.take_numbers()


@dataclass(frozen=True, slots=True)
class FinishInstall:
    """Configure what an install that was cut (by a power cut, say) had unpacked."""

    phase: Phase = Phase.PACKAGES
    key: str = "packages.finish"
    title: str = "configure the packages of an install that was cut"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.packages.finish_install()


@dataclass(frozen=True, slots=True)
class TakeArchitectures:
    """Take packages of other architectures, of which the MASTER has some."""

    names: tuple[str, ...]
    phase: Phase = Phase.PACKAGES
    key: str = "packages.architectures"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"take packages of {', '.join(self.names)} as the MASTER does"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.packages.take_architectures(self.names)


@dataclass(frozen=True, slots=True)
class TakeStreams:
    """Enable the streams of modules that the MASTER has: they decide which versions of packages can be had at all."""

    streams: tuple[StreamFact, ...]
    phase: Phase = Phase.PACKAGES
    key: str = "packages.streams"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"set the modules of packages as the MASTER does: {', '.join(map(str, self.streams))}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.packages.take_streams(self.streams)


@dataclass(frozen=True, slots=True)
class MarkPackages:
    """Mark and hold packages as the MASTER does: what nobody wanted may go with what needed it, what is held stays."""

    phase: Phase = Phase.PACKAGES
    key: str = "packages.marks"
    title: str = "mark and hold packages as the MASTER does"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.packages.take_marks()


@dataclass(frozen=True, slots=True)
class InstallPackages:
    """Install what the MASTER has and this server lacks or has older; what cannot be had is told, and stops nothing."""

    names: tuple[str, ...]
    updates: int = 0
    phase: Phase = Phase.PACKAGES
    key: str = "packages.install"

    @property
    def title(self) -> str:
        """Return what it does."""
        new = len(self.names) - self.updates
        said = [f"install {new} packages of the MASTER"] if new else []
        said += [f"update {self.updates} packages to the MASTER's versions"] if self.updates else []
        return ", ".join(said)

    def apply(self, host: Host) -> None:
        """Do it."""
        host.packages.install(self.names)


@dataclass(frozen=True, slots=True)
class MakeLocales:
    """Make locales of the MASTER: a database that was made with one cannot be loaded without it."""

    names: tuple[str, ...]
    phase: Phase = Phase.PACKAGES
    key: str = "packages.locales"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"make the MASTER's locales {', '.join(self.names)}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.packages.make_locales(self.names)
