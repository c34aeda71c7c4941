"""On the SLAVE: streams of the MASTER that wait to be used, and the sockets at which a waiting server takes one.

A stream is a connection that the MASTER has dialled and that leads to one of its database servers. It waits here until
somebody connects to the server's socket below /run/hotsync/stream; from then on it carries that conversation.
"""

from __future__ import annotations

import logging
import os
import pwd
import select
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hotsync.agent.here import Surroundings
from hotsync.agent.refusals import check_role, role_word, trouble_here
from hotsync.errors import PeerRefused, PeerSilent
from hotsync.model.identity import Role
from hotsync.sources.documents import CLUSTER, INSTANCE
from hotsync.sources.mariadb import standby as mariadb_standby
from hotsync.sources.mariadb.find import NAME as MARIADB
from hotsync.sources.postgresql import standby as postgresql_standby
from hotsync.sources.postgresql.cluster import NAME as POSTGRESQL
from hotsync.system.files import make_folder
from hotsync.system.paths import Paths
from hotsync.transport.client import HEARTBEAT_SECONDS
from hotsync.transport.dial import watch_line
from hotsync.transport.messages import Alive, Open, StreamBegin, StreamReady, expect
from hotsync.transport.pump import Pump
from hotsync.transport.wire import Channel

_log = logging.getLogger("hotsync.agent")

MAX_STREAMS = 64
PHASE = "a database was streamed"
_BACKLOG = 8
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What the servers of one engine have in common here: the document of a collected one, who uses the socket that
    leads to the MASTER's, and where that is."""

    document: str
    owner: str
    socket: Callable[[Paths, str], Path]


KINDS = {
    POSTGRESQL: Kind(CLUSTER, postgresql_standby.OWNER, postgresql_standby.upstream_socket),
    MARIADB: Kind(INSTANCE, mariadb_standby.OWNER, mariadb_standby.upstream_socket),
}


def named_servers(paths: Paths) -> frozenset[str]:
    """Return the servers of the last generation that can be streamed, by name ("postgresql/15-main")."""
    return frozenset(f"{engine}/{name}" for engine, kind in KINDS.items() for name in _instances(paths, engine, kind))


def _instances(paths: Paths, engine: str, kind: Kind) -> Iterator[str]:
    try:
        found = list((paths.replica / "tree/var/lib/hotsync/spool" / engine).iterdir())
    except OSError:
        return
    for folder in found:
        if not folder.is_symlink() and (folder / kind.document).is_file():
            yield folder.name


class Streams:
    """All streams that the MASTER has open here."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._places = threading.BoundedSemaphore(MAX_STREAMS)
        self._doors: dict[str, _Door] = {}
        self._lock = threading.Lock()

    def serve(self, channel: Channel, first: Open) -> None:
        """Let a stream wait, and carry what comes through it; raise PeerRefused if it is not to be had."""
        here = self._around.here()
        check_role(here, first)
        if here.role is not Role.SLAVE:
            raise PeerRefused(reason="it is a MASTER itself", hint="`hotsync status` on both shows the roles.")
        if first.stream not in named_servers(self._around.paths):
            raise PeerRefused(
                reason=f"its last generation holds no {first.stream or 'nameless server'}",
                hint="It can be streamed after the next sync.",
            )
        if not self._places.acquire(blocking=False):
            raise PeerRefused(reason="there are too many streams at once")
        try:
            watch_line(channel.socket, here.settings.stall_seconds)
            with self._opened(first.stream) as door:
                self._carry(channel, door, here.record.highest_epoch)
        finally:
            self._places.release()

    def _carry(self, channel: Channel, door: _Door, epoch: int) -> None:
        with _Waiting(channel) as waiting, door.offered(waiting):
            client = waiting.until_taken(Alive(epoch=epoch, role=role_word(self._around.here()), clock=0.0))
            channel.send(StreamBegin(epoch=epoch), PHASE)
            while isinstance(message := channel.receive_message(PHASE), Alive):
                pass  # it was on its way already
            expect(message, StreamReady)
            assert isinstance(channel.socket, ssl.SSLSocket)
            clock, plain = self._around.clock, client.fileno()
            Pump(channel.socket, plain, plain, clock, channel.stall_seconds, phase=PHASE, patient=True).run()

    @contextmanager
    def _opened(self, name: str) -> Iterator[_Door]:
        """Give the server's socket, which is there as long as at least one stream is."""
        with self._lock:
            door = self._doors.get(name)
            if door is None:
                try:
                    engine, _, instance = name.partition("/")
                    kind = KINDS[engine]
                    door = self._doors[name] = _Door(kind.socket(self._around.paths, instance), kind.owner)
                except OSError as error:
                    raise trouble_here(error, self._around.paths) from error
            door.users += 1
        try:
            yield door
        finally:
            with self._lock:
                door.users -= 1
                if not door.users:
                    del self._doors[name]
                    door.close()


