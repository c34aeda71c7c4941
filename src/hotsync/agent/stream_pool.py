"""On the MASTER: keeps a few streams to a database server waiting at the SLAVE; one that is used is replaced."""

from __future__ import annotations

import logging
import select
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hotsync.agent.here import Here
from hotsync.agent.stream_relay import Target, relay
from hotsync.errors import ConnectionEnded, HotSyncError, StreamRefused
from hotsync.system.clock import Clock
from hotsync.transport.client import HEARTBEAT_SECONDS
from hotsync.transport.dial import Callee, cut, dial, hang_up, opening, watch_line
from hotsync.transport.messages import Alive, StreamBegin, StreamReady, expect
from hotsync.transport.tls import Identity
from hotsync.transport.wire import Channel

_log = logging.getLogger("hotsync.stream")

IDLE = 2
"""pg_basebackup needs two at once, a standby one."""
MOST = 6
"""So many at once, used ones included: whatever the SLAVE does, the MASTER's server keeps its other connections."""
LONGEST_RETRY = 60.0
ENDING_SECONDS = 10.0
_WAITED = "a stream waited"


@dataclass(frozen=True, slots=True)
class Line:
    """Whom to call for streams, as this server knows it now."""

    here: Here
    identity: Identity

    @property
    def callee(self) -> Callee:
        """Return the SLAVE."""
        settings, peer = self.here.settings, self.here.peer
        fingerprint = peer.fingerprint if peer else ""
        return Callee(settings.slave_host, settings.slave_port, self.here.ours, self.identity, fingerprint)


class Pool:
    """The streams to one database server."""

    def __init__(self, line: Line, target: Target, clock: Clock) -> None:
        self._line = line
        self._target = target
        self._clock = clock
        self._stall = float(line.here.settings.stall_seconds)
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._waiting = 0
        self._failures = 0
        self._told = ""
        self._open: set[Channel] = set()
        self._threads = [
            threading.Thread(target=self._work, name=f"stream {target.name} {number}", daemon=True)
            for number in range(MOST)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all streams, also those in use."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
            for channel in self._open:
                cut(channel.socket)
        for thread in self._threads:
            thread.join(ENDING_SECONDS)

    def _work(self) -> None:
        while self._turn():
            pass

    def _turn(self) -> bool:
        """Have one stream wait and be used; return whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < IDLE or self._stop.is_set())
            if self._stop.is_set():
                return False
            self._waiting += 1
        used = False
        try:
            with self._dialled() as channel:
                self._wait(channel)
                used = True
                self._no_longer_waiting()
                channel.send(StreamReady(epoch=self._line.here.ours.epoch), _WAITED)
                relay(channel, self._target)
        except HotSyncError as error:
            self._trouble(error, used=used)
        except Exception:
            _log.exception("a bug in HotSync, while %s was streamed", self._target.name)
            self._stop.wait(LONGEST_RETRY)
        finally:
            if not used:
                self._no_longer_waiting()
        return True

    def _no_longer_waiting(self) -> None:
        with self._changed:
            self._waiting -= 1
            self._changed.notify_all()

    @contextmanager
    def _dialled(self) -> Iterator[Channel]:
        callee = self._line.callee
        channel = dial(callee, self._clock, self._stall)
        with self._changed:
            self._open.add(channel)
        try:
            if self._stop.is_set():
                raise ConnectionEnded(reason="it is not wanted any more")
            watch_line(channel.socket, self._stall)
            channel.send(opening(callee.ours, "stream", self._clock, stream=self._target.name), "a stream was opened")
            yield channel
        finally:
            with self._changed:
                self._open.discard(channel)
            hang_up(channel)

    def _wait(self, channel: Channel) -> None:
        """Exchange signs of life until somebody on the SLAVE uses the stream."""
        epoch = self._line.here.ours.epoch
        every = min(HEARTBEAT_SECONDS, self._stall / 2)
        while True:
            channel.send(Alive(epoch=epoch, role="master", clock=self._clock.now()), _WAITED)
            message = channel.receive_message(_WAITED)
            if isinstance(message, StreamBegin):
                return
            expect(message, Alive)
            self._at_ease()
            if _readable(channel, every):
                expect(channel.receive_message(_WAITED), StreamBegin)
                return

    def _at_ease(self) -> None:
        self._failures = 0
        if self._told:
            self._told = ""
            _log.info("%s can be streamed again.", self._target.name)

    def _trouble(self, error: HotSyncError, *, used: bool) -> None:
        """Say what is wrong, once; wait longer and longer before the next attempt, unless the stream was in use."""
        if self._stop.is_set():
            return
        refused = isinstance(error, StreamRefused)
        if refused or error.code != self._told:
            if used:
                # the SLAVE's server comes again by itself
                level = logging.WARNING if refused else logging.INFO
                _log.log(level, "A stream of %s ended: %s", self._target.name, error.sentence)
            else:
                self._told = error.code
                reason = error.sentence.rstrip(".")
                _log.warning("%s is not streamed now: %s. %s", self._target.name, reason, error.hint)
        if used and not refused:
            return
        self._failures += 1
        self._stop.wait(min(LONGEST_RETRY, 2.0 ** min(self._failures - 1, 10)))


def _readable(channel: Channel, seconds: float) -> bool:
    """Wait until something comes, at most so long."""
    assert isinstance(channel.socket, ssl.SSLSocket)
    if channel.socket.pending():
        return True
    poll = select.poll()
    poll.register(channel.socket, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
