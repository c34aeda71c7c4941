"""Steps of a rejoin: a superseded MASTER becomes the SLAVE of the server that took its place."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.plan import Phase
from hotsync.model.ports.rejoining import Rejoining
from hotsync.model.rejoin import FILES_KEPT, REPLICA, Rejoin, Way


@dataclass(frozen=True, slots=True)
class Begin:
    """Write down what is going to be done."""

    rejoin: Rejoin
    phase: Phase = Phase.CLAIM
    key: str = "rejoin.begin"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"begin the rejoin at epoch {self.rejoin.terms.epoch}"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.begin(self.rejoin)


@dataclass(frozen=True, slots=True)
class KeepFiles:
    """Keep files that the new MASTER never received."""

    vault: str
    phase: Phase = Phase.PREPARE
    key: str = FILES_KEPT

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"keep what the new MASTER never received in {self.vault}"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.keep_files()


@dataclass(frozen=True, slots=True)
class MakeReplica:
    """Have an empty replica."""

    phase: Phase = Phase.DATA
    key: str = REPLICA
    title: str = "make a replica, closed"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.make_replica()


@dataclass(frozen=True, slots=True)
class MovePart:
    """Bring one part of this server's data into the tree."""

    path: str
    way: Way
    phase: Phase = Phase.DATA

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"rejoin.move:{self.path}"

    @property
    def title(self) -> str:
        """Return what it does."""
        if self.way is Way.MOVE:
            return f"move /{self.path} into the replica"
        why = "this server needs it" if self.way is Way.COPY else "it lies on another file system"
        return f"copy /{self.path} into the replica ({why})"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.move(self.path)


@dataclass(frozen=True, slots=True)
class HoldGeneration:
    """Make the tree a generation."""

    generation: int
    phase: Phase = Phase.DATA
    key: str = "rejoin.generation"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"hold it as generation {self.generation}, of which every path is to be looked at again"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.hold_generation()


@dataclass(frozen=True, slots=True)
class ClearPart:
    """Remove what was copied from another file system."""

    path: str
    phase: Phase = Phase.DATA

    @property
    def key(self) -> str:
        """Return the name in the journal."""
        return f"rejoin.clear:{self.path}"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"clear /{self.path}: the replica has it"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.clear(self.path)


@dataclass(frozen=True, slots=True)
class WriteNetwork:
    """Write the network's files."""

    addresses: tuple[str, ...]
    phase: Phase = Phase.NETWORK
    key: str = "rejoin.network"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"take production's addresses out of this server's network files, and put {', '.join(self.addresses)} in"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.write_network()


@dataclass(frozen=True, slots=True)
class TakeAddresses:
    """Take this server's own addresses."""

    addresses: tuple[str, ...]
    phase: Phase = Phase.ROLE
    key: str = "rejoin.addresses"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"take {', '.join(self.addresses)}"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.take_addresses()


@dataclass(frozen=True, slots=True)
class BecomeSlave:
    """Change the role."""

    epoch: int
    master_host: str
    phase: Phase = Phase.ROLE
    key: str = "rejoin.role"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"become SLAVE of {self.master_host} at epoch {self.epoch}"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.become_slave()


@dataclass(frozen=True, slots=True)
class TellMaster:
    """Tell the new MASTER where its SLAVE is."""

    phase: Phase = Phase.ROLE
    key: str = "rejoin.told"
    title: str = "tell the MASTER where its SLAVE is"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.tell_master()


@dataclass(frozen=True, slots=True)
class FinishRejoin:
    """Close the document."""

    phase: Phase = Phase.ROLE
    key: str = "rejoin.finish"
    title: str = "finish the rejoin"

    def apply(self, host: Rejoining) -> None:
        """Do it."""
        host.finish()
