"""What everybody is to know of a promotion: on this server's console and at every login, and by mail."""

from __future__ import annotations

import logging
import socket

from hotsync.errors import HotSyncError
from hotsync.flows.notify import addressee_of, is_due, post, tell
from hotsync.model.promotion import Promotion
from hotsync.report.letters import Trouble
from hotsync.report.promoted import promoted_letter, promoted_subject
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
_ABOUT = "promotion of this server"
_MEANING = "The MASTER may be down, and this server serves nothing, or not everything, until the promotion has ended."


def announce(paths: Paths, sentence: str) -> None:
    """Show a sentence before and after every login, until the next boot; an empty one takes it away."""
    for place in _PLACES:
        path = paths.at(place)
        if not sentence:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        files.write_atomic(path, f"\nHotSync: {sentence}\n\n".encode())


def failed(error: HotSyncError) -> Trouble:
    """Return what a mail says of a promotion that failed."""
    return Trouble(_ABOUT, error.sentence, error.hint, _MEANING, error.code)


def interrupted(sentence: str, *, undoes: bool = False) -> Trouble:
    """Return what a mail says of a promotion, or its undo, in the middle of which this server came up again."""
    hint = f"Run hotsync-promote{' --undo' if undoes else ''}: it goes on where it stopped."
    return Trouble(_ABOUT, sentence, hint, _MEANING, "interrupted")


def tell_by_mail(paths: Paths, clock: Clock, trouble: Trouble | None) -> bool:
    """Mail what is the matter with a promotion that is unfinished, or (None) that it went on to its end after all.

    One that was refused changed nothing: whoever typed it reads why. Return False if a mail should be tried again: it
    is due, there is a way for it, and nobody took it.
    """
    try:
        role = store.load_role(paths)
        if trouble is not None and unfinished_promotion(paths, role) is None and not is_undoing(paths):
            return True
        settings, _ = read_settings(paths)
        book, who, now = AlertBook(paths), addressee_of(settings, role.role), clock.now()
        tell(book, who, _ABOUT, trouble, now)
        return not who.carriers or not is_due(book, _ABOUT, trouble, now)
    except (HotSyncError, OSError) as error:
        _log.warning("nobody was told by mail: %s", error)
        return False


def mail_promoted(paths: Paths, clock: Clock, promotion: Promotion) -> None:
    """Mail that this server is MASTER now, with what is left to do; a mail that nobody takes changes nothing."""
    try:
        settings, _ = read_settings(paths)
        who, host = addressee_of(settings, store.load_role(paths).role), socket.gethostname()
        post(who, promoted_subject(host), promoted_letter(host, promotion), clock.now())
    except (HotSyncError, OSError) as error:
        _log.warning("nobody was told by mail: %s", error)
