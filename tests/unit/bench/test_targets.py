"""The benchmark says itself whether the promises were kept."""

from __future__ import annotations

import pytest

from bench.stand import Measured
from bench.sync import NOTHING, Row, promises, text_of
from bench.targets import FULL_SIZE, targets


def measured(wall: float, cpu: float, wire: int) -> Measured:
    return Measured(wall, cpu, 0.0, wire, 1, ())


ORIGINAL = measured(8.0, 8.0, 11_000_000)


@pytest.mark.parametrize(
    ("ours", "kept"),
    [
        (measured(4.0, 2.0, 99_999), [True, True, True]),
        (measured(4.1, 2.0, 99_999), [False, True, True]),
        (measured(4.0, 2.1, 99_999), [True, False, True]),
        (measured(4.0, 2.0, 100_000), [True, True, False]),
    ],
)
def test_each_promise_is_held_against_its_own_figure(ours: Measured, kept: list[bool]) -> None:
    assert [target.kept for target in targets(ORIGINAL, ours)] == kept


def test_a_missed_promise_is_named_below_the_table() -> None:
    rows = [Row(NOTHING, "original", ORIGINAL), Row(NOTHING, "HotSync", measured(2.0, 4.0, 3500))]
    text = text_of("title", rows, promises(rows, FULL_SIZE))
    assert "at least 4 times less CPU over both ends: 2.00 times, MISSED" in text
    assert "at least 2 times faster: 4.00 times, kept" in text


def test_a_small_tree_promises_nothing() -> None:
    rows = [Row(NOTHING, "original", ORIGINAL), Row(NOTHING, "HotSync", ORIGINAL)]
    assert promises(rows, FULL_SIZE - 1) == ()
    assert promises(rows[:0], FULL_SIZE) == ()
