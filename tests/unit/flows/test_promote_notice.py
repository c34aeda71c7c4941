"""The mails of a promotion and its undo: one when it failed in the middle or was cut, one when it came to its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hotsync.cli.promote import promote
from hotsync.errors import PeerStillAlive, StepFailed
from hotsync.flows import promote_boot, promote_notice
from hotsync.flows.notify import Addressee
from hotsync.flows.promote_notice import failed, mail_promoted, mail_undone, tell_by_mail, was_told_of
from hotsync.model.alerts import Alert
from hotsync.model.fence import FenceResult, Tier
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.plan import Outcome, Phase, StepRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.model.report import Check, Verdict
from hotsync.model.undo import Undo
from hotsync.report.letters import PROMOTION, SILENCE
from hotsync.report.promoted import promoted_letter
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.alerts import AlertBook
from hotsync.state.undo import save_undo
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock
from tests.fakes.mail import Box

PROJECT = Path(__file__).resolve().parents[3]
FAILED = StepFailed(step="load the databases", reason="no server", hint="Start it, then hotsync-promote.")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Box:
    box = Box()
    monkeypatch.setattr(promote_notice, "addressee_of", lambda *_: Addressee("root", "hotsync@slave", (box,)))
    return box


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    store.save_role(paths, RoleRecord(Role.SLAVE, 0, claim=1))
    document.save_promotion(paths, Promotion(1, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    return paths


def test_a_promotion_that_fails_is_mailed_once_and_its_end_says_only_what_to_do_now(box: Box, paths: Paths) -> None:
    clock = TickingClock()
    tell_by_mail(paths, clock, failed(FAILED))
    tell_by_mail(paths, clock, failed(FAILED))
    assert len(box.mails) == 1
    text = box.mails[0].get_content()
    assert "no server" in text
    assert "Start it" in text
    AlertBook(paths).set(SILENCE, Alert(1.0, 1.0))
    store.save_role(paths, RoleRecord(Role.MASTER, 1))
    mail_promoted(paths, clock, DONE)
    assert [mail["Subject"].partition(": ")[2] for mail in box.mails] == [
        "promotion of this server failed",
        "this server is MASTER now",
    ]
    assert "othing needs to be done" not in box.mails[1].get_content()
    assert AlertBook(paths).get(PROMOTION) is None, "the next one that fails is a first one"
    assert AlertBook(paths).get(SILENCE) is None, "it has no MASTER any more"


def test_an_undo_that_fails_says_so_and_its_end_says_what_this_server_is(box: Box, paths: Paths) -> None:
    clock, undo = TickingClock(), Undo(1, 7, 5.0, was_master=False, notes=("The quota of /home is not set.",))
    save_undo(paths, undo)
    tell_by_mail(paths, clock, failed(FAILED))
    assert box.mails[0]["Subject"].endswith(": promotion of this server failed")
    tell_by_mail(paths, clock, failed(FAILED, undoes=True))
    assert len(box.mails) == 2, "of the same kind of error, but of the undo"
    assert box.mails[1]["Subject"].endswith(": undo of the promotion of this server failed")
    assert "Perhaps nobody serves" in box.mails[1].get_content()
    store.save_role(paths, RoleRecord(Role.SLAVE, 0))
    save_undo(paths, replace(undo, finished_at=9.0))
    assert was_told_of(paths)
    mail_undone(paths, clock, undo, "This server is a SLAVE again, and epoch 1 is released.")
    assert not was_told_of(paths)
    text = box.mails[2].get_content()
    assert box.mails[2]["Subject"].endswith(": this server is a SLAVE again")
    assert "to epoch 1 was given up before its end" in text
    assert "The quota of /home" in text
    assert "works again" not in "".join(mail.get_content() for mail in box.mails)


def test_whoever_reads_of_a_promotion_reads_whether_the_old_master_was_fenced() -> None:
    assert "fenced" not in promoted_letter("slave", DONE)
    fences = (FenceResult(Tier.AGENT, False, "no route"), FenceResult(Tier.SSH, True, "powered off"))
    text = promoted_letter("s", replace(DONE, fences=fences))
    assert "The old MASTER was fenced: it was switched off by ssh." in text
    none = promoted_letter("s", replace(DONE, fences=fences[:1]))
    assert "The old MASTER was not fenced by anything (agent: no route): keep it off." in none


def test_after_a_switchover_nobody_is_told_to_keep_the_old_master_off() -> None:
    fences = (FenceResult(Tier.AGENT, True, "it holds itself"),)
    text = promoted_letter("slave", replace(DONE, planned=True, fences=fences))
    assert "nothing was lost" in text
    assert "is not here" not in text
    assert "stays off" not in text
    assert "The old MASTER stays on: it becomes the SLAVE" in text
    assert "stays off" in promoted_letter("slave", DONE)
    assert "is not here" in promoted_letter("slave", DONE)


def test_one_that_was_refused_is_no_news(box: Box, paths: Paths) -> None:
    store.save_role(paths, RoleRecord(Role.SLAVE, 0))
    tell_by_mail(paths, TickingClock(), failed(PeerStillAlive(evidence="ping")))
    assert box.mails == []


def test_a_boot_in_the_middle_is_mailed_unless_it_has_ended_meanwhile(box: Box, paths: Paths) -> None:
    promote_boot.mail_unfinished(paths, TickingClock())
    assert len(box.mails) == 1
    assert "UNFINISHED" in box.mails[0].get_content()
    store.save_role(paths, RoleRecord(Role.SLAVE, 0))
    promote_boot.mail_unfinished(paths, TickingClock())
    assert len(box.mails) == 1


def test_a_mail_that_nobody_takes_is_tried_again_until_it_is_taken(box: Box, paths: Paths) -> None:
    clock = TickingClock()
    box.full = True
    assert [promote_boot.mail_unfinished(paths, clock) for _ in range(2)] == [False, False]
    box.full = False
    assert [promote_boot.mail_unfinished(paths, clock) for _ in range(2)] == [True, True]
    assert len(box.mails) == 1


def test_it_is_not_tried_again_once_nothing_is_unfinished(box: Box, paths: Paths) -> None:
    box.full = True
    assert not promote_boot.mail_unfinished(paths, TickingClock())
    store.save_role(paths, RoleRecord(Role.SLAVE, 0))
    assert promote_boot.mail_unfinished(paths, TickingClock())


def test_where_there_is_no_way_for_a_mail_none_is_tried_again(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promote_notice, "addressee_of", lambda *_: Addressee("root", "hotsync@slave", ()))
    assert promote_boot.mail_unfinished(paths, TickingClock())


def test_the_command_ends_so_that_its_unit_tries_again(box: Box, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(paths.root))
    monkeypatch.setattr("hotsync.system.log.set_up", lambda *_: None)
    box.full = True
    assert CliRunner().invoke(promote, ["--mail"]).exit_code == 1
    box.full = False
    assert CliRunner().invoke(promote, ["--mail"]).exit_code == 0
    unit = (PROJECT / "systemd" / promote_boot.MAIL_UNIT).read_text().splitlines()
    assert {"Restart=on-failure", "StartLimitIntervalSec=0", "Type=exec"} <= set(unit)


def test_a_mail_that_cannot_be_written_harms_nothing(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Addressee:
        raise OSError("no such account")

    monkeypatch.setattr(promote_notice, "addressee_of", broken)
    tell_by_mail(paths, TickingClock(), failed(FAILED))


DONE = Promotion(
    1, 7, "d", 100.0, 1.0, 40.0, NetworkPlan(), (),
    records=(StepRecord("claim", "claim epoch 1", Phase.CLAIM.value, 100.0, 112.0, Outcome.DONE),),
    checks=(
        Check("imap", "a mailbox opens", Verdict.GREEN),
        Check("smb", "shares are listed", Verdict.RED, "no answer\x1b[31m", "journalctl -u smbd says why."),
    ),
    notes=("The quota of /home is not set.",),
)  # fmt: skip


def test_whoever_gets_the_mails_reads_that_this_server_is_master_and_what_to_look_at(box: Box, paths: Paths) -> None:
    mail_promoted(paths, TickingClock(), DONE)
    (mail,) = box.mails
    assert mail["Subject"].endswith(": this server is MASTER now")
    text = mail.get_content()
    for words in (
        "at epoch 1", "took 12 s", "generation 7", "Checks: 1 green, 1 red.", "journalctl -u smbd says why.",
        "The quota of /home", "log in to mail", "signal-event post-restore-data", "hotsync-promote --report",
    ):  # fmt: skip
        assert words in text
    assert "a mailbox opens" not in text, "what is well needs no line"
    assert "\x1b" not in text


def test_a_mail_of_it_that_nobody_takes_is_no_failure(box: Box, paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    box.full = True
    mail_promoted(paths, TickingClock(), DONE)
    assert "no route to host" in caplog.text
