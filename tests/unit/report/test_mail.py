from __future__ import annotations

import pytest

from hotsync.errors import ConfigError
from hotsync.model.alerts import Alert, Occasion
from hotsync.report.letters import SILENCE, Trouble, letter
from hotsync.report.mail import compose, full_addresses, subject_of


@pytest.mark.parametrize(
    ("to", "host", "whole"),
    [
        ("root", "mail.example.org", "root@mail.example.org"),
        ("root", "192.0.2.25", "root@slave.example.org"),
        ("root", "2001:db8::5", "root@slave.example.org"),
        ("a@example.org", "192.0.2.25", "a@example.org"),
        ("root, a@example.org", "mail.example.org", "root@mail.example.org, a@example.org"),
    ],
)
def test_a_relay_gets_addresses_that_it_can_know(to: str, host: str, whole: str) -> None:
    assert full_addresses(to, host, "slave.example.org") == whole


def test_names_of_any_bytes_can_be_mailed_and_move_no_cursor() -> None:
    trouble = Trouble("a", "/srv/\udcff\x1b[2J is empty", "look", "bad", "x")
    body = letter(trouble, Occasion.FAILURE, "master", Alert(0.0, 0.0), 0.0, ("/srv/\udcfe: gone",))
    sent = compose("root", "hotsync@master", "subject", body, 0.0).as_bytes().decode("ascii")
    assert "/srv/\\xff\\x1b[2J is empty" in sent
    assert "/srv/\\xfe: gone" in sent


def test_a_host_name_makes_no_line_of_its_own_in_a_mail() -> None:
    host = "slave\nBcc: x@example.org\x1b[2J"
    subject = subject_of(host, Occasion.FAILURE, "synchronization")
    assert subject == "[HotSync] slave\\x0aBcc: x@example.org\\x1b[2J: synchronization failed"
    for occasion in Occasion:
        body = letter(Trouble("a", "b", "c", "d", "x"), occasion, host, Alert(0.0, 0.0), 0.0)
        assert "slave\\x0aBcc: x@example.org\\x1b[2J" in body


def test_all_faults_of_the_settings_stand_in_the_mail_each_on_a_line_of_its_own() -> None:
    faults = ConfigError(document="the settings", faults="\n  hotsync SlavePort: no number\n  hotsync role: none")
    trouble = Trouble("a", faults.sentence, "look", "bad\nHotSync: all is well", "config")
    body = letter(trouble, Occasion.FAILURE, "master", Alert(0.0, 0.0), 0.0)
    assert "has faults: \n  hotsync SlavePort: no number\n  hotsync role: none\n" in body
    assert "\nHotSync: all is well" not in body


def test_a_mail_says_how_many_notices_it_leaves_out() -> None:
    notices = tuple(f"note {number}" for number in range(30))
    body = letter(Trouble("a", "b", "c", "d", "x"), Occasion.FAILURE, "master", Alert(0.0, 0.0), 0.0, notices)
    assert "note 19" in body
    assert "note 20" not in body
    assert "and 10 more: hotsync status --json" in body


def test_the_master_keeps_its_capitals() -> None:
    body = letter(Trouble(SILENCE, "", "", "", ""), Occasion.RECOVERY, "slave", Alert(0.0, 0.0), 0.0)
    assert body.startswith("Contact with the MASTER works again")
