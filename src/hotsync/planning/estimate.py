"""About how long a promotion takes, by what its steps have to do and what ordinary disks and servers reach; pure."""

from __future__ import annotations

from hotsync.model.plan import Plan
from hotsync.model.promotion import How, PromotionFacts
from hotsync.steps.files import Exchange

COPIED_A_SECOND = 80 * 10**6
LOADED_A_SECOND = 8 * 10**6
"""Bytes of dumps: a database server makes tables and indexes of them."""

_STEP_SECONDS = 0.05
_SECONDS = {
    "databases.start": 2.0,
    "databases.load": 1.0,
    "files.prepare-etc": 0.5,
    "services.restart": 1.0,
    "services.settings": 0.5,
    "services.start": 2.5,
    "role.settle": 0.5,
}
"""What these take apart from any amount of data, by the name in the journal."""


def estimate(plan: Plan, facts: PromotionFacts) -> float:
    """Given the plan and what it was made from, return about how many seconds it takes."""
    seconds = sum(_SECONDS.get(step.key.partition(":")[0], _STEP_SECONDS) for step in plan)
    if any(step.key.startswith("databases.load") for step in plan):
        seconds += facts.dump_bytes / LOADED_A_SECOND
    if any(isinstance(step, Exchange) and step.how is How.COPY for step in plan):
        seconds += facts.copy_bytes / COPIED_A_SECOND
    return seconds
