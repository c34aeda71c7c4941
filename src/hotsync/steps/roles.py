"""Steps on the role: the claim that opens a promotion and the change that ends it."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.plan import Phase
from hotsync.model.ports import Host
from hotsync.model.promotion import Promotion


@dataclass(frozen=True, slots=True)
class Claim:
    """Take the next epoch: the peer yields from here on, and nothing is received any more."""

    promotion: Promotion
    phase: Phase = Phase.CLAIM

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"role.claim:{self.promotion.epoch}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"claim epoch {self.promotion.epoch} with generation {self.promotion.generation}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.roles.claim(self.promotion)


@dataclass(frozen=True, slots=True)
class BecomeMaster:
    """Change the role: the commit point."""

    epoch: int
    phase: Phase = Phase.ROLE

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"role.master:{self.epoch}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"become MASTER at epoch {self.epoch}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.roles.become_master(self.epoch)


@dataclass(frozen=True, slots=True)
class SettleRole:
    """Make true what follows from the role."""

    phase: Phase = Phase.ROLE
    key: str = "role.settle"
    title: str = "let production start at every boot, and make the settings say MASTER"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.roles.settle()


@dataclass(frozen=True, slots=True)
class FinishPromotion:
    """Close the promotion's document; then there is nothing left to continue."""

    phase: Phase = Phase.ROLE
    key: str = "role.finish"
    title: str = "close the promotion"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.roles.finish()
