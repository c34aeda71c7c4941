"""hotsync-watch: on a MASTER, looks every `WatchSeconds` what is newer than the last generation, and writes it down.

It is a daemon of its own beside hotsyncd, since it reads every folder that is protected, at the lowest priority, and
because no part of it may hold up the heartbeat. hotsyncd tells the SLAVE what it wrote.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import partial

from hotsync.agent.here import Here, Reader
from hotsync.agent.rounds import Complaint, go_round
from hotsync.engine.watch import look, watched_here
from hotsync.errors import HotSyncError
from hotsync.model.identity import Role
from hotsync.model.loss import LossStatement
from hotsync.model.pace import watch_pause
from hotsync.state.loss import save_loss
from hotsync.system import log, paths
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.watch")

TICK_SECONDS = 1.0
Look = Callable[[Here], LossStatement | None]


def wanted(here: Here) -> bool:
    """Return whether this server, as it is now, watches what it would lose."""
    settings = here.settings
    paired = here.peer is not None and bool(settings.slave_host)
    return here.role is Role.MASTER and settings.enabled and settings.watch_seconds > 0 and paired


class Watcher:
    """What the daemon does, one tick after the other."""

    def __init__(self, places: Paths, clock: Clock, look: Look) -> None:
        self._paths, self._clock, self._look = places, clock, look
        self._reader = Reader(places)
        self._due_at = 0.0
        self._sent: object = None
        self._complaint = Complaint(_log)

    def tick(self) -> None:
        """Look if it is time to, or if a run has come to its end; where nothing is to be watched, state nothing."""
        try:
            here = self._reader.here()
        except HotSyncError as error:
            self._complaint.say(error.sentence)
            return
        if not wanted(here):
            self.forget()
            return
        sent = self._last_sent()
        started = self._clock.monotonic()
        if sent == self._sent and started < self._due_at:
            return
        self._sent = sent
        try:
            statement = self._look(here)
            if statement is not None:
                save_loss(self._paths.loss_seen, statement)
            self._complaint.say("")
        except (HotSyncError, OSError) as error:
            reason = error.sentence if isinstance(error, HotSyncError) else error.strerror or str(error)
            self._complaint.say(f"What would be lost cannot be found out: {reason}")
        took = self._clock.monotonic() - started
        self._due_at = started + watch_pause(here.settings.watch_seconds, took)

    def forget(self) -> None:
        """State nothing any more: nobody looks."""
        self._sent, self._due_at = None, 0.0
        self._paths.loss_seen.unlink(missing_ok=True)

    def _last_sent(self) -> object:
        try:
            status = os.stat(self._paths.state / "sent.json")
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns


def look_here(places: Paths, clock: Clock, here: Here) -> LossStatement | None:
    """Return what of this server is newer than its last generation."""
    return look(places, clock, partial(watched_here, places, mail_queue=here.settings.mail_queue))


def main() -> int:
    """Watch until told to end; return the exit status."""
    log.set_up("hotsync-watch")
    places, clock = paths.from_environment(), SystemClock()
    watcher = Watcher(places, clock, partial(look_here, places, clock))
    go_round(watcher.tick, TICK_SECONDS, cut=True)  # a walk takes its time, and a stop or a shutdown waits for it
    watcher.forget()
    return 0


if __name__ == "__main__":
    sys.exit(main())
