"""This server as the daemon sees it at this moment: settings, role, peer; read anew whenever their files change."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hotsync import __version__
from hotsync.config.schema import Settings
from hotsync.model.hold import HeardBy, is_superseded
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.state import store
from hotsync.state.hold import note_released, note_superseded
from hotsync.state.settings import load_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.addresses import addresses_of, is_link_local
from hotsync.transport.dial import Limits, Ours
from hotsync.transport.guessing import Guard
from hotsync.transport.presence import PresenceBook
from hotsync.transport.tls import Identity, load_identity

_log = logging.getLogger("hotsync.agent")


@dataclass(frozen=True, slots=True)
class Here:
    """One consistent reading of this server."""

    settings: Settings
    record: RoleRecord
    peer: Peer | None

    @property
    def role(self) -> Role:
        """Return what this server is: what role.json says."""
        return self.record.role

    @property
    def peer_host(self) -> str:
        """Return the address that the settings give the peer, by our role."""
        return self.settings.slave_host if self.role is Role.MASTER else self.settings.master_host

    @property
    def peer_addresses(self) -> frozenset[str]:
        """Return where the peer may call from: the configured address, the one it was paired at, its link-local one."""
        known = [self.peer_host]
        if self.peer is not None:
            known += [self.peer.address, self.peer.link_local]
        return frozenset(address for host in known if host for address in addresses_of(host))

    def may_call(self, address: str) -> bool:
        """Given where a connection comes from (without a scope), return whether the peer may call from there.

        At boot an old MASTER asks from whatever link-local address its cards have then: once paired, the certificate
        must tell.
        """
        return address in self.peer_addresses or (self.peer is not None and is_link_local(address))

    @property
    def ours(self) -> Ours:
        """Return who we are, for messages."""
        every = self.settings.interval_minutes
        released = self.record.released if self.record.has_released else 0
        return Ours(self.record.highest_epoch, self.role, host_name(), __version__, every, released)

    @property
    def limits(self) -> Limits:
        """Return the limits of connections."""
        settings = self.settings
        return Limits(settings.stall_seconds, settings.clock_skew_seconds, settings.bandwidth_limit)


def host_name() -> str:
    """Return this host's name as it may be in a message."""
    kept = "".join(sign for sign in socket.gethostname() if sign.isascii() and (sign.isalnum() or sign in ".-_"))
    return kept.lstrip(".-_")[:253] or "localhost"


class Reader:
    """Reads this server, anew whenever its files have changed. Safe to use from several threads."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._lock = threading.Lock()
        self._here: Here | None = None
        self._signature: tuple[object, ...] = ()

    def here(self) -> Here:
        """Return this server as it is now; raise ConfigError if settings, role or peer cannot be read."""
        with self._lock:
            signature = tuple(_signature(path) for path in self._watched())
            if self._here is None or signature != self._signature:
                # the signature is older than what is read: a change in between is seen the next time
                self._here = Here(load_settings(self.paths), store.load_role(self.paths), store.load_peer(self.paths))
                self._signature = signature
            return self._here

    def _watched(self) -> tuple[Path, ...]:
        return self.paths.configuration, self.paths.role_file, self.paths.peer_file


class Surroundings(Reader):
    """What all parts of the daemon share. Safe to use from several threads."""

    def __init__(self, paths: Paths, clock: Clock) -> None:
        super().__init__(paths)
        self.clock = clock
        self.identity: Identity = load_identity(paths)
        self.guard = Guard(paths, clock)
        self.book = PresenceBook(paths, clock, _log.warning)

    def heard(self, epoch: int, by: HeardBy, released: int = 0) -> None:
        """The paired server said which epoch it has: if that is above ours, this MASTER holds itself from now on.

        If it has released that epoch, this MASTER takes the one above it, and serves again where it held itself. It is
        only written down: the daemon has no right to stop or start anything; hotsync-hold.service and
        hotsync-released.service have.
        """
        record = self.here().record
        if released and released >= epoch:
            self._released(record, released)
            return
        if not is_superseded(record, epoch):
            return
        self.book.note(superseded_by=epoch)
        try:
            if note_superseded(self.paths, record, epoch, by, self.clock.now()):
                _log.error("Superseded: the other server is at epoch %d. This server holds itself.", epoch)
        except OSError as error:  # it is tried again with whatever is heard next
            _log.error("That this server is superseded cannot be written down: %s", error)

    def _released(self, record: RoleRecord, epoch: int) -> None:
        try:
            if note_released(self.paths, record, epoch):
                _log.warning("The other server was promoted to epoch %d, and has given that up.", epoch)
        except OSError as error:
            _log.error("That epoch %d is released cannot be written down: %s", epoch, error)

    def found_at(self, address: str) -> None:
        """The paired server said at which link-local address it stays when it has no other ("": it has none).

        There boot guard and fence ask it; with another card than on the day it was paired it has another one.
        """
        peer = self.here().peer
        if peer is None or address in ("", peer.link_local):
            return
        try:
            store.save_peer(self.paths, replace(peer, link_local=address))
        except OSError as error:  # it says so again
            _log.error("That the other server stays at %s cannot be written down: %s", address, error)

    def pin(self, peer: Peer) -> None:
        """Make this the paired server."""
        store.save_peer(self.paths, peer)
        _log.warning("Paired with %s at %s, certificate %s.", peer.name, peer.address, peer.fingerprint)


def _signature(path: Path) -> object:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


Applied = Callable[[], Mapping[str, str]]
"""Returns what the replicas of a SLAVE have applied: by server, the place in the MASTER's binary log."""
Readiness = Callable[[], tuple[str, str]]
"""Returns verdict (green, amber, red or "") and one sentence: could this SLAVE be promoted now?"""
