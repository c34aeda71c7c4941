"""On the MASTER: one stream that somebody on the SLAVE uses, carried to the database server's own socket.

A PostgreSQL cluster sees its own user connect, as it would see the administrator's psql; MariaDB an account of ours: no
port is opened. What the SLAVE says is looked at (`sources/postgresql/guard.py`, `sources/mariadb/guard.py`).
"""

from __future__ import annotations

import os
import pwd
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hotsync.agent import stream_child
from hotsync.errors import HotSyncError, PeerRefused, StreamRefused
from hotsync.sources.mariadb import guard as mariadb_guard
from hotsync.sources.mariadb.find import NAME as MARIADB
from hotsync.sources.postgresql.guard import NOT_NOW, Guard, error_response, in_english, read_startup
from hotsync.system import command
from hotsync.transport.pump import Pump
from hotsync.transport.wire import Channel

PHASE = "a database was streamed"
_ANSWER_SECONDS = stream_child.CONNECT_SECONDS + 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """A database server of this host: its dataset's name, the login name that connects to it, its socket."""

    name: str
    user: str
    socket: str

    @property
    def talk(self) -> Talk:
        """Return the protocol that is spoken with it, for one conversation."""
        return _mariadb() if self.name.startswith(f"{MARIADB}/") else _postgresql(self.user)


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation in a server's protocol, as the MASTER's end of a stream looks at it.

    `opening` reads what the client must say before the server is asked at all, and returns it as the server gets it;
    `sieve` returns what may pass; both raise StreamRefused. `refusal` and `not_now` are errors as clients show them.
    """

    opening: Callable[[Callable[[int], bytes], Callable[[bytes], None]], bytes]
    sieve: Callable[[bytes], bytes]
    refusal: Callable[[str], bytes]
    not_now: Callable[[str], bytes]


def _postgresql(owner: str) -> Talk:
    def opening(read: Callable[[int], bytes], say: Callable[[bytes], None]) -> bytes:
        return in_english(read_startup(read, say, owner))

    return Talk(opening, Guard().sieve, error_response, partial(error_response, code=NOT_NOW))


def _mariadb() -> Talk:
    guard = mariadb_guard.Guard()
    # the server speaks first
    return Talk(lambda _read, _say: b"", guard.sieve, guard.refusal, mariadb_guard.turned_away)


def relay(channel: Channel, target: Target) -> None:
    """Given a stream that is in use, carry it until a side ends; raise StreamRefused for what is no replication."""
    assert isinstance(channel.socket, ssl.SSLSocket)
    talk = target.talk
    try:
        opening = talk.opening(partial(channel.read, phase=PHASE), partial(channel.write, phase=PHASE))
        with connected(target) as server:
            server.sendall(opening)
            plain = server.fileno()
            Pump(
                channel.socket, plain, plain, channel.clock, channel.stall_seconds,
                sieve=talk.sieve, phase=PHASE, patient=True,
            ).run()  # fmt: skip
    except StreamRefused as error:
        with suppress(HotSyncError):
            channel.write(talk.refusal(f"HotSync: {error.sentence}"), PHASE)
        raise
    except PeerRefused as error:
        with suppress(HotSyncError):
            channel.write(talk.not_now(f"HotSync: {error.facts['reason']}"), PHASE)
        raise


@contextmanager
def connected(target: Target) -> Iterator[socket.socket]:
    """Give a connection to a server's socket, made by the target's user; raise PeerRefused if it does not answer."""
    try:
        account = pwd.getpwnam(target.user)
    except KeyError as error:
        raise PeerRefused(reason=f"{target.user}, who is to connect to {target.name}, is no account") from error
    ours, child = socket.socketpair()
    with ours:
        argv = [
            sys.executable, "-I", "-S", str(Path(stream_child.__file__)),
            str(account.pw_uid), str(account.pw_gid), target.socket,
        ]  # fmt: skip
        with child, command.spawn(argv, stdin=child.fileno(), stdout=command.DEVNULL, stderr=command.DEVNULL, cwd="/"):
            child.close()
            ours.settimeout(_ANSWER_SECONDS)
            try:
                said, descriptors, _, _ = socket.recv_fds(ours, 500, 1)
            except OSError as error:
                raise PeerRefused(reason=f"{target.name} takes no connection ({error})") from error
    if not descriptors:
        reason = said[1:].decode("utf-8", "replace") or "it could not be asked"
        raise PeerRefused(reason=f"{target.name} does not answer at {target.socket}: {reason}")
    os.set_inheritable(descriptors[0], False)
    with socket.socket(fileno=descriptors[0]) as server:
        server.settimeout(_ANSWER_SECONDS)
        yield server
