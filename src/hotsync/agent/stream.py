"""hotsync-stream: on a MASTER that streams its database servers, keeps streams waiting at the SLAVE, watches the slots.

It is a daemon of its own beside hotsyncd, since it needs the right to become the servers' user.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence

from hotsync.agent.daemon import notify
from hotsync.agent.here import Here, Reader
from hotsync.agent.stream_pool import Line, Pool
from hotsync.agent.stream_relay import Target
from hotsync.engine.standbys import give_up_all, start_all
from hotsync.errors import CommandFailed, ExitCode, HotSyncError
from hotsync.model.identity import Role
from hotsync.model.report import Notice, RunReport
from hotsync.sources import postgresql_slot as slots
from hotsync.sources.postgresql_cluster import inspect_clusters
from hotsync.sources.source import Dataset
from hotsync.state.runs import STREAMING, Runs
from hotsync.state.store import load_role
from hotsync.system import log, paths
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.tls import load_identity

_log = logging.getLogger("hotsync.stream")

LOOK_SECONDS = 2.0
SLOT_SECONDS = 60.0


def wanted(here: Here) -> bool:
    """Return whether this server, as it is now, streams."""
    settings = here.settings
    return here.role is Role.MASTER and settings.streams and bool(settings.slave_host) and here.peer is not None


def targets_of(clusters: Iterable[Dataset]) -> dict[str, Target]:
    """Given the clusters of this host, return those that can be streamed now, by name."""
    return {
        cluster.name: Target(cluster.name, cluster.user, f"{cluster.socket}/.s.PGSQL.{cluster.port}")
        for cluster in clusters
        if not cluster.fault and not cluster.parked
    }


class Streamer:
    """What the daemon does, one look after the other."""

    def __init__(
        self, places: Paths, clock: Clock, inspect: Callable[[], tuple[Dataset, ...]] = inspect_clusters
    ) -> None:
        self._paths = places
        self._clock = clock
        self._inspect = inspect
        self._reader = Reader(places)
        self._identity = load_identity(places)
        self._here: Here | None = None
        self._pools: dict[str, tuple[Target, Pool]] = {}
        self._looked_at = -SLOT_SECONDS
        self._complaint = ""

    def look(self) -> None:
        """Follow what settings, role, peer and clusters are now; look at the slots once a minute."""
        try:
            here = self._reader.here()
        except HotSyncError as error:
            self._complain(error.sentence)
            if self._here is None:
                return
            here = self._here  # a wrong setting must not end the watch over the disk
        if here != self._here:
            # whom to call, and as whom, is part of every stream
            self.stop()
            self._here, self._looked_at = here, -SLOT_SECONDS
        if not wanted(here) or self._clock.monotonic() - self._looked_at < SLOT_SECONDS:
            return
        self._looked_at = self._clock.monotonic()
        clusters = self._inspect()
        self._keep(here, targets_of(clusters))
        for cluster in clusters:
            if cluster.name in self._pools:
                self._watch(here, cluster)

    def stop(self) -> None:
        """End all streams; the slots stay, so that the standby can go on where it was."""
        for _, pool in self._pools.values():
            pool.stop()
        self._pools.clear()

    def _keep(self, here: Here, targets: dict[str, Target]) -> None:
        for name, (target, pool) in list(self._pools.items()):
            if targets.get(name) != target:
                pool.stop()
                del self._pools[name]
        for name, target in targets.items():
            if name not in self._pools:
                pool = Pool(Line(here, self._identity), target, self._clock)
                self._pools[name] = (target, pool)
                pool.start()

    def _watch(self, here: Here, cluster: Dataset) -> None:
        try:
            sentence = slots.tend(cluster, here.settings.stream_keep_mb)
        except (CommandFailed, OSError, ValueError) as error:
            self._complain(f"What {cluster.name} keeps for the SLAVE cannot be looked at: {error}")
            return
        self._complaint = ""
        if sentence:
            _log.warning("%s. Dumps go on.", sentence)
            now = self._clock.now()
            notices = (Notice("stream.overrun", sentence),)
            # a record of its own, which the next sync tells
            Runs(self._paths.runs).add(
                RunReport(STREAMING, now, now, int(ExitCode.WARNINGS), f"{sentence}.", warnings=notices)
            )

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            self._complaint = reason
            _log.error("%s", reason)


def _drop(places: Paths) -> int:
    """Take away what streaming had made on the MASTER's servers, and on a SLAVE its copies; return the exit status."""
    try:
        if load_role(places).role is Role.SLAVE:
            give_up_all(places)
        for sentence in slots.tend_all(0):
            _log.info("%s.", sentence)
    except (HotSyncError, OSError) as error:
        _log.error("not all that streaming had made is gone: %s", error)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to end; or (`drop`) take away what streaming had made here, or (`standby`) start standbys."""
    log.set_up(STREAMING)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["drop"]:
        return _drop(paths.from_environment())
    if words == ["standby"]:
        start_all(paths.from_environment())
        return 0
    if words:
        print("usage: hotsync-stream [drop | standby]", file=sys.stderr)
        return 2
    try:
        streamer = Streamer(paths.from_environment(), SystemClock())
    except HotSyncError as error:
        _log.error("%s %s", error.sentence, error.hint)
        return int(error.exit_code)
    stopping = threading.Event()

    def end(number: int, frame: object) -> None:
        del number, frame
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    notify("READY=1")
    while not stopping.is_set():
        streamer.look()
        stopping.wait(LOOK_SECONDS)
    notify("STOPPING=1")
    streamer.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
