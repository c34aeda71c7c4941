"""Waits until the old MASTER, which was told to switch itself off or was cut off, is seen to answer nowhere any more.

To be told is not to be off: until its last unit has stopped it serves, at the addresses that this server is to take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from hotsync.engine.checks import ports_of
from hotsync.engine.one_master.silence import signs_of_life
from hotsync.engine.promotion.ground import Ground
from hotsync.errors import HotSyncError, StillAnswers
from hotsync.model.identity import Peer
from hotsync.model.network.values import Address
from hotsync.model.promotion import Promotion
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.addresses import is_own

SECONDS = 120.0
"""systemd kills what has not stopped after 90 s (DefaultTimeoutStopSec), and most units stop beside each other."""
LOOK_SECONDS = 0.5
TELL_SECONDS = 10.0

Look = Callable[[], tuple[str, ...]]
Say = Callable[[str], None]


def asking(paths: Paths, peer: Peer, promotion: Promotion, further: Iterable[str] = (), port: int = 0) -> Look:
    """Return what looks for the old MASTER, where it can have answered as far as this server knows.

    That is at production's addresses, at the one of the pairing, and at those of the `further` ones that the MASTER has
    told to be its own. `port` is one that answered on it, beside HotSync's and those of its services.
    """
    settings, _ = read_settings(paths)
    ground = Ground(paths)
    its = {fact.address for each in ground.master.network.interfaces for fact in each.addresses}
    addresses = (
        *promotion.network.of_production,
        *(Address("", each, 0) for each in sorted(its.intersection(further))),
    )
    ports = {port} if port else set[int]()
    with suppress(HotSyncError):  # of services whose profiles cannot be read nothing is asked
        ports |= ports_of(ground.checks.values())
    # a promotion that goes on may have all of its addresses; a link-local one is never taken
    known = peer.link_local if is_own(peer.address) else peer.address
    return partial(signs_of_life, known, settings.slave_port, addresses, ports)


def wait_until_silent(look: Look, clock: Clock, say: Say) -> str:
    """Look until nothing of the old MASTER answers; return in words how long that took.

    Raise StillAnswers if something does to the end.
    """
    began = tell_at = clock.monotonic()
    while signs := look():
        now = clock.monotonic()
        if now - began >= SECONDS:
            raise StillAnswers(seconds=f"{SECONDS:.0f}", evidence="; ".join(signs))
        if now >= tell_at:
            left = SECONDS - (now - began)
            say(f"The old MASTER still answers ({signs[0]}): it is waited for, {left:.0f} s at most.")
            tell_at = now + TELL_SECONDS
        clock.sleep(LOOK_SECONDS)
    return f"nothing of it answers {clock.monotonic() - began:.0f} s after that"
