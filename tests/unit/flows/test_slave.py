"""What a run of hotsync-slave says, keeps and mails."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from hotsync.errors import Busy, NotReady, ReplicaError, WrongRole
from hotsync.flows import slave as flow
from hotsync.flows.notify import Addressee
from hotsync.flows.slave import Done, run_slave, summary_of
from hotsync.model.report import Check, Verdict
from hotsync.state.runs import Runs
from hotsync.state.slave_run import MissingPackage, SlaveRun, load_slave_run, save_slave_run
from hotsync.system import lock
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

GOOD = Check("a", "all is well", Verdict.GREEN)
ODD = Check("b", "packages are here", Verdict.AMBER, "two are missing", "install them")
BAD = Check("mute.quiet", "it is quiet", Verdict.RED, "master runs", "stop it")
RUN = SlaveRun(20.0, 7, (MissingPackage("x", "nowhere"),), (), (GOOD,), "d")


class World:
    """A host whose runs end as it is told, with a mailbox."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.mails: list[EmailMessage] = []
        self.next: SlaveRun | Exception = RUN
        monkeypatch.setattr(flow, "_run", self._run)
        monkeypatch.setattr(flow, "addressee_of", lambda *_: Addressee("admin", "hotsync@slave", (self,)))

    def send(self, message: EmailMessage) -> None:
        self.mails.append(message)

    def probe(self, sender: str, to: str) -> None:
        raise AssertionError("nothing asks")

    def _run(self, *_: object) -> SlaveRun:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    def run(self, checks: tuple[Check, ...] | Exception) -> Done:
        self.next = checks if isinstance(checks, Exception) else replace(RUN, checks=checks)
        return run_slave(self.paths, SystemClock(), lambda _: None, only_permissions=False)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_all_green_is_done_without_a_word_by_mail(world: World) -> None:
    done = world.run((GOOD,))
    assert (done.report.exit_code, done.report.summary) == (
        0,
        "This SLAVE could be promoted now, with generation 7.",
    )
    assert world.mails == []
    assert Runs(world.paths.runs).last("hotsync-slave") == done.report


def test_amber_is_done_with_warnings_and_mails_nobody(world: World) -> None:
    report = world.run((GOOD, ODD)).report
    assert report.exit_code == 1
    assert report.warnings[0].sentence == "packages are here: two are missing"
    assert world.mails == []


def test_red_is_mailed_once_and_its_end_too(world: World) -> None:
    for _ in range(3):
        assert world.run((ODD, BAD)).report.exit_code == 1
    assert len(world.mails) == 1
    body = world.mails[0].get_content()
    assert "it is quiet: master runs" in body
    assert "stop it" in body
    world.run((ODD,))
    assert len(world.mails) == 2


def test_a_failure_is_recorded_and_mailed_with_its_exit_code(world: World) -> None:
    done = world.run(ReplicaError(reason="packages.json is malformed"))
    assert (done.report.exit_code, done.report.error_code, done.run) == (8, "replica", None)
    assert len(world.mails) == 1


@pytest.mark.parametrize(
    ("how", "code", "exit_code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "replica.full", 8),
        (sqlite3.OperationalError("disk I/O error"), "system", 9),
        (KeyError("bug"), "bug", 70),
    ],
)
def test_what_nobody_foresaw_is_recorded_and_mailed_too(
    world: World, how: Exception, code: str, exit_code: int
) -> None:
    report = world.run(how).report
    assert (report.error_code, report.exit_code) == (code, exit_code)
    assert Runs(world.paths.runs).last("hotsync-slave") == report
    assert len(world.mails) == 1


def test_a_slave_that_waits_for_its_first_generation_mails_nobody(world: World) -> None:
    assert world.run(NotReady(reason="it holds no generation yet")).report.exit_code == 3
    assert world.mails == []


def test_a_person_on_the_wrong_server_is_told_and_nobody_is_mailed(world: World) -> None:
    assert world.run(WrongRole(role="the MASTER", command="hotsync-slave", wanted="a SLAVE")).report.exit_code == 3
    assert world.mails == []


def test_beside_another_run_nothing_happens_and_nothing_is_recorded(world: World) -> None:
    with lock.held(world.paths.sync_lock, "run of HotSync"), pytest.raises(Busy):
        world.run((GOOD,))
    assert Runs(world.paths.runs).last("hotsync-slave") is None


def test_the_sentence_names_how_many_points_ask_for_attention() -> None:
    assert summary_of(replace(RUN, checks=(ODD,))).endswith("with generation 7; one point asks for attention.")
    assert summary_of(replace(RUN, checks=(ODD, BAD))) == (
        "This SLAVE is not ready to be promoted: 2 points ask for attention."
    )


def test_what_was_found_reads_back_and_a_document_of_another_schema_counts_as_none(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    assert load_slave_run(paths) is None
    save_slave_run(paths, RUN)
    assert load_slave_run(paths) == RUN
    (paths.state / "slave-run.json").write_text('{"schema": 2}')
    assert load_slave_run(paths) is None
    (paths.state / "slave-run.json").write_text("{")
    assert load_slave_run(paths) is None
