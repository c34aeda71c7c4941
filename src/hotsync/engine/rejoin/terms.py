"""Asks the new MASTER what its SLAVE is to go on from: at every address of it that is known, its own one first."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hotsync.errors import HotSyncError, NotPaired, PeerUnreachable, ProtocolError
from hotsync.model.identity import Role
from hotsync.model.network.values import Address
from hotsync.model.rejoin import Terms
from hotsync.state import store
from hotsync.state.hold import load_hold
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.coming_back import ask_terms
from hotsync.transport.dial import Callee, Limits, Ours
from hotsync.transport.tls import load_identity


@dataclass(frozen=True, slots=True)
class Told:
    """What the new MASTER said, and at which address it did."""

    terms: Terms
    address: str


def callees(paths: Paths, epoch: int, first: Iterable[str] = ()) -> Iterator[Callee]:
    """Return whom to call as the SLAVE to be: the paired server, at each of its addresses; raise NotPaired."""
    settings, _ = read_settings(paths)
    peer, hold = store.load_peer(paths), load_hold(paths)
    if peer is None:
        raise NotPaired(address=settings.slave_host or settings.master_host or "?")
    given_up = [address.address for address in hold.addresses] if hold is not None else []
    known = [*first, peer.link_local, settings.slave_host, settings.master_host, peer.address, *given_up]
    ours = Ours(epoch, Role.SLAVE, "localhost", "0")
    identity = load_identity(paths)
    for address in dict.fromkeys(each for each in known if each):
        yield Callee(address, settings.slave_port, ours, identity, peer.fingerprint)


def limits_of(paths: Paths) -> Limits:
    """Return the limits of connections, by the settings."""
    settings, _ = read_settings(paths)
    return Limits(settings.stall_seconds, settings.clock_skew_seconds)


def ask(paths: Paths, clock: Clock, epoch: int) -> Told:
    """Return what the new MASTER says; raise PeerError if it is nowhere, or what it answers if that is no."""
    last: HotSyncError = PeerUnreachable(address="?", port=0, reason="no address of it is known")
    for callee in callees(paths, epoch):
        try:
            _, said = ask_terms(callee, clock, limits_of(paths))
        except PeerUnreachable as error:
            last = error if last.facts.get("address") == "?" else last
            continue
        terms = Terms(
            said.epoch,
            said.generation,
            said.digest,
            tuple(_address(each) for each in said.standby),
            tuple(_address(each) for each in said.serving),
        )
        return Told(terms, callee.address)
    raise last


def _address(text: str) -> Address:
    """Given an address that the other server told, return it, without an interface: those are this server's."""
    try:
        parsed = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ProtocolError(reason="an address in its terms is none") from error
    return Address("", str(parsed.ip), parsed.network.prefixlen)
