"""hotsyncd: listens on both hosts, keeps the heartbeat on the MASTER, follows its settings without being restarted."""

from __future__ import annotations

import logging
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from hotsync.agent.gate import Gate
from hotsync.agent.heartbeat import Heartbeat, is_alone
from hotsync.agent.here import Applied, Here, Readiness, Surroundings
from hotsync.agent.quiet import QuietWatch
from hotsync.agent.rounds import Complaint, notify
from hotsync.agent.session import Duties, forget_uploads
from hotsync.agent.slot import Slot
from hotsync.agent.store import OpenStore, Store
from hotsync.engine.open_replica import open_replica
from hotsync.errors import HotSyncError
from hotsync.model.identity import Role
from hotsync.model.report import Verdict, worst
from hotsync.state.slave_run import load_slave_run
from hotsync.system import log, paths
from hotsync.system.clock import Clock, SystemClock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.agent")

LOOK_SECONDS = 2.0
BACKLOG = 128


def listen(port: int, bind: str = "") -> socket.socket:
    """Given a port, return a socket that listens there on all addresses, of IPv4 and IPv6; raise OSError."""
    if bind:
        return socket.create_server((bind, port), backlog=BACKLOG)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=BACKLOG)


class Daemon:
    """The main loop. `bind` restricts the addresses that are listened on (tests only)."""

    def __init__(
        self,
        paths: Paths,
        clock: Clock,
        open_store: OpenStore,
        readiness: Readiness,
        applied: Applied,
        bind: str = "",
    ) -> None:
        self._around = Surroundings(paths, clock)
        self._duties = Duties(self._around, open_store, Slot(), readiness, applied)
        self._gate = Gate(self._duties)
        self._bind = bind
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._listener: socket.socket | None = None
        self._heartbeat: Heartbeat | None = None
        self._quiet: QuietWatch | None = None
        self._here: Here | None = None
        self._port = 0
        self._complaint = Complaint(_log)
        self._stopping = False

    @property
    def port(self) -> int:
        """Return the port that is listened on (0: none)."""
        return self._port

    def stop(self) -> None:
        """End the loop; may be called from a signal or another thread."""
        self._stopping = True
        with suppress(OSError):
            self._wake.send(b"s")

    def reload(self) -> None:
        """Look at the settings now."""
        with suppress(OSError):
            self._wake.send(b"r")

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until stopped; `ready` is called once it listens."""
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        forget_uploads(self._around.paths)
        self._look()
        ready()
        try:
            while not self._stopping:
                for key, _ in self._selector.select(LOOK_SECONDS):
                    if key.fileobj is self._woken:
                        with suppress(BlockingIOError):
                            self._woken.recv(64)
                    else:
                        self._look()  # first: whoever is let in under the old state is cut off by the next look
                        if self._listener is not None:
                            self._accept(self._listener)
                self._look()
        finally:
            self._put_down()

    def _accept(self, listener: socket.socket) -> None:
        try:
            raw, source = listener.accept()
        except OSError:
            return  # it was gone before it was let in
        self._gate.let_in(raw, str(source[0]))

    def _look(self) -> None:
        """Follow what settings, role and peer say now."""
        try:
            here = self._around.here()
        except HotSyncError as error:
            self._complaint.say(error.sentence)
            return
        if here == self._here and (self._listener is not None) == _serves(here):
            return
        before, self._here = self._here, here
        if before is not None and _must_knock_again(before, here):
            self._gate.close_all()
        self._listen_as(here, before)
        self._beat_as(here)
        self._watch_as(here)

    def _listen_as(self, here: Here, before: Here | None) -> None:
        moved = before is not None and before.settings.slave_port != here.settings.slave_port
        if self._listener is not None and (moved or not _serves(here)):
            self._close_listener()
        if self._listener is None and _serves(here):
            try:
                self._prepare(here)
                self._listener = listen(here.settings.slave_port, self._bind)
            except (OSError, HotSyncError) as error:
                reason = error.sentence if isinstance(error, HotSyncError) else str(error)
                self._complaint.say(f"Port {here.settings.slave_port} cannot be served: {reason}")
                return
            self._port = here.settings.slave_port
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._complaint.say("")
            _log.info("Listening on port %d as %s.", here.settings.slave_port, here.role.name)

    def _prepare(self, here: Here) -> None:
        """Before a SLAVE answers, its replica is whole; if it cannot be made whole, the MASTER must hear why."""
        if here.role is not Role.SLAVE or here.record.claim is not None:
            return
        try:
            self._duties.open_store().recover()
        except (OSError, HotSyncError) as error:
            reason = error.sentence if isinstance(error, HotSyncError) else str(error)
            self._complaint.say(f"The commit that was cut cannot be finished yet: {reason}")

    def _beat_as(self, here: Here) -> None:
        wanted = here.role is Role.MASTER and here.settings.enabled and (bool(here.peer_host) or is_alone(here))
        if wanted and self._heartbeat is None:
            self._heartbeat = Heartbeat(self._around)
            self._heartbeat.start()
        elif not wanted and self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None

    def _watch_as(self, here: Here) -> None:
        wanted = here.role is Role.SLAVE and here.settings.enabled
        if wanted and self._quiet is None:
            self._quiet = QuietWatch(self._around)
            self._quiet.start()
        elif not wanted and self._quiet is not None:
            self._quiet.stop()
            self._quiet = None

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
            self._port = 0

    def _put_down(self) -> None:
        self._close_listener()
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None
        if self._quiet is not None:
            self._quiet.stop()
            self._quiet = None
        self._gate.close_all()
        self._gate.wait_until_empty()
        self._selector.close()
        self._wake.close()
        self._woken.close()


def _must_knock_again(before: Here, here: Here) -> bool:
    """Say whether those who were let in before might not be let in now.

    Where the peer stays when it has no other address changes nothing for it, and before there was one, whoever was let
    in came to be paired.
    """
    if (before.role, before.record.claim) != (here.role, here.record.claim):
        return True
    theirs, now = before.peer, here.peer
    return theirs is not None and (now is None or replace(theirs, link_local="") != replace(now, link_local=""))


def _serves(here: Here) -> bool:
    """Return whether there is anybody to answer: also the former MASTER, which must hear that it was superseded."""
    return here.settings.enabled and here.role is not Role.NONE and bool(here.peer_host or here.peer)


def open_store(places: Paths) -> Store:
    """Return this host's replica, with the retention that the settings want."""
    return open_replica(places, SystemClock())


