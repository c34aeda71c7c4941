"""On the MASTER: what its SLAVE asks of a hand-over, and the answers. The daemon only writes down what it was asked."""

from __future__ import annotations

import logging

from hotsync.agent.here import Here, Surroundings
from hotsync.agent.refusals import trouble_here
from hotsync.errors import PeerRefused
from hotsync.model.handover import HandOver, Stage
from hotsync.model.hold import Hold
from hotsync.state import handover as state
from hotsync.state.hold import load_hold
from hotsync.state.lacking import load_lacking
from hotsync.system.paths import Paths
from hotsync.transport.handover_messages import AskHandOver, HandOverState, StageWord
from hotsync.transport.values import plain

_log = logging.getLogger("hotsync.agent")


def answer_hand_over(around: Surroundings, here: Here, message: AskHandOver) -> HandOverState:
    """Given what the paired SLAVE asks, return how far it is; raise PeerRefused if this MASTER must not begin."""
    paths = around.paths
    try:
        with state.locked(paths):
            if message.wish == "begin":
                _begin(paths, here, message)
            elif message.wish == "cancel" and _goes_on(paths, here):
                state.cancel(paths)
            return _state(paths, here, message, around.clock.monotonic())
    except OSError as error:
        raise trouble_here(error, paths) from error


def _begin(paths: Paths, here: Here, message: AskHandOver) -> None:
    """Have it begun, unless one goes on already: then whoever asks again sees that one."""
    if load_hold(paths) is not None:
        raise PeerRefused(reason="it is held, and serves nothing", hint="`hotsync status` there says why.")
    if message.epoch != here.record.highest_epoch:
        raise PeerRefused(
            reason=f"it is at epoch {here.record.highest_epoch}, and who wants to take over is at {message.epoch}",
            hint="Run hotsync on the MASTER, so that both know the same; then again.",
        )
    if not _goes_on(paths, here):
        _log.warning("The SLAVE asks this MASTER to hand over.")
        state.request(paths)


def _goes_on(paths: Paths, here: Here) -> bool:
    """Return whether one was asked for, or goes on; one that nobody works on is cut, and the next request ends it."""
    known = state.current(paths, here.record.highest_epoch)
    return state.is_requested(paths) or (known is not None and known.is_going_on and state.is_worked_on(paths))


def _state(paths: Paths, here: Here, message: AskHandOver, now: float) -> HandOverState:
    epoch, hold = here.record.highest_epoch, load_hold(paths)
    if hold is not None and not hold.released:
        return HandOverState(epoch=epoch, stage=_word(_held_as(hold, message.epoch, left=state.has_left(paths))))
    known = state.current(paths, epoch)
    lacking = plain(load_lacking(paths))
    if state.is_requested(paths) or known is None:
        asked = state.is_requested(paths)
        return HandOverState(epoch=epoch, stage=_word(Stage.ASKED if asked else Stage.NONE), lacking=lacking)
    return _told(known, epoch, now, lacking)


def _held_as(hold: Hold, claimed: int, *, left: bool) -> Stage:
    """Given how this server is held, and the claim of whoever asks, return what it may rely on."""
    if hold.epoch < claimed:
        return Stage.NONE  # by an earlier epoch, or a boot: what that one asks about could not be written down
    if hold.planned and hold.epoch == claimed:
        return Stage.LEFT if left else Stage.LEAVING
    return Stage.GONE if left else Stage.HELD


def _told(known: HandOver, epoch: int, now: float, lacking: str) -> HandOverState:
    ready = known.stage is Stage.READY
    return HandOverState(
        epoch=epoch,
        stage=_word(known.stage),
        generation=known.generation if ready else 0,
        digest=known.digest if ready else "",
        seconds_left=max(0.0, known.until - now) if ready else 0.0,
        still_seconds=max(0.0, now - known.stopped) if known.stopped and not known.resumed else 0.0,
        stopping_seconds=max(0.0, known.sent - known.stopped) if known.sent else 0.0,
        sending_seconds=max(0.0, known.ready - known.sent) if known.ready else 0.0,
        sentence=plain(known.why),
        lacking=lacking,
    )


def _word(stage: Stage) -> StageWord:
    """Return a stage as messages have it."""
    return stage.value
