"""A drill as the SLAVE runs it: where it may, what is kept and told of it, and what waits for what."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotsync.engine.drill import facts as drill_facts
from hotsync.engine.drill.room import RoomResult
from hotsync.errors import Busy, DrillFailed, ExitCode, HotSyncError, NotReady, ReplicaError, WrongRole
from hotsync.flows import drill, drill_unit, promote
from hotsync.model.drill import DrillReport
from hotsync.model.drill_room import RoomPlan
from hotsync.model.fence import Tier
from hotsync.model.fence_rehearsal import Outcome, Rehearsed
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import NetworkPlan
from hotsync.model.report import Check, Verdict
from hotsync.state import store
from hotsync.state.alerts import AlertBook
from hotsync.state.drills import load_drill, load_trend
from hotsync.state.runs import Runs
from hotsync.system import command
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock

GOOD = DrillReport(10.0, 70.0, 41, (Check("a", "it holds", Verdict.GREEN),), rto=20.0, rpo=600.0)


@pytest.fixture
def slave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A SLAVE on which hotsync-slave has run; nothing of a former drill is there to be ended."""
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    store.save_role(paths, RoleRecord(Role.SLAVE, 0, None, 1.0, "test"))
    (paths.state / "slave-run.json").write_text("{}")
    monkeypatch.setattr(drill_facts, "discard", lambda _: None)
    return paths


def rehearsing(monkeypatch: pytest.MonkeyPatch, outcome: DrillReport | Exception) -> None:
    def rehearse(paths: Paths, clock: Clock, say: Callable[[str], None], started: float) -> DrillReport:
        say("Planning")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(drill, "_rehearse", rehearse)


def run(paths: Paths) -> DrillReport:
    return drill.run_drill(paths, TickingClock(), lambda _: None)


def test_only_a_slave_that_is_ready_and_not_being_promoted_is_rehearsed(slave: Paths) -> None:
    (slave.state / "slave-run.json").unlink()
    with pytest.raises(NotReady, match="hotsync-slave has not run"):
        run(slave)
    store.save_role(slave, RoleRecord(Role.SLAVE, 0, 1, 1.0, "test"))
    with pytest.raises(NotReady, match="unfinished"):
        run(slave)
    store.save_role(slave, RoleRecord(Role.MASTER, 1, None, 1.0, "test"))
    with pytest.raises(WrongRole):
        run(slave)
    assert load_drill(slave) is None


