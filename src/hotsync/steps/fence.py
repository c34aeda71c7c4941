"""The step that fences the old MASTER."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.fence import Tier
from hotsync.model.plan import Phase
from hotsync.model.ports import Host


@dataclass(frozen=True, slots=True)
class Fence:
    """Make sure, as far as it can be reached, that the old MASTER does not serve; that it cannot stops nothing."""

    tiers: tuple[Tier, ...]
    phase: Phase = Phase.FENCE
    key: str = "fence"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"keep the old MASTER from serving ({', then '.join(self.tiers)})"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.roles.fence()
