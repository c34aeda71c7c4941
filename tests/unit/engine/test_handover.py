"""A MASTER that hands over: which units stop in which order, which run on, and what ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotsync.backends.mute import Mute
from hotsync.backends.standstill import Standstill, render_rules
from hotsync.backends.units import Units
from hotsync.engine.one_master import handover as engine
from hotsync.engine.one_master.handover import MasterYard
from hotsync.engine.one_master.hold import Holding
from hotsync.errors import CommandFailed, HandOverFailed
from hotsync.model.facts import UnitFact
from hotsync.sources.source import Dataset
from hotsync.system.command import Completed
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock

UNITS = tuple(
    UnitFact(name, "enabled", True)
    for name in (
        "cron.service",
        "dovecot.service",
        "mariadb.service",
        "postgresql.service",
        "shop.timer",
        "ssh.service",
    )
)  # fmt: skip
PART_OF = {"postgresql@15-main.service": "postgresql.service"}


@dataclass
class Machine:
    """systemd and the run, as far as a hand-over asks them."""

    active: set[str] = field(
        default_factory=lambda: {
            "cron.service", "dovecot.service", "mariadb.service", "postgresql.service", "postgresql@15-main.service",
            "shop.timer", "ssh.service", "hotsync.timer", "hotsyncd.service",
        }
    )  # fmt: skip
    starting: set[str] = field(default_factory=set)
    stubborn: set[str] = field(default_factory=set)
    done: list[list[str]] = field(default_factory=list)
    answer: Completed = field(default_factory=lambda: Completed(0, b"", b""))

    def ask(self, words: Sequence[str]) -> str:
        if words[0] == "list-units":
            return "".join(f"{unit} loaded active running x\n" for unit in sorted(self.active | self.starting))
        if words[0] == "show":
            wanted = words[1].removeprefix("--property=").split(",")
            return "\n\n".join(f"PartOf={PART_OF.get(unit, '')}" for unit in words[3:] if "PartOf" in wanted)
        return ""

    def run(self, argv: Sequence[str], **_: object) -> Completed:
        self.done.append(list(argv))
        if argv[:2] == ["systemctl", "stop"]:
            self.active -= set(argv[2:]) - self.stubborn
            self.starting -= set(argv[2:]) - self.stubborn
        return self.answer


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    found = (
        Dataset("mariadb", "default", unit="mariadb.service"),
        Dataset("postgresql", "15-main", unit="postgresql@15-main.service"),
        Dataset("redis", "redis-server", unit="redis-server.service", parked=True),
    )
    monkeypatch.setattr(engine, "SOURCES", (SimpleNamespace(IS_DATABASE=True, inspect=lambda _: found),))
    profile = SimpleNamespace(services=SimpleNamespace(start=("dovecot.service", "cron.service")))
    monkeypatch.setattr(engine, "own_profiles", lambda _: [profile])
    monkeypatch.setattr(engine.command, "run", machine.run)  # type: ignore[attr-defined]
    monkeypatch.setattr(engine, "ports_of", lambda units: {3306} if "mariadb.service" in units else set())
    monkeypatch.setattr(engine, "left_of", lambda _: {})
    return machine


def yard_of(machine: Machine, root: Path, said: list[str]) -> MasterYard:
    paths = Paths(root)
    paths.run.mkdir(parents=True)
    own = Units(machine.run, machine.run)

    def nft(rules: str) -> None:
        said.append(rules)

    holding = Holding(paths, Mute(paths, machine.ask), read_units=lambda _: UNITS)
    still = Standstill(paths, machine.ask, nft)
    return MasterYard(paths, TickingClock(), holding, still, own, machine.ask, lambda: frozenset(machine.active))


def test_production_stops_but_for_the_database_servers_and_what_they_would_stop_with(
    machine: Machine, tmp_path: Path
) -> None:
    said: list[str] = []
    yard = yard_of(machine, tmp_path, said)
    assert yard.running() == ("cron.service", "dovecot.service", "shop.timer")
    assert yard.timers() == ("hotsync.timer",)
    machine.done.clear()
    machine.starting = {"cron.service"}  # it was about to start when it was looked
    yard.stop(yard.running(), yard.timers())
    stops = [" ".join(words[2:]) for words in machine.done if words[1] == "stop"]
    assert stops == ["hotsync.timer", "-- shop.timer", "-- cron.service", "-- dovecot.service"]
    assert {"mariadb.service", "postgresql@15-main.service", "ssh.service", "hotsyncd.service"} < machine.active
    assert said == [render_rules({3306})]
    blocked = {path.parent.name for path in tmp_path.rglob("zz-hotsync-handover.conf")}
    assert {"dovecot.service.d", "shop.timer.d", "cron.service.d"} <= blocked
    assert not {"mariadb.service.d", "postgresql.service.d", "ssh.service.d"} & blocked


def test_a_unit_that_does_not_stop_ends_it(machine: Machine, tmp_path: Path) -> None:
    machine.stubborn = {"dovecot.service"}
    yard = yard_of(machine, tmp_path, [])
    with pytest.raises(HandOverFailed, match=r"dovecot\.service cannot be stopped"):
        yard.stop(yard.running(), ())


def test_a_process_that_a_unit_left_behind_is_asked_to_end_once_and_ends_it_if_it_stays(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(engine, "left_of", lambda units: {4711: "cron.service"} if "cron.service" in units else {})
    monkeypatch.setattr(engine.os, "kill", lambda pid, _: killed.append(pid))  # type: ignore[attr-defined]
    yard = yard_of(machine, tmp_path, [])
    with pytest.raises(HandOverFailed, match=r"process 4711 of cron\.service does not end"):
        yard.stop(yard.running(), ())
    assert killed == [4711]


def test_the_last_run_is_called_as_such_and_a_busy_one_or_one_that_says_nothing_is_told_apart(
    machine: Machine, tmp_path: Path
) -> None:
    yard = yard_of(machine, tmp_path, [])
    machine.answer = Completed(0, b'{"exit_code": 1, "generation": 9, "summary": "Generation 9."}', b"")
    run = yard.run(last=True)
    assert run is not None
    assert (run.exit_code, run.generation, machine.done[-1]) == (1, 9, ["hotsync", "--json", "--hand-over"])
    machine.answer = Completed(4, b"", b"Error: another run\n")
    assert yard.run(last=False) is None
    assert machine.done[-1] == ["hotsync", "--json"]
    machine.answer = Completed(5, b"", b"Error: nobody answers\n")
    failed = yard.run(last=False)
    assert failed is not None
    assert (failed.exit_code, failed.sentence) == (5, "Error: nobody answers")


def test_what_was_stopped_starts_again_also_where_a_timer_does_not(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Sequence[str]] = []
    monkeypatch.setattr(
        engine, "ProductionUnits", lambda *_: SimpleNamespace(start_all=lambda units: started.append(units))
    )
    yard = yard_of(machine, tmp_path, [])
    yard.still.block(("dovecot.service",))

    def fail(argv: Sequence[str], **_: object) -> Completed:
        raise CommandFailed(program="systemctl", status="exit 1", detail="no", line=" ".join(argv))

    monkeypatch.setattr(yard.own, "_run", fail)
    monkeypatch.setattr("hotsync.backends.standstill.is_there", lambda _: False)
    yard.go_on(("dovecot.service",), ("hotsync.timer",))
    assert started == [("dovecot.service",)]
    assert not list(tmp_path.rglob("zz-hotsync-handover.conf"))
