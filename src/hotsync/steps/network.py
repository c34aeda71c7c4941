"""Steps on the network: production's addresses and name."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.plan import Phase
from hotsync.model.ports import Host

TAKE = "network.take"
"""The key of the step that takes the MASTER's addresses."""


@dataclass(frozen=True, slots=True)
class TakeAddresses:
    """Take the MASTER's addresses."""

    addresses: tuple[str, ...]
    phase: Phase = Phase.NETWORK
    key: str = TAKE

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"take the MASTER's addresses {', '.join(self.addresses)} and tell the neighbours"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.network.take_addresses()


@dataclass(frozen=True, slots=True)
class SetHostName:
    """Take the MASTER's name."""

    name: str
    phase: Phase = Phase.NETWORK

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"network.name:{self.name}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"take the host name {self.name}"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.network.set_host_name(self.name)


@dataclass(frozen=True, slots=True)
class ActivateNetwork:
    """Let the network manager read the exchanged /etc."""

    phase: Phase = Phase.DATA
    key: str = "network.activate"
    title: str = "let the network manager read the new configuration"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.network.activate()


@dataclass(frozen=True, slots=True)
class HoldClients:
    """Let nobody in while databases are loaded."""

    phase: Phase = Phase.DATABASES
    key: str = "network.hold"
    title: str = "let no client in until the databases are loaded"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.network.hold_clients()


@dataclass(frozen=True, slots=True)
class AdmitClients:
    """Let clients in: the databases are loaded."""

    phase: Phase = Phase.DATABASES
    key: str = "network.admit"
    title: str = "let clients in again"

    def apply(self, host: Host) -> None:
        """Do it."""
        host.network.admit_clients()
