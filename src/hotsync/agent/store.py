"""What the agent needs of the SLAVE's replica."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from hotsync.model.generation import DatasetPoint, Generation


class HasState(Protocol):
    """What the replica holds: the last generation, the staging that can be resumed (0: none), free space."""

    @property
    def generation(self) -> int: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def staging(self) -> int: ...  # noqa: D102
    @property
    def free_bytes(self) -> int: ...  # noqa: D102


class HasPresent(Protocol):
    """The answer to a begin: how many planned entries already lie in staging."""

    @property
    def present(self) -> int: ...  # noqa: D102


OpenStore = Callable[[], "Store"]


class Store(Protocol):
    """The replica, as `hotsync.replica.store.Replica` is and as tests pretend; each thread opens one for itself."""

    def recover(self) -> object:
        """Finish what a crash left in the journal."""
        ...

    def state(self) -> HasState:
        """Return what it holds."""
        ...

    def begin(self, number: int, base_digest: str, planned: Path, expected_bytes: int) -> HasPresent:
        """Prepare staging for a generation; raise NoSpace or ReplicaError."""
        ...

    def commit(self, number: int, changes: Path, generation: Generation) -> Generation:
        """Make what lies in staging the next generation; raise NoSpace, ReplicaError or ProtocolError."""
        ...

    def checkpoint(self, number: int) -> None:
        """Make what has arrived in staging so far durable."""
        ...

    def take_sums(self) -> None:
        """Make sure that the content of every file of the tree has a sum."""
        ...

    def confirm(self, now: float, datasets: Sequence[DatasetPoint] = ()) -> Generation:
        """Record that the MASTER found nothing changed since the last generation, and how its datasets are now."""
        ...
