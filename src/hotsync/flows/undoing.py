"""That a promotion is being undone here: said, and in the way of what must not happen meanwhile."""

from __future__ import annotations

from hotsync.errors import HotSyncError, Refused
from hotsync.state.undo import unfinished_undo
from hotsync.system.paths import Paths


def undo_sentence(paths: Paths) -> str:
    """Return what is to be said of an undo that is not finished, "" if there is none."""
    try:
        undo = unfinished_undo(paths)
    except HotSyncError:
        return "A promotion of this server is being undone, and its document cannot be read: no production starts."
    if undo is None:
        return ""
    return (
        f"The promotion of this server to epoch {undo.epoch} is being UNDONE: nothing of production runs here. "
        "Run hotsync-promote --undo: it goes on where it stopped."
    )


def refuse_if_undoing(paths: Paths) -> None:
    """Raise Refused if a promotion is being undone here."""
    if unfinished_undo(paths) is not None:
        raise Refused(
            reason="a promotion of this server is being undone",
            hint="Run hotsync-promote --undo: it goes on where it stopped. Then it can be promoted again.",
        )
