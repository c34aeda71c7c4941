"""However a run of the MASTER ends, it is recorded, logged and mailed."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
from email.message import EmailMessage
from pathlib import Path

import pytest

from hotsync.errors import Busy, ConfigError, HotSyncError, NotServing, PeerUnreachable, StaleEpoch, UsageError
from hotsync.flows import sync as flow
from hotsync.flows.notify import Addressee
from hotsync.flows.sync import SyncOptions, run_sync
from hotsync.model.report import Notice, RunReport
from hotsync.state.runs import STREAMING, Runs
from hotsync.system import lock
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

GONE = PeerUnreachable(address="192.0.2.2", port=273, reason="no route")
ENDED = "SIGTERM"
ASK = flow._sync


class World:
    """A MASTER whose runs end as it is told, with a mailbox."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths = Paths(root)
        self.mails: list[EmailMessage] = []
        self.next: Exception | str | None = None
        self.set("enabled")
        monkeypatch.setattr(flow, "_sync", self._sync)
        monkeypatch.setattr(flow, "addressee_of", lambda *_: Addressee("root", "hotsync@master", (self,)))

    def set(self, *props: str) -> None:
        """Write the settings: the value of status, then props with their values."""
        self.paths.databases.mkdir(parents=True, exist_ok=True)
        self.paths.configuration.write_text(f"hotsync=configuration|status|{'|'.join(props)}\nrsyncd=service\n")

    def send(self, message: EmailMessage) -> None:
        self.mails.append(message)

    def probe(self, sender: str, to: str) -> None:
        raise AssertionError("nothing asks")

    def _sync(self, *_: object) -> RunReport:
        if self.next == ENDED:
            os.kill(os.getpid(), signal.SIGTERM)
        if isinstance(self.next, Exception):
            raise self.next
        return RunReport("hotsync", 1.0, 2.0, 0, "Nothing changed.", warnings=(Notice("a", "b"),))

    def run(self, how: Exception | str | None, *, timer: bool = False) -> RunReport:
        self.next = how
        return run_sync(self.paths, SystemClock(), SyncOptions(timer=timer), lambda *_: None)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@pytest.mark.parametrize(
    ("how", "code", "exit_code"),
    [
        (GONE, "peer.unreachable", 5),
        (OSError(errno.ENOSPC, "No space left on device", "/var/lib/hotsync/outbox/7.changes"), "replica.full", 8),
        (full(), "replica.full", 8),
        (OSError(errno.EIO, "Input/output error", "/srv/files"), "system", 9),
        (sqlite3.OperationalError("disk I/O error"), "system", 9),
        (KeyError("bug"), "bug", 70),
        (ENDED, "ended", 130),
    ],
)
def test_whatever_ends_a_run_is_in_its_record_and_in_a_mail(
    world: World, how: Exception | str, code: str, exit_code: int
) -> None:
    report = world.run(how, timer=True)
    assert (report.error_code, report.exit_code) == (code, exit_code)
    assert Runs(world.paths.runs).last("hotsync") == report
    (mail,) = world.mails
    assert report.summary in mail.get_content()
    assert report.hint in mail.get_content()


def test_a_signal_means_what_it_did_once_the_run_is_over(world: World) -> None:
    before = signal.getsignal(signal.SIGTERM)
    world.run(ENDED)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_bug_leaves_its_traces_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.run(KeyError("bug"))
    assert "KeyError: 'bug'" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
def test_records_that_cannot_be_kept_keep_no_mail_and_no_exit_code_back(world: World, damage: bytes | None) -> None:
    if damage is None:
        world.paths.runs.mkdir(parents=True)  # nothing can be opened there
    else:
        world.paths.runs.write_bytes(damage)
    assert world.run(GONE).exit_code == 5
    assert len(world.mails) == 1
    assert world.run(None).exit_code == 0
    assert len(world.mails) == 2


def test_a_wrong_setting_that_stops_the_timers_runs_is_recorded_and_mailed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "_sync", ASK)
    world.set("enabled", "IntervalMinutes", "often")
    report = world.run(None, timer=True)
    assert (report.error_code, report.exit_code) == ("config", 2)
    assert Runs(world.paths.runs).last("hotsync") == report
    assert "IntervalMinutes" in world.mails[0].get_content()


def test_whoever_typed_it_is_told_of_a_wrong_setting_and_nobody_is_mailed(world: World) -> None:
    world.set("enabled", "IntervalMinutes", "often")
    assert world.run(ConfigError(document="The configuration", faults="IntervalMinutes")).error_code == "config"
    assert world.mails == []


@pytest.mark.parametrize(
    "how",
    [
        UsageError(reason="HotSync is disabled here."),
        StaleEpoch(ours=3, theirs=4),  # that this server is held has its own mails, which tell no lie
        NotServing(reason="the other server does not answer"),
    ],
)
def test_a_run_that_is_not_meant_to_be_mails_nobody(world: World, how: HotSyncError) -> None:
    assert world.run(how, timer=True).exit_code == how.exit_code
    assert world.mails == []


def test_beside_another_run_nothing_happens_and_nothing_is_recorded(world: World) -> None:
    with lock.held(world.paths.sync_lock, "run of HotSync"), pytest.raises(Busy):
        world.run(None)
    assert Runs(world.paths.runs).last("hotsync") is None


def test_what_streaming_had_to_say_is_told_by_the_next_run_and_by_no_other(world: World) -> None:
    runs = Runs(world.paths.runs)
    overrun = (Notice("stream.overrun", "The stream is given up"),)
    runs.add(RunReport(STREAMING, 0.5, 0.5, 1, "The stream is given up.", warnings=overrun))
    assert flow._of_streams(world.paths) == list(overrun)
    world.run(None)  # it began at 1.0
    assert flow._of_streams(world.paths) == []
    runs.add(RunReport(STREAMING, 1.5, 1.5, 1, "Again.", warnings=overrun))
    assert flow._of_streams(world.paths) == list(overrun)
