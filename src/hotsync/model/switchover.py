"""What a switchover adds to a promotion: the MASTER's part, as the promotion's document keeps it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hotsync.errors import NotPromotable
from hotsync.model.handover import Handed
from hotsync.model.plan import Outcome, Phase, StepRecord
from hotsync.model.promotion import Promotion


def with_handed(promotion: Promotion, handed: Handed) -> Promotion:
    """Given the promotion that would be claimed and what the MASTER handed over, return it with the MASTER's part.

    Raise NotPromotable if this server does not hold exactly that.
    """
    if (promotion.generation, promotion.digest) != (handed.generation, handed.digest):
        raise NotPromotable(
            reason=f"this server holds generation {promotion.generation}, the MASTER handed over {handed.generation}",
            hint="Run hotsync on the MASTER, then hotsync-promote --planned again.",
        )
    stopped = handed.stopped_at + handed.stopping_seconds
    records = (
        _record("handover.stop", "stop production on the MASTER", handed.stopped_at, stopped),
        _record("handover.send", "send the rest", stopped, stopped + handed.sending_seconds),
    )
    return replace(promotion, stopped_at=handed.stopped_at, records=records)


def masters_part(units: Collection[str]) -> tuple[str, ...]:
    """Given the units of production that ran on the MASTER as of the last generation, return what will happen there."""
    shown = ", ".join(sorted(units)[:12]) + (f" and {len(units) - 12} more" if len(units) > 12 else "")
    return (
        "send what is new (production goes on)",
        f"stop production, also timers and jobs: {shown or 'what runs there'}",
        "cut other hosts off the database servers",
        "send the rest, with every database that changed",
        "wait for this server to claim its place, and start production again if it does not",
        "give up production's addresses, stop the database servers, and hold itself",
    )


def _record(key: str, title: str, started: float, ended: float) -> StepRecord:
    return StepRecord(key, title, Phase.PREPARE.value, started, ended, Outcome.DONE)
