"""A MASTER that handed over becomes the SLAVE by itself; while it is not, it says why, and after a while by mail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import CommandFailed
from hotsync.flows import exchange as flow
from hotsync.flows.exchange import PATIENCE_SECONDS, Fault, exchange, rejoin
from hotsync.model.hold import HeardBy, Hold
from hotsync.model.rejoin import Rejoin, Terms
from hotsync.report.letters import Trouble
from hotsync.state.hold import drop_hold, held, save_hold
from hotsync.state.rejoin import save_rejoin
from hotsync.system.command import Completed
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock

HOLD = Hold(4, 1000.0, HeardBy.CALLED, begun=True, planned=True)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    return paths


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Trouble | None]:
    found: list[Trouble | None] = []
    monkeypatch.setattr(flow, "tell", lambda *words: found.append(words[3]))
    return found


def tries(*outcomes: Fault | None) -> Callable[[], Fault | None]:
    left = list(outcomes)
    return lambda: left.pop(0)


def test_only_a_server_that_handed_over_exchanges_its_role_by_itself(paths: Paths, told: list[Trouble | None]) -> None:
    exchange(paths, TickingClock(), tries())
    save_hold(paths, replace(HOLD, planned=False))
    exchange(paths, TickingClock(), tries())
    assert told == [None], "a person may have done it, after a mail that it failed"


def test_one_that_is_refused_says_why_tries_again_and_mails_after_a_while(
    paths: Paths, told: list[Trouble | None]
) -> None:
    save_hold(paths, HOLD)
    clock = TickingClock(1001.0)

    def look() -> Fault | None:
        if clock.now() < 1010:
            return Fault("the other server is not MASTER yet", passes=True)
        hold = held(paths)
        assert hold is not None
        if hold.why == "the other server is not MASTER yet":
            assert "not the SLAVE yet: the other server" in paths.at("/run/motd.d/hotsync").read_text()
            assert told == []
            clock.sleep(PATIENCE_SECONDS)
            return Fault("there is no room for the vault. Free space.")
        assert hold.why == "there is no room for the vault. Free space."
        return None

    exchange(paths, clock, look)
    trouble, over = told
    assert trouble is not None
    assert "no room for the vault" in trouble.sentence
    assert over is None


def test_what_no_waiting_mends_is_tried_less_and_less_often(paths: Paths, told: list[Trouble | None]) -> None:
    save_hold(paths, HOLD)
    early, full = Fault("its promotion is not finished", passes=True), Fault("the disk is full")
    slept: list[float] = []

    class Clock(TickingClock):
        def sleep(self, seconds: float) -> None:
            slept.append(seconds)

    exchange(paths, Clock(), tries(early, early, early, *[full] * 9, early, full, None))
    assert slept == [20, 20, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800, 20, 40]
    assert told[-1] is None


def test_one_that_is_the_slave_and_has_not_got_its_address_yet_goes_on(
    paths: Paths, told: list[Trouble | None]
) -> None:
    save_hold(paths, HOLD)
    begun = Rejoin(Terms(4, 7, "d" * 64), 1.0, "/vault", ())
    save_rejoin(paths, begun)
    done: list[str] = []

    def go_on() -> Fault | None:
        done.append("tried")
        drop_hold(paths)
        if len(done) < 3:
            return Fault("Somebody else still has 10.77.0.2")
        save_rejoin(paths, replace(begun, finished_at=2.0))
        return None

    exchange(paths, TickingClock(), go_on)
    assert len(done) == 3
    exchange(paths, TickingClock(), tries())


def test_once_it_is_the_slave_an_alarm_is_over(paths: Paths, told: list[Trouble | None]) -> None:
    save_hold(paths, HOLD)
    exchange(paths, TickingClock(), tries(None))
    assert told == [None]


def test_what_the_command_says_is_why_and_whether_waiting_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    outcomes = iter((None, (5, "Error: The other server does not answer.\nHint: Wait.\n"), (9, "Error: It is full.")))

    def run(argv: list[str], **_: object) -> Completed:
        ran.append(argv)
        if (outcome := next(outcomes)) is None:
            return Completed(0, b"", b"")
        status, said = outcome
        raise CommandFailed(program="hotsync", status="", detail="", line="", returncode=status, stderr=said)

    monkeypatch.setattr("hotsync.flows.exchange.command.run", run)
    assert rejoin() is None
    assert rejoin() == Fault("The other server does not answer. Wait.", passes=True)
    assert rejoin() == Fault("It is full.")
    assert ran[0] == ["hotsync", "rejoin", "--yes"]
