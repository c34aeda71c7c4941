"""A second call of `hotsync rejoin`: it shows what the first one does, to its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from hotsync.cli.rejoin import rejoin_command
from hotsync.errors import Busy, Refused, StepFailed
from hotsync.flows import rejoin_follow as flow
from hotsync.flows.rejoin import REJOIN, Rejoined
from hotsync.model.entry import Kind
from hotsync.model.network.values import Address
from hotsync.model.plan import Outcome, StepRecord
from hotsync.model.rejoin import Part, Rejoin, Terms, Way
from hotsync.planning.rejoin import RejoinFacts, plan_rejoin
from hotsync.state.rejoin import save_rejoin
from hotsync.system import lock
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

REJOINED = Rejoin(
    Terms(3, 7, "d" * 64),
    100.0,
    "/media/disk/2026-11-29-epoch-3",
    (Part("srv", Way.MOVE, Kind.DIRECTORY, 7),),
    master_host="10.77.0.1",
    own=(Address("eth0", "10.77.0.2", 24),),
    name="slave",
)
STEPS = plan_rejoin(RejoinFacts(REJOINED))


def at(number: int, outcome: Outcome = Outcome.DONE, detail: str = "", when: float | None = None) -> Rejoin:
    """Return the rejoin after so many steps, the last of which ended like this."""
    moment = time.time() if when is None else when
    records = [StepRecord(step.key, step.title, step.phase.value, moment, moment, Outcome.DONE) for step in STEPS]
    return replace(
        REJOINED, records=(*records[: number - 1], replace(records[number - 1], outcome=outcome, detail=detail))
    )


class First(SystemClock):
    """The call that does it: each time that the second one waits, something happens there."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        paths.state.mkdir(parents=True)
        self.later: list[Callable[[], object]] = []
        self._lock = ExitStack()
        self._lock.enter_context(lock.held(paths.rejoin_lock, REJOIN))
        owner = flow.going_on(paths)
        assert owner is not None
        self.owner = owner
        self.said: list[str] = []

    def writes(self, rejoin: Rejoin) -> None:
        self.later.append(lambda: save_rejoin(self.paths, rejoin))

    def ends(self) -> None:
        self.later.append(self._lock.close)

    def follow(self) -> Rejoined:
        return flow.follow(self.paths, self.owner, self, self.said.append)

    def sleep(self, seconds: float) -> None:
        assert seconds == flow.LOOK_SECONDS
        self.later.pop(0)()


@pytest.fixture
def first(tmp_path: Path) -> First:
    return First(Paths(tmp_path))


def test_every_step_is_shown_as_it_begins_and_the_outcome_is_the_other_calls(first: First) -> None:
    old = replace(at(len(STEPS), when=5.0), finished_at=first.owner.since - 1000)
    save_rejoin(first.paths, old)  # of an earlier round trip, while this one has none yet
    first.later.append(lambda: None)
    first.writes(replace(REJOINED, records=()))
    first.writes(at(1))
    first.writes(at(4))
    done = replace(at(len(STEPS)), finished_at=time.time(), notes=("look",))
    first.writes(done)
    first.ends()
    assert first.follow() == Rejoined(done, None)
    assert first.said == [f"[{number}/{len(STEPS)}] {step.title}" for number, step in enumerate(STEPS, start=1)]


def test_a_step_that_failed_is_told_with_its_reason_and_one_of_an_earlier_attempt_is_not(first: First) -> None:
    save_rejoin(first.paths, at(3, Outcome.FAILED, "of yesterday", when=first.owner.since - 1000))
    first.writes(at(3, Outcome.FAILED, "no room"))
    first.ends()
    with pytest.raises(StepFailed) as caught:
        first.follow()
    assert caught.value.sentence == f"Step {STEPS[2].title} failed: no room"
    assert caught.value.exit_code == 9


def test_one_that_was_ended_in_the_middle_is_called_so(first: First) -> None:
    save_rejoin(first.paths, at(3, Outcome.FAILED, "of yesterday", when=first.owner.since - 1000))
    first.ends()
    with pytest.raises(StepFailed, match="was ended in the middle") as caught:
        first.follow()
    assert STEPS[2].title in caught.value.sentence
    assert caught.value.hint == "Run hotsync rejoin: it goes on where it stopped."


