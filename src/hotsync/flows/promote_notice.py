"""What everybody is to know of a promotion: on this server's console and at every login, and by mail."""

from __future__ import annotations

import logging
import socket

from hotsync.errors import HotSyncError, StepFailed
from hotsync.flows.alarms import forget, forget_of_other_role
from hotsync.flows.notify import RELAY_SECONDS, addressee_of, is_due, post, tell
from hotsync.model.promotion import Promotion
from hotsync.model.undo import Undo
from hotsync.report.letters import PROMOTION, UNDO, Trouble
from hotsync.report.promoted import promoted_letter, promoted_subject, undone_letter, undone_subject
from hotsync.state import store
from hotsync.state.alerts import AlertBook
from hotsync.state.promotion import unfinished_promotion
from hotsync.state.settings import read_settings
from hotsync.state.undo import is_undoing
from hotsync.system import files
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths

_log = logging.getLogger("hotsync.promote")
_PLACES = ("/run/issue.d/hotsync.issue", "/run/motd.d/hotsync")
_MEANING = "The MASTER may be down, and this server serves nothing, or not everything, until the promotion has ended."
_MEANING_OF_UNDO = (
    "Perhaps nobody serves: nothing of production runs here, and a MASTER that was superseded by this promotion serves "
    "again only when the undo has ended."
)


def announce(paths: Paths, sentence: str) -> None:
    """Show a sentence before and after every login, until the next boot; an empty one takes it away."""
    for place in _PLACES:
        path = paths.at(place)
        if not sentence:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        files.write_atomic(path, f"\nHotSync: {sentence}\n\n".encode())


def failed(error: HotSyncError, *, undoes: bool = False) -> Trouble:
    """Return what a mail says of a promotion that failed, or of its undo."""
    return _trouble(error.sentence, error.hint, error.code, undoes=undoes)


def interrupted(sentence: str, *, undoes: bool = False) -> Trouble:
    """Return what a mail says of a promotion, or its undo, in the middle of which this server came up again."""
    hint = f"Run hotsync-promote{' --undo' if undoes else ''}: it goes on where it stopped."
    return _trouble(sentence, hint, "interrupted", undoes=undoes)


def _trouble(sentence: str, hint: str, code: str, *, undoes: bool) -> Trouble:
    if hint == StepFailed.hint:  # whoever reads a mail has typed no command
        hint = f"Remove the cause, then run hotsync-promote{' --undo' if undoes else ''}: it goes on where it stopped."
    if undoes:  # another kind than the promotion's own, so that it is told though that was
        return Trouble(UNDO, sentence, hint, _MEANING_OF_UNDO, f"undo.{code}")
    return Trouble(PROMOTION, sentence, hint, _MEANING, code)


def tell_by_mail(paths: Paths, clock: Clock, trouble: Trouble) -> bool:
    """Mail what is the matter with a promotion that is unfinished.

    One that was refused changed nothing: whoever typed it reads why. Return False if a mail should be tried again: it
    is due, there is a way for it, and nobody took it.
    """
    try:
        role = store.load_role(paths)
        if unfinished_promotion(paths, role) is None and not is_undoing(paths):
            return True
        settings, _ = read_settings(paths)
        book, who, now = AlertBook(paths), addressee_of(settings, role.role, RELAY_SECONDS), clock.now()
        tell(book, who, PROMOTION, trouble, now)
        return not who.carriers or not is_due(book, PROMOTION, trouble, now)
    except (HotSyncError, OSError) as error:
        _log.warning("nobody was told by mail: %s", error)
        return False


def mail_promoted(paths: Paths, clock: Clock, promotion: Promotion) -> None:
    """Mail that this server is MASTER now, with what is left to do; a mail that nobody takes changes nothing.

    What was mailed of a step that failed on the way, and of its time as SLAVE, is over with that.
    """
    host = socket.gethostname()
    _mail_the_end(paths, clock, promoted_subject(host), promoted_letter(host, promotion))


def mail_undone(paths: Paths, clock: Clock, undo: Undo, sentence: str) -> None:
    """Mail that a promotion was given up or undone, so that this server is a SLAVE again; a mail that nobody takes
    changes nothing."""
    host = socket.gethostname()
    _mail_the_end(paths, clock, undone_subject(host), undone_letter(host, undo, sentence))


def was_told_of(paths: Paths) -> bool:
    """Return whether a mail has said that a promotion of this server is unfinished."""
    return AlertBook(paths).is_open(PROMOTION)


def _mail_the_end(paths: Paths, clock: Clock, subject: str, body: str) -> None:
    try:
        forget(AlertBook(paths), PROMOTION)
        forget_of_other_role(paths)
        settings, _ = read_settings(paths)
        post(addressee_of(settings, store.load_role(paths).role, RELAY_SECONDS), subject, body, clock.now())
    except (HotSyncError, OSError) as error:
        _log.warning("nobody was told by mail: %s", error)
