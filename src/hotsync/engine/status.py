"""Reads for `hotsync status` what other rooms hold: the newest generation, the next run of a timer."""

from __future__ import annotations

import json
import sqlite3

from hotsync.errors import HotSyncError
from hotsync.model.generation import Generation
from hotsync.model.identity import Role
from hotsync.replica.generations import read_generations
from hotsync.state.sent import load_sent
from hotsync.system import command
from hotsync.system.paths import Paths


def holdings(paths: Paths, role: Role) -> Generation | None:
    """Return the newest generation: on a SLAVE what it holds, on a MASTER what it last sent."""
    if role is Role.MASTER:
        return load_sent(paths)
    if not paths.manifest.exists():
        return None
    try:
        held = read_generations(paths.manifest)
    except (sqlite3.Error, HotSyncError, OSError):
        return None
    return held[-1] if held else None


def next_run(timer: str) -> float:
    """Given a timer's name without its ending, return when it elapses next (0: it does not run)."""
    shown = command.run(["systemctl", "list-timers", "--output=json", f"{timer}.timer"], ok=range(256)).text
    try:
        return float(json.loads(shown)[0]["next"]) / 1e6
    except (ValueError, LookupError, TypeError):
        return 0.0
