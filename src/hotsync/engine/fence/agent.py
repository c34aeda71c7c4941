"""The gentlest fence: the MASTER's own HotSync. It hears the claimed epoch, and is watched until it has let go.

That it answers says only that it heard: whether it could write that down, and stop, it is asked afterwards.
"""

from __future__ import annotations

import logging
from typing import Literal, Protocol

from hotsync.errors import HotSyncError, NotHeld
from hotsync.model.handover import HOLDS, Stage
from hotsync.system.clock import Clock
from hotsync.transport.handover_messages import HandOverState

LOOK_SECONDS = 0.2
WRITES_SECONDS = 5.0
"""It writes that it holds itself before it answers; what fails there is tried again with each question."""
LEAVES_SECONDS = 20.0
_log = logging.getLogger("hotsync.fence")


class Line(Protocol):
    """What asks the MASTER how far it is."""

    @property
    def address(self) -> str:
        """Return where it answered last."""
        ...

    def ask(self, wish: Literal["look"], epoch: int) -> HandOverState:
        """Return how far it is; raise HotSyncError where nobody says so."""
        ...


def watch_it_leave(line: Line, clock: Clock, epoch: int) -> str:
    """Tell the MASTER of the claimed epoch, and look until it has given up its addresses; return what it says.

    Raise PeerError if it does not hear, NotHeld if it hears and goes on serving, as far as can be seen.
    """
    stage = Stage(line.ask("look", epoch).stage)
    heard_at, began = line.address, clock.monotonic()
    holds, answers = stage in HOLDS, True
    while clock.monotonic() - began < (LEAVES_SECONDS if holds else WRITES_SECONDS):
        if stage in (Stage.LEFT, Stage.GONE):
            return f"it heard of epoch {epoch} at {heard_at}, holds itself and has given up its addresses"
        clock.sleep(LOOK_SECONDS)
        try:
            stage, answers = Stage(line.ask("look", epoch).stage), True
        except HotSyncError as error:  # its addresses are going, and with them the line
            _log.info("the MASTER is asked again: %s", error.sentence)
            answers = False
        holds = holds or stage in HOLDS
    if holds and not answers:
        return f"it heard of epoch {epoch} at {heard_at}, holds itself and answers nowhere since"
    seconds = clock.monotonic() - began
    if holds:
        raise NotHeld(epoch=epoch, address=heard_at, reason=f"it still has its addresses after {seconds:.0f} s")
    raise NotHeld(epoch=epoch, address=heard_at, reason="it has not written down that it holds itself")
