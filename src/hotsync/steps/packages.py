"""Steps on packages, locales and accounts."""

from __future__ import annotations

from dataclasses import dataclass

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
class InstallPackages:
    """Install what the MASTER has and this server lacks; what cannot be had is told, and does not stop a promotion."""

    names: tuple[str, ...]
    phase: Phase = Phase.PACKAGES
    key: str = "packages.install"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"install {len(self.names)} packages of the MASTER"

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
