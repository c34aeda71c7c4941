from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

from hotsync.config.schema import Settings
from hotsync.flows import quiet
from hotsync.flows.notify import Addressee
from hotsync.model.alerts import Occasion
from hotsync.model.identity import Peer, Role, RoleRecord
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

    def send(self, message: EmailMessage) -> None:
        self.mails.append(message)


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Box:
    box = Box()
    monkeypatch.setattr(quiet, "addressee_of", lambda settings, role: Addressee("root", "hotsync@slave", (box,)))
    return box


def watch(
    root: Path, minutes: float, *, seen: float = START, connected: bool = False, role: RoleRecord = SLAVE
) -> object:
    presence = Presence(last_seen=seen, connected=connected)
    settings = Settings(role=Role.SLAVE, master_host="192.0.2.1")
    return quiet.watch(Paths(root), settings, role, PEER, presence, START - 10 * MINUTE, START + minutes * MINUTE)


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
