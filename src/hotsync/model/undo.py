"""A promotion that is undone, as values: what is put back, what production had written, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hotsync.model.identity import Role, RoleRecord
from hotsync.model.plan import Outcome, StepRecord
from hotsync.model.promotion import Promotion

STARTING = ("services.", "databases.")
"""Steps of a promotion from the first of which on production may write."""


@dataclass(frozen=True, slots=True)
class Place:
    """One path that goes back: production's is moved away, and what this server had there comes back.

    `live` is the inode of production's (0: it has nothing there), `own` that of this server's own, which lies below
    `aside` (0: it had nothing there). Production's goes to the same path below `to`; both are folders below the root,
    on the file system of the path. `tree`: it goes back into the replica's tree.
    """

    path: str
    live: int
    own: int
    aside: str
    to: str
    tree: bool = False


class What(StrEnum):
    """What production did with a path."""

    NEW = "new"
    CHANGED = "changed"
    RIGHTS = "rights"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Written:
    """What production wrote, counted: files that are new or changed (with their bytes, and mails among them), paths of
    which only the attributes differ, deleted ones, files of /etc, and database servers; `queued` are mails that wait
    for being delivered."""

    files: int = 0
    bytes: int = 0
    mails: int = 0
    rights: int = 0
    deleted: int = 0
    configuration: int = 0
    servers: tuple[str, ...] = ()
    queued: int = 0


@dataclass(frozen=True, slots=True)
class Undo:
    """The document of an undo (undo.json): the promotion's epoch and generation, and what its journal proves.

    `was_master`: the promotion was finished. `served`: production may have written since then (0: it never started).
    `master_host`: where the MASTER was. `places` are known once production stands still.
    """

    epoch: int
    generation: int
    began_at: float
    was_master: bool
    served: float = 0.0
    master_host: str = ""
    noted: bool = False
    places: tuple[Place, ...] = ()
    records: tuple[StepRecord, ...] = ()
    written: Written = Written()
    notes: tuple[str, ...] = ()
    made: int = 0
    finished_at: float = 0.0

    @property
    def done(self) -> frozenset[str]:
        """Return the keys of the steps that the journal proves done."""
        return frozenset(record.key for record in self.records if record.outcome is Outcome.DONE)

    def place(self, path: str) -> Place | None:
        """Given a path, return where it goes, None if it is none that goes back."""
        return next((place for place in self.places if place.path == path), None)


@dataclass(frozen=True, slots=True)
class UndoFacts:
    """What was read before planning. `boot` tells one boot from the next: what a boot sets up anew is done again."""

    role: RoleRecord
    promotion: Promotion
    undo: Undo
    begun: bool
    boot: str
    tree_live: bool = False
    dumps: bool = False

    @property
    def is_slave(self) -> bool:
        """Return whether the role is that of a SLAVE which released this promotion's epoch."""
        return self.role.role is Role.SLAVE and self.role.claim is None and self.role.released == self.promotion.epoch


def served_since(promotion: Promotion) -> float:
    """Given a promotion, return from when on production may have written, 0 if none of it was started."""
    return min((record.started_at for record in promotion.records if record.key.startswith(STARTING)), default=0.0)
