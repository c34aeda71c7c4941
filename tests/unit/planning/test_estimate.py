"""The guess at a promotion's time follows what there is to do: steps, dumps, copies."""

from __future__ import annotations

from dataclasses import replace

from hotsync.model.entry import Kind
from hotsync.model.promotion import DatabaseDump, ExchangeUnit, How, PromotionFacts
from hotsync.planning.estimate import COPIED_A_SECOND, LOADED_A_SECOND, estimate
from hotsync.planning.promote import plan_promote
from tests.fakes.host import World

MARIADB = DatabaseDump("mariadb", "default", "mariadb.service", "a" * 64)


def seconds(facts: PromotionFacts) -> float:
    return estimate(plan_promote(facts), facts)


def test_a_small_server_takes_seconds() -> None:
    facts = replace(World(dumps=(MARIADB,)).facts(), dump_bytes=10_000)
    assert 3 < seconds(facts) < 12


def test_dumps_count_by_their_size_until_they_are_loaded() -> None:
    facts = replace(World(dumps=(MARIADB,)).facts(), dump_bytes=600 * LOADED_A_SECOND)
    small = replace(facts, dump_bytes=0)
    assert round(seconds(facts) - seconds(small)) == 600
    without = replace(facts, databases=())
    assert seconds(without) < seconds(small)


def test_what_is_copied_counts_by_its_size_and_what_is_exchanged_does_not() -> None:
    facts = replace(World().facts(), copy_bytes=100 * COPIED_A_SECOND)
    assert seconds(facts) < 20
    copied = tuple(ExchangeUnit(unit.path, How.COPY, Kind.DIRECTORY, 1, 2) for unit in facts.units_left)
    assert round(seconds(replace(facts, units_left=copied)) - seconds(facts)) == 100
