"""hotsync-stream: on a MASTER that streams its database servers, keeps streams waiting at the SLAVE, and watches what
the servers keep for it.

It is a daemon of its own beside hotsyncd, since it needs the right to become the servers' user.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from hotsync.agent.here import Here, Reader
from hotsync.agent.rounds import Complaint, go_round
from hotsync.agent.stream_pool import Line, Pool
from hotsync.agent.stream_relay import Target
from hotsync.engine.standby.standbys import give_up_all, start_all
from hotsync.engine.standby.streaming import tend_all
from hotsync.errors import CommandFailed, ExitCode, HotSyncError
from hotsync.model.identity import Role
from hotsync.model.report import Notice, RunReport
from hotsync.sources.mariadb import streaming as mariadb_streaming
from hotsync.sources.mariadb.guard import CONNECTS_AS
from hotsync.sources.postgresql import offer as offers
from hotsync.sources.postgresql import slot as slots
from hotsync.sources.postgresql.cluster import inspect_clusters, login_of
from hotsync.sources.source import Dataset
from hotsync.state.runs import STREAMING, Runs
from hotsync.state.store import load_role
from hotsync.state.streaming import StreamedServer, load_streaming
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
    """Given the clusters of this host, return those that run, by name.

    One that lets nobody follow it is among them: so the SLAVE hears that from the server itself, and its readiness says
    so.
    """
    return {
        cluster.name: Target(cluster.name, cluster.user, f"{cluster.socket}/.s.PGSQL.{cluster.port}")
        for cluster in clusters
        if not cluster.fault and not cluster.parked
    }


def refusing(clusters: Iterable[Dataset]) -> list[str]:
    """Given the clusters of this host, return in sentences which of them let nobody follow them by their settings."""
    said: list[str] = []
    for cluster in clusters:
        if not cluster.fault and not cluster.parked:
            with suppress(CommandFailed, ValueError):  # what its slot keeps is asked, too, and tells that
                if fault := offers.settings_fault(login_of(cluster)):
                    said.append(f"{cluster.name} cannot be streamed: {fault}. Its dumps go on.")
    return said


def mariadb_targets(servers: Mapping[str, StreamedServer]) -> tuple[dict[str, Target], list[str]]:
    """Given the MariaDB servers that were set up, return those that can be streamed now, by name, and what went wrong.

    One whose restart is still to come cannot be. What goes on with one that cannot be asked now goes on.
    """
    found: dict[str, Target] = {}
    troubles: list[str] = []
    for name, server in servers.items():
        try:
            good = mariadb_streaming.can_be_streamed(mariadb_streaming.dataset_of(name, server))
        except (CommandFailed, ValueError) as error:
            good = True
            troubles.append(f"{name} cannot be asked whether it can be streamed: {error}")
        if server.password and good:
            found[name] = Target(name, CONNECTS_AS, server.socket)
    return found, troubles


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
        self._complaint = Complaint(_log)

    def look(self) -> None:
        """Follow what settings, role, peer and clusters are now; look at the slots once a minute."""
        try:
            here = self._reader.here()
        except HotSyncError as error:
            self._complaint.say(error.sentence)
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
        clusters, servers = self._inspect(), load_streaming(self._paths)
        targets, troubles = mariadb_targets(servers)
        self._keep(here, targets_of(clusters) | targets)
        keep = here.settings.stream_keep_mb
        looks = {
            cluster.name: partial(slots.tend, cluster, keep) for cluster in clusters if cluster.name in self._pools
        } | {name: partial(mariadb_streaming.tend, self._paths, name, servers[name], keep) for name in targets}
        for name, look in looks.items():
            troubles += self._watch(name, look)
        troubles += refusing(clusters)
        self._complaint.say(" ".join(troubles))

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

    def _watch(self, name: str, look: Callable[[], str]) -> list[str]:
        """Look at what a server keeps for the SLAVE; return what went wrong."""
        try:
            sentence = look()
        except (CommandFailed, OSError, ValueError) as error:
            return [f"What {name} keeps for the SLAVE cannot be looked at: {error}"]
        if sentence:
            _log.warning("%s. Dumps go on.", sentence)
            now = self._clock.now()
            notices = (Notice("stream.overrun", sentence),)
            # a record of its own, which the next sync tells
            Runs(self._paths.runs).add(
                RunReport(STREAMING, now, now, int(ExitCode.WARNINGS), f"{sentence}.", warnings=notices)
            )
        return []


def _drop(places: Paths) -> int:
    """Take away what streaming had made on the MASTER's servers, and on a SLAVE its copies; return the exit status."""
    try:
        if load_role(places).role is Role.SLAVE:
            give_up_all(places)
        for sentence in tend_all(places, 0):
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
    go_round(streamer.look, LOOK_SECONDS)
    streamer.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
