"""For how long a cgroup may be paused before systemd takes a service of which it expects signs of life for dead."""

from __future__ import annotations

import math
import re
from pathlib import Path

from hotsync.errors import CommandFailed
from hotsync.sources.frozen.cgroups import pids_in
from hotsync.system import command

_TOLD = re.compile(rb"(?:^|\0)WATCHDOG_USEC=([0-9]+)(?:\0|$)")
_SPAN = re.compile(r"([0-9.]+)(us|ms|s|min|h|d|w|month|y)")
_SECONDS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "month": 2629800.0,
    "y": 31557600.0,
}  # fmt: skip
_PART = 4
"""A service says that it lives twice in its watchdog's time; a pause may last a part of what is left of that."""


def patience_within(place: Path, proc: Path) -> float:
    """Return for how many seconds at most a cgroup may be paused, by what its processes were told; raise OSError."""
    return min((_told(proc / pid) for pid in pids_in(place)), default=math.inf)


def patience_of(unit: str) -> float:
    """Return for how many seconds at most what says for a unit that it lives may be paused, by systemd's word.

    A container says it through its engine, and is told nothing of the time.
    """
    try:
        span = command.run(["systemctl", "show", "--property=WatchdogUSec", "--", unit]).text
    except CommandFailed:
        return math.inf  # systemd does not know it: it expects nothing of it
    return span_seconds(span) / _PART or math.inf


def span_seconds(text: str) -> float:
    """Given a time as systemd shows it (`1min 30s`), return its seconds; 0 for none."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(text))


def _told(process: Path) -> float:
    try:
        found = _TOLD.search((process / "environ").read_bytes())
    except OSError:
        found = None
    return int(found[1]) / 1e6 / _PART if found else math.inf
