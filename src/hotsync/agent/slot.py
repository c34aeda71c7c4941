"""The one generation that may be in flight: who sends it, under which terms, and which bulk connections are its own."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hotsync.errors import PeerBusy, PeerRefused
from hotsync.transport.dial import cut
from hotsync.transport.rsync import RsyncTerms

_log = logging.getLogger("hotsync.agent")

MAX_BULKS = 4
ENDING_SECONDS = 60.0


@dataclass(slots=True)
class Flight:
    """One generation on its way; it belongs to the control connection that began it."""

    number: int
    terms: RsyncTerms
    control: socket.socket
    ready: bool = False
    committing: bool = False
    bulks: set[socket.socket] = field(default_factory=set[socket.socket])


class Slot:
    """Holds at most one flight."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._flight: Flight | None = None

    def take(self, number: int, terms: RsyncTerms, control: socket.socket) -> Flight:
        """Start a flight. A run that began another has lost its line, since a MASTER runs one at a time: it is cut off.

        Raise PeerBusy while a generation is being committed, or if the receiver of the old run does not end.
        """
        with self._changed:
            old = self._flight
            if old is not None and old.control is not control:
                if old.committing:
                    raise PeerBusy(reason=f"generation {old.number} is being committed")
                if old.ready:
                    _log.info("A new run takes the place of one that had begun generation %d and is gone.", old.number)
                cut(old.control)
            if old is not None:
                for bulk in old.bulks:
                    cut(bulk)
                if not self._changed.wait_for(lambda: not old.bulks, timeout=ENDING_SECONDS):
                    raise PeerBusy(reason="the receiver of the run before has not ended yet")
                if old.committing:
                    raise PeerBusy(reason=f"generation {old.number} is being committed")
            self._flight = Flight(number, terms, control)
            return self._flight

    def release(self, control: socket.socket) -> None:
        """The control connection has ended: so has its flight, with its bulk connections."""
        with self._changed:
            flight = self._flight
            if flight is None or flight.control is not control:
                return
            flight.ready = False  # kept until its receivers have ended: the next run waits for them
            for bulk in flight.bulks:
                cut(bulk)

    @contextmanager
    def bulk(self, number: int, sock: socket.socket) -> Iterator[RsyncTerms]:
        """Register a bulk connection of the flight for the block; raise PeerRefused if there is no such flight."""
        with self._changed:
            flight = self._flight
            if flight is None or flight.number != number or not flight.ready or flight.committing:
                raise PeerRefused(reason=f"generation {number} was not begun", hint="The next run begins anew.")
            if len(flight.bulks) >= MAX_BULKS:
                raise PeerRefused(reason="there are too many transfers at once")
            flight.bulks.add(sock)
        try:
            yield flight.terms
        finally:
            with self._changed:
                flight.bulks.discard(sock)
                self._changed.notify_all()

    def check(self, number: int, control: socket.socket) -> Flight:
        """Return the flight of that generation; raise PeerRefused unless this connection has begun it."""
        flight = self._flight
        if flight is None or flight.control is not control or flight.number != number or not flight.ready:
            raise PeerRefused(reason=f"generation {number} was not begun", hint="The next run begins anew.")
        return flight

    @contextmanager
    def commit(self, number: int, control: socket.socket) -> Iterator[None]:
        """Hold the flight for its commit; the receivers have ended before it begins.

        Raise PeerRefused if this connection has not begun that generation, PeerBusy if a receiver does not end.
        """
        with self._changed:
            flight = self.check(number, control)
            flight.committing = True
            if not self._changed.wait_for(lambda: not flight.bulks, timeout=ENDING_SECONDS):
                flight.committing = False
                raise PeerBusy(reason="a receiver has not ended yet")
        try:
            yield
        finally:
            with self._changed:
                flight.committing = False
                self._flight = None
                self._changed.notify_all()
