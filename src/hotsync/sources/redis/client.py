"""A small client for Redis: words go out, answers come back. The password travels in the session only."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

from hotsync.sources.redis.config import RedisSettings

TIMEOUT = 30.0
_LONGEST = 64 * 1024 * 1024

Answer = str | int | list["Answer"] | None


class RedisError(Exception):
    """The server's answer is an error, or none at all."""


class ServerGone(RedisError):
    """The server is not there, or not any more."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the server does not answer: {error.strerror or error}")


class Redis:
    """An open session."""

    def __init__(self, connection: socket.socket, file: IO[bytes], renamed: Mapping[str, str]) -> None:
        self._connection, self._file, self._renamed = connection, file, renamed

    def ask(self, command: str, *words: str) -> Answer:
        """Given a command, return the answer; raise RedisError if it is an error, ServerGone if there is none."""
        name = self._renamed.get(command, command)
        if not name:
            raise RedisError(f"the command {command} is switched off in the server's configuration")
        encoded = [word.encode("utf-8", "surrogateescape") for word in (name, *words)]
        parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        try:
            self._connection.sendall(b"*%d\r\n%s" % (len(encoded), parts))
            return self._answer()
        except OSError as error:
            raise ServerGone(error) from error

    def info(self, section: str) -> dict[str, str]:
        """Given a section of INFO, return its fields; raise RedisError."""
        text = self.ask("INFO", section)
        lines = text.splitlines() if isinstance(text, str) else []
        return {name: value for name, mark, value in (line.partition(":") for line in lines) if mark}

    def _answer(self) -> Answer:
        line = self._file.readline(_LONGEST)
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the server ended the session")
        kind, rest = line[:1], line[1:-2].decode("utf-8", "surrogateescape")
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RedisError(rest[:500])
        if kind not in (b":", b"$", b"*"):
            raise RedisError("this is no Redis server")
        number = int(rest)
        if kind == b":":
            return number
        if number < 0:
            return None
        if number > _LONGEST:
            raise RedisError("the answer is too long")
        if kind == b"*":
            return [self._answer() for _ in range(number)]
        return self._file.read(number + 2)[:-2].decode("utf-8", "surrogateescape")


@contextmanager
def session(settings: RedisSettings) -> Iterator[Redis]:
    """Given how to get in, return a session; raise RedisError if the server lets nobody in so, or is not there."""
    if settings.tls_only:
        raise RedisError("it listens with TLS only")
    with _connect(settings) as connection, connection.makefile("rb") as file:
        server = Redis(connection, file, settings.renamed)
        if settings.password:
            server.ask("AUTH", settings.password.reveal())
        yield server


def _connect(settings: RedisSettings) -> socket.socket:
    try:
        if not settings.socket:
            return socket.create_connection((settings.address, settings.port), timeout=TIMEOUT)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(settings.socket)
        except OSError:
            connection.close()
            raise
    except OSError as error:
        raise ServerGone(error) from error
    return connection
