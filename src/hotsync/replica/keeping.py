"""What may go, and when: leftovers of older generations, history beyond the retention or in the way of a new one."""

from __future__ import annotations

import logging
from functools import partial

from hotsync.errors import HotSyncError, NoSpace
from hotsync.model.generation import Retention, to_forget
from hotsync.replica.effects import Effects
from hotsync.replica.handles import Folders
from hotsync.replica.layout import Layout, numbers_in
from hotsync.replica.ledger import Ledger
from hotsync.replica.retention import Forgetting
from hotsync.replica.room import Refusal, make_room, note_refusal, room_for
from hotsync.replica.space import free_bytes, needed_for, with_room, write_ballast
from hotsync.system.clock import Clock

log = logging.getLogger(__name__)


class Keeping:
    """The keeping of one replica; whoever calls holds its lock."""

    def __init__(self, layout: Layout, clock: Clock, retention: Retention, effects: Effects) -> None:
        self._layout = layout
        self._clock = clock
        self._retention = retention
        self._effects = effects

    def drop_stale(self, generation: int) -> None:
        """Given the last generation, remove what arrived for it and for older ones, with all notes about that."""
        for folder in (self._layout.stagings, self._layout.works):
            for number in numbers_in(folder):
                if number <= generation:
                    with Folders(folder) as folders:
                        folders.remove(str(number), self._effects)

    def tidy(self, generation: int, ledger: Ledger) -> None:
        """After a commit: what only the commit needed goes, and what the retention lets go. Failing here is no harm."""
        try:
            self.drop_stale(generation)
            write_ballast(self._layout, 0, self._effects)
            forgetting = Forgetting(self._layout, ledger, self._effects)
            points = [(one.number, one.committed_at) for one in ledger.generations()]
            for number in to_forget(points, self._clock.now(), self._retention):
                with_room(self._layout, partial(forgetting.forget, number))
            forgetting.clean()
        except (OSError, HotSyncError) as error:
            log.warning("the generation is committed; tidying up goes on at the next one: %s", error)

    def make_room(self, ledger: Ledger, number: int, expected_bytes: int, files: int) -> list[int]:
        """Forget what may be forgotten if that makes room; raise NoSpace, nothing forgotten, if it does not."""
        forgetting = Forgetting(self._layout, ledger, self._effects)
        now = self._clock.now()
        try:
            return make_room(self._layout, ledger, forgetting, now, self._retention, room_for(expected_bytes, files))
        except NoSpace:
            free = free_bytes(self._layout.root)
            note_refusal(self._layout, Refusal(now, number, needed_for(expected_bytes, files), free))
            raise
