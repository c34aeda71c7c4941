from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from hotsync.config.schema import Settings
from hotsync.flows import quiet
from hotsync.flows.notify import Addressee
from hotsync.model.alerts import Occasion
from hotsync.model.generation import Generation
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.report.mail import MailNotSent
from hotsync.state.alerts import AlertBook
from hotsync.system.paths import Paths
from hotsync.transport.presence import Presence

PEER = Peer("boss", "192.0.2.1", "0" * 64, "")
SLAVE = RoleRecord(Role.SLAVE, 1)
START = 1_000_000.0
MINUTE = 60.0


class Box:
    """A carrier that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.full = False
        self.newest: Generation | None = None

    def send(self, message: EmailMessage) -> None:
        if self.full:
            raise MailNotSent("452 insufficient system storage")
        self.mails.append(message)

    def probe(self, sender: str, to: str) -> None:
        raise AssertionError("nothing asks")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Box:
    box = Box()
    monkeypatch.setattr(quiet, "addressee_of", lambda settings, role: Addressee("root", "hotsync@slave", (box,)))
    monkeypatch.setattr(quiet, "holdings", lambda paths, role: box.newest)
    return box


def watch(
    root: Path,
    minutes: float,
    *,
    seen: float = START,
    connected: bool = False,
    role: RoleRecord = SLAVE,
    since: float = START - 10 * MINUTE,
    interval: int = 15,
    told: int = 0,
    book: AlertBook | None = None,
) -> object:
    presence = Presence(last_seen=seen, connected=connected, interval_minutes=told)
    settings = Settings(role=Role.SLAVE, master_host="192.0.2.1", interval_minutes=interval)
    return quiet.watch(Paths(root), settings, role, PEER, presence, since, START + minutes * MINUTE, book)


def held(minutes: float) -> Generation:
    """A generation that was last confirmed then, from a run that began 2 minutes before it was committed."""
    at = START + minutes * MINUTE
    return Generation(7, "", 0, collected_at=at - 2 * MINUTE, committed_at=at, confirmed_at=at)


def test_the_slave_raises_the_alarm_once_when_its_master_goes_quiet(tmp_path: Path, box: Box) -> None:
    assert watch(tmp_path, 44) is None
    assert watch(tmp_path, 46) is Occasion.FAILURE
    assert watch(tmp_path, 47) is None
    assert "boss is silent" in box.mails[0].get_content()
    assert "hotsync-promote" in box.mails[0].get_content()


def test_it_says_so_when_the_master_is_back(tmp_path: Path, box: Box) -> None:
    watch(tmp_path, 46)
    assert watch(tmp_path, 50, seen=START + 49 * MINUTE, connected=True) is Occasion.RECOVERY
    assert "works again" in box.mails[1]["Subject"]


def test_a_slave_that_was_just_switched_on_waits_before_it_complains(tmp_path: Path, box: Box) -> None:
    assert quiet.is_quiet(0.0, START, START + 30 * MINUTE, 45) is False
    assert quiet.is_quiet(0.0, START, START + 46 * MINUTE, 45) is True


def test_a_slave_in_the_middle_of_a_promotion_keeps_quiet(tmp_path: Path, box: Box) -> None:
    assert watch(tmp_path, 500, role=RoleRecord(Role.SLAVE, 1, claim=2)) is None
    assert box.mails == []


def test_a_restart_of_the_daemon_is_no_sign_of_life_of_a_dead_master(tmp_path: Path, box: Box) -> None:
    assert watch(tmp_path, 46) is Occasion.FAILURE
    assert watch(tmp_path, 50, since=START + 49 * MINUTE) is None
    assert watch(tmp_path, 60, since=START + 49 * MINUTE, seen=START + 59 * MINUTE) is Occasion.RECOVERY


def test_a_disk_that_takes_no_note_makes_no_flood_of_mails(tmp_path: Path, box: Box) -> None:
    for place in ("var/lib/hotsync", "run/hotsync"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("")
    book = AlertBook(Paths(tmp_path))
    assert [watch(tmp_path, minutes, book=book) for minutes in (46, 47, 48)] == [Occasion.FAILURE, None, None]
    assert len(box.mails) == 1


def test_a_mail_that_nobody_takes_is_tried_again_with_the_next_look(tmp_path: Path, box: Box) -> None:
    box.full = True
    assert watch(tmp_path, 46) is None
    box.full = False
    assert watch(tmp_path, 47) is Occasion.FAILURE


def test_a_master_that_beats_but_sends_nothing_is_reported(tmp_path: Path, box: Box) -> None:
    box.newest = held(0)
    assert watch(tmp_path, 119, connected=True) is None
    assert watch(tmp_path, 121, connected=True) is Occasion.FAILURE
    assert watch(tmp_path, 122, connected=True) is None
    body = box.mails[0].get_content()
    assert "arrival of new data failed" in box.mails[0]["Subject"]
    assert "no run of it has come to its end" in body
    box.newest = held(130)
    assert watch(tmp_path, 131, connected=True) is Occasion.RECOVERY


def test_the_data_may_be_as_old_as_two_intervals(tmp_path: Path, box: Box) -> None:
    box.newest = held(0)
    assert watch(tmp_path, 240, connected=True, interval=120) is None
    assert watch(tmp_path, 241, connected=True, interval=120) is Occasion.FAILURE


def test_the_interval_that_only_the_master_has_counts_too(tmp_path: Path, box: Box) -> None:
    box.newest = held(0)
    assert watch(tmp_path, 240, connected=True, told=120) is None
    assert watch(tmp_path, 241, connected=True, told=120) is Occasion.FAILURE


def test_a_master_that_is_set_to_a_shorter_interval_shortens_nothing(tmp_path: Path, box: Box) -> None:
    box.newest = held(0)
    assert watch(tmp_path, 240, connected=True, interval=120, told=1) is None
    assert watch(tmp_path, 241, connected=True, interval=120, told=1) is Occasion.FAILURE


def test_a_slave_that_was_off_for_long_gives_its_master_time_to_send(tmp_path: Path, box: Box) -> None:
    box.newest = held(0)
    assert watch(tmp_path, 5000, connected=True, since=START + 4990 * MINUTE) is None


def test_a_first_run_may_take_as_long_as_it_takes(tmp_path: Path, box: Box) -> None:
    assert watch(tmp_path, 5000, connected=True) is None


def test_a_silent_master_is_told_once_and_not_also_as_old_data(tmp_path: Path, box: Box) -> None:
    box.newest = held(0)
    assert [watch(tmp_path, minutes) for minutes in (46, 121, 300)] == [Occasion.FAILURE, None, None]
    assert "This SLAVE holds it as of " in box.mails[0].get_content()
