"""What a greeting tells of the replica."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.manifest.store import Manifest
from hotsync.replica.layout import Layout, numbers_in
from hotsync.replica.ledger import Ledger
from hotsync.replica.space import free_bytes


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What a greeting tells of the replica. `staging` is the generation of which something has arrived (0: none)."""

    generation: int
    digest: str
    epoch: int
    free_bytes: int
    staging: int
    closed: str


def read_state(layout: Layout, manifest: Manifest, ledger: Ledger, closed: str) -> ReplicaState:
    """Given the parts of a replica, and why it is closed ("": it is open), return what a greeting tells of it."""
    generations = ledger.generations()
    stagings = numbers_in(layout.stagings) if layout.stagings.is_dir() else []
    return ReplicaState(
        generation=manifest.generation,
        digest=manifest.digest,
        epoch=generations[-1].epoch if generations else 0,
        free_bytes=free_bytes(layout.root),
        staging=max((number for number in stagings if number > manifest.generation), default=0),
        closed=closed,
    )
