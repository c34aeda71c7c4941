"""Runs a plan step by step. Continuing after a cut is planning again, so nothing here remembers where it was."""

from __future__ import annotations

from collections.abc import Callable

from hotsync.errors import HotSyncError, StepFailed
from hotsync.model.plan import Outcome, Plan, Progress, StepRecord
from hotsync.model.ports import Host
from hotsync.system.clock import Clock


def execute(
    plan: Plan, host: Host, clock: Clock, record: Callable[[StepRecord], None], progress: Progress | None = None
) -> None:
    """Given a plan, apply its steps in order and record each; raise StepFailed at the first that fails."""
    for position, step in enumerate(plan, start=1):
        if progress is not None:
            progress(step, position, len(plan))
        started = clock.now()
        try:
            step.apply(host)
        except HotSyncError as error:
            record(step_record(plan, position, started, clock.now(), Outcome.FAILED, error.sentence))
            raise StepFailed(step=step.title, reason=error.sentence, hint=error.hint, done=position - 1) from error
        except OSError as error:
            record(step_record(plan, position, started, clock.now(), Outcome.FAILED, str(error)))
            raise StepFailed(step=step.title, reason=str(error), done=position - 1) from error
        record(step_record(plan, position, started, clock.now(), Outcome.DONE, ""))


def step_record(
    plan: Plan, position: int, started_at: float, ended_at: float, outcome: Outcome, detail: str
) -> StepRecord:
    """Return the journal's line for the step at `position` (from 1)."""
    step = plan[position - 1]
    return StepRecord(step.key, step.title, step.phase.value, started_at, ended_at, outcome, detail)
