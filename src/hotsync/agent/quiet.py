"""On the SLAVE: looks once a minute whether its MASTER still sends, and raises the alarm by a way of its own."""

from __future__ import annotations

import logging
import threading

from hotsync.agent.here import Surroundings
from hotsync.errors import HotSyncError
from hotsync.flows.quiet import watch
from hotsync.state.alerts import AlertBook
from hotsync.state.settings import read_settings
from hotsync.state.store import load_peer, load_role
from hotsync.transport.presence import load_presence

_log = logging.getLogger("hotsync.agent")
LOOK_SECONDS = 60.0
STOP_SECONDS = 2.0


class QuietWatch:
    """A thread that runs while this server is SLAVE."""

    def __init__(self, around: Surroundings, look_seconds: float = LOOK_SECONDS) -> None:
        self._around = around
        self._seconds = look_seconds
        self._book = AlertBook(around.paths)
        self._since = around.clock.now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quiet", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it; not for a relay that takes its time with a mail."""
        self._stop.set()
        self._thread.join(STOP_SECONDS)

    def look(self) -> None:
        """Look once."""
        paths, now = self._around.paths, self._around.clock.now()
        settings, _ = read_settings(paths)  # a prop at fault has its default: a wrong setting must not end the alarm
        peer = load_peer(paths)
        if peer is not None and settings.enabled:
            presence = load_presence(paths)
            watch(paths, settings, load_role(paths), peer, presence, self._since, now, self._book)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.look()
            except HotSyncError as error:
                _log.warning("%s", error.sentence)
            except Exception:
                _log.exception("a bug in HotSync, while the MASTER's silence was looked at")
