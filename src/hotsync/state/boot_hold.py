"""That this boot, in the middle of a promotion, came up without production's addresses: of this boot only, in /run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from hotsync.errors import ConfigError
from hotsync.state.document import Document
from hotsync.system import files
from hotsync.system.paths import Paths


@dataclass(frozen=True, slots=True)
class BootHold:
    """The epoch of the promotion, and why its addresses were not taken, in words."""

    epoch: int
    why: str


_HOLD = Document(TypeAdapter(BootHold), "promotion")


def boot_hold_path(paths: Paths) -> Path:
    """Return where it lies."""
    return paths.run / "promotion-held.json"


def load_boot_hold(paths: Paths, epoch: int | None) -> BootHold | None:
    """Return why this boot did not take the addresses of the promotion to this epoch, None if it did."""
    try:
        hold = _HOLD.load(boot_hold_path(paths))
    except (ConfigError, OSError):
        return None if epoch is None else BootHold(epoch, "why that is, cannot be read")
    return hold if hold is not None and hold.epoch == epoch else None


def save_boot_hold(paths: Paths, hold: BootHold) -> None:
    """Write it down; raise OSError."""
    paths.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    _HOLD.save(boot_hold_path(paths), hold)


def drop_boot_hold(paths: Paths) -> None:
    """The network is set up again; nothing happens if it was never held."""
    files.forget(boot_hold_path(paths))


def sentence_of(hold: BootHold) -> str:
    """Return what is to be said of it wherever somebody looks at this server."""
    return (
        f"It booted without production's addresses, with those that it had before the promotion: {hold.why}. Make sure "
        "that nothing else serves production; then hotsync-promote fences, takes the addresses and goes on, or "
        "hotsync-promote --undo gives the promotion up."
    )
