"""That the newest generation here was made of an older one: written down before it is made, so that nobody who comes
later takes it for the MASTER's newest."""

from __future__ import annotations

from pydantic import TypeAdapter

from hotsync.model.promotion import Back
from hotsync.state.document import Document
from hotsync.system import files
from hotsync.system.paths import Paths

_BACK = Document(TypeAdapter(Back), "promotion")


def load_back(paths: Paths) -> Back | None:
    """Return what was written down last, also if others have come since; raise ConfigError if it cannot be read."""
    return _BACK.load(paths.back_file)


def save_back(paths: Paths, back: Back) -> None:
    """Write it down, durably."""
    _BACK.save(paths.back_file, back)


def forget_back(paths: Paths) -> None:
    """The newest generation is the MASTER's again."""
    files.forget(paths.back_file)
