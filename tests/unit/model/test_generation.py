from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.model.generation import (
    DatasetPoint,
    Generation,
    Retention,
    data_moment,
    database_moment,
    dump_moments,
    floor,
    to_forget,
)

DAY = 86400.0
NOW = 1_800_000_000.0
ages = st.lists(st.floats(0, 60 * DAY), max_size=60, unique=True)


def held(some: list[float]) -> list[tuple[int, float]]:
    return [(number, NOW - age) for number, age in enumerate(sorted(some, reverse=True), start=1)]


@given(ages)
def test_the_floor_is_never_forgotten(some: list[float]) -> None:
    generations = held(some)
    assert not set(to_forget(generations, NOW, Retention())) & floor(generations, NOW, Retention())


@given(ages)
def test_the_newest_always_stays(some: list[float]) -> None:
    generations = held(some)
    if generations:
        assert generations[-1][0] not in to_forget(generations, NOW, Retention())


@given(ages)
def test_forgetting_again_forgets_nothing_more(some: list[float]) -> None:
    generations = held(some)
    gone = set(to_forget(generations, NOW, Retention()))
    kept = [(number, moment) for number, moment in generations if number not in gone]
    assert to_forget(kept, NOW, Retention()) == []


def test_each_period_keeps_what_the_rule_says() -> None:
    every_minute = [(number, NOW - (40 * DAY) + number * 300) for number in range(int(40 * DAY / 300) + 1)]
    gone = set(to_forget(every_minute, NOW, Retention()))
    kept = [NOW - moment for number, moment in every_minute if number not in gone]
    in_two_hours = sum(age <= 2 * 3600 for age in kept)
    in_a_day = sum(2 * 3600 < age <= DAY for age in kept)
    in_three_days = sum(DAY < age <= 3 * DAY for age in kept)
    in_a_month = sum(3 * DAY < age <= 30 * DAY for age in kept)
    assert in_two_hours == 25  # all of them
    assert 88 <= in_a_day <= 90  # quarters of an hour
    assert 48 <= in_three_days <= 50
    assert 27 <= in_a_month <= 29
    assert not [age for age in kept if age > 31 * DAY]


def test_after_a_long_silence_the_last_three_are_still_there() -> None:
    old = [(number, NOW - 400 * DAY + number) for number in range(1, 10)]
    assert [number for number, _ in old if number not in to_forget(old, NOW, Retention())] == [7, 8, 9]


def daily(days: int, last: float = NOW) -> list[tuple[int, float]]:
    return [(number, last - (days - number) * DAY) for number in range(1, days + 1)]


@pytest.mark.parametrize("jump", [400 * DAY, 20 * 365 * DAY])
def test_a_clock_that_jumps_ahead_costs_two_days_of_history_at_most(jump: float) -> None:
    month = daily(30)
    assert to_forget(month, NOW, Retention()) == []
    assert to_forget(month, NOW + jump, Retention()) == [1]
    assert len(floor(month, NOW + jump, Retention())) == 6  # the floor is of seven days
    after = [*month, (31, NOW + jump)]
    assert to_forget(after, NOW + jump, Retention()) == [1]
    # the clock is right again, and what was made meanwhile bears a time to come
    back = [*after, *((31 + day, NOW + day * DAY) for day in range(1, 11))]
    assert to_forget(back, NOW + 10 * DAY, Retention()) == [*range(1, 11)]  # nine without the jump


def test_what_was_made_while_the_clock_was_ahead_goes_in_its_turn() -> None:
    ahead = [(number, NOW + 400 * DAY + number * 3600) for number in range(1, 49)]
    right = [(48 + day, NOW + day * DAY) for day in range(1, 41)]
    gone = to_forget([*ahead, *right], NOW + 40 * DAY, Retention())
    assert {number for number, _ in ahead} <= {*gone}


def test_a_clock_that_jumps_back_forgets_nothing() -> None:
    assert to_forget(daily(30), NOW - 10 * 365 * DAY, Retention()) == []


def test_days_on_which_nothing_was_made_count_up_to_two_in_a_row() -> None:
    weekly = [(number, NOW - (60 - number) * 7 * DAY) for number in range(1, 61)]
    kept = {number for number, _ in weekly} - {*to_forget(weekly, NOW, Retention())}
    assert kept == {*range(45, 61)}


def test_the_data_of_a_generation_is_as_old_as_its_collection_by_our_clock() -> None:
    ahead = 100.0  # the MASTER's clock
    fresh = Generation(1, "", 0, collected_at=1000.0 + ahead, committed_at=1600.0, confirmed_at=1600.0)
    assert data_moment(fresh, ahead) == 1000.0
    assert data_moment(replace(fresh, confirmed_at=2500.0), ahead) == 1900.0


def test_a_generations_databases_are_as_old_as_the_oldest_of_them() -> None:
    generation = Generation(1, "d", 0, 1000.0, 1010.0, 1010.0)
    assert database_moment(generation) == (0.0, 0)
    points = (
        DatasetPoint("facts", 5.0),
        DatasetPoint("mariadb/default", 1001.0),
        DatasetPoint("postgresql/15-main/d", 700.0, 700.0, "locked"),
        DatasetPoint("postgresql/15-main/new", 0.0, 1000.0, "never collected"),
    )
    assert database_moment(replace(generation, datasets=points)) == (700.0, 2)
    assert database_moment(replace(generation, datasets=points), {"postgresql/15-main"}) == (1001.0, 0)
    assert dump_moments(replace(generation, datasets=points)) == {
        "mariadb/default": 1001.0,
        "postgresql/15-main": 700.0,
    }
