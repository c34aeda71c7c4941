"""What a drill says, how drills went, and what the last one proves."""

from __future__ import annotations

from hotsync.model.drill import (
    OLD_SECONDS,
    DrillPoint,
    DrillReport,
    check_last,
    missing_rows,
    point_of,
    trend_words,
)
from hotsync.model.report import Check, Verdict

GOOD = Check("client.apache.http.1", "the web server answers", Verdict.GREEN)
DOUBT = Check("host.data.copied", "data moves without being copied", Verdict.AMBER, "/srv")
BAD = Check("rows.mariadb/default", "the databases are whole", Verdict.RED, "table shop.orders is not there", "Look.")


def report(*checks: Check) -> DrillReport:
    return DrillReport(100.0, 160.0, 41, checks, rto=23.4, rpo=600.0)


def point(verdict: Verdict, at: float = 0.0, rto: float = 20.0) -> DrillPoint:
    return DrillPoint(at, 41, verdict, "why", rto, 600.0)


def test_a_drill_is_green_only_if_every_check_held() -> None:
    assert report(GOOD).verdict is Verdict.GREEN
    assert report(GOOD, DOUBT).verdict is Verdict.AMBER
    assert report(GOOD, DOUBT, BAD).verdict is Verdict.RED


def test_a_drill_that_asked_nothing_proves_nothing() -> None:
    assert report().verdict is Verdict.RED
    assert report().reason == "nothing was asked"


def test_the_reason_names_the_worst_and_only_that() -> None:
    assert report(GOOD).reason == ""
    assert report(GOOD, DOUBT).reason == "data moves without being copied: /srv"
    assert report(GOOD, DOUBT, BAD).reason == "the databases are whole: table shop.orders is not there"


def test_the_summary_is_one_sentence_for_people() -> None:
    assert report(GOOD).summary == "The drill held: promoted within 23 s, 1 checks, all green."
    assert report(GOOD, DOUBT).summary.startswith("The drill held with reservations: 1 of 2")
    assert report(GOOD, BAD).summary.startswith("The drill FAILED: 1 of 2")


def test_what_is_kept_in_the_trend_is_short_and_on_one_line() -> None:
    wordy = Check("a", "one\nline", Verdict.RED, "x" * 2000)
    kept = point_of(report(wordy))
    assert (kept.at, kept.generation, kept.rto, len(kept.reason)) == (160.0, 41, 23.4, 500)
    assert "\n" not in kept.reason


def test_the_trend_is_read_in_a_line() -> None:
    trend = [point(Verdict.GREEN), point(Verdict.RED, rto=0.0), point(Verdict.AMBER, rto=24.0)]
    assert trend_words(trend) == "green 20 s, red, amber 24 s"
    assert trend_words(trend, most=1) == "amber 24 s"


def test_a_failed_or_an_old_drill_makes_readiness_amber() -> None:
    assert check_last(point(Verdict.GREEN, at=1000.0), 0.0, 1000.0 + OLD_SECONDS).verdict is Verdict.GREEN
    old = check_last(point(Verdict.GREEN, at=1000.0), 0.0, 1001.0 + OLD_SECONDS)
    assert (old.verdict, old.detail) == (Verdict.AMBER, "no drill for 3 days")
    failed = check_last(point(Verdict.RED, at=1000.0), 0.0, 1001.0)
    assert (failed.verdict, failed.detail) == (Verdict.AMBER, "the last drill failed: why")


def test_a_new_slave_has_its_first_nights_before_anybody_asks() -> None:
    assert check_last(None, 1000.0, 2000.0).verdict is Verdict.GREEN
    never = check_last(None, 1000.0, 1001.0 + OLD_SECONDS)
    assert (never.verdict, never.detail) == (Verdict.AMBER, "no drill was run, in 3 days")


def test_rows_that_production_has_added_are_no_loss() -> None:
    expected = [("shop.orders", 2), ("shop.people", 5), ("shop.gone", 1)]
    assert missing_rows("mariadb/default", expected[:2], {"shop.orders": 2, "shop.people": 9}) == []
    assert missing_rows("mariadb/default", expected, {"shop.orders": 1, "shop.people": 5}) == [
        "table shop.orders of mariadb/default has 1 rows, the generation 2",
        "mariadb/default lacks table shop.gone",
    ]
