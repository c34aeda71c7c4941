"""What an error may mean that somebody told whose certificate is not the pinned one: why pairing did not go on.

Anybody can answer at an address, or call from it. So none of its words are shown, nothing but a few numbers of it is
kept, and no error of it has an effect on this server beyond pairing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from hotsync.errors import (
    AlreadyPaired,
    ClockSkew,
    HotSyncError,
    NoSpace,
    OtherProtocol,
    PairingSlowed,
    PeerBusy,
    PeerRefused,
    ProtocolError,
    WrongPassword,
)

NO_SLAVE = "it is not a SLAVE"
NO_ROLE = "it is neither MASTER nor SLAVE yet"
NOT_OPEN = "pairing is not open there"
REFUSALS: Mapping[str, str] = MappingProxyType({
    NO_SLAVE: "Set role and addresses on both, then signal-event nethserver-hotsync-save on both.",
    NO_ROLE: "Set role and addresses on both, then signal-event nethserver-hotsync-save on both.",
    NOT_OPEN: "Set the password there and run signal-event nethserver-hotsync-save.",
})  # fmt: skip
"""Why a server does not pair, each with what to do: the same words on both sides, so that none need to travel."""

LONGEST_WAIT = 3600
_MOST = 2**53


def refusal(reason: str) -> PeerRefused:
    """Given one of the reasons above, return the error that says it."""
    return PeerRefused(reason=reason, hint=REFUSALS[reason])


def from_anybody(error: HotSyncError, address: str) -> HotSyncError:
    """Given what a message is, or stands for, that came from `address` and from nobody who has proven who that is,
    return what may be made of it. The fact `told` is the code that an error came with.
    """
    if isinstance(error, ProtocolError) and "told_by_peer" not in error.facts:
        # the names of keys are its words, too
        return ProtocolError(reason="a message is not as it may be") if error.__cause__ else error
    if "told_by_peer" not in error.facts:
        return error
    made = _made(error, address)
    made.facts.update(told_by_peer=True, told=error.code)
    return made


def _made(error: HotSyncError, address: str) -> HotSyncError:
    facts = error.facts
    match error:
        case WrongPassword() | AlreadyPaired():
            return type(error)(address=address)
        case PairingSlowed():
            seconds = _number(facts.get("seconds"), LONGEST_WAIT)
            return PairingSlowed(address=address, failures=_number(facts.get("failures")), seconds=seconds)
        case PeerBusy():
            return PeerBusy(reason="another pairing is going on")
        case ClockSkew():
            return ClockSkew(seconds=_number(facts.get("seconds")))
        case OtherProtocol():
            return OtherProtocol(theirs=_number(facts.get("theirs")), ours=_number(facts.get("ours")))
        case NoSpace():
            return NoSpace(needed=_number(facts.get("needed")), free=_number(facts.get("free")))
        case PeerRefused() if str(facts.get("reason")) in REFUSALS:
            return refusal(str(facts.get("reason")))
        case _:
            return PeerRefused(
                reason="whoever answers there has not proven to be the other server, and will not pair",
                hint="The system log of the other server says why, if it was that.",
            )


def _number(value: object, most: int = _MOST) -> int:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return round(min(max(0, value), most))
