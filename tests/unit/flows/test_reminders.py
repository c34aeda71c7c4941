"""What goes on is mailed again each day, and what is over swallows no later alarm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.flows import hold, promote_notice, reminders
from hotsync.flows.notify import Addressee
from hotsync.flows.promote_notice import failed, tell_by_mail
from hotsync.model.alerts import Alert
from hotsync.model.hold import HeardBy, Hold
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.report import letters
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.alerts import AlertBook
from hotsync.state.hold import drop_hold, save_hold
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock
from tests.fakes.mail import Box
from tests.unit.flows.test_promote_notice import FAILED

HOUR = 3600.0
HOLD = Hold(4, 5.0, begun=True)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Box:
    box = Box()
    for module in (hold, promote_notice, reminders):
        monkeypatch.setattr(module, "addressee_of", lambda *_: Addressee("root", "hotsync@host", (box,)))
    monkeypatch.setattr(reminders, "is_running", lambda: False)
    return box


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    paths.configuration.write_text("hotsync=configuration\nrsyncd=service\n")
    store.save_role(paths, RoleRecord(Role.MASTER, 3))
    return paths


def look(paths: Paths, now: float) -> None:
    reminders.look(paths, TickingClock(now), AlertBook(paths))


def open_alarms(paths: Paths, *abouts: str) -> None:
    for about in abouts:
        AlertBook(paths).set(about, Alert(1.0, 1.0, (("x", 1.0),)))


def test_whoever_is_held_says_so_again_each_day_until_it_serves(paths: Paths, box: Box) -> None:
    save_hold(paths, HOLD)
    look(paths, 1000.0)
    assert box.mails == [], "its unit tells it first"
    assert hold.mail_held(paths, TickingClock(1000.0))
    for hour in range(49):
        look(paths, 1010.0 + hour * HOUR)
    assert len(box.mails) == 3
    assert "production on this server still fails" in box.mails[-1]["Subject"]
    drop_hold(paths)
    for hour in range(49, 52):
        look(paths, 1010.0 + hour * HOUR)
    assert len(box.mails) == 4
    assert "production on this server works again" in box.mails[-1]["Subject"]


def test_a_boot_for_want_of_a_word_is_another_kind_and_the_word_is_one_more(paths: Paths, box: Box) -> None:
    save_hold(paths, Hold(0, 5.0, HeardBy.BOOT, why="the other server does not answer"))
    hold.mail_held(paths, TickingClock(1000.0))
    assert "Perhaps nobody serves now: look at once." in box.mails[0].get_content()
    assert "The other server serves." not in box.mails[0].get_content()
    save_hold(paths, HOLD)
    hold.mail_held(paths, TickingClock(1100.0))
    assert "The other server serves." in box.mails[1].get_content()


def test_a_relay_that_is_away_gets_the_reminder_when_it_is_back(paths: Paths, box: Box) -> None:
    save_hold(paths, HOLD)
    hold.mail_held(paths, TickingClock(1000.0))
    box.full = True
    look(paths, 1000.0 + 25 * HOUR)
    box.full = False
    look(paths, 1060.0 + 25 * HOUR)
    look(paths, 1120.0 + 25 * HOUR)
    assert len(box.mails) == 2


def test_a_promotion_that_is_unfinished_is_mailed_each_day_but_not_while_it_goes_on(
    paths: Paths, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save_role(paths, RoleRecord(Role.SLAVE, 0, claim=1))
    document.save_promotion(paths, Promotion(1, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    look(paths, 1000.0)
    assert box.mails == [], "one that runs for the first time is no alarm"
    tell_by_mail(paths, TickingClock(1000.0), failed(FAILED))
    for hour in range(30):
        look(paths, 1010.0 + hour * HOUR)
    assert len(box.mails) == 2
    assert "UNFINISHED" in box.mails[1].get_content()
    monkeypatch.setattr(reminders, "is_running", lambda: True)
    look(paths, 1010.0 + 60 * HOUR)
    assert len(box.mails) == 2
    monkeypatch.setattr(reminders, "is_running", lambda: False)
    store.save_role(paths, RoleRecord(Role.MASTER, 1))
    document.save_promotion(paths, Promotion(1, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), (), finished_at=9.0))
    look(paths, 1010.0 + 90 * HOUR)
    assert len(box.mails) == 2
    assert AlertBook(paths).get(letters.PROMOTION) is None, "whoever ended it could not say so any more"


def test_what_was_mailed_in_another_role_is_forgotten_with_it(paths: Paths, box: Box) -> None:
    of_slave = (letters.SILENCE, letters.STALE, letters.READINESS, letters.FENCES, letters.DRILL)
    of_master = (letters.SYNC, letters.SWITCHOVER)
    open_alarms(paths, *of_slave, *of_master)
    look(paths, 1000.0)
    book = AlertBook(paths)
    assert [about for about in (*of_slave, *of_master) if book.get(about)] == list(of_master)
    store.save_role(paths, RoleRecord(Role.SLAVE, 3))
    open_alarms(paths, *of_slave)
    look(paths, 1000.0)
    assert [about for about in (*of_slave, *of_master) if book.get(about)] == list(of_slave)
    store.save_role(paths, RoleRecord(Role.SLAVE, 3, claim=4))
    look(paths, 1000.0)
    assert book.get(letters.SILENCE), "a claim is no role"
    assert box.mails == []


def test_of_a_hand_over_the_exchange_tells(paths: Paths, box: Box) -> None:
    open_alarms(paths, *letters.HELD_BY_WAY)
    save_hold(paths, replace(HOLD, planned=True))
    look(paths, 1000.0 + 30 * HOUR)
    assert box.mails == []
