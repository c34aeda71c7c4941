"""Which generation is meant by a number or a time."""

from __future__ import annotations

from datetime import datetime

import pytest

from hotsync.errors import UsageError
from hotsync.flows.history import number_of
from hotsync.model.generation import Generation


def at(clock: str) -> float:
    return datetime.fromisoformat(f"2026-11-22 {clock}").timestamp()


HELD = [Generation(number, "", 1, at(clock), at(clock) + 30, 0) for number, clock in ((4, "10:00"), (9, "11:30"))]


@pytest.mark.parametrize(
    ("moment", "number"),
    [("", 9), ("4", 4), ("9", 9), ("2026-11-22 11:29", 4), ("2026-11-22 11:30", 9), ("2026-11-23", 9)],
)
def test_a_number_or_a_time_names_a_generation(moment: str, number: int) -> None:
    assert number_of(HELD, moment) == number


@pytest.mark.parametrize("moment", ["5", "0", "yesterday", "2026-11-22 09:59", "-1", "²"])
def test_what_names_no_generation_is_refused(moment: str) -> None:
    with pytest.raises(UsageError):
        number_of(HELD, moment)
