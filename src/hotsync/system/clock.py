"""Time comes in through a Clock, so that tests never sleep and never patch."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where a room gets its time from."""

    def now(self) -> float:
        """Return seconds since 1970, UTC."""
        ...

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return seconds since 1970, UTC."""
        return time.time()

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
