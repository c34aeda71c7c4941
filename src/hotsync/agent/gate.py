"""Every connection that comes in: is it the peer's, is it who it says, what is it for? Each refusal is logged."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hotsync.agent.here import Here
from hotsync.agent.incoming import receive_files
from hotsync.agent.refusals import trouble_here
from hotsync.agent.session import Duties, Session
from hotsync.agent.streams import Streams
from hotsync.errors import ConnectionEnded, HotSyncError, NotPaired, NotTrusted, PeerRefused, WrongPassword, WrongPeer
from hotsync.model.identity import Role
from hotsync.transport.addresses import plain_address
from hotsync.transport.dial import check_clock, cut, hang_up, keep_alive
from hotsync.transport.messages import Open, expect, trouble
from hotsync.transport.pairing import Answerer, answer
from hotsync.transport.tls import accept_tls
from hotsync.transport.wire import MAX_FIRST_JSON, Channel

_log = logging.getLogger("hotsync.agent")

MAX_CONNECTIONS = 32
FIRST_MESSAGE_SECONDS = 10.0
STRANGER_SECONDS = 60.0
REPEATED_SECONDS = 600.0
MAX_TOLD = 256
LAST_SECONDS = 60.0


class Gate:
    """Lets connections in, each in a thread of its own."""

    def __init__(self, duties: Duties) -> None:
        self._duties = duties
        self._around = duties.around
        self._streams = Streams(duties.around)
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._controls = 0
        self._told: dict[str, float] = {}

    def let_in(self, raw: socket.socket, source: str) -> None:
        """Take over an accepted connection."""
        address = plain_address(source)
        if not self._places.acquire(blocking=False):
            self._turn_away(raw, address, "there are too many connections at once")
            return
        thread = threading.Thread(target=self._serve, args=(raw, address), name=f"from {address}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def close_all(self) -> None:
        """End all connections: role, peer or port have changed, or the daemon ends."""
        with self._lock:
            for sock in self._open:
                cut(sock)

    def wait_until_empty(self, seconds: float = LAST_SECONDS) -> None:
        """Wait until every connection has ended; what is being committed is finished, or by the next start."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(seconds)

    def _serve(self, raw: socket.socket, address: str) -> None:
        try:
            here = self._around.here()
            if not here.may_call(address):
                self._turn_away(raw, address, "it is not the other server's address")
                return
            keep_alive(raw, here.settings.stall_seconds)
            self._secure(raw, address, here)
        except HotSyncError as error:
            raw.close()
            self._note(address, error)
        except Exception:
            raw.close()
            _log.exception("a bug in HotSync, while %s was served", address)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
            self._places.release()

    def _secure(self, raw: socket.socket, address: str, here: Here) -> None:
        pinned = here.peer.certificate if here.peer else ""
        secured, known = accept_tls(raw, self._around.identity, pinned, address)
        channel = Channel(secured, address, self._around.clock, here.settings.stall_seconds)
        with self._registered(secured):
            try:
                self._dispatch(channel, here, known)
            except HotSyncError as error:
                if not error.facts.get("told_by_peer"):
                    with suppress(HotSyncError, ValueError):
                        channel.send(trouble(error, here.record.highest_epoch), "it was refused")
                self._note(address, error)
            except Exception:
                _log.exception("a bug in HotSync, while %s was served", address)
                bug = PeerRefused(reason="it failed in a way that nobody foresaw", hint="Its system log tells more.")
                with suppress(HotSyncError, ValueError):
                    channel.send(trouble(bug, here.record.highest_epoch), "it was refused")
            finally:
                hang_up(channel)

    @contextmanager
    def _registered(self, secured: ssl.SSLSocket) -> Iterator[None]:
        with self._lock:
            self._open.add(secured)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(secured)

    def _dispatch(self, channel: Channel, here: Here, known: bool) -> None:
        try:
            message = channel.receive_message(
                "its first message was due", within=FIRST_MESSAGE_SECONDS, max_json=MAX_FIRST_JSON
            )
        except ConnectionEnded:
            return  # somebody looked whether the port is open
        except WrongPeer as error:
            raise NotTrusted(
                address=channel.address, ours=self._around.identity.fingerprint, told_by_peer=True
            ) from error
        first = expect(message, Open)
        if first.connection == "pairing":
            self._pair(channel, first, here, known)
        elif not known or here.peer is None:
            raise NotPaired(address=channel.address)
        elif first.connection == "control":
            self._control(channel, first)
        elif first.connection == "bulk":
            receive_files(channel, first, self._duties)
        else:
            self._stream(channel, first)

    def _stream(self, channel: Channel, first: Open) -> None:
        # it may stay for days: it takes no place of those that come and go
        self._places.release()
        try:
            self._streams.serve(channel, first)
        finally:
            self._places.acquire()

    def _control(self, channel: Channel, first: Open) -> None:
        with self._lock:
            self._controls += 1
        try:
            Session(channel, first, self._duties).serve()
        finally:
            with self._lock:
                self._controls -= 1
            if not self._controls:
                self._around.book.gone()

    def _pair(self, channel: Channel, first: Open, here: Here, known: bool) -> None:
        if here.role is not Role.SLAVE:
            raise PeerRefused(
                reason="it is not a SLAVE" if here.role is Role.MASTER else "it is neither MASTER nor SLAVE yet",
                hint="Set role and addresses on both, then signal-event nethserver-hotsync-save on both.",
            )
        check_clock(first.clock, self._around.clock, here.settings.clock_skew_seconds)
        if not here.settings.password or not self._around.guard.is_open():
            raise PeerRefused(
                reason="pairing is not open there",
                hint="Set the password there and run signal-event nethserver-hotsync-save, or `hotsync pair`.",
            )
        # a pinned peer pairs again only if it has just proven by TLS that it is that peer
        fingerprint = (here.peer.fingerprint if known else "a certificate that was not shown") if here.peer else ""
        around = self._around
        answerer = Answerer(here.ours, around.identity, here.settings.password, fingerprint, around.pin)
        try:
            peer = answer(channel, first, answerer, around.guard, around.clock)
        except OSError as error:
            raise trouble_here(error, around.paths) from error
        self._around.book.seen(address=channel.address, host=peer.name)

    def _note(self, address: str, error: HotSyncError) -> None:
        if isinstance(error, ConnectionEnded):
            _log.info("Lost %s: %s.", address, error.facts.get("reason"))
            return
        self._around.book.refused(address, error)
        # a guess is always news; a peer that calls again every minute with the same fault is not
        if not isinstance(error, WrongPassword) and not self._is_news(f"{address} {error.code}", REPEATED_SECONDS):
            return
        if error.facts.get("told_by_peer"):
            _log.warning("%s ended the connection: %s", address, in_words(error))
        else:
            _log.warning("Refused %s: %s", address, in_words(error))

    def _turn_away(self, raw: socket.socket, address: str, reason: str) -> None:
        if self._is_news(f"{address} {reason}", STRANGER_SECONDS):
            _log.warning("Turned away %s: %s.", address, reason)
        raw.close()

    def _is_news(self, what: str, seconds: float) -> bool:
        """Return whether this was not said in the last so many seconds: a port scan must not fill the log."""
        now = self._around.clock.monotonic()
        with self._lock:
            if now - self._told.get(what, -seconds) < seconds:
                return False
            self._told[what] = now
            while len(self._told) > MAX_TOLD:
                del self._told[next(iter(self._told))]
            return True


def in_words(error: HotSyncError) -> str:
    """Return an error as the log of this server has it: the reason and what to do."""
    # "The peer refused: ..." is how the peer will put it
    sentence = str(error.facts.get("reason", "")) if isinstance(error, PeerRefused) else error.sentence
    return f"{sentence.rstrip('.')}. {error.hint}"
