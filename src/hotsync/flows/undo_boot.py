"""A boot in the middle of an undo: nothing of production starts, and none of its addresses is taken."""

from __future__ import annotations

import logging

from hotsync.engine.one_master.hold import Lines, LiveLines
from hotsync.engine.undo.host import UndoHost
from hotsync.errors import HotSyncError
from hotsync.flows.undo import read_facts
from hotsync.state import store
from hotsync.state.hold import at_work, hold_network
from hotsync.state.undo import is_undoing
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.undo")


def hold_undo(paths: Paths, clock: Clock, lines: Lines | None = None) -> bool:
    """If a promotion is being undone here, see to it that this boot brings nothing of production back.

    Return whether it is so. The undo goes on by its own command; this lasts until then, or until the next boot.
    """
    if not is_undoing(paths):
        return False
    with at_work(paths):  # the boot guard may be at it, too
        store.set_production(paths, False)
        try:
            facts = read_facts(paths, clock)
        except HotSyncError as error:
            _log.error("%s", error)
            _hold_everything(paths, lines or LiveLines())
            return True
        try:
            UndoHost(paths, clock, facts.promotion, facts.undo).hold_boot()
        except (HotSyncError, OSError) as error:  # the network is held first of all; the boot goes on
            _log.error("%s", error)
    return True


def _hold_everything(paths: Paths, lines: Lines) -> None:
    """What cannot be read does not say whose /etc this is: no network by it, but what every card has by itself."""
    hold_network(paths)
    lines.give_up((), ())
