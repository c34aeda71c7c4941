"""Packages as steps change them."""

from collections.abc import Sequence
from typing import Protocol

from hotsync.model.facts import StreamFact


class Packages(Protocol):
    """The platform's package manager, with this host's own packages out of reach."""

    def install(self, names: Sequence[str]) -> Sequence[str]:
        """Install what can be had, starting nothing; return the names that could not be had."""
        ...

    def take_architectures(self, names: Sequence[str]) -> None:
        """Take packages of these architectures too; what fails is told and does not raise."""
        ...

    def take_streams(self, streams: Sequence[StreamFact]) -> None:
        """Enable these streams of modules, or switch modules off; what fails is told and does not raise."""
        ...

    def take_marks(self) -> None:
        """Mark and hold what is installed as the MASTER does; what fails is told and does not raise."""
        ...

    def finish_install(self) -> None:
        """Configure what an install of ours that was cut had unpacked; what fails is told and does not raise."""
        ...

    def make_locales(self, names: Sequence[str]) -> None:
        """Make locales; one that cannot be made is told and does not raise."""
        ...
