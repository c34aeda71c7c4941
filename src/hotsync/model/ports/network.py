"""Addresses as steps change them."""

from typing import Protocol


class Network(Protocol):
    """Takes production's addresses, keeping the standby address as a second one."""

    def take_addresses(self) -> None:
        """Bring up the MASTER's addresses and gateways and tell the neighbours; none is taken away.

        Raise NetworkSilent, with the network as it was, if nobody answers any more.
        """
        ...

    def set_host_name(self, name: str) -> None:
        """Make `name` this host's name now; the prepared /etc makes it last."""
        ...

    def activate(self) -> None:
        """Let the network manager read the exchanged /etc without losing an address; tell the neighbours of
        what this server has, again or where it keeps its own network."""
        ...

    def hold_clients(self) -> None:
        """Let no new connection in but to what listens now; where that cannot be done it is told and does not raise."""
        ...

    def admit_clients(self) -> None:
        """Let connections in again; done already is fine."""
        ...
