"""What the units of a MASTER run so that there is only one: ask at boot, hold this server, tell of it, hand over; and
what they run when the other one came back as SLAVE."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence

from hotsync.errors import HotSyncError
from hotsync.flows.boot_guard import guard_boot
from hotsync.flows.hold import hold, mail_held, serve_again
from hotsync.state.undo import is_undoing
from hotsync.system import log, paths
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.hold")


def _hold(places: Paths, clock: Clock) -> int:
    hold(places, clock)
    return 0


def _boot(places: Paths, clock: Clock) -> int:
    if not is_undoing(places):
        guard_boot(places, clock)
        return 0
    # no other boot waits for what knows every step of an undo
    from hotsync.flows.undo_boot import hold_undo

    hold_undo(places, clock)
    return 0


def _released(places: Paths, clock: Clock) -> int:
    serve_again(places, clock)
    return 0


def _mail(places: Paths, clock: Clock) -> int:
    # the unit is started again after a while, as long as nobody takes the mail
    return 0 if mail_held(places, clock) else 1


def _remind(places: Paths, clock: Clock) -> int:
    from hotsync.flows.reminders import look

    look(places, clock)
    return 0


def _handover(places: Paths, clock: Clock) -> int:
    # no boot waits for what knows every database
    from hotsync.flows.handover import hand_over

    hand_over(places, clock)
    return 0


def _settle(places: Paths, clock: Clock) -> int:
    from hotsync.flows.handover import settle

    settle(places, clock)
    return 0


def _returned(places: Paths, clock: Clock) -> int:
    from hotsync.flows.returned import Machine, take_back

    del clock
    take_back(Machine(places), _log.warning)
    return 0


def _exchange(places: Paths, clock: Clock) -> int:
    from hotsync.flows.exchange import exchange

    exchange(places, clock)
    return 0


_VERBS: Mapping[str, Callable[[Paths, Clock], int]] = {
    "boot": _boot,
    "hold": _hold,
    "mail": _mail,
    "remind": _remind,
    "released": _released,
    "handover": _handover,
    "settle": _settle,
    "returned": _returned,
    "exchange": _exchange,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the one word says; return the exit status."""
    log.set_up("hotsync-guard")
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) != 1 or words[0] not in _VERBS:
        print(f"usage: hotsync-guard {'|'.join(_VERBS)}", file=sys.stderr)
        return 2
    try:
        return _VERBS[words[0]](paths.from_environment(), SystemClock())
    except (HotSyncError, OSError) as error:
        _log.error("%s", error)
        return 9
