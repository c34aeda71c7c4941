"""The SLAVE's own alarm when its MASTER is quiet, or beats without sending: what counts is what the SLAVE sees."""

from __future__ import annotations

from hotsync.config.schema import Settings
from hotsync.engine.status import holdings
from hotsync.flows.notify import addressee_of, tell
from hotsync.model.alerts import Occasion
from hotsync.model.generation import Generation, data_moment
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.report.letters import SILENCE, STALE, Trouble, trouble_of_old_data, trouble_of_silence
from hotsync.state.alerts import AlertBook
from hotsync.system.paths import Paths
from hotsync.transport.presence import Presence


def is_quiet(last: float, listening_since: float, now: float, minutes: int) -> bool:
    """Given when something last came and since when we listen, return whether it has not come for too long."""
    return now - max(last, listening_since) > minutes * 60


def watch(
    paths: Paths,
    settings: Settings,
    role: RoleRecord,
    peer: Peer,
    presence: Presence,
    listening_since: float,
    now: float,
    book: AlertBook | None = None,
) -> Occasion | None:
    """Given what is known of the MASTER, write the mail that is due, if any; return its occasion."""
    if role.role is not Role.SLAVE or role.claim is not None:
        return None
    book = book or AlertBook(paths)
    newest = holdings(paths, Role.SLAVE)
    who = addressee_of(settings, Role.SLAVE)
    silence = _silence(settings, peer, presence, newest, listening_since, now)
    if silence is not None:
        return tell(book, who, SILENCE, silence, now)  # that data gets old follows from it
    told = None
    if presence.connected or _is_news(book, SILENCE, presence.last_seen):
        told = tell(book, who, SILENCE, None, now)
    old = _old_data(settings, peer, presence, newest, listening_since, now)
    if old is not None or (newest is not None and _is_news(book, STALE, newest.confirmed_at)):
        told = tell(book, who, STALE, old, now) or told
    return told


def _silence(
    settings: Settings, peer: Peer, presence: Presence, newest: Generation | None, listening_since: float, now: float
) -> Trouble | None:
    if presence.connected or not is_quiet(presence.last_seen, listening_since, now, settings.quiet_minutes):
        return None
    moment = data_moment(newest, presence.clock_difference) if newest else 0.0
    return trouble_of_silence(peer.name, presence.last_seen, moment)


def _old_data(
    settings: Settings, peer: Peer, presence: Presence, newest: Generation | None, listening_since: float, now: float
) -> Trouble | None:
    """Return what to tell of data that gets old; before the first generation there is none, however long it takes."""
    if newest is None:
        return None
    minutes = settings.data_minutes(presence.interval_minutes)
    if not is_quiet(newest.confirmed_at, listening_since, now, minutes):
        return None
    return trouble_of_old_data(peer.name, newest.confirmed_at, data_moment(newest, presence.clock_difference))


def _is_news(book: AlertBook, about: str, last: float) -> bool:
    """Return whether something came since the alarm: a restart of the daemon alone is no sign of life."""
    known = book.get(about)
    return known is not None and last > known.since
