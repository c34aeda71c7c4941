"""A rejoin as values: what the new MASTER says of itself, which data moves into the replica, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hotsync.model.entry import Kind
from hotsync.model.network.values import Address
from hotsync.model.plan import Outcome, StepRecord

REPLICA = "rejoin.replica"
"""The key of the step after which the replica takes data."""
FILES_KEPT = "rejoin.files"
"""The key of the step after which the vault is whole."""

KEYS = ".ssh"
"""The folder in a home by which somebody logs in."""


class Way(StrEnum):
    """How data gets into the replica's tree.

    MOVE: by one rename, an empty folder stays. COPY: it is needed here, and stays. CARRY: it lies on another file
    system; it is copied, and goes when the replica is complete.
    """

    MOVE = "move"
    COPY = "copy"
    CARRY = "carry"


@dataclass(frozen=True, slots=True)
class Part:
    """One path that goes into the tree whole; `inode` is that of what lay there when the rejoin began."""

    path: str
    way: Way
    kind: Kind
    inode: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What the new MASTER says: its epoch, and the generation that it goes on from, with its digest.

    `standby` are the addresses that it had as SLAVE and keeps until this server takes them, `serving` those of
    production; their interfaces are named by this server.
    """

    epoch: int
    generation: int
    digest: str
    standby: tuple[Address, ...] = ()
    serving: tuple[Address, ...] = ()


def held_number(terms: Terms) -> int:
    """Return the number of the generation that this server's own data is held as."""
    return max(1, terms.generation)


@dataclass(frozen=True, slots=True)
class Rejoin:
    """What a rejoin has fixed when it began (document rejoin.json), and what its journal proves.

    `vault` is the folder of what the new MASTER never received. `parts` go into the tree, `folders` are carried folders
    that stay in place; `copied` are the parts whose copy is complete. `master_host`: where production is now; `own` are
    this server's addresses as SLAVE, `name` is its name from now on, `files` are those of its network below /etc (None:
    to be removed), `database` the records of NethServer's that change (None: removed); `given_up` were production's
    addresses, `gateways` its default ones. `notes` are what a person must know.
    """

    terms: Terms
    started_at: float
    vault: str
    parts: tuple[Part, ...]
    folders: tuple[str, ...] = ()
    master_host: str = ""
    own: tuple[Address, ...] = ()
    gateways: tuple[Address, ...] = ()
    name: str = ""
    files: tuple[tuple[str, str | None], ...] = ()
    database: tuple[tuple[str, str | None], ...] = ()
    given_up: tuple[Address, ...] = ()
    copied: tuple[str, ...] = ()
    records: tuple[StepRecord, ...] = ()
    notes: tuple[str, ...] = ()
    finished_at: float = 0.0

    @property
    def done(self) -> frozenset[str]:
        """Return the keys of the steps that the journal proves done."""
        return frozenset(record.key for record in self.records if record.outcome is Outcome.DONE)

    @property
    def to_copy(self) -> tuple[Part, ...]:
        """Return the parts of which a copy is still to be made."""
        return tuple(part for part in self.parts if part.way is not Way.MOVE and part.path not in self.copied)

    @property
    def is_moving(self) -> bool:
        """Return whether data may have left its place: not before the replica has all of the copies."""
        return REPLICA in self.done and not self.to_copy

    def part(self, path: str) -> Part | None:
        """Given a path, return its part, or None if it is none."""
        return next((part for part in self.parts if part.path == path), None)
