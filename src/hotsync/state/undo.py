"""The document of an undo: written before anything is given up, so that a boot in the middle starts no production."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.errors import ConfigError
from hotsync.model.plan import StepRecord
from hotsync.model.undo import Undo
from hotsync.state.document import Document
from hotsync.system.paths import Paths

_UNDO = Document(TypeAdapter(Undo), "undo")


def load_undo(paths: Paths) -> Undo | None:
    """Return the last undo of this server, None if there was none; raise ConfigError if it cannot be read."""
    return _UNDO.load(paths.undo_file)


def unfinished_undo(paths: Paths) -> Undo | None:
    """Return the undo that waits for being continued, None if there is none."""
    undo = load_undo(paths)
    return None if undo is None or undo.finished_at else undo


def is_undoing(paths: Paths) -> bool:
    """Return whether an undo is under way; one that cannot be read is."""
    try:
        return unfinished_undo(paths) is not None
    except ConfigError:
        return True


def save_undo(paths: Paths, undo: Undo) -> None:
    """Make this the undo on disk, durably."""
    _UNDO.save(paths.undo_file, undo)


def add_undo_record(paths: Paths, record: StepRecord) -> None:
    """Add the outcome of a step to the journal; nothing happens while there is no document."""
    if undo := load_undo(paths):
        save_undo(paths, replace(undo, records=(*undo.records, record)))


def add_undo_note(paths: Paths, note: str) -> None:
    """Keep a sentence for the report, once."""
    undo = load_undo(paths)
    if undo is not None and note not in undo.notes:
        save_undo(paths, replace(undo, notes=(*undo.notes, note)))


def kept_folder(paths: Paths, epoch: int) -> Path:
    """Return where what production had written since the promotion to this epoch is kept."""
    return paths.undone / str(epoch)
