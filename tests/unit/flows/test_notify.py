"""By which way a mail leaves, and what proves that it can."""

from __future__ import annotations

from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from hotsync.flows.notify import Addressee, addressee, mail_fault, prove_relay, remind, tell
from hotsync.model.alerts import Occasion
from hotsync.model.identity import Role
from hotsync.report.letters import Trouble
from hotsync.report.mail import LocalMailServer, MailNotSent, Relay
from hotsync.state.alerts import AlertBook
from hotsync.system.paths import Paths

DAY = 86400.0
NOW = 1e9
TROUBLE = Trouble("sync", "It failed.", "Do it.", "Bad.", "x")


class Line:
    """A relay that can be away."""

    def __init__(self) -> None:
        self.away = False
        self.mails: list[EmailMessage] = []
        self.asked = 0

    def __repr__(self) -> str:
        return "Line()"

    def send(self, message: EmailMessage) -> None:
        self._answer()
        self.mails.append(message)

    def probe(self, sender: str, to: str) -> None:
        self.asked += 1
        self._answer()

    def _answer(self) -> None:
        if self.away:
            raise MailNotSent("no route")


@pytest.fixture
def book(tmp_path: Path) -> AlertBook:
    return AlertBook(Paths(tmp_path))


def who(line: Line, to: str = "a@example.org") -> Addressee:
    return Addressee(to, "hotsync@slave", (line,))


def test_a_way_is_proven_by_one_mail_and_asked_about_once_a_day(book: AlertBook) -> None:
    line = Line()
    assert [prove_relay(book, who(line), NOW + hour * 3600) for hour in range(50)] == [""] * 50
    assert (len(line.mails), line.asked) == (1, 2)


def test_a_relay_that_takes_no_mail_any_more_is_found_within_a_day(book: AlertBook) -> None:
    line = Line()
    prove_relay(book, who(line), NOW)
    line.away = True
    assert prove_relay(book, who(line), NOW + DAY - 1) == ""
    assert "no route" in prove_relay(book, who(line), NOW + DAY)
    assert prove_relay(book, who(line), NOW + DAY + 1) != ""


def test_a_mail_that_was_not_taken_takes_the_proof_away(book: AlertBook) -> None:
    line = Line()
    prove_relay(book, who(line), NOW)
    line.away = True
    assert tell(book, who(line), "sync", TROUBLE, NOW + 1) is None
    assert prove_relay(book, who(line), NOW + 2) != ""
    line.away = False
    assert prove_relay(book, who(line), NOW + 3) == ""
    assert tell(book, who(line), "sync", TROUBLE, NOW + 4) is Occasion.FAILURE


def test_a_reminder_comes_once_a_day_of_what_was_mailed_whatever_its_kind_and_of_nothing_else(book: AlertBook) -> None:
    line = Line()
    assert remind(book, who(line), "sync", TROUBLE, NOW) is None
    tell(book, who(line), "sync", TROUBLE, NOW)
    other = replace(TROUBLE, code="y")
    told = [remind(book, who(line), "sync", other, NOW + hour * 3600) for hour in range(49)]
    assert [hour for hour, each in enumerate(told) if each] == [24, 48]
    tell(book, who(line), "sync", None, NOW + 3 * DAY)
    assert remind(book, who(line), "sync", other, NOW + 5 * DAY) is None


def test_another_addressee_is_proven_anew(book: AlertBook) -> None:
    line = Line()
    prove_relay(book, who(line), NOW)
    prove_relay(book, who(line, "b@example.org"), NOW)
    assert len(line.mails) == 2


def test_a_server_without_any_way_says_so(book: AlertBook) -> None:
    nobody = Addressee("root", "hotsync@slave", ())
    assert "NotifyRelay" in prove_relay(book, nobody, NOW)
    assert "NotifyRelay" in mail_fault(nobody)


def test_a_master_uses_its_own_mail_server_and_keeps_local_names(book: AlertBook) -> None:
    relay = Relay("2001:db8::5")
    found = addressee(Role.MASTER, "root", "", relay, frozenset())
    assert (found.to, found.carriers) == ("root", (LocalMailServer(), relay))
    assert addressee(Role.SLAVE, "root", "", relay, frozenset()).carriers == (relay,)
    assert addressee(Role.MASTER, "root", "", None, frozenset(("admin", "root"))).to == "admin"
