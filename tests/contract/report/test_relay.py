"""What a relay has taken is sent, whatever comes after it; what it does not say is no reason to flood anybody."""

from __future__ import annotations

import pytest

from hotsync.report import smtp
from hotsync.report.mail import MailNotSent, MailPartlySent, MailUnanswered, Relay, compose
from tests.support.relay import Answers, SeenRelay, relay

TO = "a@example.org, b@example.org"
MAIL = compose(TO, "root@slave.example.org", "test", ".a dot begins it\n.\nand the end\n", 0.0, "<x@slave>")


def send(seen: SeenRelay, patience: float = smtp.TAKEN_SECONDS) -> None:
    Relay("127.0.0.1", seen.port, patience).send(MAIL)


def test_a_mail_arrives_whole_with_its_dots() -> None:
    with relay(Answers()) as seen:
        send(seen)
    ((to, text),) = seen.mails
    assert to == ("a@example.org", "b@example.org")
    assert text.replace("\r\n", "\n").endswith("\n\n.a dot begins it\n.\nand the end\n")
    assert seen.ids == ["<x@slave>"]


def test_a_relay_may_look_at_a_mail_for_ten_minutes_and_at_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert smtp.TAKEN_SECONDS >= 600
    monkeypatch.setattr(smtp, "ANSWER_SECONDS", 0.2)
    with relay(Answers(late=0.6)) as seen:
        send(seen)
    assert len(seen.mails) == 1


def test_one_that_never_says_whether_it_took_it_is_not_one_that_refused_it() -> None:
    with relay(Answers(late=0.6)) as seen, pytest.raises(MailUnanswered):
        send(seen, patience=0.2)
    with relay(Answers(mute=True)) as seen, pytest.raises(MailUnanswered):
        send(seen, patience=0.2)


@pytest.mark.parametrize("at_quit", ["421 too busy to say goodbye", "nonsense"])
def test_what_it_says_at_the_end_takes_nothing_back(at_quit: str) -> None:
    with relay(Answers(at_quit=at_quit)) as seen:
        send(seen)
    assert len(seen.mails) == 1


@pytest.mark.parametrize(
    "answers",
    [
        Answers(to_mail="554 no such content"),
        Answers(to_mail="451 later"),
        Answers(to_mail="421 closing"),
        Answers(to_data="421 closing"),
        Answers(refuses={"a@example.org": "550 unknown", "b@example.org": "550 unknown"}),
    ],
)
def test_what_it_refuses_was_not_sent(answers: Answers) -> None:
    with relay(answers) as seen, pytest.raises(MailNotSent) as caught:
        send(seen)
    assert seen.mails == []
    assert "b'" not in str(caught.value), "it is for people"
    with pytest.raises(MailNotSent):
        Relay("127.0.0.1", seen.port).send(MAIL)  # nobody is there any more


def test_an_addressee_whom_it_refuses_is_named_and_the_others_get_the_mail() -> None:
    with relay(Answers(refuses={"b@example.org": "550 unknown here"})) as seen:
        with pytest.raises(MailPartlySent, match=r"b@example\.org: 550 unknown here"):
            send(seen)
        with pytest.raises(MailPartlySent, match=r"b@example\.org: 550 unknown here"):
            Relay("127.0.0.1", seen.port).probe("root@slave.example.org", TO)
    assert [to for to, _ in seen.mails] == [("a@example.org",)]
