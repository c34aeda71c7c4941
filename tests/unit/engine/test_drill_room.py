"""How a drill judges what its promotion found."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.backends.container import Machine
from hotsync.engine.drill.room import DrillRoom, is_taken, judged, not_promoted, take_password
from hotsync.engine.promotion.facts import UNITS_CHECK
from hotsync.errors import CommandFailed
from hotsync.model.drill_room import RoomPlan
from hotsync.model.plan import Outcome, StepRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.model.report import Check, Verdict
from hotsync.state import promotion as document
from hotsync.state.configdb import ConfigDb
from hotsync.state.settings import read_settings
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock


def test_of_hotsyncs_folder_only_documents_and_settings_come_into_the_sandbox(tmp_path: Path) -> None:
    """Each night the rest was copied: vaults, what was undone, the replica of an earlier time."""
    folders = (
        "replica", "replica.1", "replica.new", "vault", "undone", "frozen", "rejoin.spool", "rejoin.spool.part",
        "watch", "spool", "shadows", "outbox", "collecting", "packages", "aside", "aside.2", "network-files", "later",
    )  # fmt: skip
    for name in (*folders, "db", "tls"):
        (tmp_path / name).mkdir()
    documents = ("role.json", "warm.json", "cards.json", "slave-run.json", "undo.json", "last-seen.json")
    left = ("peer.json", "promotion.json", "runs.db", "manifest.db", "rejoin.manifest", "drills.jsonl", ".role.json.1f")
    for name in (*documents, *left):
        (tmp_path / name).touch()
    (tmp_path / "larger").symlink_to("/mnt/disk")
    assert {item.name for item in tmp_path.iterdir() if is_taken(item)} == {"db", *documents}, "no key of the pair"


def test_what_is_left_of_a_drills_time_is_that_of_all_its_parts_together(tmp_path: Path) -> None:
    clock, ran = TickingClock(), list[float]()
    room = DrillRoom(Paths(tmp_path), RoomPlan("slave", 1, (), (), seconds=60), clock, lambda _: None)
    for seconds in (0, 25, 30, 100):
        clock.sleep(seconds)
        ran.append(room.left)
    # the clock itself goes on by a second with each look
    assert ran == [59, 33, 2, 1]


def units(verdict: Verdict, detail: str) -> Check:
    return Check(UNITS_CHECK, "everything that ran on the MASTER runs here", verdict, detail, "Look.")


def test_a_unit_that_is_not_here_at_all_fails_the_drill() -> None:
    found = judged(units(Verdict.AMBER, "not on this server: dovecot.service"), ())
    assert (found.verdict, found.detail) == (Verdict.RED, "not on this server: dovecot.service")


def test_a_unit_that_no_container_can_run_is_no_fault_and_hides_no_other() -> None:
    down = units(Verdict.RED, "not active: a.service, b.service")
    assert judged(down, ("a.service", "b.service")).verdict is Verdict.GREEN
    assert judged(down, ("a.service",)).detail == "not active: b.service"
    assert judged(down, ("a.service",)).verdict is Verdict.RED


@pytest.mark.parametrize("check", [units(Verdict.GREEN, "9 units"), Check("x", "y", Verdict.AMBER, "not: z")])
def test_other_answers_stay_as_they_are(check: Check) -> None:
    assert judged(check, ("z",)) == check


def test_a_promotion_that_did_not_end_says_where_and_why() -> None:
    failed = StepRecord("databases.load:mariadb", "load mariadb/default", "databases", 1, 2, Outcome.FAILED, "no")
    promotion = Promotion(1, 1, "", 0, 0, 0, NetworkPlan(), (), records=(failed,))
    said = '{"error": {"sentence": "Step x failed: ERROR 1146", "hint": "Remove the cause."}}'
    check = not_promoted(said, promotion)
    assert check.verdict is Verdict.RED
    assert check.detail == "load mariadb/default: Step x failed: ERROR 1146"
    assert check.hint == "Remove the cause."


@pytest.mark.parametrize(("said", "detail"), [("", "it said nothing"), ("Killed\n", "Killed"), ("{}", "{}")])
def test_whatever_it_said_is_shown(said: str, detail: str) -> None:
    assert not_promoted(said, None).detail == detail


def test_a_sandbox_does_not_know_the_password_of_the_pair(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.configuration.parent.mkdir(parents=True)
    paths.configuration.write_text("hotsync=service|role|slave\nrsyncd=service|password|of the pair|port|22\n")
    take_password(paths)
    assert "of the pair" not in paths.configuration.read_text()
    settings, _ = read_settings(paths)
    assert settings.password, "settings without one are faulty"
    assert ConfigDb(paths.configuration).props(["rsyncd"])["rsyncd"]["port"] == "22"


def test_of_a_promotion_that_hangs_is_told_how_far_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was found before it was lost with it: the drill said only that a program did not end."""
    done = StepRecord("net", "take the addresses", "network", 1.0, 3.5, Outcome.DONE, "")
    half = Promotion(1, 1, "d" * 64, 1.0, 1.0, 1.0, NetworkPlan(), (), records=(done,))

    def hangs(argv: object, **_: object) -> object:
        raise CommandFailed(program="hotsync-promote", status="no end after 3600 s", detail="it was ended", line="")

    monkeypatch.setattr(command, "run", hangs)
    monkeypatch.setattr(document, "load_promotion", lambda _: half)
    monkeypatch.setattr(Machine, "inside", lambda _, argv: argv)
    room = DrillRoom(Paths(tmp_path), RoomPlan("slave", 1, (), ()), TickingClock(), lambda _: None)
    result = room._rehearse(Machine(1), tmp_path, 0)
    check = result.checks[0]
    assert (check.name, check.verdict, result.rto) == ("promotion.done", Verdict.RED, 0.0)
    assert check.detail.startswith('after the step "take the addresses": ')
    assert "no end after 3600 s" in check.detail
    assert [(stage.name, stage.of_promotion) for stage in result.stages] == [("promotion", False), ("net", True)]
