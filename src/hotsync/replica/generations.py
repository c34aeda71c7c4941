"""The list of generations, read without the replica's lock, for whoever only shows it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from hotsync.errors import ManifestDamaged, ReplicaError
from hotsync.manifest.store import Manifest
from hotsync.model.generation import Generation
from hotsync.replica.ledger import Ledger, generations_in


def read_generations(manifest: Path) -> list[Generation]:
    """Given a SLAVE's manifest, return the generations that are held, oldest first; also on a disk that is full."""
    try:
        with Manifest(manifest) as opened:
            ledger = Ledger(opened)
            try:
                return ledger.generations()
            finally:
                ledger.close()
    except ManifestDamaged:
        raise
    except (ReplicaError, sqlite3.OperationalError):
        # SQLite finds no room for the files that it makes beside this one: if they hold nothing, this is all there is
        log = manifest.with_name(f"{manifest.name}-wal")
        if log.exists() and log.stat().st_size:
            raise
        with closing(sqlite3.connect(f"{manifest.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            return generations_in(db)
