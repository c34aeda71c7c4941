"""Runs a plan step by step. Continuing after a cut is planning again, so nothing here remembers where it was."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress

from hotsync.errors import HotSyncError, StepFailed
from hotsync.model.plan import HostT, Outcome, StepFor, StepRecord
from hotsync.system.clock import Clock


def execute(
    plan: Sequence[StepFor[HostT]],
    host: HostT,
    clock: Clock,
    record: Callable[[StepRecord], None],
    progress: Callable[[StepFor[HostT], int, int], None] | None = None,
) -> None:
    """Given a plan, apply its steps in order and record each; raise StepFailed at the first that fails."""
    for position, step in enumerate(plan, start=1):
        if progress is not None:
            progress(step, position, len(plan))
        started = clock.now()
        try:
            step.apply(host)
            record(step_record(plan, position, started, clock.now(), Outcome.DONE, ""))
        except (HotSyncError, OSError) as error:
            reason = error.sentence if isinstance(error, HotSyncError) else str(error)
            with suppress(HotSyncError, OSError):  # the disk that took no record takes none of the failure
                record(step_record(plan, position, started, clock.now(), Outcome.FAILED, reason))
            raise StepFailed(step=step.title, reason=reason, hint=_hint(error), done=position - 1) from error


def _hint(error: HotSyncError | OSError) -> str:
    if isinstance(error, HotSyncError):
        return error.hint
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free space (`df -h` shows where), then run the same command again: it goes on where it stopped."
    return StepFailed.hint


def step_record(
    plan: Sequence[StepFor[HostT]], position: int, started_at: float, ended_at: float, outcome: Outcome, detail: str
) -> StepRecord:
    """Return the journal's line for the step at `position` (from 1)."""
    step = plan[position - 1]
    return StepRecord(step.key, step.title, step.phase.value, started_at, ended_at, outcome, detail)
