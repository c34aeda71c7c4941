"""What is mailed again each day: that this server is held, or a promotion of it unfinished; perhaps nobody serves.

What began it told once; hotsync-reminders.timer looks each hour. Where it is over and nobody said so (a boot found that
this server may serve, a command was ended), that is made up for.
"""

from __future__ import annotations

from hotsync.config.schema import Settings
from hotsync.flows.alarms import forget, forget_of_other_role
from hotsync.flows.hold import tell_that_it_serves, trouble_of
from hotsync.flows.notify import addressee_of, remind
from hotsync.flows.promote import unfinished_sentence
from hotsync.flows.promote_notice import interrupted
from hotsync.flows.promote_unit import is_running
from hotsync.model.hold import Hold
from hotsync.model.identity import Role
from hotsync.report.letters import EXCHANGE, HELD_BY_WAY, PROMOTION
from hotsync.state.alerts import AlertBook
from hotsync.state.hold import held, load_hold
from hotsync.state.settings import read_settings
from hotsync.state.store import load_role
from hotsync.state.undo import is_undoing
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


def look(paths: Paths, clock: Clock, book: AlertBook | None = None) -> None:
    """Write the reminders that are due, and close what is over; raise HotSyncError or OSError."""
    book = book or AlertBook(paths)
    settings, _ = read_settings(paths)
    forget_of_other_role(paths, book)
    hold = held(paths)
    if hold is not None:
        _remind_of_hold(settings, hold, clock.now(), book)
    elif load_hold(paths) is None and load_role(paths).role is Role.MASTER:
        _close_hold(paths, clock, book)
    if book.is_open(PROMOTION):
        _remind_of_promotion(paths, settings, clock, book)


def _remind_of_hold(settings: Settings, hold: Hold, now: float, book: AlertBook) -> None:
    """By the relay only: what held this server stopped its own mail server."""
    _, by_relay = HELD_BY_WAY
    if hold.planned or not book.is_open(by_relay):
        return
    remind(book, addressee_of(settings, Role.SLAVE), by_relay, trouble_of(hold), now)


def _close_hold(paths: Paths, clock: Clock, book: AlertBook) -> None:
    """A boot that found nobody else lets this server serve, before there is a network by which it could say so."""
    forget(book, EXCHANGE)
    if any(book.is_open(about) for about in HELD_BY_WAY):
        tell_that_it_serves(paths, clock, book)


def _remind_of_promotion(paths: Paths, settings: Settings, clock: Clock, book: AlertBook) -> None:
    if is_running():
        return  # its end says how it went
    sentence = unfinished_sentence(paths)
    if not sentence:
        forget(book, PROMOTION)
        return
    who = addressee_of(settings, load_role(paths).role)
    remind(book, who, PROMOTION, interrupted(sentence, undoes=is_undoing(paths)), clock.now())
