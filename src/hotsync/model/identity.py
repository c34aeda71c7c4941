"""Who is who: roles, epochs, and the other server of the pair."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a server is: in production, its spare, or not told yet."""

    NONE = ""
    MASTER = "master"
    SLAVE = "slave"

    @property
    def in_words(self) -> str:
        """Return it as it stands in a sentence about a server."""
        return {Role.NONE: "not configured", Role.MASTER: "the MASTER", Role.SLAVE: "the SLAVE"}[self]


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """The role of this server, with the number of promotions that it knows of.

    `claim` is an epoch taken by a promotion that is not finished; it counts as the higher epoch. `released` is that of
    a promotion that was undone (0: none): the old MASTER takes the one above it. `since` is in seconds since 1970;
    `why` is one sentence for people.
    """

    role: Role = Role.NONE
    epoch: int = 0
    claim: int | None = None
    since: float = 0.0
    why: str = ""
    released: int = 0

    @property
    def highest_epoch(self) -> int:
        """Return the epoch that other servers must yield to."""
        return max(self.epoch, self.claim or 0)

    @property
    def next_epoch(self) -> int:
        """Return the epoch that a promotion claims: the one above a released one is left to the old MASTER."""
        return max(self.highest_epoch, self.released + 1 if self.released else 0) + 1

    @property
    def has_released(self) -> bool:
        """Return whether the highest epoch of this server is one that it has released."""
        return self.released > 0 and self.released == self.highest_epoch


@dataclass(frozen=True, slots=True)
class Peer:
    """The paired server: its name, address, pinned certificate (PEM) and that certificate's SHA-256 fingerprint."""

    name: str
    address: str
    fingerprint: str
    certificate: str
    link_local: str = ""
    paired_at: float = 0.0
