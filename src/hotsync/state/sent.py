"""On the MASTER: what it last sent, so that status can tell without asking the SLAVE."""

from __future__ import annotations

import json
from dataclasses import asdict

from hotsync.model.generation import DatasetPoint, Generation
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

SCHEMA = 1


def load_sent(paths: Paths) -> Generation | None:
    """Return the newest generation that the SLAVE confirmed, or None; damage counts as none."""
    try:
        document = json.loads((paths.state / "sent.json").read_bytes())
        if document.pop("schema") != SCHEMA:
            return None
        document["datasets"] = tuple(DatasetPoint(**point) for point in document["datasets"])
        return Generation(**document)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_sent(paths: Paths, generation: Generation) -> None:
    """Remember the newest generation."""
    document = {"schema": SCHEMA, **asdict(generation)}
    write_atomic(paths.state / "sent.json", json.dumps(document).encode(), mode=0o600)
