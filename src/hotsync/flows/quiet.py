"""The SLAVE's own alarm when its MASTER is quiet for too long: success is what the SLAVE sees, not that a job ended."""

from __future__ import annotations

from hotsync.config.schema import Settings
from hotsync.engine.status import holdings
from hotsync.flows.notify import addressee_of, tell
from hotsync.model.alerts import Occasion
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.report.letters import SILENCE, trouble_of_silence
from hotsync.state.runs import Runs
from hotsync.system.paths import Paths
from hotsync.transport.presence import Presence


def is_quiet(last_seen: float, listening_since: float, now: float, quiet_minutes: int) -> bool:
    """Given when the MASTER was last heard of and since when we listen, return whether it has been quiet too long."""
    return now - max(last_seen, listening_since) > quiet_minutes * 60


def watch(
    paths: Paths,
    settings: Settings,
    role: RoleRecord,
    peer: Peer,
    presence: Presence,
    listening_since: float,
    now: float,
) -> Occasion | None:
    """Given what is known of the MASTER, write the mail that is due, if any; return its occasion."""
    if role.role is not Role.SLAVE or role.claim is not None:
        return None
    trouble = None
    if not presence.connected and is_quiet(presence.last_seen, listening_since, now, settings.quiet_minutes):
        newest = holdings(paths, Role.SLAVE)
        trouble = trouble_of_silence(peer.name, presence.last_seen, newest.confirmed_at if newest else 0.0)
    return tell(Runs(paths.runs), addressee_of(settings, Role.SLAVE), SILENCE, trouble, now)
