"""What hotsync-handover.service does on a MASTER that its SLAVE asks to hand over.

A run while production goes on; production stops; the last run; then a claim is waited for. Whatever fails before that
is heard, and whenever nothing is heard in time, production starts again. Cut in the middle, the next start of the unit
does that; a boot knows nothing of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from hotsync.backends.mute import Mute
from hotsync.backends.standstill import Standstill
from hotsync.backends.units import HOLD, Units
from hotsync.engine.one_master.handover import MasterYard, Run, Yard, named
from hotsync.engine.one_master.hold import Holding
from hotsync.errors import ExitCode, HandOverFailed, HotSyncError
from hotsync.flows.failure import Terminated, deaf_to_the_end, noticing_the_end
from hotsync.flows.notify import addressee_of, tell
from hotsync.flows.promote_notice import announce
from hotsync.flows.rejoin_live import room_lacking
from hotsync.model.handover import HandOver, Stage, sentence_of
from hotsync.model.identity import Role
from hotsync.report.letters import ONCE, SWITCHOVER, Trouble
from hotsync.state import handover as state
from hotsync.state import store
from hotsync.state.alerts import AlertBook
from hotsync.state.hold import load_hold
from hotsync.state.sent import load_sent
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.command import run as run_command
from hotsync.system.paths import Paths

LOOK_SECONDS = 0.1
_BUSY_SECONDS = 1.0
_BUSY_LOOKS = 3600
_LAST_BUSY_LOOKS = 30
_log = logging.getLogger("hotsync.handover")


def hand_over(paths: Paths, clock: Clock, yard: Yard | None = None) -> bool:
    """Hand over if that is asked for; return whether this server was superseded."""
    work = _Work(paths, clock, yard or yard_of(paths, clock))
    with state.at_work(paths):
        if work.settled() and state.is_requested(paths):
            return work.whole()
        return work.is_over()


def settle(paths: Paths, clock: Clock, yard: Yard | None = None) -> None:
    """Give up a hand-over that nobody does any more: it was cut."""
    with state.at_work(paths):
        _Work(paths, clock, yard or yard_of(paths, clock)).settled()


def yard_of(paths: Paths, clock: Clock) -> MasterYard:
    """Return this host as a hand-over works on it."""
    return MasterYard(paths, clock, Holding(paths, Mute(paths)), Standstill(paths), Units(), room_lacking=room_lacking)


@dataclass(frozen=True)
class _Work:
    paths: Paths
    clock: Clock
    yard: Yard

    def settled(self) -> bool:
        """Give up what was cut; return whether a new one may begin."""
        left, epoch = state.load_handover(self.paths), store.load_role(self.paths).highest_epoch
        if left is None or not left.is_going_on or (left.epoch != epoch and left.stage is not Stage.GIVEN_UP):
            return not self.is_over()
        return not self.is_over() and not self.give_up("it was cut in the middle")

    def whole(self) -> bool:
        """Do all of it; return whether this server was superseded."""
        epoch = store.load_role(self.paths).highest_epoch
        state.drop_units(self.paths)
        with state.locked(self.paths):
            # the request goes after the document is there: whoever looks in between sees one of them
            try:
                state.save_handover(self.paths, HandOver(Stage.PREPARING, epoch, self.clock.now()))
            finally:
                state.take_request(self.paths)  # what cannot even begin is not begun again and again
        try:
            with noticing_the_end():
                self._steps()
                return self._wait()
        except (HotSyncError, OSError) as error:
            reason = str(error.facts.get("reason", "")) if isinstance(error, HandOverFailed) else named(error)
            return self.give_up(reason)
        except Terminated:
            return self.give_up("somebody ended it on the MASTER")

    def _steps(self) -> None:
        if lacking := self.yard.lacking():
            raise HandOverFailed(reason=f"it could not become the SLAVE afterwards: {lacking}")
        self._checked(self._run(last=False, looks=_BUSY_LOOKS))
        self._go_on_if_wanted()
        state.save_units(self.paths, self.yard.told())
        ran, timers, stopped = self.yard.running(), self.yard.timers(), self.clock.monotonic()
        self._note(lambda known: replace(known, stage=Stage.STOPPING, stopped=stopped, ran=ran, timers=timers))
        _log.warning("Production stops: this MASTER hands over to its SLAVE.")
        announce(self.paths, sentence_of(self._known()))
        self.yard.stop(ran, timers)
        sending = self.clock.monotonic()
        self._note(lambda known: replace(known, stage=Stage.SYNCING, sent=sending))
        self._go_on_if_wanted()
        run = self._checked(self._run(last=True, looks=_LAST_BUSY_LOOKS))
        sent = load_sent(self.paths)
        if sent is None or sent.number != run.generation:
            raise HandOverFailed(reason="what the last run sent is not known")
        settings, _ = read_settings(self.paths)
        ready = self.clock.monotonic()
        self._note(
            lambda known: replace(
                known,
                stage=Stage.READY,
                generation=sent.number,
                digest=sent.digest,
                ready=ready,
                until=ready + settings.hand_over_seconds,
            )
        )
        _log.warning("Production stands still; generation %d waits for the SLAVE's claim.", sent.number)

    def _run(self, *, last: bool, looks: int) -> Run:
        for _ in range(looks):
            run = self.yard.run(last=last)
            if run is not None:
                return run
            self._go_on_if_wanted()
            self.clock.sleep(_BUSY_SECONDS)
        raise HandOverFailed(reason="another run of HotSync goes on there")

    def _checked(self, run: Run) -> Run:
        if run.exit_code not in (ExitCode.DONE, ExitCode.WARNINGS):
            raise HandOverFailed(reason=f"its run failed: {run.sentence}")
        return run

    def _go_on_if_wanted(self) -> None:
        if state.is_cancelled(self.paths):
            raise HandOverFailed(reason="the SLAVE took its request back")

    def _wait(self) -> bool:
        """Wait for the claim; return whether it came."""
        while not self.is_over():
            known = self._known()
            if state.is_cancelled(self.paths):
                return self.give_up("the SLAVE took its request back")
            if self.clock.monotonic() >= known.until:
                return self.give_up(f"the SLAVE claimed nothing within {known.until - known.ready:.0f} s")
            self.clock.sleep(LOOK_SECONDS)
        try:
            self.yard.leave()
        except (HotSyncError, OSError) as error:
            _log.warning("The addresses are left to %s: %s", HOLD, error)
        _log.warning("The SLAVE has taken over.")
        AlertBook(self.paths).set(SWITCHOVER, None)
        return True

    def is_over(self) -> bool:
        """Return whether this server holds itself: what follows is hotsync-hold.service's."""
        hold = load_hold(self.paths)
        return hold is not None and not hold.released

    def give_up(self, why: str) -> bool:
        """Go on as before, unless this server was superseded meanwhile; return whether it was."""
        with deaf_to_the_end():
            return self._give_up(why)

    def _give_up(self, why: str) -> bool:
        with state.locked(self.paths):
            if self.is_over():
                return True
            # from here on whoever claims learns that this server serves again
            known = self._known()
            known = replace(known, stage=Stage.GIVEN_UP, why=known.why or why)
            self._write_down(known)
        _log.error("The hand-over is given up: %s", known.why)
        state.drop_units(self.paths)
        if known.stopped:
            self.yard.go_on(known.ran, known.timers)
        known = replace(known, resumed=True)
        self._write_down(known)
        if self.is_over():
            # superseded just now: what was started above is stopped again
            run_command(["systemctl", "restart", "--no-block", HOLD], ok=range(256))
            return True
        announce(self.paths, "")
        _log.warning("%s", sentence_of(known))
        self._mail(known)
        return False

    def _write_down(self, known: HandOver) -> None:
        """Write down that it is given up; a full disk must not keep production stopped.

        Where that finds no room there is no hand-over any more: what is not there takes no claim as waited for. It may
        have made the room.
        """
        try:
            state.save_handover(self.paths, known)
        except OSError as error:
            _log.error("That the hand-over is given up was not written down: %s", error)
            state.forget_handover(self.paths)
            with suppress(OSError):
                state.save_handover(self.paths, known)

    def _mail(self, known: HandOver) -> None:
        settings, _ = read_settings(self.paths)
        meaning = "Nothing was lost: this server is the MASTER, and production runs here."
        trouble = Trouble(
            SWITCHOVER, sentence_of(known), HandOverFailed.hint, meaning, "refused.handover", ONCE, over=True
        )
        book = AlertBook(self.paths)
        try:
            book.set(SWITCHOVER, None)  # each one is news: it is over with this mail
            tell(book, addressee_of(settings, Role.MASTER), SWITCHOVER, trouble, self.clock.now())
        except (HotSyncError, OSError) as error:
            _log.warning("nobody was told by mail: %s", error)
        finally:
            book.set(SWITCHOVER, None)

    def _known(self) -> HandOver:
        known = state.load_handover(self.paths)
        if known is None:
            raise HandOverFailed(reason="what it wrote down of the hand-over cannot be read")
        return known

    def _note(self, change: Callable[[HandOver], HandOver]) -> None:
        with state.locked(self.paths):
            state.save_handover(self.paths, change(self._known()))
