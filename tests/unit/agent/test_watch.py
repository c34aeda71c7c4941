"""When the MASTER looks at what it would lose, and what it writes down."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hotsync.agent.here import Here
from hotsync.agent.watch import Watcher
from hotsync.errors import ManifestDamaged
from hotsync.model.generation import Generation
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.loss import LossStatement
from hotsync.state.loss import load_loss, save_loss
from hotsync.state.sent import save_sent
from hotsync.state.store import save_peer, save_role
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

SAID = LossStatement(3, "ab" * 32, 50.0, files=2)


@dataclass
class Clock:
    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def now_ns(self) -> int:
        return round(self.at * 1e9)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class World:
    paths: Paths
    clock: Clock = field(default_factory=Clock)
    looks: int = 0
    took: float = 0.5
    found: LossStatement | None = SAID
    fault: Exception | None = None

    def __post_init__(self) -> None:
        self.paths.databases.mkdir(parents=True)
        self.set(WatchSeconds="60")
        save_role(self.paths, RoleRecord(Role.MASTER, 1))
        save_peer(self.paths, Peer("spare", "192.0.2.2", "0" * 64, ""))
        self.watcher = Watcher(self.paths, self.clock, self.look)

    def set(self, **props: str) -> None:
        words = "|".join(f"{name}|{value}" for name, value in {"SlaveHost": "192.0.2.2", **props}.items())
        text = f"hotsync=configuration|role|master|{words}\nrsyncd=service\n"
        write_atomic(self.paths.configuration, text.encode())

    def look(self, here: Here) -> LossStatement | None:
        del here
        self.looks += 1
        self.clock.at += self.took
        if self.fault is not None:
            raise self.fault
        return self.found

    def go(self, seconds: int) -> int:
        """Let time pass, and return how often it looked."""
        before = self.looks
        until = self.clock.at + seconds
        while self.clock.at < until:
            self.watcher.tick()
            self.clock.at += 1
        return self.looks - before


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(Paths(tmp_path))


def test_it_looks_once_in_each_interval_and_writes_down_what_it_found(world: World) -> None:
    assert world.go(600) in (10, 11)
    assert load_loss(world.paths.loss_seen) == SAID
    assert world.paths.loss_seen.stat().st_mode & 0o777 == 0o600


def test_it_looks_at_once_when_a_run_has_ended(world: World) -> None:
    world.go(5)
    assert world.go(5) == 0
    save_sent(world.paths, Generation(4, "ab" * 32, 1, 1.0, 2.0, 3.0))
    assert world.go(5) == 1


def test_a_look_that_takes_long_rests_for_as_long(world: World) -> None:
    world.took = 100.0
    assert world.go(1000) == 5


def test_where_nobody_wants_it_nothing_is_stated(world: World) -> None:
    world.go(5)
    world.set(WatchSeconds="0")
    assert world.go(300) == 0
    assert not world.paths.loss_seen.exists()
    world.set(WatchSeconds="60")
    assert world.go(5) == 1


@pytest.mark.parametrize("role", [Role.SLAVE, Role.NONE])
def test_only_a_master_watches(world: World, role: Role) -> None:
    save_role(world.paths, RoleRecord(role, 1))
    assert world.go(300) == 0


def test_a_master_without_a_slave_has_nothing_to_lose_there(world: World) -> None:
    world.set(SlaveHost="")
    assert world.go(300) == 0


def test_what_was_found_last_stays_while_a_look_finds_nothing_that_holds(world: World) -> None:
    world.go(5)
    world.found = None
    world.go(100)
    assert load_loss(world.paths.loss_seen) == SAID


def test_trouble_is_said_once_and_the_watch_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.fault = ManifestDamaged(path="manifest.db", reason="torn")
    assert world.go(300) > 3
    assert len([line for line in caplog.messages if "cannot be found out" in line]) == 1
    world.fault = None
    world.go(61)
    assert load_loss(world.paths.loss_seen) == SAID


def test_a_wrong_setting_is_said_and_does_not_end_the_watch(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.set(WatchSeconds="often")
    assert world.go(30) == 0
    assert any("WatchSeconds" in line for line in caplog.messages)
    world.set(WatchSeconds="60")
    assert world.go(5) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"schema":2}', '{"schema":1,"generation":"many"}'])
def test_a_document_of_no_use_states_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "loss.json").write_text(text)
    assert load_loss(tmp_path / "loss.json") is None
    assert load_loss(tmp_path / "missing.json") is None
    save_loss(tmp_path / "loss.json", SAID)
    assert load_loss(tmp_path / "loss.json") == SAID
