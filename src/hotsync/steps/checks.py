"""Steps that ask whether it works."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.plan import Phase
from hotsync.model.ports import Host


@dataclass(frozen=True, slots=True)
class RunCheck:
    """Ask one question; a bad answer is told in the report and stops nothing."""

    name: str
    phase: Phase = Phase.CHECKS

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"checks.run:{self.name}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"check: {self.name}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.checks.run(self.name)
