"""`hotsync pair`: opens pairing for a while, or forgets the peer."""

from __future__ import annotations

from hotsync.errors import Refused, UsageError
from hotsync.model.identity import Role
from hotsync.state.settings import load_settings
from hotsync.state.store import forget_peer, load_peer, load_role
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.guessing import Guard


def open_window(paths: Paths, clock: Clock, minutes: int) -> str:
    """Let the next attempt to pair come at once, and none after `minutes`; return what happens next.

    Raise Refused if a server is paired already, UsageError if no password is set.
    """
    peer = load_peer(paths)
    if peer is not None:
        raise Refused(
            reason=f"this server is paired with {peer.name} ({peer.address})",
            hint="To pair with another server, forget this one first: hotsync pair --forget",
        )
    settings = load_settings(paths)
    if not settings.password:
        raise UsageError(
            reason="There is no password to pair with.",
            hint="config setprop rsyncd password <PASSWORD>; signal-event nethserver-hotsync-save",
        )
    Guard(paths, clock).open_window(minutes)
    role = load_role(paths).role
    caller = "This MASTER calls the SLAVE within a minute" if role is Role.MASTER else "The MASTER calls this server"
    return f"Pairing is open for {minutes} minutes. {caller}; `hotsync status` shows when both are paired."


def forget(paths: Paths) -> str:
    """Forget the paired server and return its name ("" if none); raise Refused while a promotion is unfinished."""
    record = load_role(paths)
    if record.claim is not None and record.claim > record.epoch:
        raise Refused(
            reason=f"a promotion to epoch {record.claim} is not finished",
            hint="Run hotsync-promote: it goes on where it stopped.",
        )
    peer = load_peer(paths)
    if peer is None:
        return ""
    forget_peer(paths)
    return peer.name
