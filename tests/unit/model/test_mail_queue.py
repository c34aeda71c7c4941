"""Which files are mails that wait for being delivered."""

from __future__ import annotations

import pytest

from hotsync.model.mail_queue import QUEUES, is_queued_mail, is_queues_folder
from hotsync.model.selection import Action
from hotsync.profiles.resolve import queue_rules, resolve


@pytest.mark.parametrize(
    ("path", "is_mail"),
    [
        ("var/spool/postfix/deferred/A/A1B2C3", True),
        ("var/spool/postfix/hold/A1B2C3", True),
        ("var/spool/postfix/defer/A/A1B2C3", False),  # why it was not delivered yet
        ("var/spool/postfix/maildrop/A1B2C3", False),
        ("var/spool/postfix/deferred", False),
        ("var/spool/exim4/input/1t0Abc-000001-2z-H", True),
        ("var/spool/exim4/input/1t0Abc-000001-2z-D", False),
        ("var/spool/exim4/input/z/1t0Abc-000001-2z-H", True),
        ("var/spool/exim/input/1t0Abc-000001-2z-H", True),
        ("var/spool/exim4/msglog/1t0Abc-000001-2z", False),
        ("var/spool/mqueue/qf4AUC0pBh012345", True),
        ("var/spool/mqueue/Qf4AUC0pBh012345", True),  # it lost its way, and is somebody's nevertheless
        ("var/spool/mqueue/df4AUC0pBh012345", False),  # what it says
        ("var/spool/mqueue/q1/qf/qf4AUC0pBh012345", True),
        ("var/spool/mqueue-client/qf4AUC0pBh012345", False),
        ("var/spool/smtpd/queue/2e/2e13f24c/message", True),
        ("var/spool/smtpd/queue/2e/2e13f24c/2e13f24c5f5d6b1a", False),  # to whom it goes
        ("var/spool/smtpd/offline/1764504000.XXXX", False),
        ("var/spool/nullmailer/queue/1764504000.123", True),
        ("var/spool/nullmailer/failed/1764504000.123", False),
        ("home/anna/Maildir/new/1-H", False),
    ],
)
def test_a_mail_is_one_file_whatever_else_is_known_of_it(path: str, is_mail: bool) -> None:
    assert is_queued_mail(path) is is_mail


def test_a_folder_of_a_queue_is_known_by_where_it_lies() -> None:
    assert is_queues_folder("var/spool/postfix")
    assert is_queues_folder("var/spool/exim4/input")
    assert not is_queues_folder("var/spool/postfix-two")
    assert not is_queues_folder("var/spool")


def test_what_holds_mail_is_carried_where_a_site_wants_it_and_what_is_of_one_host_is_not() -> None:
    selection = resolve([], [], queue_rules(), lambda pattern: [pattern])
    for queue in QUEUES:
        assert {selection.decide(f"{path}/x").action for path in queue.paths} == {Action.INCLUDE}
        own = {selection.decide(f"{queue.root}/{name.replace('*', 'x')}").action for name in queue.own}
        assert own == {Action.PROTECT}
        assert {name for name in queue.mails} <= set(queue.folders)