def readiness_of(places: Paths) -> tuple[str, str]:
    """Return what hotsync-slave last found, for the MASTER's page: verdict and one sentence."""
    last = load_slave_run(places)
    if last is None:
        return "amber", "hotsync-slave has not run yet"
    verdict = worst(last.checks)
    first = next((check for check in last.checks if check.verdict is verdict), None)
    return verdict.value, "" if first is None or verdict is Verdict.GREEN else f"{first.title}: {first.detail}"


def applied_here(places: Paths) -> Mapping[str, str]:
    """Return what the replicas here have applied, for a MASTER that asks."""
    # where nothing is streamed nobody asks
    from hotsync.engine.standby.standbys import applied

    return applied(places)


def main() -> int:
    """Run hotsyncd until it is told to end; return its exit status."""
    log.set_up("hotsyncd")
    places = paths.from_environment()
    try:
        words = partial(readiness_of, places), partial(applied_here, places)
        daemon = Daemon(places, SystemClock(), partial(open_store, places), *words)
    except HotSyncError as error:
        _log.error("%s %s", error.sentence, error.hint)
        print(f"{error.sentence}\n{error.hint}", file=sys.stderr)
        return int(error.exit_code)

    def react(number: int, _: object) -> None:
        if number == signal.SIGHUP:
            daemon.reload()
        else:
            daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, react)
    daemon.run(lambda: notify("READY=1"))
    notify("STOPPING=1")
    return 0


if __name__ == "__main__":
    sys.exit(main())
