"""Role, epoch and claim as steps change them."""

from typing import Protocol

from hotsync.model.promotion import Promotion


class Roles(Protocol):
    """The commit point of a promotion."""

    def claim(self, promotion: Promotion) -> None:
        """Take the promotion's epoch durably; from here on nothing is received any more.

        Raise StaleEpoch if a higher one is known, NotReady if the generation is no longer the one planned with.
        """
        ...

    def fence(self) -> None:
        """Keep the old MASTER from serving, by every way that is left; what came of each is written down."""
        ...

    def become_master(self, epoch: int) -> None:
        """Write role MASTER at `epoch` and end the claim: one rename."""
        ...

    def settle(self) -> None:
        """Make true what follows from the role: production flag, settings, timers; done already is fine."""
        ...

    def finish(self) -> None:
        """Close the promotion's document."""
        ...
