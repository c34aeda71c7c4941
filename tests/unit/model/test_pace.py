"""When a database server need not be dumped in a run."""

from __future__ import annotations

from math import inf, nan

import pytest

from hotsync.model.pace import may_rest

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
