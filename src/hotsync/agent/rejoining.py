"""On the MASTER: what its former MASTER may ask when it comes back as SLAVE, and what follows from its word.

The daemon has no right to change a network or settings: it writes down what it was told, and a unit acts upon it.
"""

from __future__ import annotations

import ipaddress
import logging

from hotsync.agent.here import Here, Surroundings
from hotsync.agent.refusals import trouble_here
from hotsync.errors import Busy, PeerRefused, ProtocolError
from hotsync.manifest.store import Manifest
from hotsync.model.identity import Role
from hotsync.state import leaving
from hotsync.state.promotion import claimed_promotion, unfinished_promotion
from hotsync.state.returned import Returned, save_returned
from hotsync.state.undo import unfinished_undo
from hotsync.system.paths import Paths
from hotsync.transport.messages import GetTerms, Rejoined, Terms

_log = logging.getLogger("hotsync.agent")


def terms_of(around: Surroundings, here: Here, message: GetTerms) -> Terms:
    """Return what a SLAVE that comes back is to go on from; raise PeerRefused if this MASTER has another one.

    If it is about to move its data, that is written down first: from then on no undo gives production back to it.
    """
    paths = around.paths
    if not message.moves:
        return _terms(paths, here)
    try:
        with leaving.locked(paths, wait=False):
            terms = _terms(paths, around.here())
            leaving.save_leaving(paths, leaving.Leaving(terms.epoch, around.clock.now()))
            return terms
    except Busy as error:
        raise _undoing() from error
    except OSError as error:
        raise trouble_here(error, paths) from error


def _terms(paths: Paths, here: Here) -> Terms:
    check_may_return(paths, here)
    promotion = claimed_promotion(paths, here.record)
    generation, digest = _standing(paths)
    network = promotion.network if promotion is not None else None
    return Terms(
        epoch=here.record.highest_epoch,
        generation=generation,
        digest=digest,
        standby=[str(address) for address in network.standby] if network else [],
        serving=[str(address) for address in network.addresses] if network else [],
    )


def note_returned(around: Surroundings, here: Here, message: Rejoined) -> None:
    """Write down that the former MASTER is the SLAVE now; raise PeerRefused if this MASTER has another one."""
    try:
        ipaddress.ip_address(message.address)
    except ValueError as error:
        raise ProtocolError(reason="the address of the SLAVE is none") from error
    if here.settings.slave_host != message.address:
        check_may_return(around.paths, here)
    save_returned(around.paths, Returned(message.address, around.clock.now()))
    _log.warning("The former MASTER is this server's SLAVE now, at %s.", message.address)


def check_may_return(paths: Paths, here: Here) -> None:
    """Raise PeerRefused if this is no MASTER that its former MASTER may come back to."""
    if here.role is not Role.MASTER:
        raise PeerRefused(reason="it is no MASTER", hint="`hotsync status` on both shows the roles.")
    if paths.undo_file.exists() and unfinished_undo(paths) is not None:
        raise _undoing()
    if unfinished_promotion(paths, here.record) is not None:
        raise PeerRefused(reason="its promotion is not finished", hint="Run hotsync-promote there, then come back.")
    if here.settings.slave_host:
        raise PeerRefused(
            reason=f"it has a SLAVE already, at {here.settings.slave_host}",
            hint='If that is to be this server: config setprop hotsync SlaveHost "" there, then come back.',
        )


def _undoing() -> PeerRefused:
    return PeerRefused(
        reason="its promotion is being undone",
        hint="Wait: this server serves again by itself when that has ended.",
    )


def _standing(paths: Paths) -> tuple[int, str]:
    with Manifest(paths.manifest) as manifest:
        return manifest.generation, manifest.digest
