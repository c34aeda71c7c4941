"""The changes that leave a run because the SLAVE cannot store them: all names of a file together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hotsync.errors import ReplicaError
from hotsync.model.entry import Change, Entry, Kind
from hotsync.model.readable import readable
from hotsync.model.unstored import Meant, Unstored

MANY = 1000


class LeftOut:
    """Given what could not be stored, says of each change why it leaves; ask in the order of a changeset.

    Raise ReplicaError if that means no change of this run, or most of them: then it is not a matter of these paths.
    """

    def __init__(self, words: Sequence[Unstored], changes: Iterable[Change]) -> None:
        self._meant = Meant(words)
        self._groups: dict[tuple[int, int], str] = {}
        count = 0
        for change in changes if words else ():
            count += 1
            if change.entry is None:
                continue
            reason = self._meant.reason(change.path)
            if reason is not None and (group := _group(change.entry)) is not None:
                self._groups.setdefault(group, reason)
        for word in self._meant.unknown:
            said = f"{readable(word.paths[0])!r}: {word.reason}"
            raise ReplicaError(reason=f"the SLAVE could not store what was sent: {said}")
        if len(words) > MANY and len(words) > count / 2:
            raise ReplicaError(
                reason=f"the SLAVE could not store {len(words)} of the {count} paths of this run; of the first one,"
                f" {readable(words[0].paths[0])!r}: {words[0].reason}",
                hint="Its file system must take ACLs, extended attributes and large files, as the MASTER's does.",
            )
        self._meant = Meant(words)

    def reason(self, change: Change) -> str | None:
        """Given the next change, return why it leaves, None if it stays."""
        if change.entry is None:
            return None
        group = _group(change.entry)
        # asked in any case: it must meet all paths
        return self._meant.reason(change.path) or (self._groups.get(group) if group is not None else None)


def _group(entry: Entry) -> tuple[int, int] | None:
    if entry.links < 2 or entry.kind is Kind.DIRECTORY:
        return None
    return entry.device, entry.inode
