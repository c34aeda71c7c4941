"""Frames on a connection: one byte of kind, four of length, so many bytes; limits hold before anything is believed."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from hotsync.errors import ConnectionEnded, HotSyncError, PeerSilent, ProtocolError
from hotsync.system.clock import Clock
from hotsync.system.room import Floor
from hotsync.transport.messages import M, Message, Working, expect, parse_message
from hotsync.transport.unproven import from_anybody

JSON_KIND = b"J"
BYTES_KIND = b"B"
MAX_JSON = 1024 * 1024
MAX_FIRST_JSON = 64 * 1024
MAX_BYTES = 256 * 1024
_HEAD = struct.Struct("!cI")


def render_frame(kind: bytes, body: bytes) -> bytes:
    """Given a kind and a body within its limit, return the frame; raise ValueError if it is too long."""
    if len(body) > (MAX_JSON if kind == JSON_KIND else MAX_BYTES):
        raise ValueError("a frame is too long")
    return _HEAD.pack(kind, len(body)) + body


def parse_head(head: bytes, max_json: int = MAX_JSON) -> tuple[bytes, int]:
    """Given the five bytes before a body, return kind and length; raise ProtocolError for others or too long ones."""
    kind: bytes
    length: int
    kind, length = _HEAD.unpack(head)
    if kind not in (JSON_KIND, BYTES_KIND):
        raise ProtocolError(reason="a frame is of no known kind")
    if length > (max_json if kind == JSON_KIND else MAX_BYTES):
        raise ProtocolError(reason=f"a frame of {length} bytes is too long")
    return kind, length


class Channel:
    """One connection as frames. Not for two threads at once: OpenSSL allows neither that nor half of it.

    `proven`: the other end has shown the pinned certificate. An error that it tells is the same on this side only then.
    """

    def __init__(
        self,
        sock: socket.socket,
        address: str,
        clock: Clock,
        stall_seconds: float,
        explain: Explain | None = None,
        *,
        proven: bool = False,
    ) -> None:
        self.socket = sock
        self.address = address
        self.clock = clock
        self.stall_seconds = stall_seconds
        self.proven = proven
        self._explain = explain

    def send(self, message: Message, phase: str) -> None:
        """Send one message; raise PeerSilent if the peer takes nothing, ConnectionEnded if the line is gone."""
        self._send(render_frame(JSON_KIND, message.render()), phase)

    def send_bytes(self, body: bytes, phase: str) -> None:
        """Send one byte frame."""
        self._send(render_frame(BYTES_KIND, body), phase)

    def send_file(self, path: Path, phase: str) -> None:
        """Send a file as byte frames with an empty one at the end."""
        with path.open("rb") as file:
            while data := file.read(MAX_BYTES):
                self.send_bytes(data, phase)
        self.send_bytes(b"", phase)

    def receive(self, phase: str, *, within: float | None = None, max_json: int = MAX_JSON) -> tuple[bytes, bytes]:
        """Return the next frame as kind and body.

        Raise PeerSilent if it is not here whole `within` seconds (else stall_seconds), ConnectionEnded if the
        connection ends, ProtocolError if the frame is not lawful.
        """
        seconds = self.stall_seconds if within is None else within
        deadline = self.clock.monotonic() + seconds
        head = self._read(_HEAD.size, deadline, seconds, phase)
        kind, length = parse_head(head, max_json)
        return kind, self._read(length, deadline, seconds, phase)

    def receive_message(self, phase: str, *, within: float | None = None, max_json: int = MAX_JSON) -> Message:
        """Return the next message; raise the error that it stands for, or ProtocolError if it is not lawful."""
        kind, body = self.receive(phase, within=within, max_json=max_json)
        if kind != JSON_KIND:
            raise ProtocolError(reason="bytes came where a message was due")
        return self._message(body)

    def answer(self, kind: type[M], phase: str, *, within: float | None = None) -> M:
        """Return the answer of this kind, however long the peer says that it is working on it; raise its error."""
        while isinstance(message := self.receive_message(phase, within=within), Working):
            pass
        return expect(message, kind)

    def receive_stream(self, phase: str, limit: int) -> Iterator[bytes]:
        """Return the bytes of a stream, frame by frame; raise ProtocolError past `limit` bytes or at a JSON frame."""
        total = 0
        while True:
            kind, body = self.receive(phase)
            if kind != BYTES_KIND:
                self._message(body)  # most likely the peer's error, which this raises
                raise ProtocolError(reason="a message came in the middle of a stream")
            if not body:
                return
            total += len(body)
            if total > limit:
                raise ProtocolError(reason=f"a stream is longer than {limit} bytes")
            yield body

    def receive_file(self, file: IO[bytes], phase: str, limit: int, floor: Floor) -> int:
        """Write a stream to a file and return its length; raise OSError where the disk has no room above the floor."""
        total = 0
        for body in self.receive_stream(phase, limit):
            floor.take(len(body))
            file.write(body)
            total += len(body)
        return total

    def write(self, data: bytes, phase: str) -> None:
        """Send bytes of what speaks after the frames."""
        self._send(data, phase)

    def read(self, count: int, phase: str) -> bytes:
        """Return exactly so many bytes of what speaks after the frames; raise PeerSilent or ConnectionEnded."""
        return self._read(count, self.clock.monotonic() + self.stall_seconds, self.stall_seconds, phase)

    def _message(self, body: bytes) -> Message:
        try:
            return parse_message(body, self.address)
        except HotSyncError as error:
            if self.proven:
                raise
            raise from_anybody(error, self.address) from None

    def _send(self, frame: bytes, phase: str) -> None:
        self.socket.settimeout(self.stall_seconds)
        try:
            self.socket.sendall(frame)
        except OSError as error:
            raise self._error(error, self.stall_seconds, phase) from error

    def _read(self, count: int, deadline: float, seconds: float, phase: str) -> bytes:
        data = bytearray()
        while len(data) < count:
            remaining = deadline - self.clock.monotonic()
            if remaining <= 0:
                raise PeerSilent(seconds=round(seconds), phase=phase)
            try:
                self.socket.settimeout(remaining)
                part = self.socket.recv(min(count - len(data), MAX_BYTES))
            except OSError as error:
                raise self._error(error, seconds, phase) from error
            if not part:
                raise ConnectionEnded(reason=f"it ended while {phase}")
            data += part
        return bytes(data)

    def _error(self, error: OSError, seconds: float, phase: str) -> HotSyncError:
        if isinstance(error, TimeoutError):
            return PeerSilent(seconds=round(seconds), phase=phase)
        if isinstance(error, ssl.SSLError) and self._explain is not None and (known := self._explain(error)):
            return known
        return ConnectionEnded(reason=f"it broke while {phase} ({error})")


Explain = Callable[[ssl.SSLError], HotSyncError | None]
"""Turns a TLS error that came with the peer's last words into the error that it stands for."""
