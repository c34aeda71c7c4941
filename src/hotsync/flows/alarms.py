"""Alarms that a role takes with it: what was mailed of a MASTER is nothing that its time as SLAVE has to say, and back.

One that stayed open would swallow the first mail of the next trouble, or call it one that goes on.
"""

from __future__ import annotations

from hotsync.model.identity import Role
from hotsync.report import letters
from hotsync.state.alerts import AlertBook
from hotsync.state.store import load_role
from hotsync.system.paths import Paths

_MASTERS = (letters.SYNC, letters.SWITCHOVER)
_SLAVES = (letters.SILENCE, letters.STALE, letters.READINESS, letters.FENCES, letters.DRILL)


def forget(book: AlertBook, *matters: str) -> None:
    """Forget what was mailed of these matters; the next mail of one of them is a first one."""
    for matter in matters:
        if book.get(matter) is not None:
            book.set(matter, None)


def forget_of_other_role(paths: Paths, book: AlertBook | None = None) -> None:
    """Forget what was mailed while this server had another role than it has now; raise ConfigError."""
    match load_role(paths).role:
        case Role.MASTER:
            forget(book or AlertBook(paths), *_SLAVES)
        case Role.SLAVE:
            forget(book or AlertBook(paths), *_MASTERS)
        case Role.NONE:
            pass
