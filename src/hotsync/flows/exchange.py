"""What hotsync-exchange.service does on a MASTER that has handed over: it becomes the SLAVE of the server that took its
place, so that the two have exchanged their roles."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from hotsync.errors import CommandFailed, HotSyncError
from hotsync.flows.notify import addressee_of, tell
from hotsync.flows.promote_notice import announce
from hotsync.model.hold import hint_of, sentence_of
from hotsync.model.identity import Role
from hotsync.report.letters import Trouble
from hotsync.state.alerts import AlertBook
from hotsync.state.hold import held, save_hold
from hotsync.state.settings import read_settings
from hotsync.system import command
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

PATIENCE_SECONDS = 1800.0
"""The other server is MASTER when its promotion has ended; until then nobody can become its SLAVE."""
_REJOIN_SECONDS = 24 * 3600.0
_ABOUT = "the exchange of roles"
_log = logging.getLogger("hotsync.handover")
Run = Callable[[], str]


def rejoin() -> str:
    """Make this server the SLAVE of the other one; return why that failed, "" if it is."""
    try:
        command.run(["hotsync", "rejoin", "--yes"], timeout=_REJOIN_SECONDS)
    except CommandFailed as error:
        said = error.stderr.strip().splitlines()
        return said[0].removeprefix("Error: ") if said else error.sentence
    return ""


def exchange(paths: Paths, clock: Clock, run: Run = rejoin) -> bool:
    """Become the SLAVE if this server is held because it handed over; return False if that is to be tried again."""
    hold = held(paths)
    if hold is None or not hold.planned:
        return True
    fault = run()
    if not fault:
        _tell(paths, clock, None)
        return True
    _log.warning("This server is not the SLAVE yet: %s", fault)
    hold = held(paths)
    if hold is None:
        return False
    if hold.why != fault:
        hold = replace(hold, why=fault)
        save_hold(paths, hold)
        announce(paths, f"{sentence_of(hold)} {hint_of(hold)}")
    if clock.now() - hold.since >= PATIENCE_SECONDS:
        meaning = "The other server serves, and has no SLAVE until this one is."
        _tell(paths, clock, Trouble(_ABOUT, sentence_of(hold), hint_of(hold), meaning, "exchange"))
    return False


def _tell(paths: Paths, clock: Clock, trouble: Trouble | None) -> None:
    settings, _ = read_settings(paths)
    try:
        tell(AlertBook(paths), addressee_of(settings, Role.SLAVE), _ABOUT, trouble, clock.now())
    except (HotSyncError, OSError) as error:
        _log.warning("nobody was told by mail: %s", error)
