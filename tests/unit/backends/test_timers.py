import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.backends.timers import FIRST, render_calendar, render_interval, write_intervals
from hotsync.config.schema import Settings
from hotsync.system.paths import Paths

SHIPPED = Path(__file__).parents[3] / "systemd"


def minutes_of(expressions: list[str]) -> list[int]:
    found: list[int] = []
    for expression in expressions:
        hours, minutes, _seconds = re.fullmatch(r"\*-\*-\* (\*|[\d,]+):([\d,]+):(00)", expression).groups()  # type: ignore[union-attr]
        for hour in range(24) if hours == "*" else map(int, hours.split(",")):
            found += [hour * 60 + int(minute) for minute in minutes.split(",")]
    return sorted(found)


@given(st.integers(1, 1440), st.integers(0, 59))
def test_a_timer_fires_at_the_interval_all_day_long(every: int, first: int) -> None:
    assert minutes_of(render_calendar(every, first)) == list(range(first % every, 1440, every))


@pytest.mark.parametrize(
    ("every", "expressions"),
    [
        (15, ["*-*-* *:05,20,35,50:00"]),
        (60, ["*-*-* *:05:00"]),
        (1440, ["*-*-* 00:05:00"]),
        (720, ["*-*-* 00,12:05:00"]),
        (90, ["*-*-* 00,03,06,09,12,15,18,21:05:00", "*-*-* 01,04,07,10,13,16,19,22:35:00"]),
    ],
)
def test_common_intervals_read_as_a_person_would_write_them(every: int, expressions: list[str]) -> None:
    assert render_calendar(every, 5) == expressions


def test_no_interval_makes_a_drop_in_of_more_than_a_few_lines() -> None:
    assert max(len(render_calendar(every, 5)) for every in range(1, 1441)) <= 24


def test_the_timers_ship_with_the_default_intervals() -> None:
    settings = Settings()
    for timer, every in (
        ("hotsync.timer", settings.interval_minutes),
        ("hotsync-slave.timer", settings.slave_interval_minutes),
    ):
        lines = [f"OnCalendar={expression}" for expression in render_calendar(every, FIRST[timer])]
        assert [line for line in (SHIPPED / timer).read_text().splitlines() if line.startswith("OnCalendar")] == lines


def test_an_interval_replaces_the_one_that_the_timer_ships_with() -> None:
    assert render_interval(30, 5).splitlines()[1:] == ["[Timer]", "OnCalendar=", "OnCalendar=*-*-* *:05,35:00"]


def test_drop_ins_are_written_only_when_they_differ(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert write_intervals(paths, Settings()) == ["hotsync.timer", "hotsync-slave.timer", "hotsync-drill.timer"]
    assert write_intervals(paths, Settings()) == []
    assert write_intervals(paths, Settings(interval_minutes=5)) == ["hotsync.timer"]
    drop_in = tmp_path / "etc/systemd/system/hotsync.timer.d/interval.conf"
    assert "OnCalendar=*-*-* *:00,05,10," in drop_in.read_text()
    assert write_intervals(paths, Settings(interval_minutes=5, drill_at="23:05")) == ["hotsync-drill.timer"]
    nightly = tmp_path / "etc/systemd/system/hotsync-drill.timer.d/interval.conf"
    assert nightly.read_text().endswith("[Timer]\nOnCalendar=\nOnCalendar=*-*-* 23:05:00\n")
    assert drop_in.stat().st_mode & 0o777 == 0o644