def test_what_came_of_it_is_kept(slave: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsing(monkeypatch, GOOD)
    assert run(slave) == load_drill(slave) == GOOD
    kept = Runs(slave.runs).last("hotsync drill")
    assert kept is not None
    assert (kept.exit_code, kept.generation, kept.figures["rto_seconds"]) == (0, 41, 20.0)


def test_the_fences_stand_in_the_report_and_leave_a_drill_its_own_verdict(
    slave: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Paths] = []
    fence = Rehearsed(Tier.SSH, "old-master", 1.0, Outcome.FAILED, "Permission denied", "Give it a key.")
    check = Check("fence.ssh", "it could", Verdict.AMBER, "Permission denied", "Give it a key.")
    monkeypatch.setattr(drill, "rehearse_if_due", lambda paths, *_: tried.append(paths))
    monkeypatch.setattr(drill, "known_fences", lambda _: (fence,))
    monkeypatch.setattr(drill, "check_fences", lambda *_: (check,))
    rehearsing(monkeypatch, GOOD)
    report = run(slave)
    assert (report.verdict, report.fences, report.checks[-1]) == (Verdict.AMBER, (fence,), check)
    assert tried == [slave]
    assert load_drill(slave) == report
    rehearsing(monkeypatch, ReplicaError(reason="the tree cannot be kept"))
    assert run(slave).fences == (fence,)


def test_a_drill_that_could_not_be_run_has_proven_nothing(slave: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsing(monkeypatch, ReplicaError(reason="the tree cannot be kept"))
    report = run(slave)
    assert report.verdict is Verdict.RED
    assert "the tree cannot be kept" in report.reason
    assert [point.verdict for point in load_trend(slave)] == [Verdict.RED]


def test_what_nobody_foresaw_is_red_too(slave: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsing(monkeypatch, ZeroDivisionError("division by zero"))
    assert "ZeroDivisionError" in run(slave).reason


def test_it_is_mailed_when_it_turns_red_and_when_it_holds_again(slave: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, bool]] = []

    def tell(book: AlertBook, who: object, about: str, trouble: object, now: float) -> None:
        told.append((about, trouble is not None))

    monkeypatch.setattr(drill, "tell", tell)
    for verdict in (Verdict.GREEN, Verdict.RED, Verdict.AMBER):
        rehearsing(monkeypatch, replace(GOOD, checks=(Check("a", "it holds", verdict, "why", "Do."),)))
        run(slave)
    assert told == [("the rehearsal of a promotion", failed) for failed in (False, True, False)]


@pytest.mark.parametrize(
    ("verdict", "code"),
    [(Verdict.GREEN, ExitCode.DONE), (Verdict.AMBER, ExitCode.WARNINGS), (Verdict.RED, ExitCode.STEP)],
)
def test_only_a_drill_in_which_every_check_held_ends_with_0(verdict: Verdict, code: ExitCode) -> None:
    assert drill.exit_code_of(replace(GOOD, checks=(Check("a", "b", verdict),))) is code


def events(paths: Paths) -> list[dict[str, object]]:
    return [json.loads(line) for line in drill_unit.events_path(paths).read_text().splitlines()]


def in_unit(monkeypatch: pytest.MonkeyPatch, *outcomes: DrillReport | HotSyncError) -> None:
    left = list(outcomes)

    def run_drill(paths: Paths, clock: Clock, say: Callable[[str], None]) -> DrillReport:
        outcome = left.pop(0)
        if isinstance(outcome, HotSyncError):
            raise outcome
        say("Planning")
        return outcome

    monkeypatch.setattr(drill_unit, "run_drill", run_drill)


def test_the_unit_says_what_it_does_and_how_it_ended(slave: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    in_unit(monkeypatch, GOOD)
    assert drill_unit.run_in_unit(slave, TickingClock()) == 0
    assert events(slave) == [{"said": "Planning"}, {"ended": 0, "sentence": GOOD.summary}]


def test_another_run_is_waited_for_and_that_is_said_once(slave: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Busy(what="run of HotSync", pid=7, age="3 s")
    in_unit(monkeypatch, busy, busy, GOOD)
    assert drill_unit.run_in_unit(slave, TickingClock()) == 0
    assert [str(event.get("said", ""))[:8] for event in events(slave)] == ["Waiting:", "Planning", ""]


class Systemd:
    """A service manager that tells of the unit what is said next."""

    def __init__(self, *told: str) -> None:
        self.told = list(told)
        self.asked: list[str] = []

    def run(self, argv: Sequence[str], **_: object) -> SimpleNamespace:
        self.asked.append(argv[1])
        return SimpleNamespace(text=self.told.pop(0) if argv[1] == "show" else "")


def test_a_drill_that_runs_is_joined(slave: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd("ActiveState=activating\nJob=7\n")
    monkeypatch.setattr(command, "run", systemd.run)
    drill_unit.start(slave)
    assert systemd.asked == ["show"]


def test_one_that_was_ended_and_is_cleaned_up_after_is_none_to_join(
    slave: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    slave.run.mkdir(parents=True)
    drill_unit.events_path(slave).write_text('{"said": "of the one that was ended"}\n')
    systemd = Systemd("ActiveState=deactivating\n", "ActiveState=inactive\nJob=8\n", "ActiveState=inactive\n")
    monkeypatch.setattr(command, "run", systemd.run)
    drill_unit.start(slave)
    assert systemd.asked == ["show", "reset-failed", "start"]
    with pytest.raises(DrillFailed):  # it never said a word; but it was waited for while it was to be started
        drill_unit.follow(slave, lambda _: None, TickingClock())
    assert systemd.told == []


def test_what_refuses_a_drill_is_told_to_whoever_follows(slave: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    in_unit(monkeypatch, NotReady(reason="it holds nothing"))
    assert drill_unit.run_in_unit(slave, TickingClock()) == 3
    told = events(slave)[-1]
    assert told["ended"] == 3
    assert isinstance(told["error"], dict)
    assert told["error"]["code"] == "refused.ready"


def test_a_full_disk_keeps_no_result_and_no_mail_back(slave: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is the green drill of the night before: whoever asks must not be shown that one as today's."""
    rehearsing(monkeypatch, GOOD)
    run(slave)
    told: list[bool] = []
    monkeypatch.setattr(drill, "tell", lambda book, who, about, trouble, now: told.append(trouble is not None))

    def full(path: Path, data: bytes, *, mode: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("hotsync.state.drills.files.write_atomic", full)
    rehearsing(monkeypatch, NotReady(reason="a drill needs 512 MiB; it may take 0 of what is free"))
    with pytest.raises(DrillFailed, match=r"cannot be kept.*No space left.*FAILED.*512 MiB"):
        run(slave)
    assert told == [True]


def test_what_was_found_before_the_sandbox_failed_stays_in_the_report(
    slave: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = Check("packages", "its packages are here", Verdict.RED, "nginx is not", "Install it.")
    promotion = SimpleNamespace(network=NetworkPlan(), generation=41, confirmed_at=400.0)
    seen = SimpleNamespace(checks=(red,), promotion=promotion)
    monkeypatch.setattr(promote, "readiness", lambda *_: seen)
    monkeypatch.setattr(drill, "Ground", lambda _: SimpleNamespace(master=SimpleNamespace(dumps=())))
    for name in ("cards_here", "mounted_folders", "wires", "heard_on", "streamed"):
        monkeypatch.setattr(drill_facts, name, lambda *_: ())
    monkeypatch.setattr(drill_facts, "free_bytes", lambda _: 1 << 40)
    monkeypatch.setattr(drill_facts, "keep_tree", lambda *_: None)
    monkeypatch.setattr(drill, "_check_replica", lambda *_: Check("replica", "it is whole", Verdict.GREEN))

    def hangs(plan: RoomPlan, say: Callable[[str], None]) -> RoomResult:
        raise DrillFailed(reason="hotsync-promote: no end after 3600 s")

    monkeypatch.setattr(drill, "in_a_room", hangs)
    clock = TickingClock()
    report = drill.run_drill(slave, clock, lambda _: None)
    assert (report.generation, report.verdict, report.rto) == (41, Verdict.RED, 0.0)
    assert report.rpo == report.started_at - 400.0
    names = [check.name for check in report.checks if check.verdict is Verdict.RED]
    assert names == ["host.packages", "host.network.wires", "drill.ran"]
    assert [stage.name for stage in report.stages] == ["verify", "pin"]


@pytest.mark.parametrize(("result", "said"), [("oom-kill", "more memory"), ("timeout", "no end of it")])
def test_a_drill_that_systemd_has_ended_is_red(
    slave: Paths, monkeypatch: pytest.MonkeyPatch, result: str, said: str
) -> None:
    rehearsing(monkeypatch, GOOD)
    run(slave)
    told: list[bool] = []
    monkeypatch.setattr(drill, "tell", lambda book, who, about, trouble, now: told.append(trouble is not None))
    drill.note_how_it_ended(slave, TickingClock(), result)
    assert [point.verdict for point in load_trend(slave)] == [Verdict.GREEN, Verdict.RED]
    assert said in load_trend(slave)[-1].reason
    assert told == [True]


@pytest.mark.parametrize("result", ["success", "signal", "exit-code", ""])
def test_one_that_was_stopped_or_came_to_its_end_stands_as_it_is(
    slave: Paths, monkeypatch: pytest.MonkeyPatch, result: str
) -> None:
    rehearsing(monkeypatch, GOOD)
    run(slave)
    drill.note_how_it_ended(slave, TickingClock(), result)
    assert load_drill(slave) == GOOD
    store.save_role(slave, RoleRecord(Role.SLAVE, 0, 1, 1.0, "test"))
    drill.note_how_it_ended(slave, TickingClock(), "timeout")  # of a promotion that has begun
    assert load_drill(slave) == GOOD
