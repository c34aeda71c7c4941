from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hotsync.model.alerts import HOLD, RETRY_AFTER, Alert, Occasion, next_alert, unanswered

HOUR = 3600.0


def mails(story: list[tuple[float, bool, str]]) -> list[Occasion | None]:
    known: Alert | None = None
    written: list[Occasion | None] = []
    for hours, failing, code in story:
        known, occasion = next_alert(known, failing, code, 1e9 + hours * HOUR)
        written.append(occasion)
    return written


def test_a_failure_that_lasts_is_told_once_a_day_and_its_end_once() -> None:
    story = [(quarter / 4, True, "peer.unreachable") for quarter in range(4 * 50)] + [(50, False, ""), (51, False, "")]
    occasions = mails(story)
    assert occasions[0] is Occasion.FAILURE
    assert occasions.count(Occasion.REMINDER) == 2
    assert occasions[-2:] == [Occasion.RECOVERY, None]
    assert sum(occasion is not None for occasion in occasions) == 4


def test_another_kind_of_failure_is_news() -> None:
    assert mails([(0, True, "a"), (1, True, "b"), (2, True, "b")]) == [Occasion.FAILURE, Occasion.FAILURE, None]


def test_two_kinds_of_failure_in_turn_are_told_once_each_and_reminded_of_once_a_day() -> None:
    occasions = mails([(quarter / 4, True, "ab"[quarter % 2]) for quarter in range(4 * 40)])
    assert [occasion for occasion in occasions if occasion] == [
        Occasion.FAILURE, Occasion.FAILURE, Occasion.REMINDER,
    ]  # fmt: skip


def test_what_comes_and_goes_is_one_failure_until_it_stays_away() -> None:
    flapping = [(quarter / 4, quarter % 2 == 0, "a" if quarter % 2 == 0 else "") for quarter in range(4 * 10)]
    over = [(10 + quarter / 4, False, "") for quarter in range(4 * 14)]
    occasions = mails(flapping + over)
    assert [occasion for occasion in occasions if occasion] == [
        Occasion.FAILURE, Occasion.RECOVERY, Occasion.FAILURE, Occasion.RECOVERY,
    ]  # fmt: skip
    assert occasions.index(Occasion.RECOVERY, 5) == 4 * 10 - 1 + HOLD / HOUR * 4


def test_a_mail_that_may_have_been_taken_is_due_again_in_hours_not_at_once() -> None:
    known, _ = next_alert(None, True, "a", 1e9)
    assert known is not None
    known = unanswered(known, 1e9, 1e9)
    assert next_alert(known, True, "a", 1e9 + RETRY_AFTER - 1) == (known, None)
    again, occasion = next_alert(known, True, "a", 1e9 + RETRY_AFTER)
    assert occasion is Occasion.REMINDER
    assert again is not None
    assert again.unsure == 0.0, "of this mail nothing is known yet"


def test_success_without_a_failure_before_is_no_news() -> None:
    assert mails([(0, False, ""), (1, False, "")]) == [None, None]


def test_a_clock_that_was_set_back_does_not_silence_a_failure() -> None:
    assert mails([(100, True, "a"), (0, True, "a"), (1, True, "a")]) == [Occasion.FAILURE, Occasion.REMINDER, None]


STORIES = st.lists(
    st.tuples(st.floats(min_value=0.01, max_value=5), st.booleans(), st.sampled_from("abcdefgh")), max_size=300
)


@given(STORIES)
def test_whatever_happens_nobody_gets_more_than_a_handful_of_mails_a_day(steps: list[tuple[float, bool, str]]) -> None:
    hours, story = 0.0, list[tuple[float, bool, str]]()
    for gap, failing, code in steps:
        hours += gap
        story.append((hours, failing, code))
    written = [when for (when, _, _), occasion in zip(story, mails(story), strict=True) if occasion]
    assert max((sum(when <= other < when + 24 for other in written) for when in written), default=0) <= 9


@given(STORIES)
def test_a_failure_that_goes_on_is_never_older_than_a_day_without_a_mail(steps: list[tuple[float, bool, str]]) -> None:
    known: Alert | None = None
    now = 1e9
    for gap, failing, code in steps:
        now += gap * HOUR
        known, _ = next_alert(known, failing, code, now)
        if failing:
            assert known is not None
            assert known.open
            assert now - known.mailed_at < 24 * HOUR
