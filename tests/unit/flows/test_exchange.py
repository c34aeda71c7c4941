"""A MASTER that handed over becomes the SLAVE by itself; while it is not, it says why, and after a while by mail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import CommandFailed
from hotsync.flows import exchange as flow
from hotsync.flows.exchange import PATIENCE_SECONDS, exchange, rejoin
from hotsync.model.hold import HeardBy, Hold
from hotsync.report.letters import Trouble
from hotsync.state.hold import drop_hold, held, save_hold
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


def test_only_a_server_that_handed_over_exchanges_its_role_by_itself(paths: Paths, told: list[Trouble | None]) -> None:
    def never() -> str:
        raise AssertionError("it must not rejoin")

    assert exchange(paths, TickingClock(), never)
    save_hold(paths, replace(HOLD, planned=False))
    assert exchange(paths, TickingClock(), never)
    assert told == []


def test_one_that_is_refused_says_why_tries_again_and_mails_after_a_while(
    paths: Paths, told: list[Trouble | None]
) -> None:
    save_hold(paths, HOLD)
    assert not exchange(paths, TickingClock(1001.0), lambda: "the other server is not MASTER yet")
    hold = held(paths)
    assert hold is not None
    assert hold.why == "the other server is not MASTER yet"
    assert "not the SLAVE yet: the other server is not MASTER yet" in paths.at("/run/motd.d/hotsync").read_text()
    assert told == []
    assert not exchange(paths, TickingClock(1001.0 + PATIENCE_SECONDS), lambda: "there is no room for the vault")
    (trouble,) = told
    assert trouble is not None
    assert "no room for the vault" in trouble.sentence


def test_once_it_is_the_slave_an_alarm_is_over(paths: Paths, told: list[Trouble | None]) -> None:
    save_hold(paths, HOLD)

    def done() -> str:
        drop_hold(paths)
        return ""

    assert exchange(paths, TickingClock(), done)
    assert told == [None]


def test_what_the_command_says_is_why(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(argv: list[str], **_: object) -> Completed:
        ran.append(argv)
        if len(ran) > 1:
            said = "Error: The other server does not answer.\nHint: wait\n"
            raise CommandFailed(program="hotsync", status="exit 5", detail="", line="", stderr=said)
        return Completed(0, b"", b"")

    monkeypatch.setattr("hotsync.flows.exchange.command.run", run)
    assert rejoin() == ""
    assert rejoin() == "The other server does not answer."
    assert ran[0] == ["hotsync", "rejoin", "--yes"]
