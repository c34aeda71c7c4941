"""Of when the data of each database server is that a promotion brings."""

from __future__ import annotations

from dataclasses import replace

from hotsync.model.data_age import ServerAge, ages_of_dumps, given_up, taken_over, with_standbys
from hotsync.model.generation import DatasetPoint, Generation
from hotsync.model.standby import StandbyShown

NAME = "postgresql/15-main"
DUMPED = ServerAge(NAME, 1000.0)
GOOD = StandbyShown(NAME, as_of=1300.0, lag=2.0, position="0/3000", holds_dump=True)


def expected(shown: StandbyShown, difference: float = 0.0) -> ServerAge:
    (age,) = with_standbys([DUMPED], [shown], difference)
    return age


def test_a_dumped_server_is_as_old_as_its_oldest_database_by_this_servers_clock() -> None:
    points = (
        DatasetPoint(f"{NAME}/a", 1100.0),
        DatasetPoint(f"{NAME}/b", 1050.0, stale_since=1050.0, note="it was locked"),
        DatasetPoint(f"{NAME}/c", 1060.0, stale_since=1060.0, note="it is damaged"),
        DatasetPoint("mariadb/default/x", 1090.0),
        DatasetPoint("shadows", 1.0),
    )
    ages = ages_of_dumps(Generation(7, "", 0, 0.0, 0.0, 0.0, datasets=points), 50.0)
    assert ages == (ServerAge(NAME, 1000.0, said="it was locked; it is damaged"), ServerAge("mariadb/default", 1040.0))
    assert [age.moment for age in ages] == [1000.0, 1040.0]


def test_a_standby_that_holds_the_dump_counts_and_no_other_server_changes() -> None:
    other = ServerAge("mariadb/default", 900.0)
    ages = with_standbys([DUMPED, other], [GOOD], 100.0)
    assert ages == (ServerAge(NAME, 1000.0, streamed=True, as_of=1200.0, position="0/3000"), other)


def test_the_last_change_is_a_moment_at_which_it_surely_had_everything() -> None:
    age = expected(replace(GOOD, exact=False))
    assert (age.moment, age.exact) == (1300.0, False)
    # it has all of the dump, however old the last change is, or if nobody knows of one
    for as_of in (0.0, 10.0):
        age = expected(replace(GOOD, as_of=as_of))
        assert (age.moment, age.exact) == (1000.0, False)


def test_a_standby_that_does_not_answer_or_lacks_something_is_said() -> None:
    silent = expected(replace(GOOD, answers=False))
    assert (silent.streamed, silent.moment) == (True, 0.0)
    assert "does not answer now" in silent.said
    behind = expected(replace(GOOD, holds_dump=False, fault="a row is there twice"))
    assert (behind.streamed, behind.moment) == (False, 1000.0)
    assert "lacks what this dump holds (a row is there twice): the dump is loaded" in behind.said


def test_what_became_of_it_replaces_what_was_said_before() -> None:
    done = taken_over(replace(DUMPED, said="old"), GOOD, 0.0)
    assert done == ServerAge(NAME, 1000.0, streamed=True, as_of=1300.0, position="0/3000")
    assert given_up(done, "it is behind") == ServerAge(NAME, 1000.0, said="its standby was given up: it is behind")
