"""Steps that keep a SLAVE ready and quiet (its packages and accounts: steps/packages.py)."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.plan import Phase
from hotsync.model.ports import Host


@dataclass(frozen=True, slots=True)
class FreeUnits:
    """Hold units no more that this server keeps, or that belong to the machine; they are not started."""

    units: tuple[str, ...]
    phase: Phase = Phase.PREPARE
    key: str = "slave.free"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"hold no more, as it is this server's own: {', '.join(self.units)}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.services.free(self.units)


@dataclass(frozen=True, slots=True)
class MuteUnits:
    """Hold units of production until this server is promoted, and stop those that run."""

    units: tuple[str, ...]
    phase: Phase = Phase.PREPARE
    key: str = "slave.mute"

    @property
    def title(self) -> str:
        """Return what it does."""
        named = ", ".join(self.units) or "what is held, which systemd has not read"
        return f"keep from running until a promotion: {named}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.services.mute(self.units)
