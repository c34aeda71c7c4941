"""Databases as steps load them."""

from typing import Protocol


class Databases(Protocol):
    """The dumps of the last generation and the servers that they belong to."""

    def start(self, engine: str, instance: str, unit: str) -> None:
        """Start an instance's server, making an empty one first where there is none; raise HotSyncError if it fails."""
        ...

    def load(self, engine: str, instance: str, digest: str) -> None:
        """Load an instance's dumps (known by `digest`) into its server; loaded already is fine."""
        ...

    def load_beforehand(self, engine: str, instance: str) -> None:
        """Load what is new of an instance's dumps while this SLAVE waits; what fails is told and does not raise."""
        ...

    def tend_standby(self, engine: str, instance: str) -> None:
        """Copy a streamed server, start its standby, or give it up; what fails is told and does not raise."""
        ...