class _Waiting:
    """One stream that waits to be taken."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._wake, self._woken = socket.socketpair()
        self._client: socket.socket | None = None

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.close()
        self._woken.close()
        if self._client is not None:
            self._client.close()

    def take(self, client: socket.socket) -> None:
        """Give it somebody to serve."""
        self._client = client
        self._wake.send(b"t")

    def until_taken(self, alive: Alive) -> socket.socket:
        """Answer the MASTER's signs of life until somebody comes; raise PeerSilent or what ended the connection."""
        channel, clock = self._channel, self._channel.clock
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.register(channel.socket, select.POLLIN)
        longest = channel.stall_seconds + HEARTBEAT_SECONDS
        heard = clock.monotonic()
        while self._client is None:
            assert isinstance(channel.socket, ssl.SSLSocket)
            left = longest - (clock.monotonic() - heard)
            if left <= 0:
                raise PeerSilent(seconds=round(longest), phase="a stream waited")
            events = [channel.socket.fileno()] if channel.socket.pending() else [fd for fd, _ in poll.poll(left * 1000)]
            if channel.socket.fileno() in events:
                expect(channel.receive_message("a stream waited"), Alive)
                channel.send(alive.model_copy(update={"clock": clock.now()}), "a stream waited")
                heard = clock.monotonic()
        return self._client


class _Door:
    """The socket of one server, and the streams that wait behind it."""

    def __init__(self, place: Path, owner: str) -> None:
        self.users = 0
        self._folder = place.parent
        self._idle: list[_Waiting] = []
        self._changed = threading.Condition()
        self._listener = _listen(place, owner)
        threading.Thread(target=self._accept, name=f"stream {place.parent.name}", daemon=True).start()

    @contextmanager
    def offered(self, waiting: _Waiting) -> Iterator[None]:
        """Let a stream be taken for the block."""
        with self._changed:
            self._idle.append(waiting)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                if waiting in self._idle:
                    self._idle.remove(waiting)

    def close(self) -> None:
        """Take the socket away."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                # one that was used is replaced in a moment
                if self._changed.wait_for(lambda: bool(self._idle), _PATIENCE_SECONDS):
                    self._idle.pop(0).take(client)
                    continue
            client.close()  # it tries again


def _listen(place: Path, owner: str) -> socket.socket:
    """Return a socket in a fresh folder that only the servers' user may enter; it is there once it listens.

    Raise OSError.
    """
    folder = place.parent
    make_folder(folder.parent, 0o755)  # the servers' user goes through it
    new = folder.with_name(f".{folder.name}")
    for leftover in (new, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(mode=0o700)
    account = _account(owner)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(new / place.name))
        os.chown(new / place.name, *account, follow_symlinks=False)
        listener.listen(_BACKLOG)
        os.chown(new, *account, follow_symlinks=False)  # last: until now only root could do anything in it
        new.rename(folder)
    except OSError:
        listener.close()
        raise
    return listener


def _account(owner: str) -> tuple[int, int]:
    try:
        account = pwd.getpwnam(owner)
    except KeyError as error:
        raise PeerRefused(
            reason=f"it has no account {owner} yet", hint="Run hotsync-slave there: it installs the server."
        ) from error
    return account.pw_uid, account.pw_gid
