"""How daemons go round, and how they end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from hotsync.agent.rounds import go_round

LONG = 20.0


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ended(*, cut: bool, long: float) -> tuple[float, bool]:
    """Return how long a look went on that was told to end after a moment, and whether it came to its own end."""
    whole = False

    def look() -> None:
        nonlocal whole
        until = time.monotonic() + long
        while time.monotonic() < until:
            time.sleep(0.01)
        whole = True

    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    began = time.monotonic()
    go_round(look, 60, cut=cut)
    timer.join()
    return time.monotonic() - began, whole


def test_a_look_that_changes_nothing_keeps_no_stop_and_no_shutdown_waiting() -> None:
    took, whole = ended(cut=True, long=LONG)
    assert took < LONG / 2
    assert not whole


def test_any_other_look_comes_to_its_end() -> None:
    assert ended(cut=False, long=0.5)[1]


def test_a_signal_between_two_looks_ends_the_pause() -> None:
    took, whole = ended(cut=True, long=0.0)
    assert took < LONG
    assert whole
