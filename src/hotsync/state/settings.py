"""The settings of this host, read from its configuration database."""

from __future__ import annotations

from hotsync.config.schema import KEYS, Fault, Settings, raise_if_any
from hotsync.config.schema import read_settings as parse_settings
from hotsync.state.configdb import configuration
from hotsync.system.paths import Paths


def read_settings(paths: Paths) -> tuple[Settings, tuple[Fault, ...]]:
    """Return the settings of this host and every fault in them; a prop at fault has its default."""
    records = configuration(paths).props(KEYS)
    settings, faults = parse_settings(records)
    missing = tuple(
        Fault(key, "", "this record is missing", "Create it: /usr/lib/hotsync/bin/hotsync-records")
        for key in KEYS
        if key not in records
    )
    return settings, missing + faults


def load_settings(paths: Paths) -> Settings:
    """Return the settings of this host; raise ConfigError with every fault."""
    settings, faults = read_settings(paths)
    raise_if_any(faults)
    return settings
