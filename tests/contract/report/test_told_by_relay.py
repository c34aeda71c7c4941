"""What the administrator gets by a relay that hangs up, refuses some, or says nothing: neither silence nor a flood."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.flows.notify import Addressee, mail_fault, prove_relay, tell
from hotsync.model.alerts import Occasion
from hotsync.report.letters import Trouble
from hotsync.report.mail import Relay
from hotsync.state.alerts import AlertBook
from hotsync.system.paths import Paths
from tests.support.relay import Answers, relay

DAY = 86400.0
NOW = 1e9
TROUBLE = Trouble("sync", "It failed.", "Do it.", "Bad.", "x")


@pytest.fixture
def book(tmp_path: Path) -> AlertBook:
    return AlertBook(Paths(tmp_path))


def test_a_mail_that_may_have_been_taken_is_sent_again_in_hours_and_as_the_same(book: AlertBook) -> None:
    """A relay that answered late, or hung up at the end, delivered the same alarm each minute."""
    with relay(Answers(mute=True)) as seen:
        who = Addressee("a@example.org", "hotsync@slave", (Relay("127.0.0.1", seen.port),))
        told = [tell(book, who, "sync", TROUBLE, NOW + minute * 60) for minute in range(24 * 60)]
        assert [each for each in told if each] == [Occasion.FAILURE, *[Occasion.REMINDER] * 3]
        assert len(seen.mails) == 4
        assert len(set(seen.ids)) == 1
        seen.answers.mute = False
        assert tell(book, who, "sync", TROUBLE, NOW + DAY) is Occasion.REMINDER
        assert len(set(seen.ids)) == 1, "that it was taken was not known before"
        told = [tell(book, who, "sync", TROUBLE, NOW + DAY + minute * 60) for minute in range(24 * 60)]
        assert [each for each in told if each] == []
        assert tell(book, who, "sync", None, NOW + 2 * DAY) is Occasion.RECOVERY
    assert len(set(seen.ids)) == 2, "another mail is another one"


def test_news_is_no_second_try_of_a_mail_that_may_have_been_taken(book: AlertBook) -> None:
    """A mailbox that has the first would throw the second away."""
    with relay(Answers(mute=True)) as seen:
        who = Addressee("a@example.org", "hotsync@slave", (Relay("127.0.0.1", seen.port),))
        tell(book, who, "sync", TROUBLE, NOW)
        tell(book, who, "sync", replace(TROUBLE, code="y"), NOW + 60)
        tell(book, who, "sync", replace(TROUBLE, code="z"), NOW + 7 * 3600)
    assert len(set(seen.ids)) == len(seen.mails) == 3


def test_a_test_mail_that_may_have_been_taken_is_not_sent_again_each_hour(book: AlertBook) -> None:
    with relay(Answers(mute=True)) as seen:
        who = Addressee("a@example.org", "hotsync@slave", (Relay("127.0.0.1", seen.port),))
        said = [prove_relay(book, who, NOW + hour * 3600) for hour in range(24)]
        assert len(seen.mails) == 1
        assert all("did not say whether it took it" in each for each in said)
        seen.answers.mute = False
        assert prove_relay(book, who, NOW + DAY) == ""
    assert len(seen.mails) == 2
    assert len(set(seen.ids)) == 1


def test_an_addressee_whom_the_relay_refuses_is_named_each_time_and_no_test_mail_is_sent_for_that(
    book: AlertBook,
) -> None:
    with relay(Answers(refuses={"b@example.org": "550 unknown here"})) as seen:
        who = Addressee("a@example.org, b@example.org", "hotsync@slave", (Relay("127.0.0.1", seen.port),))
        said = [prove_relay(book, who, NOW + hour * 3600) for hour in range(50)]
        assert all("b@example.org: 550 unknown here" in each for each in said)
        assert len(seen.mails) == 1
        assert "b@example.org" in mail_fault(who)
        assert tell(book, who, "sync", TROUBLE, NOW) is Occasion.FAILURE
        assert tell(book, who, "sync", TROUBLE, NOW + 60) is None, "it was delivered"
        seen.answers.refuses = {}
        assert prove_relay(book, who, NOW + 51 * 3600) == ""
        seen.answers.refuses = {"b@example.org": "550 unknown again"}
        assert prove_relay(book, who, NOW + 52 * 3600) == "", "it is asked once a day"
        assert tell(book, who, "data", TROUBLE, NOW + 52 * 3600) is Occasion.FAILURE
        assert "unknown again" in prove_relay(book, who, NOW + 53 * 3600), "but after a mail that was refused"
    assert len(seen.mails) == 3
