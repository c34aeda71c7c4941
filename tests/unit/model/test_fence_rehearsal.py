"""Which results of tried fences count, when they are tried again, and what readiness says of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.model.fence import Tier
from hotsync.model.fence_rehearsal import DAY, HINT, Outcome, Rehearsed, check_ways, is_due, still_of_use, summary_of
from hotsync.model.fence_rehearsal import ways_of as ways_of_settings
from hotsync.model.report import Verdict

WAYS = ways_of_settings("f" * 64, "old-master", "/fence", "/test")
AGENT = Rehearsed(Tier.AGENT, "f" * 64, 0.0, Outcome.WORKS, "it answers at 192.0.2.10")
SSH = Rehearsed(Tier.SSH, "old-master", 0.0, Outcome.WORKS, "root is let in")
SITE = Rehearsed(Tier.COMMAND, "/fence /test", 0.0, Outcome.NOT_RUN, "it is there")
ALL = (AGENT, SSH, SITE)


def test_only_what_is_set_up_is_tried_and_nothing_without_a_master() -> None:
    assert list(WAYS) == [Tier.AGENT, Tier.SSH, Tier.COMMAND]
    assert list(ways_of_settings("f", "", "", "/test")) == [Tier.AGENT]
    assert ways_of_settings("", "old-master", "/fence", "") == {}


@pytest.mark.parametrize(
    "changed",
    [
        ("e" * 64, "old-master", "/fence", "/test"),
        ("f" * 64, "x", "/fence", "/test"),
        ("f" * 64, "old-master", "/other", "/test"),
        ("f" * 64, "old-master", "/fence", ""),
    ],
)
def test_a_result_counts_only_for_what_it_was_of(changed: tuple[str, str, str, str]) -> None:
    ways = ways_of_settings(*changed)
    assert len(still_of_use(ways, ALL)) == 2
    assert is_due(ways, ALL, 7, 1.0)


@given(st.integers(1, 365), st.floats(0, 800), st.sampled_from(Outcome))
def test_they_are_tried_again_after_so_many_nights_and_each_night_while_one_fails(
    days: int, past: float, outcome: Outcome
) -> None:
    known = (*ALL[:2], replace(SITE, outcome=outcome))
    due = is_due(WAYS, known, days, past * DAY)
    assert due is (outcome is Outcome.FAILED or past > days - 0.5)
    assert not is_due(WAYS, known, 0, past * DAY)
    assert not is_due({}, (), days, past * DAY)


def verdicts(known: tuple[Rehearsed, ...], days: int, now: float) -> list[Verdict]:
    return [check.verdict for check in check_ways(WAYS, known, days, 0.0, now)]


def test_readiness_is_amber_where_one_failed_or_none_was_tried_for_two_weeks() -> None:
    good, amber = Verdict.GREEN, Verdict.AMBER
    assert verdicts(ALL, 7, 13 * DAY) == [good] * 3
    assert verdicts(ALL, 7, 14 * DAY) == [amber] * 3
    assert verdicts((), 7, 13 * DAY) == [good] * 3, "a SLAVE that is new"
    assert verdicts((), 7, 14 * DAY) == [amber] * 3
    assert verdicts(ALL, 30, 59 * DAY) == [good] * 3, "the administrator has it tried more rarely"
    assert verdicts(ALL, 0, 999 * DAY) == [good] * 3, "the administrator does it by hand"
    failed = replace(SSH, outcome=Outcome.FAILED, detail="Permission denied", hint="Do.")
    assert verdicts((AGENT, failed, SITE), 0, 1.0) == [good, amber, good]
    check = check_ways(WAYS, (AGENT, failed, SITE), 7, 0.0, 1.0)[1]
    assert (check.name, check.detail, check.hint) == ("fence.ssh", "Permission denied", "Do.")
    assert check_ways(WAYS, ALL, 7, 0.0, 20 * DAY)[0].hint == HINT


def test_they_fit_in_a_line() -> None:
    failed = replace(SSH, outcome=Outcome.FAILED)
    assert summary_of((AGENT, failed, SITE)) == "agent works, ssh FAILED, command in order, not run"
