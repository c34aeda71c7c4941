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
from hotsync.agent.places import Place, Places
from hotsync.agent.refusals import trouble_here
from hotsync.agent.session import Duties, Session
from hotsync.agent.streams import Streams
from hotsync.errors import (
    ConnectionEnded,
    HotSyncError,
    NotPaired,
    NotTrusted,
    PeerBusy,
    PeerRefused,
    ProtocolError,
    WrongPassword,
    WrongPeer,
)
from hotsync.model.identity import Role
from hotsync.transport.addresses import plain_address
from hotsync.transport.dial import check_clock, cut, hang_up, keep_alive
from hotsync.transport.messages import Open, expect, trouble
from hotsync.transport.pairing import Answerer, answer
from hotsync.transport.tls import accept_tls
from hotsync.transport.unproven import NO_ROLE, NO_SLAVE, NOT_OPEN, refusal
from hotsync.transport.wire import MAX_FIRST_JSON, Channel

_log = logging.getLogger("hotsync.agent")

FIRST_MESSAGE_SECONDS = 10.0
STRANGER_SECONDS = 60.0
REPEATED_SECONDS = 600.0
MAX_TOLD = 256
MAX_PROVEN_ADDRESSES = 16
LAST_SECONDS = 60.0


class Gate:
    """Lets connections in, each in a thread of its own."""

    def __init__(self, duties: Duties) -> None:
        self._duties = duties
        self._around = duties.around
        self._streams = Streams(duties.around)
        self._places = Places()
        self._proven_at: dict[str, None] = {}
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._controls = 0
        self._told: dict[str, float] = {}

    def let_in(self, raw: socket.socket, source: str) -> None:
        """Take over an accepted connection."""
        address = plain_address(source)
        try:
            place, cut_off = self._places.enter(raw, address, known=self._is_known(address))
        except OSError as error:
            self._turn_away(raw, address, f"it cannot be served now ({error.strerror})")
            return
        if cut_off is not None:
            self._say_turned_away(cut_off.address if cut_off.known else "a neighbour", "it had proven nothing yet")
        thread = threading.Thread(target=self._serve, args=(raw, place), name=f"from {address}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _is_known(self, address: str) -> bool:
        """Return whether the peer is known to call from there; no name is asked for here."""
        try:
            here = self._around.here()
        except HotSyncError:
            return False
        known = [here.peer_host, *((here.peer.address, here.peer.link_local) if here.peer else ())]
        with self._lock:
            return address in self._proven_at or address in map(plain_address, known)

    def close_all(self) -> None:
        """End all connections: role, peer or port have changed, or the daemon ends."""
        self._places.cut_unproven()
        with self._lock:
            for sock in self._open:
                cut(sock)

    def wait_until_empty(self, seconds: float = LAST_SECONDS) -> None:
        """Wait until every connection has ended; what is being committed is finished, or by the next start."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(seconds)

    def _serve(self, raw: socket.socket, place: Place) -> None:
        address = place.address
        try:
            here = self._around.here()
            if not here.may_call(address):
                self._turn_away(raw, address, "it is not the other server's address")
                return
            keep_alive(raw, here.settings.stall_seconds)
            self._secure(raw, place, here)
        except HotSyncError as error:
            raw.close()
            self._note(place, error, proven=False)
        except Exception:
            raw.close()
            _log.exception("a bug in HotSync, while %s was served", address)
        finally:
            place.leave()
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _secure(self, raw: socket.socket, place: Place, here: Here) -> None:
        pinned, address = here.peer.certificate if here.peer else "", place.address
        secured, known = accept_tls(raw, self._around.identity, pinned, address)
        channel = Channel(secured, address, self._around.clock, here.settings.stall_seconds, proven=known)
        with self._registered(secured):
            try:
                # role and peer may have changed while it took its time; from here on close_all ends it
                here = self._around.here()
                if known:
                    self._prove(place, here, pinned)
                self._dispatch(channel, here, place)
            except HotSyncError as error:
                if not error.facts.get("told_by_peer"):
                    with suppress(HotSyncError, ValueError):
                        channel.send(trouble(error, here.record.highest_epoch), "it was refused")
                self._note(place, error, proven=known)
            except Exception:
                _log.exception("a bug in HotSync, while %s was served", address)
                bug = PeerRefused(reason="it failed in a way that nobody foresaw", hint="Its system log tells more.")
                with suppress(HotSyncError, ValueError):
                    channel.send(trouble(bug, here.record.highest_epoch), "it was refused")
            finally:
                hang_up(channel)

    def _prove(self, place: Place, here: Here, pinned: str) -> None:
        """It has shown the certificate that was pinned when it came: if that still is, give it one of the peer's
        places."""
        if here.peer is None or here.peer.certificate != pinned:
            raise NotPaired(address=place.address)
        if not place.prove():
            raise PeerBusy(reason="there are too many connections at once")
        with self._lock:
            self._proven_at.pop(place.address, None)
            self._proven_at[place.address] = None
            while len(self._proven_at) > MAX_PROVEN_ADDRESSES:
                del self._proven_at[next(iter(self._proven_at))]

    @contextmanager
    def _registered(self, secured: ssl.SSLSocket) -> Iterator[None]:
        with self._lock:
            self._open.add(secured)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(secured)

    def _dispatch(self, channel: Channel, here: Here, place: Place) -> None:
        try:
            first = self._first(channel)
        except ConnectionEnded:
            return  # somebody looked whether the port is open
        if first.connection == "pairing":
            self._pair(channel, first, here)
        elif not channel.proven or here.peer is None:
            raise NotPaired(address=channel.address)
        elif first.connection == "control":
            self._control(channel, first)
        elif first.connection == "bulk":
            receive_files(channel, first, self._duties)
        else:
            place.leave()  # it may stay for days: it takes no place of those that come and go
            self._streams.serve(channel, first)

    def _first(self, channel: Channel) -> Open:
        """Return the first message. Who does not like our certificate says so instead; nobody else may come with an
        error, or it would be a stranger's words that our log and status show."""
        try:
            message = channel.receive_message(
                "its first message was due", within=FIRST_MESSAGE_SECONDS, max_json=MAX_FIRST_JSON
            )
        except HotSyncError as error:
            if isinstance(error, WrongPeer) or error.facts.get("told") == WrongPeer.code:
                ours = self._around.identity.fingerprint
                raise NotTrusted(address=channel.address, ours=ours, told_by_peer=True) from error
            _check_may_tell(channel, error)
            raise
        return expect(message, Open)

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

    def _pair(self, channel: Channel, first: Open, here: Here) -> None:
        if here.role is not Role.SLAVE:
            raise refusal(NO_SLAVE if here.role is Role.MASTER else NO_ROLE)
        check_clock(first.clock, self._around.clock, here.settings.clock_skew_seconds)
        if not here.settings.password:
            raise refusal(NOT_OPEN)
        # a pinned peer pairs again only if it has just proven by TLS that it is that peer
        fingerprint = (
            (here.peer.fingerprint if channel.proven else "a certificate that was not shown") if here.peer else ""
        )
        around = self._around
        answerer = Answerer(here.ours, around.identity, here.settings.password, fingerprint, around.pin)
        try:
            peer = answer(channel, first, answerer, around.guard, around.clock)
        except OSError as error:
            raise trouble_here(error, around.paths) from error
        except HotSyncError as error:
            _check_may_tell(channel, error)
            raise
        self._around.book.seen(address=channel.address, host=peer.name)

    def _note(self, place: Place, error: HotSyncError, *, proven: bool) -> None:
        address = place.address
        # a neighbour can call from as many addresses as it likes: they have one line between them
        who = address if proven or place.known else "a neighbour"
        if isinstance(error, ConnectionEnded):
            if proven or self._is_news(f"{who} lost", STRANGER_SECONDS):
                _log.info("Lost %s: %s.", address, error.facts.get("reason"))
            return
        # a guess is always news; a peer that calls again every minute with the same fault is not
        is_news = self._is_news(f"{who} {error.code}", REPEATED_SECONDS) or isinstance(error, WrongPassword)
        if is_news or who == address:
            self._around.book.refused(address, error)
        if not is_news:
            return
        if error.facts.get("told_by_peer"):
            _log.warning("%s ended the connection: %s", address, in_words(error))
        else:
            _log.warning("Refused %s: %s", address, in_words(error))

    def _turn_away(self, raw: socket.socket, address: str, reason: str) -> None:
        self._say_turned_away(address, reason)
        raw.close()

    def _say_turned_away(self, who: str, reason: str) -> None:
        if self._is_news(f"{who} {reason}", STRANGER_SECONDS):
            _log.warning("Turned away %s: %s.", who, reason)

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


def _check_may_tell(channel: Channel, error: HotSyncError) -> None:
    """Raise ProtocolError if this is an error that somebody told who has proven nothing."""
    if not channel.proven and "told_by_peer" in error.facts:
        raise ProtocolError(reason="it came with an error, and has proven nothing") from error


def in_words(error: HotSyncError) -> str:
    """Return an error as the log of this server has it: the reason and what to do."""
    # "The peer refused: ..." is how the peer will put it
    sentence = str(error.facts.get("reason", "")) if isinstance(error, PeerRefused) else error.sentence
    return f"{sentence.rstrip('.')}. {error.hint}"
