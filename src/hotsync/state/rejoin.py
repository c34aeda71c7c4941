"""The document of a rejoin: what it fixed, and what its journal proves. Whole or not at all, synced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.model.plan import StepRecord
from hotsync.model.rejoin import Rejoin
from hotsync.state.document import Document
from hotsync.system import files
from hotsync.system.paths import Paths

_REJOIN = Document(TypeAdapter(Rejoin), "rejoin")


def document_path(paths: Paths) -> Path:
    """Return where the document lies."""
    return paths.state / "rejoin.json"


def load_rejoin(paths: Paths) -> Rejoin | None:
    """Return the last rejoin of this server, or None; raise ConfigError if it cannot be read."""
    return _REJOIN.load(document_path(paths))


def unfinished_rejoin(paths: Paths) -> Rejoin | None:
    """Return the rejoin that waits for being continued, or None."""
    rejoin = load_rejoin(paths)
    return None if rejoin is None or rejoin.finished_at else rejoin


def save_rejoin(paths: Paths, rejoin: Rejoin) -> None:
    """Make this the rejoin on disk, durably."""
    _REJOIN.save(document_path(paths), rejoin)


def add_record(paths: Paths, record: StepRecord) -> None:
    """Add the outcome of a step to the journal; nothing happens while there is no document."""
    if rejoin := load_rejoin(paths):
        save_rejoin(paths, replace(rejoin, records=(*rejoin.records, record)))


def is_moving(paths: Paths) -> bool:
    """Return whether a rejoin has begun to move this server's data, and is not finished."""
    rejoin = unfinished_rejoin(paths)
    return rejoin is not None and rejoin.is_moving


def drop_rejoin(paths: Paths) -> None:
    """Forget a rejoin; nothing happens if there is none."""
    files.forget(document_path(paths))


def add_note(paths: Paths, note: str) -> None:
    """Keep a sentence for the report, once."""
    rejoin = load_rejoin(paths)
    if rejoin is not None and note not in rejoin.notes:
        save_rejoin(paths, replace(rejoin, notes=(*rejoin.notes, note)))


def set_copied(paths: Paths, path: str) -> None:
    """Remember that the copy of a part is complete."""
    rejoin = load_rejoin(paths)
    if rejoin is not None and path not in rejoin.copied:
        save_rejoin(paths, replace(rejoin, copied=(*rejoin.copied, path)))
