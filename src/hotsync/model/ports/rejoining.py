"""What the steps of a rejoin may call."""

from typing import Protocol

from hotsync.model.rejoin import Rejoin


class Rejoining(Protocol):
    """A superseded MASTER on its way to being the SLAVE. Every method can be called again after a cut."""

    def begin(self, rejoin: Rejoin) -> None:
        """Write down what is going to be done; from here on the same command continues it."""
        ...

    def keep_files(self) -> None:
        """Put what the new MASTER never received of files into the vault; raise ReplicaError where room is missing."""
        ...

    def make_replica(self) -> None:
        """Have an empty replica that takes nothing yet."""
        ...

    def move(self, path: str) -> None:
        """Bring one part of this server's data into the replica's tree."""
        ...

    def hold_generation(self) -> None:
        """Make the tree the generation that the new MASTER goes on from."""
        ...

    def clear(self, path: str) -> None:
        """Remove what was copied to the tree from another file system."""
        ...

    def write_network(self) -> None:
        """Make the files of this server's network say that it is the SLAVE."""
        ...

    def take_addresses(self) -> None:
        """Take this server's own addresses, once the MASTER has let them go."""
        ...

    def become_slave(self) -> None:
        """Change the role, with all that follows from it."""
        ...

    def tell_master(self) -> None:
        """Tell the new MASTER where its SLAVE is, if it is anywhere; raise PeerError."""
        ...

    def finish(self) -> None:
        """Close the document of the rejoin."""
        ...
