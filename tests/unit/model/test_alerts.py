from __future__ import annotations

from hotsync.model.alerts import Alert, Occasion, next_alert

HOUR = 3600.0


def mails(story: list[tuple[float, bool, str]]) -> list[Occasion | None]:
    known: Alert | None = None
    written: list[Occasion | None] = []
    for hours, failing, code in story:
        known, occasion = next_alert(known, failing, code, hours * HOUR)
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


def test_success_without_a_failure_before_is_no_news() -> None:
    assert mails([(0, False, ""), (1, False, "")]) == [None, None]
