"""Why the peer is not served, or not now: this server's role, state and trouble with its files, as errors it hears."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from hotsync.agent.here import Here
from hotsync.errors import Busy, EpochReleased, HotSyncError, NoSpace, PeerBusy, PeerRefused, ReplicaError, StaleEpoch
from hotsync.model.identity import Role
from hotsync.system.paths import Paths
from hotsync.transport.messages import Open


def trouble_here(error: OSError, paths: Paths, needed: int = 0) -> HotSyncError:
    """Given what went wrong with a file of this server, return the error that the peer should hear of it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(needed=needed, free=shutil.disk_usage(paths.state).free)
    return ReplicaError(reason=f"{error.strerror} ({error.filename or 'a file of HotSync'})")


@contextmanager
def taken() -> Iterator[None]:
    """Turn "another command works on the replica" into what it means to the peer."""
    try:
        yield
    except Busy as error:
        raise PeerBusy(reason=f"its {error.facts.get('what')} by another command has not ended") from error


def role_word(here: Here) -> Literal["master", "slave"]:
    """Return our role as messages have it."""
    return "master" if here.role is Role.MASTER else "slave"


def check_role(here: Here, first: Open) -> None:
    """Raise StaleEpoch, EpochReleased or PeerRefused if this server, as it is now, must not serve that peer."""
    record = here.record
    if not here.settings.enabled:
        raise PeerRefused(reason="HotSync is disabled there", hint="config setprop hotsync status enabled, there.")
    if here.role is Role.NONE:
        raise PeerRefused(
            reason="it is neither MASTER nor SLAVE yet",
            hint="Set role and addresses there, then signal-event nethserver-hotsync-save.",
        )
    if first.role == "master" and (record.claim is not None or record.highest_epoch > first.epoch):
        if record.has_released:
            raise EpochReleased(ours=first.epoch, theirs=record.released)
        raise StaleEpoch(ours=first.epoch, theirs=record.highest_epoch)
    if role_word(here) == first.role:
        raise PeerRefused(
            reason=f"both servers are {here.role.name} (epoch {first.epoch} here, {record.highest_epoch} there)",
            hint="`hotsync status` on both shows the roles; one of the two settings is wrong.",
        )
