"""Which standbys a promotion has taken over, so that one that was cut knows it; what cannot be read was not."""

from __future__ import annotations

from pydantic import TypeAdapter

from hotsync.state.by_name import ByName
from hotsync.system.paths import Paths

_TAKEN_OVER = ByName("taken_over", TypeAdapter(dict[str, int]))


def taken_over_at(paths: Paths, name: str) -> int:
    """Given a dataset, return the epoch of the promotion that took its standby over (0: none)."""
    return _TAKEN_OVER.load(paths.streamed).get(name, 0)


def note_taken_over(paths: Paths, name: str, epoch: int) -> None:
    """Note durably that the promotion to this epoch takes the standby of a dataset over."""
    _TAKEN_OVER.note(paths.streamed, name, epoch)
