"""Steps on services: production may run, and does."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.plan import Phase
from hotsync.model.ports import Host


@dataclass(frozen=True, slots=True)
class ReloadUnits:
    """Read the unit files of the exchanged /etc."""

    phase: Phase = Phase.DATA
    key: str = "services.reload"
    title: str = "read the MASTER's units"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.services.reload()


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """Make this machine as the exchanged /etc says: what a boot would do, and services depend on."""

    phase: Phase = Phase.DATA
    key: str = "services.settings"
    title: str = "take the MASTER's kernel modules and settings, temporary folders and locale, as a boot would"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.services.apply_settings()


@dataclass(frozen=True, slots=True)
class PermitProduction:
    """Let muted units start, in this boot only."""

    phase: Phase = Phase.DATABASES
    key: str = "services.permit"
    title: str = "let production start (until the next boot)"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.services.permit()


@dataclass(frozen=True, slots=True)
class RestartUnits:
    """Restart what runs on both servers, so that it reads the MASTER's settings."""

    units: tuple[str, ...]
    phase: Phase = Phase.SERVICES
    key: str = "services.restart"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"restart with the MASTER's settings: {', '.join(self.units)}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.services.restart_all(self.units)


@dataclass(frozen=True, slots=True)
class StartUnits:
    """Start what ran on the MASTER; `wave` is its place where profiles say an order."""

    units: tuple[str, ...]
    wave: int = 1
    phase: Phase = Phase.SERVICES

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return "services.start" if self.wave == 1 else f"services.start:{self.wave}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"start what ran on the MASTER: {', '.join(self.units)}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.services.start_all(self.units)


@dataclass(frozen=True, slots=True)
class Unmute:
    """Take the mute away."""

    phase: Phase = Phase.ROLE
    key: str = "services.unmute"
    title: str = "take the mute away"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.services.unmute()
