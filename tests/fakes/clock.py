"""Clocks with which nobody waits."""

from __future__ import annotations

from hotsync.system.clock import SystemClock


class StillClock(SystemClock):
    """Shows `time` until that is set to something else."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        """Return the time that was set."""
        return self.time


class TickingClock:
    """Goes on by a second whenever it is looked at."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Return the next second."""
        self._now += 1
        return self._now

    def now_ns(self) -> int:
        """Return it in nanoseconds."""
        return int(self.now() * 10**9)

    def monotonic(self) -> float:
        """Return the next second."""
        return self.now()

    def sleep(self, seconds: float) -> None:
        """Let that time pass at once."""
        self._now += seconds
