"""What hotsync-exchange.service does on a MASTER that has handed over: it becomes the SLAVE of the server that took its
place, so that the two have exchanged their roles."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from hotsync.errors import CommandFailed, ExitCode, HotSyncError
from hotsync.flows.notify import RELAY_SECONDS, addressee_of, tell
from hotsync.flows.promote_notice import announce
from hotsync.model.hold import hint_of, sentence_of
from hotsync.model.identity import Role
from hotsync.report.letters import EXCHANGE, Trouble
from hotsync.state.alerts import AlertBook
from hotsync.state.hold import held, save_hold
from hotsync.state.rejoin import unfinished_rejoin
from hotsync.state.settings import read_settings
from hotsync.system import command
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

PATIENCE_SECONDS = 1800.0
"""The other server is MASTER when its promotion has ended; until then nobody can become its SLAVE."""
_REJOIN_SECONDS = 24 * 3600.0
AGAIN_SECONDS, LONGEST_SECONDS = 20.0, 1800.0
"""After how long it is tried again: soon while the other server is not ready, else doubled each time."""
_log = logging.getLogger("hotsync.handover")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why this server is not the SLAVE yet, with what is to be done; `passes`: the other server is what is waited for,
    or another run."""

    sentence: str
    passes: bool = False


Run = Callable[[], Fault | None]


def rejoin() -> Fault | None:
    """Make this server the SLAVE of the other one; return why that failed, None if it is."""
    try:
        command.run(["hotsync", "rejoin", "--yes"], timeout=_REJOIN_SECONDS, unread=True)
    except CommandFailed as error:
        said = [line.removeprefix("Error: ").removeprefix("Hint: ") for line in error.stderr.strip().splitlines()]
        return Fault(" ".join(said[:2]) or error.sentence, error.returncode in (ExitCode.PEER, ExitCode.BUSY))
    return None


def wait_after(fault: Fault, waited: float) -> float:
    """Given why an attempt failed and how long was waited before it, return how long to wait before the next one.

    What no waiting mends is not repeated all the time: it costs, and a person has to do something first.
    """
    return AGAIN_SECONDS if fault.passes or not waited else min(2 * waited, LONGEST_SECONDS)


def exchange(paths: Paths, clock: Clock, run: Run = rejoin) -> None:
    """Become the SLAVE if this server is held because it handed over, however often that must be tried."""
    waited = 0.0
    while (fault := _tried(paths, clock, run)) is not None:
        waited = wait_after(fault, waited)
        _log.warning("This server is not the SLAVE yet; again in %.0f s: %s", waited, fault.sentence)
        clock.sleep(waited)


def _tried(paths: Paths, clock: Clock, run: Run) -> Fault | None:
    hold = held(paths)
    if (hold is None and unfinished_rejoin(paths) is None) or (hold is not None and not hold.planned):
        if hold is None:
            _tell(paths, clock, None)  # a person did it meanwhile
        return None  # without a hold it is the SLAVE; what it has begun it may still have to end
    fault = run()
    if fault is None:
        _tell(paths, clock, None)
        return None
    hold = held(paths)
    if hold is None:
        return fault
    if hold.why != fault.sentence:
        hold = replace(hold, why=fault.sentence)
        save_hold(paths, hold)
        announce(paths, f"{sentence_of(hold)} {hint_of(hold)}")
    if clock.now() - hold.since >= PATIENCE_SECONDS:
        meaning = "The other server serves, and has no SLAVE until this one is."
        _tell(paths, clock, Trouble(EXCHANGE, sentence_of(hold), hint_of(hold), meaning, "exchange"))
    return fault


def _tell(paths: Paths, clock: Clock, trouble: Trouble | None) -> None:
    settings, _ = read_settings(paths)
    try:
        tell(AlertBook(paths), addressee_of(settings, Role.SLAVE, RELAY_SECONDS), EXCHANGE, trouble, clock.now())
    except (HotSyncError, OSError) as error:
        _log.warning("nobody was told by mail: %s", error)
