"""What `hotsync status` warns of, and that it answers whatever is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.units import Units
from hotsync.cli import look
from hotsync.cli.look import status_document
from hotsync.cli.render import local, utc
from hotsync.config.schema import Settings
from hotsync.flows import status as flow
from hotsync.flows.status import read_status
from hotsync.flows.status_shown import Status
from hotsync.flows.status_warnings import warnings_of
from hotsync.model.coverage.findings import Coverage, Finding, Kind
from hotsync.model.generation import DatasetPoint, Generation
from hotsync.model.handover import HandOver, Stage
from hotsync.model.hold import Hold
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.rejoin import Rejoin, Terms
from hotsync.model.report import Check, Notice, RunReport, Verdict
from hotsync.model.standby import StandbyShown
from hotsync.state.boot_hold import BootHold
from hotsync.state.slave_run import SlaveRun
from hotsync.system.clock import SystemClock
from hotsync.system.command import Completed
from hotsync.system.paths import Paths
from hotsync.transport.presence import Presence, Refusal

NOW = 1e9
MINUTE = 60.0
HELD = Generation(7, "", 0, NOW - 10 * MINUTE, NOW - 9 * MINUTE, NOW - 9 * MINUTE)
GOOD = Status(
    host="slave",
    now=NOW,
    role=RoleRecord(Role.SLAVE, 1),
    settings=Settings(role=Role.SLAVE, master_host="192.0.2.1"),
    peer=Peer("boss", "192.0.2.1", "", ""),
    presence=Presence(last_seen=NOW, connected=True),
    newest=HELD,
    last_run=RunReport("hotsync-slave", 1.0, 2.0, 0, "fine"),
    next_run=NOW + 60,
    slave_run=SlaveRun(NOW - 30 * MINUTE, 7, checks=(Check("a", "b", Verdict.GREEN),)),
    muted=(),
    warnings=(),
)
MASTER = replace(
    GOOD, role=RoleRecord(Role.MASTER, 1), settings=Settings(role=Role.MASTER, slave_host="192.0.2.2"), slave_run=None
)


def holding(point: DatasetPoint) -> Status:
    return replace(GOOD, newest=replace(HELD, datasets=(point,)))


def told(status: Status) -> str:
    return "\n".join(warnings_of(status))


@pytest.mark.parametrize("status", [GOOD, MASTER])
def test_where_all_is_well_there_is_no_warning(status: Status) -> None:
    assert told(status) == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (replace(MASTER, streaming=False), "systemctl start hotsync-stream"),
        (replace(MASTER, watching=False), "systemctl start hotsync-watch"),
        (
            replace(GOOD, standbys=(StandbyShown("postgresql/15-main", fault="its standby does not run"),)),
            "postgresql/15-main: its standby does not run",
        ),
        (replace(GOOD, presence=Presence(last_seen=NOW - 46 * MINUTE)), "The MASTER boss is silent"),
        (replace(GOOD, presence=Presence()), "last heard of: never"),
        (replace(GOOD, now=NOW + 21 * MINUTE), "31 minutes old, more than two intervals"),
        (replace(MASTER, now=NOW + 21 * MINUTE), "31 minutes old, more than two intervals"),
        (replace(GOOD, next_run=0.0), "systemctl start hotsync-slave.timer"),
        (replace(MASTER, next_run=0.0), "systemctl start hotsync.timer"),
        (replace(GOOD, serving=False), "hotsyncd does not run"),
        (replace(MASTER, voiceless=True), "No mail can leave this server"),
        (replace(GOOD, slave_run=SlaveRun(NOW - 200 * MINUTE, 7)), "The readiness was last looked at 3 hours ago"),
        (replace(GOOD, slave_run=None), "hotsync-slave has not run yet"),
        (holding(DatasetPoint("sqlite:/a", 5.0, 5.0, "locked")), "sqlite:/a is an older copy: locked"),
        (holding(DatasetPoint("sqlite:/b", 0.0, 5.0, "damaged")), "sqlite:/b has no sound copy yet: damaged"),
    ],
)
def test_what_is_wrong_is_a_warning(status: Status, words: str) -> None:
    assert words in told(status)


def ages(status: Status) -> str:
    """Return what is said of the age of the data; the readiness and the contact are looked at now and then."""
    return "\n".join(line for line in warnings_of(status) if "minutes old" in line)


def test_the_age_is_measured_by_the_longer_interval_of_both_servers() -> None:
    told = replace(GOOD, presence=replace(GOOD.presence, interval_minutes=60))
    assert ages(replace(told, now=NOW + 109 * MINUTE)) == ""
    late = ages(replace(told, now=NOW + 111 * MINUTE))
    assert "121 minutes old, more than two intervals (IntervalMinutes is 60)" in late
    shorter = replace(GOOD, presence=replace(GOOD.presence, interval_minutes=1))
    assert ages(replace(shorter, now=NOW + 19 * MINUTE)) == ""
    # a MASTER has been a SLAVE, and may remember what its MASTER of then said
    before = replace(MASTER, presence=replace(MASTER.presence, interval_minutes=60))
    assert "31 minutes old" in ages(replace(before, now=NOW + 21 * MINUTE))


def test_a_server_that_is_switched_off_on_purpose_warns_of_nothing_that_follows_from_it() -> None:
    off = replace(GOOD, settings=GOOD.settings.model_copy(update={"enabled": False}), next_run=0.0, serving=False)
    assert told(replace(off, presence=Presence(), now=NOW + 1e6)) == ""


def test_a_master_without_a_slave_is_told_that_and_nothing_that_follows_from_it() -> None:
    alone = replace(MASTER, settings=Settings(role=Role.MASTER), next_run=0.0, peer=None, now=NOW + 1e6)
    assert told(alone) == "This MASTER has no SLAVE: nothing is protected until one is set (prop SlaveHost)."


def test_a_superseded_master_is_told_what_to_do_in_this_version() -> None:
    shown = told(replace(MASTER, presence=Presence(last_seen=NOW, connected=True, superseded_by=3)))
    assert "systemctl status hotsync-hold" in shown
    assert "hotsync rejoin" in shown


def test_a_rejoin_that_was_cut_is_told_in_place_of_the_hold() -> None:
    rejoin = Rejoin(Terms(3, 7, "d" * 64), NOW, "/var/lib/hotsync/vault/x", ())
    shown = told(replace(MASTER, hold=Hold(3, NOW), rejoin=rejoin))
    assert "run hotsync rejoin, it goes on" in shown
    assert "HELD" not in shown
    assert "HELD" in told(replace(MASTER, hold=Hold(3, NOW), rejoin=replace(rejoin, finished_at=NOW)))


def test_a_rejoin_that_runs_is_not_called_unfinished() -> None:
    rejoin = Rejoin(Terms(3, 7, "d" * 64), NOW, "/var/lib/hotsync/vault/x", ())
    shown = told(replace(MASTER, hold=Hold(3, NOW), rejoin=rejoin, rejoining=True))
    assert "It is coming back as SLAVE now: hotsync rejoin shows how far it is." in shown
    assert "not finished" not in shown


def test_a_master_that_hands_over_says_that_production_is_stopped() -> None:
    handover = HandOver(Stage.READY, 1, 1.0)
    (said,) = (line for line in warnings_of(replace(GOOD, handover=handover)) if "switchover" in line)
    assert "production is stopped here" in said
    assert status_document(replace(GOOD, handover=handover))["handover"] == {"stage": "ready", "since": utc(1.0)}


def test_the_age_on_a_master_does_not_depend_on_the_slaves_clock() -> None:
    ahead = Presence(last_seen=NOW, connected=True, clock_difference=250.0)
    assert replace(MASTER, presence=ahead).age == replace(MASTER).age == 10 * MINUTE
    assert replace(GOOD, presence=ahead).age == 10 * MINUTE + 250.0


def test_the_whole_record_of_the_last_run_is_in_the_document() -> None:
    notices = tuple(Notice("path.vanished", f"/srv/{number}: gone", f"srv/{number}") for number in range(50))
    status = replace(MASTER, last_run=RunReport("hotsync", 1.0, 2.0, 1, "done", warnings=notices))
    document = status_document(status)["last_run"]
    assert isinstance(document, dict)
    assert [notice["path"] for notice in document["warnings"]] == [f"srv/{number}" for number in range(50)]
    assert "40 more" in told(status)


def stopped(_words: Sequence[str]) -> Completed:
    return Completed(3, b"", b"")


def test_the_status_answers_with_every_file_of_its_state_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    paths.configuration.write_text("hotsync=configuration|SlavePort|many|role|slave\nrsyncd=service\n")
    for name in ("role.json", "peer.json", "runs.db", "manifest.db", "sent.json", "slave-run.json", "last-seen.json"):
        (paths.state / name).write_bytes(b"rubbish" * 100)
    monkeypatch.setattr(flow, "next_run", lambda _timer: 0.0)
    status = read_status(paths, SystemClock(), Units(ask=stopped))
    warnings = "\n".join(status.warnings)
    assert "role.json" in warnings
    assert "peer.json" in warnings
    assert "SlavePort" in warnings
    status_document(status)


def test_the_status_of_a_slave_answers_with_its_records_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hotsync.state.store import save_role

    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    save_role(paths, RoleRecord(Role.SLAVE, 1))
    for name in ("runs.db", "manifest.db", "slave-run.json"):
        (paths.state / name).write_bytes(b"rubbish" * 100)
    monkeypatch.setattr(flow, "next_run", lambda _timer: 0.0)
    status = read_status(paths, SystemClock(), Units(ask=stopped))
    assert (status.role.role, status.newest, status.last_run) == (Role.SLAVE, None, None)
    assert "hotsyncd does not run" in "\n".join(status.warnings)


def test_how_far_a_streamed_cluster_is_is_shown_by_the_masters_clock(capsys: pytest.CaptureFixture[str]) -> None:
    good = StandbyShown("postgresql/15-main", NOW - 2, 2.04)
    status = replace(GOOD, standbys=(good, StandbyShown("postgresql/15-new"), StandbyShown("x", fault="down")))
    look._show(status)
    rows = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("streamed")]
    assert rows == [
        f"streamed    postgresql/15-main as of {local(NOW - 2)}, the MASTER's time (2 seconds behind)",
        "streamed    postgresql/15-new of a time that is not known yet",
    ]
    shown = status_document(status)["streamed"]
    assert isinstance(shown, list)
    assert shown[0] == {"name": "postgresql/15-main", "as_of": utc(NOW - 2), "lag_seconds": 2.0, "fault": ""}


def rows(status: Status, capsys: pytest.CaptureFixture[str]) -> list[str]:
    look._show(status)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line.startswith(("streamed", "databases"))]


def test_the_dump_of_a_streamed_server_may_be_old_and_is_shown_beside_how_far_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    points = (
        DatasetPoint("mariadb/default", NOW - 600),
        DatasetPoint("postgresql/15-main", NOW - 3000, streamed=True),
        DatasetPoint("postgresql/15-main/bank", NOW - 2990, streamed=True),
    )
    newest = replace(HELD, datasets=points)
    databases = f"databases   as of {local(NOW - 600)}, the MASTER's time"
    master = replace(MASTER, newest=newest)
    assert rows(master, capsys) == [databases, f"streamed    postgresql/15-main; last dump {local(NOW - 3000)}"]
    assert told(master) == ""
    slave = replace(GOOD, newest=newest, standbys=(StandbyShown("postgresql/15-main", NOW - 2, 2.04),))
    assert rows(slave, capsys) == [
        databases,
        f"streamed    postgresql/15-main as of {local(NOW - 2)}, the MASTER's time (2 seconds behind); "
        f"last dump {local(NOW - 3000)}",
    ]
    assert told(slave) == ""
    # a SLAVE whose standby does not run has no more than the dump
    lost = replace(slave, standbys=(StandbyShown("postgresql/15-main", fault="its standby does not run"),))
    assert rows(lost, capsys) == [f"databases   as of {local(NOW - 3000)}, the MASTER's time"]


def test_how_much_nothing_protects_is_one_line_of_the_status_and_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding(Kind.DATA, "/data", "no rule names it")
    for findings, line in (
        ((), "coverage    nothing is unprotected (2 hours ago)"),
        ((finding,), "coverage    1 thing is not protected: hotsync coverage (2 hours ago)"),
        ((finding, finding), "coverage    2 things are not protected: hotsync coverage (2 hours ago)"),
    ):
        status = replace(MASTER, coverage=Coverage(NOW - 120 * MINUTE, 7, findings))
        look._show(status)
        assert line in capsys.readouterr().out
        assert told(status) == ""


def test_an_undo_that_is_not_finished_is_all_that_is_said() -> None:
    undone = replace(MASTER, undoing="It is being UNDONE.", serving=False, presence=Presence(), now=NOW + 1e6)
    assert told(undone) == "It is being UNDONE."


def test_a_claim_says_how_to_go_on_and_how_to_give_it_up() -> None:
    shown = told(replace(GOOD, role=RoleRecord(Role.SLAVE, 1, claim=2)))
    assert "run hotsync-promote, it goes on" in shown
    assert "hotsync-promote --undo" in shown


def test_a_boot_that_found_productions_addresses_with_somebody_else_says_so_and_how_to_go_on() -> None:
    hold = BootHold(2, "another machine answers for production's addresses (02:00:00:00:00:02 has 192.0.2.10)")
    shown = told(replace(GOOD, role=RoleRecord(Role.SLAVE, 1, claim=2), boot_hold=hold))
    assert "A promotion to epoch 2 is not finished. It booted without production's addresses" in shown
    assert "02:00:00:00:00:02 has 192.0.2.10" in shown
    assert "hotsync-promote fences" in shown
    assert "hotsync-promote --undo" in shown


def test_what_failed_is_said_with_what_to_do() -> None:
    hint = "Run `hotsync --accept-changes`."
    run = RunReport("hotsync", 1.0, 2.0, 3, "The run is held: half is gone", "refused.held", hint)
    assert "The run is held: half is gone. Run `hotsync --accept-changes`." in told(replace(MASTER, last_run=run))
    trouble = Refusal(NOW, "192.0.2.2", "peer.unpaired", "This server is not paired with it yet.", "Set the password.")
    shown = told(replace(MASTER, presence=replace(MASTER.presence, trouble=trouble, refusal=trouble)))
    assert "This server is not paired with it yet. Set the password." in shown
    assert "Last refused: This server is not paired with it yet. (192.0.2.2). Set the password." in shown


def test_that_nothing_is_muted_has_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    look._show(replace(GOOD, slave_run=None))
    assert "muted       nothing yet (hotsync-slave has not run)" in capsys.readouterr().out
    look._show(GOOD)
    shown = capsys.readouterr().out
    assert "muted       nothing: no unit of production is known here" in shown
    assert "has not run" not in shown
