"""One bulk connection on the SLAVE: handed to a confined receiver, watched until that has ended."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hotsync.agent.receive import order
from hotsync.agent.refusals import check_role
from hotsync.agent.session import Duties
from hotsync.agent.store import Store
from hotsync.errors import HotSyncError, PeerRefused
from hotsync.system.clock import Clock
from hotsync.transport.messages import BulkReady, Open
from hotsync.transport.pump import Pump, Traffic, half_close
from hotsync.transport.wire import Channel

RECEIVER_STARTING_SECONDS = 10.0
KEEP_SECONDS = 60.0


def receive_files(channel: Channel, first: Open, duties: Duties) -> None:
    """Given a bulk connection of the peer, let a receiver have it; raise PeerRefused if its generation is not begun."""
    around = duties.around
    here = around.here()
    check_role(here, first)
    assert isinstance(channel.socket, ssl.SSLSocket)
    with (
        duties.slot.bulk(first.generation, channel.socket) as terms,
        _receiver(around.paths.receive_socket, around.clock) as receiver,
    ):
        terms = terms.model_copy(update={"transfer": "again" if first.again else "files"})
        # the flight's commit must not begin before the last writer is gone
        with _outlived(receiver.socket, order(receiver, first.generation, terms)):
            channel.send(BulkReady(epoch=here.record.highest_epoch), "a transfer was opened")
            plain = receiver.socket.fileno()
            stall = max(here.settings.stall_seconds, terms.stall_seconds)
            keeper = Keeper(duties.open_store(), first.generation, around.clock)
            try:
                Pump(channel.socket, plain, plain, around.clock, stall, keeper.tick).run()
            except HotSyncError:
                keeper.keep()  # it will be resumed
                raise
            finally:
                keeper.wait()


@contextmanager
def _receiver(path: Path, clock: Clock) -> Iterator[Channel]:
    """Connect to the socket behind which systemd starts a receiver; raise PeerRefused if nobody is there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(path))
        except OSError as error:
            raise PeerRefused(
                reason=f"its receiver does not run ({path}: {error.strerror})",
                hint="There: systemctl start hotsync-receive.socket",
            ) from error
        yield Channel(sock, "the receiver", clock, RECEIVER_STARTING_SECONDS)


class Keeper:
    """Makes what arrives durable now and then, beside the transfer, so that even a power cut costs little of it."""

    def __init__(self, store: Store, number: int, clock: Clock) -> None:
        self._store = store
        self._number = number
        self._clock = clock
        self._kept_at = clock.monotonic()
        self._thread: threading.Thread | None = None

    def tick(self, _: Traffic) -> None:
        """Keep, if the last time is long ago."""
        if self._clock.monotonic() - self._kept_at >= KEEP_SECONDS and not (self._thread and self._thread.is_alive()):
            self._kept_at = self._clock.monotonic()
            self._thread = threading.Thread(target=self.keep, name="keeper", daemon=True)
            self._thread.start()

    def keep(self) -> None:
        """Keep what is there; a disk that does not obey shows in the transfer itself."""
        with suppress(OSError, HotSyncError):
            self._store.checkpoint(self._number)

    def wait(self) -> None:
        """Let what is being kept be kept."""
        if self._thread is not None:
            self._thread.join()


@contextmanager
def _outlived(sock: socket.socket, pid: int) -> Iterator[None]:
    """Leave the block only when the receiver has let go of its line and its process is gone, however long that takes.

    Until then its connection counts as open: the flight's commit and the next run are told that it is.
    """
    try:
        process = os.pidfd_open(pid)  # no later process of the same number can stand for it
    except ProcessLookupError:
        process = -1
    try:
        yield
    finally:
        half_close(sock)
        with suppress(OSError):
            sock.settimeout(None)
            while sock.recv(65536):
                pass
        if process >= 0:
            ended = select.poll()
            ended.register(process, select.POLLIN)
            ended.poll()
            os.close(process)
