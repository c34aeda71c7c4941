"""What a server that comes back as SLAVE says to the MASTER, and what it hears: the one conversation that it begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hotsync.system.clock import Clock
from hotsync.transport.dial import Callee, Limits, check_clock, dial, hang_up, opening
from hotsync.transport.fetch import fetch
from hotsync.transport.messages import Alive, GetManifest, GetTerms, Rejoined, Terms, Welcome
from hotsync.transport.wire import Channel


def ask_terms(callee: Callee, clock: Clock, limits: Limits, *, moves: bool = False) -> tuple[Welcome, Terms]:
    """Given whom to call, return how it presents itself, and what it goes on from; `moves`: this server's data will
    move then, and it cannot serve again by itself.

    Raise PeerError if nobody is there, and the error that it answers with: it is no MASTER, or will have no SLAVE.
    """
    with _connected(callee, clock, limits) as (channel, welcome):
        channel.send(GetTerms(epoch=callee.ours.epoch, moves=moves), "it was asked for its terms")
        return welcome, channel.answer(Terms, "it was asked for its terms")


def fetch_manifest(callee: Callee, clock: Clock, limits: Limits, to: Path) -> None:
    """Write the manifest of the generation that the MASTER goes on from to a file, as canonical lines in walk order."""
    phase = "the manifest was fetched"
    with _connected(callee, clock, limits) as (channel, _):
        channel.send(GetManifest(epoch=callee.ours.epoch), phase)
        fetch(channel, to, phase)


def tell_rejoined(callee: Callee, clock: Clock, limits: Limits, address: str) -> None:
    """Tell the MASTER that this server is its SLAVE, at this address; raise PeerError or its own error."""
    with _connected(callee, clock, limits) as (channel, _):
        channel.send(Rejoined(epoch=callee.ours.epoch, address=address), "it was told of its SLAVE")
        channel.answer(Alive, "it was told of its SLAVE")


@contextmanager
def _connected(callee: Callee, clock: Clock, limits: Limits) -> Iterator[tuple[Channel, Welcome]]:
    channel = dial(callee, clock, limits.stall_seconds)
    try:
        channel.send(opening(callee.ours, "control", clock), "it was greeted")
        welcome = channel.answer(Welcome, "it was greeted")
        check_clock(welcome.clock, clock, limits.clock_skew_seconds)
        yield channel, welcome
    finally:
        hang_up(channel)
