"""`hotsync pair`: lets the next attempt to pair come at once, or forgets the peer."""

from __future__ import annotations

from hotsync.errors import Refused, UsageError
from hotsync.model.identity import Role
from hotsync.state import handover
from hotsync.state.hold import load_hold
from hotsync.state.rejoin import unfinished_rejoin
from hotsync.state.settings import load_settings
from hotsync.state.store import forget_peer, load_peer, load_role
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from hotsync.transport.guessing import Guard


def open_window(paths: Paths, clock: Clock, minutes: int) -> str:
    """Let the next attempt to pair come at once; failed ones from before do not count for `minutes`. Return what
    happens next.

    Raise Refused if a server is paired already, UsageError if nothing listens here or no password is set.
    """
    peer = load_peer(paths)
    if peer is not None:
        raise Refused(
            reason=f"this server is paired with {peer.name} ({peer.address})",
            hint="To pair with another server, forget this one first: hotsync pair --forget",
        )
    settings, role = load_settings(paths), load_role(paths).role
    if role is Role.NONE or not settings.enabled:
        missing = "has no role yet" if role is Role.NONE else "has HotSync disabled"
        raise UsageError(
            reason=f"This server {missing}: nothing listens here.",
            hint="config setprop hotsync role master|slave; config setprop hotsync status enabled; "
            "signal-event nethserver-hotsync-save",
        )
    if not settings.password:
        raise UsageError(
            reason="There is no password to pair with.",
            hint="config setprop rsyncd password <PASSWORD>; signal-event nethserver-hotsync-save",
        )
    Guard(paths, clock).open_window(minutes)
    caller = "This MASTER calls the SLAVE within a minute" if role is Role.MASTER else "The MASTER calls this server"
    return (
        f"Failed attempts from before do not count for {minutes} minutes. {caller}; "
        "`hotsync status` shows when both are paired."
    )


def forget(paths: Paths) -> str:
    """Forget the paired server and return its name ("" if none).

    Raise Refused while something is unfinished that needs the other server's word: a promotion, a rejoin, a hand-over;
    and on a MASTER that holds itself, since only the other one can say whether it still is the MASTER.
    """
    record = load_role(paths)
    if record.claim is not None and record.claim > record.epoch:
        raise Refused(
            reason=f"a promotion to epoch {record.claim} is not finished",
            hint="Run hotsync-promote: it goes on where it stopped.",
        )
    if load_hold(paths) is not None or unfinished_rejoin(paths) is not None:
        raise Refused(
            reason="this server holds itself, and the paired one is the only one that can say which of both serves",
            hint="`hotsync rejoin` makes it the SLAVE, `hotsync rejoin --as-master` the MASTER again; then this.",
        )
    if handover.is_requested(paths) or handover.is_worked_on(paths):
        raise Refused(reason="this MASTER is handing over", hint="`hotsync status` shows how far it is; then again.")
    peer = load_peer(paths)
    if peer is None:
        return ""
    forget_peer(paths)
    return peer.name
