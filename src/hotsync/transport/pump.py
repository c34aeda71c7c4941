"""Carries bytes between a program's plain side and the TLS side of a connection, in one thread; notices stalls."""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from hotsync.errors import ConnectionEnded, HotSyncError, PeerSilent
from hotsync.system.clock import Clock

CHUNK = 256 * 1024
_SIGN_OF_LIFE = 64
_RECORD = 16 * 1024  # one TLS record: OpenSSL reports progress by whole writes, and a slow line must not look stalled
TICK = 1.0


@dataclass(slots=True)
class Traffic:
    """Bytes that went over so far."""

    sent: int = 0
    received: int = 0


class Pump:
    """Moves bytes both ways until one side ends; what was taken in is always delivered first.

    `source` and `sink` are the plain side's descriptors (a socket's may be both). They are made non-blocking. `sieve`
    is given what came from the wire, and returns what of it may go on; what it raises ends the pump. `patient`: a line
    on which nothing moves is no trouble as long as the kernel knows the other end to be there (`watch_line`).
    """

    def __init__(
        self,
        secured: ssl.SSLSocket,
        source: int,
        sink: int,
        clock: Clock,
        stall_seconds: float,
        tick: Callable[[Traffic], None] | None = None,
        *,
        sieve: Callable[[bytes], bytes] | None = None,
        phase: str = "files were sent",
        patient: bool = False,
    ) -> None:
        self._secured = secured
        self._source = source
        self._sink = sink
        self._clock = clock
        self._stall = stall_seconds
        self._tick = tick
        self._sieve = sieve
        self._phase = phase
        self._patient = patient
        self.traffic = Traffic()
        self._outgoing = b""  # from the plain side, not yet on the wire
        self._incoming = b""  # from the wire, not yet with the plain side
        self._source_open = self._sink_open = self._wire_open = True
        self._wants_read = False

    def run(self) -> Traffic:
        """Pump until a side ends; raise PeerSilent if no byte moves for the stall time, ConnectionEnded on a break."""
        for descriptor in {self._source, self._sink}:
            os.set_blocking(descriptor, False)
        self._secured.setblocking(False)
        moved_at = ticked_at = self._clock.monotonic()
        received = 0
        while not self._over():
            sent = self.traffic.sent
            self._turn()
            now = self._clock.monotonic()
            # our own rsync's signs of life fill the kernel's buffer for hours: they say nothing about the peer
            if self.traffic.received > received or self.traffic.sent - sent > _SIGN_OF_LIFE:
                moved_at = now
            received = self.traffic.received
            if now - moved_at >= self._stall and not self._patient:
                raise PeerSilent(seconds=round(self._stall), phase=self._phase)
            if self._tick is not None and now - ticked_at >= TICK:
                ticked_at = now
                self._tick(self.traffic)
        return self.traffic

    def _over(self) -> bool:
        if self._source_open and self._wire_open:
            return False
        # one side has ended: what it said goes out first
        return (self._source_open or not self._outgoing) and (
            self._wire_open or not self._incoming or not self._sink_open
        )

    def _turn(self) -> None:
        moved = self._read_wire() | self._write_wire() | self._read_source() | self._write_sink()
        if not moved and not self._over():
            self._wait()

    def _wait(self) -> None:
        poll = select.poll()
        interest: dict[int, int] = {}
        wire = select.POLLIN if self._wire_open and not self._incoming else 0
        if self._outgoing and self._wire_open:
            wire |= select.POLLIN if self._wants_read else select.POLLOUT
        if wire:
            interest[self._secured.fileno()] = wire
        if self._source_open and not self._outgoing:
            interest[self._source] = interest.get(self._source, 0) | select.POLLIN
        if self._incoming and self._sink_open:
            interest[self._sink] = interest.get(self._sink, 0) | select.POLLOUT
        for descriptor, events in interest.items():
            poll.register(descriptor, events)
        poll.poll(TICK * 1000)

    def _read_wire(self) -> bool:
        if self._incoming or not self._wire_open:
            return False
        parts: list[bytes] = []
        gathered = 0
        while gathered < CHUNK:
            try:
                data = self._secured.recv(_RECORD)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                raise self._broken(error) from error
            if not data:
                self._wire_open = False
                break
            parts.append(data)
            gathered += len(data)
        self.traffic.received += gathered
        self._incoming = b"".join(parts) if self._sieve is None else self._sieve(b"".join(parts))
        return gathered > 0 or not self._wire_open

    def _broken(self, error: OSError) -> HotSyncError:
        if isinstance(error, TimeoutError):  # the kernel's own
            return PeerSilent(seconds=round(self._stall), phase=self._phase)
        return ConnectionEnded(reason=f"it broke while {self._phase} ({error})")

    def _write_wire(self) -> bool:
        if not self._outgoing or not self._wire_open:
            return False
        self._wants_read = False
        waiting = memoryview(self._outgoing)
        try:
            while waiting:
                waiting = waiting[self._secured.send(waiting[:_RECORD]) :]
        except ssl.SSLWantReadError:
            self._wants_read = True
        except ssl.SSLWantWriteError:
            pass
        except OSError as error:
            raise self._broken(error) from error
        count = len(self._outgoing) - len(waiting)
        self.traffic.sent += count
        self._outgoing = bytes(waiting)
        return count > 0

    def _read_source(self) -> bool:
        if self._outgoing or not self._source_open:
            return False
        try:
            self._outgoing = os.read(self._source, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            self._outgoing = b""
        if not self._outgoing:
            self._source_open = False
        return True

    def _write_sink(self) -> bool:
        if not self._incoming or not self._sink_open:
            return False
        try:
            count = os.write(self._sink, self._incoming)
        except BlockingIOError:
            return False
        except OSError:
            # the program listens no more; what it still says matters
            self._sink_open = False
            self._incoming = b""
            return True
        self._incoming = self._incoming[count:]
        return True


def half_close(sock: socket.socket) -> None:
    """Tell the program at the other end of a local socket that nothing more comes."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