def test_one_that_has_ended_before_it_began_leaves_nothing_to_go_on_with(first: First) -> None:
    first.later.append(lambda: None)
    first.ends()
    with pytest.raises(StepFailed, match="nothing to go on with"):
        first.follow()
    assert first.said == []


def test_another_vault_is_not_heard_while_it_is_going_on(first: First, tmp_path: Path) -> None:
    flow.refuse_other_vault(first.paths, None)
    with pytest.raises(Refused, match="is going on"):
        flow.refuse_other_vault(first.paths, tmp_path)
    save_rejoin(first.paths, replace(REJOINED, vault=os.fspath(tmp_path / "x")))
    flow.refuse_other_vault(first.paths, tmp_path)
    with pytest.raises(Refused, match=f"with its vault at {tmp_path}/x"):
        flow.refuse_other_vault(first.paths, tmp_path / "other")


@pytest.fixture
def shown(first: First, monkeypatch: pytest.MonkeyPatch) -> First:
    monkeypatch.setenv("HOTSYNC_ROOT", str(first.paths.root))
    monkeypatch.setattr("hotsync.cli.rejoin.log.set_up", lambda _: None)
    monkeypatch.setattr("hotsync.cli.rejoin.SystemClock", lambda: first)
    return first


def test_the_second_call_asks_nothing_and_ends_as_the_first(shown: First) -> None:
    shown.writes(replace(at(len(STEPS)), finished_at=time.time(), notes=("look at it",)))
    shown.ends()
    second = CliRunner().invoke(rejoin_command, [], standalone_mode=False)
    assert (second.exception, second.return_value) == (None, 0)
    assert "A rejoin of this server is going on." in second.output
    assert "look at it" in second.output
    assert "This server is the SLAVE slave now, at 10.77.0.2/24." in second.output


def test_who_says_yes_after_another_did_is_shown_that_ones(shown: First, monkeypatch: pytest.MonkeyPatch) -> None:
    real, looks = flow.going_on(shown.paths), [None]

    def look(_: Paths) -> lock.Owner | None:
        return looks.pop() if looks else real

    monkeypatch.setattr("hotsync.cli.rejoin.going_on", look)
    monkeypatch.setattr("hotsync.cli.rejoin.prospect", lambda *_: None)
    monkeypatch.setattr("hotsync.cli.rejoin.signal.signal", lambda *_: None)
    shown.writes(replace(at(len(STEPS)), finished_at=time.time()))
    shown.ends()
    second = CliRunner().invoke(rejoin_command, ["--yes"], standalone_mode=False)
    assert (second.exception, second.return_value) == (None, 0)
    assert "A rejoin of this server is going on." in second.output


def test_another_run_is_no_rejoin_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    monkeypatch.setattr("hotsync.cli.rejoin.log.set_up", lambda _: None)
    monkeypatch.setattr("hotsync.cli.rejoin.prospect", lambda *_: None)
    monkeypatch.setattr("hotsync.cli.rejoin.signal.signal", lambda *_: None)
    with lock.held(Paths(tmp_path).sync_lock, "run of HotSync"):
        error = CliRunner().invoke(rejoin_command, ["--yes"], standalone_mode=False).exception
    assert isinstance(error, Busy)
    assert "run of HotSync" in error.sentence


def test_who_stops_looking_is_told_that_the_rejoin_goes_on(shown: First) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    shown.later.append(interrupt)
    left = CliRunner().invoke(rejoin_command, [], standalone_mode=False)
    assert left.exception is not None
    assert "the rejoin goes on. hotsync rejoin shows it again" in left.stderr


def test_nobody_is_asked_whether_it_is_to_be_the_master_while_it_becomes_the_slave(shown: First) -> None:
    error = CliRunner().invoke(rejoin_command, ["--as-master", "--force"], standalone_mode=False)
    assert isinstance(error.exception, Busy)
    assert error.output == ""
    assert REJOIN in error.exception.sentence
