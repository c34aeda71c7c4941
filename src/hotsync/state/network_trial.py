"""The document of a promotion's network files on trial."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from hotsync.model.network.trial import NetworkTrial
from hotsync.state.document import Document
from hotsync.system import files
from hotsync.system.paths import Paths

_TRIAL = Document(TypeAdapter(NetworkTrial), "promotion")


def trial_path(paths: Paths) -> Path:
    """Return where the document lies."""
    return paths.state / "network-trial.json"


def load_trial(paths: Paths, epoch: int) -> NetworkTrial | None:
    """Return the trial of the promotion to this epoch, or None; raise ConfigError if it cannot be read."""
    trial = _TRIAL.load(trial_path(paths))
    return trial if trial is not None and trial.epoch == epoch else None


def save_trial(paths: Paths, trial: NetworkTrial) -> None:
    """Make this the trial on disk, durably."""
    _TRIAL.save(trial_path(paths), trial)


def drop_trial(paths: Paths) -> None:
    """Nothing is on trial; nothing happens if nothing was."""
    files.forget(trial_path(paths))
