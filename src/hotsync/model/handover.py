"""A hand-over: a MASTER stands still, sends the rest, and waits a while for its SLAVE to claim what it holds.

It is known until the next boot only: a MASTER that boots meanwhile is a MASTER like any other, and asks before it
serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MARGIN_SECONDS = 5.0
"""Before the MASTER's waiting ends, by the SLAVE's own clock: from here on nothing is claimed any more."""


class Stage(StrEnum):
    """How far a hand-over is, in order; GIVEN_UP is where each of the others may lead to."""

    NONE = "none"
    ASKED = "asked"
    PREPARING = "preparing"  # a run while production goes on, so that the last one has little to send
    STOPPING = "stopping"
    SYNCING = "syncing"
    READY = "ready"  # the SLAVE holds everything, and may claim
    LEAVING = "leaving"  # it was claimed: this server holds itself, for good
    LEFT = "left"  # production's addresses are given up, too
    HELD = "held"  # this server holds itself, but had not stood still: it was superseded while it served
    GONE = "gone"  # production's addresses are given up, too
    GIVEN_UP = "given_up"


HOLDS = frozenset({Stage.LEAVING, Stage.LEFT, Stage.HELD, Stage.GONE})
"""Where the MASTER will not serve again by itself."""

WORDS = {
    Stage.ASKED: "The MASTER was asked to hand over",
    Stage.PREPARING: "The MASTER sends what is new; production goes on",
    Stage.STOPPING: "The MASTER stops production",
    Stage.SYNCING: "The MASTER sends the rest",
    Stage.READY: "The MASTER stands still, and this server holds everything",
    Stage.LEAVING: "The MASTER holds itself",
    Stage.LEFT: "The MASTER has given up production's addresses",
    Stage.GIVEN_UP: "The MASTER goes on as before",
}


@dataclass(frozen=True, slots=True)
class HandOver:
    """A hand-over as the MASTER writes it down; seconds are those of its monotonic clock.

    `ran` are the units of production that were stopped, and start again if it is given up (`resumed`: they did);
    `timers` are HotSync's own that pause. `stopped` is when the first of them was stopped (0: none was), `sent` when
    the last run began, `ready` when it had ended; `until` is how long a claim is waited for; `why` it was given up.
    """

    stage: Stage
    epoch: int
    began_at: float
    ran: tuple[str, ...] = ()
    timers: tuple[str, ...] = ()
    stopped: float = 0.0
    sent: float = 0.0
    ready: float = 0.0
    until: float = 0.0
    generation: int = 0
    digest: str = ""
    why: str = ""
    resumed: bool = False

    @property
    def is_going_on(self) -> bool:
        """Return whether production stands still, or will in a moment, or starts again just now."""
        return not self.resumed


@dataclass(frozen=True, slots=True)
class Handed:
    """What a SLAVE was handed: exactly this generation, to be claimed until then (by its own monotonic clock).

    `stopped_at` is when production was stopped, by this server's clock; the seconds are what each part took there.
    """

    generation: int
    digest: str
    claim_until: float
    stopped_at: float
    stopping_seconds: float
    sending_seconds: float


def claim_until(asked: float, seconds_left: float) -> float:
    """Given when the SLAVE asked and what the MASTER answered, return until when it may claim.

    The answer is older than the question's end: counted from its beginning, the MASTER's time ends later.
    """
    return asked + seconds_left - min(MARGIN_SECONDS, seconds_left / 4)


def sentence_of(handover: HandOver) -> str:
    """Return what is to be said of it wherever somebody looks at the MASTER, "" if there is nothing."""
    match handover.stage:
        case Stage.NONE | Stage.LEAVING | Stage.LEFT | Stage.HELD | Stage.GONE:
            return ""
        case Stage.GIVEN_UP:
            ending = "production runs again" if handover.resumed else "production is being started again"
            return f"The hand-over to the SLAVE was given up, and {ending}: {handover.why}"
        case Stage.ASKED | Stage.PREPARING:
            return "A switchover begins: this MASTER is about to hand over to its SLAVE."
        case _:
            return (
                "A switchover goes on: production is stopped here, and this MASTER hands over to its SLAVE. If the "
                "SLAVE does not take over, production starts again by itself."
            )
