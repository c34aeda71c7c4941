"""Files as steps move them into production."""

from collections.abc import Sequence
from typing import Protocol


class Files(Protocol):
    """The replica's tree and the live root."""

    def mark_live(self) -> None:
        """Say in the manifest that the tree is moving into production, so that nothing is committed on it."""
        ...

    def prepare_etc(self) -> None:
        """Build the prepared /etc beside the live one, anew each time until it is exchanged."""
        ...

    def exchange_etc(self) -> None:
        """Exchange the prepared /etc with the live one, which goes aside; done already is fine."""
        ...

    def exchange(self, path: str) -> None:
        """Move one unit into place, keeping this host's own aside; done already is fine."""
        ...

    def set_folders(self) -> None:
        """Give the MASTER's attributes to the selected folders that stayed in place."""
        ...

    def set_attributes(self) -> None:
        """Set the file attributes that the replica cannot hold (i, a, d, C)."""
        ...

    def set_quotas(self) -> None:
        """Set the MASTER's limits of users, groups and projects; what fails is told and does not raise."""
        ...

    def restore_labels(self) -> None:
        """Label what moved into place by this machine's own SELinux policy; what fails is told and does not raise."""
        ...

    def rebuild(self, make: str, paths: Sequence[str]) -> None:
        """Make something anew from carried files; what fails is told and does not raise."""
        ...
