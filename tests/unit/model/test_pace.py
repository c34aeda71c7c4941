"""When a database server need not be dumped in a run."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.model.pace import may_rest, watch_pause

HOUR = 3600.0


@pytest.mark.parametrize(
    ("followed", "age", "every", "rests"),
    [
        (True, 900.0, HOUR, True),
        (False, 900.0, HOUR, False),
        (True, HOUR, HOUR, False),
        (True, HOUR - 5, HOUR, False),
        (True, HOUR - 600, HOUR, True),
        (True, 0.0, HOUR, True),
        (True, 900.0, 0.0, False),
        (True, 0.0, 0.0, False),
        (True, -1.0, HOUR, False),
        (True, inf, HOUR, False),
        (True, nan, HOUR, False),
    ],
)
def test_only_a_server_that_is_followed_keeps_a_dump_that_is_young_enough(
    followed: bool, age: float, every: float, rests: bool
) -> None:
    assert may_rest(followed=followed, age=age, every=every) is rests


@pytest.mark.parametrize(
    ("every", "took", "pause"),
    [
        (60, 0.5, 60),
        (60, 3.0, 60),
        (60, 13.0, 50),  # what it tells is old when it tells it: the next one comes earlier
        (60, 40.0, 80),  # and yet it rests for as long as it works
        (5, 0.1, 5),
    ],
)
def test_a_look_that_takes_long_is_followed_earlier_but_rests_as_long_as_it_worked(
    every: float, took: float, pause: float
) -> None:
    assert watch_pause(every, took) == pause


@given(st.floats(1, 3600), st.floats(0, 20))
def test_what_is_known_is_never_much_older_than_was_asked_for(every: float, took: float) -> None:
    pause = watch_pause(every, took)
    if pause > 2 * took:
        assert pause + took <= every + 3 + 1e-6 or took <= 3
