"""This host's replica, with the retention that the settings want."""

from __future__ import annotations

from hotsync.model.generation import Retention
from hotsync.replica.store import Replica
from hotsync.state.settings import read_settings
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths


def open_replica(paths: Paths, clock: Clock) -> Replica:
    """Return the replica of this host."""
    settings, _ = read_settings(paths)
    retention = Retention(
        settings.keep_all_hours,
        settings.keep_quarter_hours,
        settings.keep_hourly_days,
        settings.keep_daily_days,
        settings.floor_days,
        settings.floor_generations,
    )
    return Replica(paths.replica, paths.manifest, clock, retention, paths.replica_lock)
