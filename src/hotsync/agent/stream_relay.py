"""On the MASTER: one stream that somebody on the SLAVE uses, carried to the database server's own socket.

The server sees its own user connect, as it would see the administrator's psql: nothing is configured for it, no port is
opened. What the SLAVE says is looked at (`sources/postgresql_guard.py`).
"""

from __future__ import annotations

import os
import pwd
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hotsync.agent import stream_child
from hotsync.errors import HotSyncError, PeerRefused, StreamRefused
from hotsync.sources.postgresql_guard import NOT_NOW, Guard, error_response, in_english, read_startup
from hotsync.system import command
from hotsync.transport.pump import Pump
from hotsync.transport.wire import Channel

PHASE = "a database was streamed"
_ANSWER_SECONDS = stream_child.CONNECT_SECONDS + 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """A database server of this host: its dataset's name, the login name that owns it, its socket."""

    name: str
    user: str
    socket: str


def relay(channel: Channel, target: Target) -> None:
    """Given a stream that is in use, carry it until a side ends; raise StreamRefused for what is no replication."""
    assert isinstance(channel.socket, ssl.SSLSocket)
    try:
        startup = read_startup(partial(channel.read, phase=PHASE), partial(channel.write, phase=PHASE), target.user)
        with connected(target) as server:
            server.sendall(in_english(startup))
            plain = server.fileno()
            Pump(
                channel.socket, plain, plain, channel.clock, channel.stall_seconds,
                sieve=Guard().sieve, phase=PHASE, patient=True,
            ).run()  # fmt: skip
    except StreamRefused as error:
        with suppress(HotSyncError):
            channel.write(error_response(f"HotSync: {error.sentence}"), PHASE)
        raise
    except PeerRefused as error:
        with suppress(HotSyncError):
            channel.write(error_response(f"HotSync: {error.facts['reason']}", NOT_NOW), PHASE)
        raise


@contextmanager
def connected(target: Target) -> Iterator[socket.socket]:
    """Give a connection to a server's socket that its own user has made; raise PeerRefused if it does not answer."""
    try:
        account = pwd.getpwnam(target.user)
    except KeyError as error:
        raise PeerRefused(reason=f"{target.name} belongs to {target.user}, who is no account") from error
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
