"""What a promotion loses."""

from __future__ import annotations

from dataclasses import dataclass

from hotsync.model.loss import LossStatement
from hotsync.model.promotion import Back


@dataclass(frozen=True, slots=True)
class Losses:
    """What a promotion loses, all of it by the MASTER's clock, which is `ahead` of ours.

    `told` is what the MASTER told last that is newer than its newest generation here. Where an older one is promoted
    (`back`), what is between the two is lost, too: `undone`, if that is known.
    """

    told: LossStatement
    ahead: float
    back: Back | None = None
    undone: LossStatement | None = None
