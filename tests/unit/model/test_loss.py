"""What a loss statement counts and lists, and what of it still holds when generations come."""

from __future__ import annotations

import pytest

from hotsync.model import loss as rules
from hotsync.model.generation import DatasetPoint, Generation
from hotsync.model.loss import DatabaseMoment, Fate, LossStatement, Lost, Tally, against, databases_of

DIGEST, OTHER = "ab" * 32, "cd" * 32
HELD = Generation(7, DIGEST, 1, collected_at=1000.0, committed_at=1060.0, confirmed_at=1060.0)


def test_each_path_is_counted_by_what_would_become_of_it() -> None:
    tally = Tally()
    tally.add("data", Fate.CHANGED, 0, 50.0, folder=True)
    tally.add("data/a", Fate.NEW, 10, 40.0)
    tally.add("data/b", Fate.CHANGED, 5, 60.0)
    tally.add("data/c", Fate.DELETED)
    tally.add("data/d", Fate.PERHAPS, 3, 99.0)
    said = tally.statement(7, DIGEST, 100.0)
    assert (said.files, said.bytes, said.folders, said.deleted, said.perhaps) == (2, 15, 1, 1, 1)
    assert (said.newest, said.count, said.beyond) == (60.0, 5, 0)
    assert said.paths[0] == Lost("data", Fate.CHANGED, 0, folder=True)


def test_what_no_message_could_hold_is_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_PATHS", 2)
    tally = Tally()
    for number in range(5):
        tally.add(f"data/{number}", Fate.NEW, 10)
    said = tally.statement(7, DIGEST, 100.0)
    assert [lost.path for lost in said.paths] == ["data/0", "data/1"]
    assert (said.files, said.bytes, said.beyond) == (5, 50, 3)


def test_the_text_of_paths_is_bounded_and_nothing_behind_the_bound_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_TEXT", 100)
    tally = Tally()
    for path in ("data/a", "x" * 200, "data/z"):
        tally.add(path, Fate.NEW)
    assert [lost.path for lost in tally.statement(7, DIGEST, 100.0).paths] == ["data/a"]


def test_a_path_is_listed_as_it_is_shown() -> None:
    tally = Tally()
    tally.add("data/\udcff\x1b[2J\n", Fate.NEW)
    assert tally.statement(7, DIGEST, 1.0).paths[0].path == "data/\\xff\\x1b[2J\\x0a"


def test_new_mails_are_counted_and_one_that_was_read_is_not_new() -> None:
    tally = Tally(("var/vmail",))
    tally.add("var/vmail/ada/cur/100.M1.host:2,S", Fate.NEW, 10)
    tally.add("var/vmail/ada/new/100.M1.host", Fate.DELETED)
    tally.add("var/vmail/ada/new/101.M1.host", Fate.NEW, 10)
    tally.add("var/vmail/ada/dovecot.index", Fate.NEW, 10)
    tally.add("home/bob/Maildir/new/102.M1.host", Fate.NEW, 10)
    tally.add("srv/app/new/readme", Fate.NEW, 10)
    assert tally.statement(7, DIGEST, 1.0).mails == 2


def test_a_statement_of_the_generation_that_is_held_holds() -> None:
    said = LossStatement(7, DIGEST, 1100.0, files=1, paths=(Lost("a", Fate.NEW),))
    assert against(said, HELD) == said


@pytest.mark.parametrize(
    "said",
    [
        None,
        LossStatement(8, OTHER, 1100.0, files=1),  # of a generation that is not here (any more)
        LossStatement(7, OTHER, 1100.0, files=1),  # of another history
        LossStatement(6, OTHER, 990.0, files=1),  # all of it is in the generation that came since
    ],
)
def test_without_a_statement_that_holds_nothing_is_known_since_the_collecting(said: LossStatement | None) -> None:
    assert against(said, HELD) == LossStatement(7, DIGEST, 1000.0)


def test_what_was_seen_while_the_generation_was_under_way_may_have_come_along_or_not() -> None:
    paths = (Lost("a", Fate.NEW, 5), Lost("b", Fate.DELETED))
    said = against(LossStatement(6, OTHER, 1010.0, files=1, bytes=5, deleted=1, paths=paths), HELD)
    assert (said.known_until, said.files, said.deleted, said.perhaps) == (1010.0, 0, 0, 2)
    assert {lost.fate for lost in said.paths} == {Fate.PERHAPS}


def test_a_database_server_is_as_old_as_its_oldest_database() -> None:
    points = (
        DatasetPoint("mariadb/default/a", 20.0),
        DatasetPoint("mariadb/default/b", 10.0),
        DatasetPoint("mariadb/default/c", 0.0, 5.0, "never"),
        DatasetPoint("postgresql/15-main/x", 30.0, streamed=True),
        DatasetPoint("sqlite", 40.0),
    )
    held = Generation(7, DIGEST, 1, 0.0, 0.0, 0.0, datasets=points)
    assert databases_of(held) == (
        DatabaseMoment("mariadb/default", 10.0),
        DatabaseMoment("postgresql/15-main", 30.0, streamed=True),
    )
