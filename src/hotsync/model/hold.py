"""A MASTER that was superseded holds itself: it serves nothing and has none of production's addresses."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from hotsync.model.identity import Role, RoleRecord
from hotsync.model.network.values import Address, is_made_by_programs


class HeardBy(StrEnum):
    """How a MASTER heard that it must not serve."""

    CALLING = "calling"  # it called the other server, as it does all the time
    CALLED = "called"  # the other server called it
    BOOT = "boot"  # it asked before the network was up


@dataclass(frozen=True, slots=True)
class Hold:
    """Why this server holds itself: the epoch that the other one has, since when, and how that was heard.

    `ran` are the units that ran (of those production's start again), `addresses` and `gateways` those that were given
    up: they come back if the administrator makes this server the MASTER again. `begun`: they are written down, so what
    is missing now is not what was missing then. `released`: the administrator wants this server to serve again, and it
    is under way. `why`: what a boot found where nobody said anything of an epoch (that is 0 then): it holds for that
    boot; or why one that had handed over is not the SLAVE yet.
    `planned`: this server had handed over, and stood still from the last run to the moment when it heard of the claim.
    """

    epoch: int
    since: float
    heard_by: HeardBy = HeardBy.CALLING
    begun: bool = False
    ran: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    gateways: tuple[Address, ...] = ()
    released: bool = False
    why: str = ""
    planned: bool = False

    @property
    def is_certain(self) -> bool:
        """Return whether the other server said that it took over; else a boot may find out something else."""
        return bool(self.epoch)


def is_superseded(record: RoleRecord, theirs: int) -> bool:
    """Given this server's role and an epoch that the paired server says it has, return whether that ends our time."""
    return record.role is Role.MASTER and theirs > record.highest_epoch


MOST_AHEAD = 1000
"""So far above ours may an epoch be that the other server says it has released."""


def next_after_release(record: RoleRecord, held_by: int, released: int) -> int | None:
    """Given this server's role, the epoch that holds it (0: none), and one that the other server says it has released,
    return the epoch that it has from now on, or None if that word changes nothing here."""
    if record.role is not Role.MASTER or held_by > released:
        return None
    return released + 1 if record.highest_epoch <= released + 1 <= record.highest_epoch + MOST_AHEAD else None


def sentence_of(hold: Hold) -> str:
    """Return what is to be said of it wherever somebody looks at this server."""
    if not hold.is_certain:
        return f"This server is HELD: {hold.why or 'held.json cannot be read'}. Nothing of production runs here."
    if hold.planned:
        more = f" It is not the SLAVE yet: {hold.why}" if hold.why else ""
        return (
            f"This server is HELD: it handed over to the other server, which is the MASTER now (epoch {hold.epoch}). "
            f"Nothing was lost. Nothing of production runs here, and production's addresses are given up.{more}"
        )
    return (
        f"This server is HELD: it was superseded by epoch {hold.epoch}, the other server is the MASTER now. "
        "Nothing of production runs here, and production's addresses are given up."
    )


HINT = (
    "The other server serves. `hotsync rejoin` here makes this one its SLAVE. Before that, if the promotion is undone "
    "(`hotsync-promote --undo` there), this server serves again by itself; if the other one is off for good: "
    "`hotsync rejoin --as-master` here."
)

HINT_PLANNED = (
    "It becomes the SLAVE of the other server by itself. To give production back to it, let that end, then make a "
    "switchover: `hotsync-promote --planned` here."
)

HINT_UNCERTAIN = (
    "Look at the other server. If that is the MASTER now, leave this one held; if not, remove the cause and reboot "
    "this one, or `hotsync rejoin --as-master` here."
)


def hint_of(hold: Hold) -> str:
    """Return what to do about it."""
    if not hold.is_certain:
        return HINT_UNCERTAIN
    return HINT_PLANNED if hold.planned else HINT


def to_give_up(
    live: Iterable[Address], standby: Iterable[Address], configured: Collection[str] = ()
) -> tuple[Address, ...]:
    """Given the addresses that a promotion takes over, and this server's standby ones, return those of production.

    Bridges of container programs and the like are no part of the network that a promotion takes over; those that this
    server's files make (`configured`) are, whatever they are called.
    """
    kept = {address.address for address in standby}
    return tuple(
        address
        for address in live
        if address.address not in kept and not is_made_by_programs(address.interface, configured)
    )
