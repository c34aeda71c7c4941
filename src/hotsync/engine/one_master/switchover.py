"""The SLAVE of a switchover: has its MASTER hand over, and makes sure after the claim that it had stood still."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

from hotsync.engine.fence.tiers import callees
from hotsync.errors import HandOverFailed, HotSyncError, NotHandedOver, PeerUnreachable
from hotsync.model.handover import WORDS, Handed, Stage, claim_until
from hotsync.state import store
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.addresses import is_link_local
from hotsync.transport.dial import Callee
from hotsync.transport.handover_call import NOBODY, HandOverCall
from hotsync.transport.handover_messages import HandOverState

LOOK_SECONDS = 0.2
BEGINS_SECONDS = 60.0
AWAY_SECONDS = 60.0
CONFIRM_SECONDS = 60.0
LEAVES_SECONDS = 20.0
_STALL_SECONDS = 5.0
_log = logging.getLogger("hotsync.handover")


def call_of(paths: Paths, clock: Clock, epoch: int) -> HandOverCall:
    """Return a call to the paired MASTER, whatever its addresses are when something is asked."""
    settings, _ = read_settings(paths)
    find = partial(_lasting_first, paths, epoch)
    return HandOverCall(find, settings.slave_port, clock, _STALL_SECONDS, settings.clock_skew_seconds)


def _lasting_first(paths: Paths, epoch: int) -> Sequence[Callee]:
    """Return where the MASTER answers, first where it still does when production's addresses are gone.

    On a line to one of those nothing comes any more, and finding that out takes seconds.
    """
    return sorted(callees(paths, epoch), key=lambda callee: not is_link_local(callee.address))


def fault(paths: Paths, clock: Clock) -> str:
    """Return why the MASTER cannot be asked to hand over now, "" if it can."""
    epoch = store.load_role(paths).highest_epoch
    with closing(call_of(paths, clock, epoch)) as call:
        try:
            state = call.ask("look", epoch)
        except HotSyncError as error:
            return f"the MASTER cannot be asked to hand over: {error.sentence}"
    if state.epoch != epoch:
        return f"the MASTER is at epoch {state.epoch}, this server at {epoch}"
    if state.lacking:
        return f"the MASTER could not become the SLAVE afterwards: {state.lacking}"
    return ""


@contextmanager
def handed_over(
    paths: Paths, clock: Clock, say: Callable[[str], None], call: HandOverCall | None = None
) -> Iterator[Handed]:
    """Have the MASTER stop production and send the rest; within the block it waits for the claim.

    Left without a claim, the request is taken back. Raise HandOverFailed: the MASTER goes on as before.
    """
    epoch = store.load_role(paths).highest_epoch
    with closing(call or call_of(paths, clock, epoch)) as line:
        try:
            yield _Asking(line, clock, say, epoch).until_ready()
        finally:
            if store.load_role(paths).highest_epoch == epoch:  # it has claimed nothing
                _take_back(line, epoch, say)


def _take_back(line: HandOverCall, epoch: int, say: Callable[[str], None]) -> None:
    try:
        line.ask("cancel", epoch)
        say("Nothing was changed here, and the MASTER goes on as before.")
    except HotSyncError as error:
        _log.warning("the MASTER does not hear that nothing is claimed, and waits a while: %s", error.sentence)
        say("Nothing was changed here. The MASTER is not reached now; it goes on as before by itself in a while.")


class _Asking:
    def __init__(self, line: HandOverCall, clock: Clock, say: Callable[[str], None], epoch: int) -> None:
        self._line, self._clock, self._say, self._epoch = line, clock, say, epoch
        self._heard_at = clock.monotonic()
        self._stage = Stage.NONE
        self._since = clock.monotonic()

    def until_ready(self) -> Handed:
        """Ask, and look until the MASTER stands still and this server holds everything."""
        self._line.ask("begin", self._epoch)
        while True:
            asked = self._clock.monotonic()
            state = self._look()
            if state is not None and (handed := self._judged(state, asked)) is not None:
                return handed
            self._clock.sleep(LOOK_SECONDS)

    def _look(self) -> HandOverState | None:
        """Return how far it is; a line that breaks is made anew for a while."""
        try:
            state = self._line.ask("look", self._epoch)
        except HotSyncError as error:
            if self._clock.monotonic() - self._heard_at > AWAY_SECONDS:
                raise HandOverFailed(reason=f"it does not answer any more ({error.sentence})") from error
            return None
        self._heard_at = self._clock.monotonic()
        return state

    def _judged(self, state: HandOverState, asked: float) -> Handed | None:
        stage = Stage(state.stage)
        if stage is not self._stage:
            self._stage, self._since = stage, asked
            if stage in WORDS and stage is not Stage.GIVEN_UP:
                self._say(f"{WORDS[stage]}.")
        match stage:
            case Stage.READY:
                return self._handed(state, asked)
            case Stage.GIVEN_UP:
                raise HandOverFailed(reason=state.sentence or "it does not say why")
            case Stage.NONE | Stage.LEAVING | Stage.LEFT | Stage.HELD | Stage.GONE:
                raise HandOverFailed(reason="it knows nothing of it any more; was it rebooted?")
            case Stage.ASKED if asked - self._since > BEGINS_SECONDS:
                raise HandOverFailed(
                    reason="it was asked, and nothing begins there",
                    hint="On the MASTER: systemctl start hotsync-handover.path; systemctl status hotsync-handover",
                )
            case _:
                return None

    def _handed(self, state: HandOverState, asked: float) -> Handed:
        return Handed(
            generation=state.generation,
            digest=state.digest,
            claim_until=claim_until(asked, state.seconds_left),
            stopped_at=self._clock.now() - state.still_seconds,
            stopping_seconds=state.stopping_seconds,
            sending_seconds=state.sending_seconds,
        )


def confirm(paths: Paths, clock: Clock, epoch: int, call: HandOverCall | None = None) -> str:
    """Tell the MASTER of the claimed epoch; return what it says if it stood still from the last run to this moment.

    Raise NotHandedOver if it did not, or does not say so: what is here may not be everything then.
    """
    with closing(call or call_of(paths, clock, epoch)) as line:
        stage = _confirmed(line, clock, epoch)
        until = clock.monotonic() + LEAVES_SECONDS
        while stage is not Stage.LEFT and clock.monotonic() < until:
            clock.sleep(LOOK_SECONDS)
            try:
                stage = Stage(line.ask("look", epoch).stage)
            except PeerUnreachable:
                break  # nobody answers at any of its addresses: they are gone
            except HotSyncError as error:  # its addresses are going, and with them the line
                _log.info("the MASTER is asked again: %s", error.sentence)
        gone = "has given up its addresses" if stage is Stage.LEFT else "gives up its addresses"
        return f"it stood still until it heard of epoch {epoch} at {line.address}, holds itself and {gone}"


def _confirmed(line: HandOverCall, clock: Clock, epoch: int) -> Stage:
    until = clock.monotonic() + CONFIRM_SECONDS
    reason = NOBODY
    while clock.monotonic() < until:
        try:
            stage = Stage(line.ask("look", epoch).stage)
        except HotSyncError as error:
            reason = error.sentence
            clock.sleep(LOOK_SECONDS)
            continue
        if stage in (Stage.LEAVING, Stage.LEFT):
            return stage
        raise NotHandedOver(reason="production was started there again before it heard of the claim")
    raise NotHandedOver(reason=reason)
