"""The list of generations, read without the replica's lock, for whoever only shows it."""

from __future__ import annotations

from pathlib import Path

from hotsync.manifest.store import Manifest
from hotsync.model.generation import Generation
from hotsync.replica.ledger import Ledger


def read_generations(manifest: Path) -> list[Generation]:
    """Given a SLAVE's manifest, return the generations that are held, oldest first."""
    with Manifest(manifest) as opened:
        ledger = Ledger(opened)
        try:
            return ledger.generations()
        finally:
            ledger.close()
