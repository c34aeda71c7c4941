"""A rejoin that another call of `hotsync rejoin` does: seen by its lock, and followed to its end by its document."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hotsync.engine.rejoin.vault import read_summary
from hotsync.errors import Busy, Refused, StepFailed
from hotsync.flows.rejoin import REJOIN, Rejoined, Say, step_line
from hotsync.model.plan import Outcome
from hotsync.model.rejoin import Rejoin
from hotsync.planning.rejoin import RejoinFacts, plan_rejoin
from hotsync.state import rejoin as document
from hotsync.system import lock
from hotsync.system.clock import Clock
from hotsync.system.lock import Owner
from hotsync.system.paths import Paths

LOOK_SECONDS = 0.5
_AGAIN = "Run hotsync rejoin: it goes on where it stopped."


def going_on(paths: Paths) -> Owner | None:
    """Return whose call makes this server the SLAVE now, None if nobody's does."""
    return lock.owner(paths.rejoin_lock)


def refuse_if_going_on(paths: Paths) -> None:
    """Raise Busy if a call makes this server the SLAVE now."""
    if (owner := going_on(paths)) is not None:
        raise Busy(what=REJOIN, pid=owner.pid, age=f"{max(0, round(time.time() - owner.since))} s")


def refuse_other_vault(paths: Paths, vault: Path | None) -> None:
    """Raise Refused if the vault of the rejoin that is going on is not made in this folder."""
    begun = document.unfinished_rejoin(paths)
    if vault is None or (begun is not None and Path(os.path.realpath(vault)) == Path(begun.vault).parent):
        return
    raise Refused(
        reason="a rejoin of this server is going on" + (f", with its vault at {begun.vault}" if begun else ""),
        hint="Nothing was changed by this call. Run hotsync rejoin without --vault: it shows that rejoin.",
    )


def follow(paths: Paths, owner: Owner, clock: Clock, say: Say) -> Rejoined:
    """Show each step of the rejoin that this owner does as it begins, from the first; return how it ended.

    Raise StepFailed if a step failed, or if it was ended in the middle.
    """
    told, going = 0, True
    while going:
        # first the lock, then the document: what is written before the lock is let go is seen
        now = going_on(paths)
        going, owner = now is not None, now or owner
        rejoin = _of(paths, owner)
        if rejoin is not None:
            told = _tell(rejoin, told, say)
        if going:
            clock.sleep(LOOK_SECONDS)
    return _ended(_of(paths, owner), owner)


def _of(paths: Paths, owner: Owner) -> Rejoin | None:
    """Return the rejoin that this owner does: there is none until it has begun, but there may be one of long ago."""
    rejoin = document.load_rejoin(paths)
    return None if rejoin is None or 0 < rejoin.finished_at < owner.since else rejoin


def _tell(rejoin: Rejoin, told: int, say: Say) -> int:
    """Show the steps after those that were told, up to the one that is being done; return how many are told now."""
    steps = plan_rejoin(RejoinFacts(rejoin))
    left = plan_rejoin(RejoinFacts(rejoin, begun=True))
    reached = len(steps) - max(0, len(left) - 1)
    for number in range(told + 1, reached + 1):
        say(step_line(steps[number - 1], number, len(steps)))
    return max(told, reached)


def _ended(rejoin: Rejoin | None, owner: Owner) -> Rejoined:
    if rejoin is None:
        reason = "the call that did it has ended, and there is nothing to go on with"
        raise StepFailed(
            step="rejoin", reason=reason, hint="Run hotsync rejoin: it begins, or says what is in the way."
        )
    if rejoin.finished_at:
        return Rejoined(rejoin, read_summary(Path(rejoin.vault)))
    last = rejoin.records[-1] if rejoin.records else None
    if last is not None and last.outcome is Outcome.FAILED and last.ended_at >= owner.since:
        raise StepFailed(step=last.title, reason=last.detail)
    step = next(iter(plan_rejoin(RejoinFacts(rejoin, begun=True)))).title
    raise StepFailed(step=step, reason="the call that did it was ended in the middle", hint=_AGAIN)
