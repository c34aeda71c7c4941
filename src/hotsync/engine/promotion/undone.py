"""What going back to an older generation undoes: what the MASTER did between that one and the newest."""

from __future__ import annotations

from collections.abc import Iterable

from hotsync.model.entry import Entry, Kind
from hotsync.model.generation import Generation
from hotsync.model.loss import Fate, LossStatement, Tally
from hotsync.model.nesting import lies_in
from hotsync.model.promotion import OURS
from hotsync.replica.history import Change
from hotsync.replica.store import Replica

_FATES = {
    Change.ADDED: Fate.NEW,
    Change.REMOVED: Fate.DELETED,
    Change.CONTENT: Fate.CHANGED,
    Change.ATTRIBUTES: Fate.CHANGED,
    Change.TYPE: Fate.CHANGED,
}


def undone_by(replica: Replica, wanted: Generation, newest: Generation, mail_folders: Iterable[str]) -> LossStatement:
    """Given an older generation and the newest, return what a promotion of the older one loses of the newest.

    It is a statement against the older one, known until the newest was collected; its digest is that of the newest.
    Raise ReplicaError if one of them is not held.
    """
    tally = Tally(tuple(mail_folders))
    for found in replica.diff(wanted.number, newest.number):
        # what HotSync keeps for itself says nothing of the server's own: of databases their moments are told
        if lies_in(found.path, OURS):
            continue
        entry = found.after
        moment = entry.ctime_ns / 1e9 if entry is not None else 0.0
        tally.add(found.path, _FATES[found.change], _size(entry), moment, folder=_is_folder(entry or found.before))
    return tally.statement(wanted.number, newest.digest, newest.collected_at)


def _size(entry: Entry | None) -> int:
    return entry.size if entry is not None and entry.kind is Kind.FILE else 0


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is Kind.DIRECTORY
