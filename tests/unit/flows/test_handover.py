"""A hand-over between a MASTER and its SLAVE, cut anywhere on both sides: nobody's work is lost, never do two serve."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hotsync.agent.handover import answer_hand_over
from hotsync.agent.here import Here, Surroundings
from hotsync.config.schema import Settings
from hotsync.engine.one_master import switchover
from hotsync.engine.one_master.handover import Run
from hotsync.engine.one_master.switchover import call_of, confirm, handed_over
from hotsync.errors import CommandFailed, HandOverFailed, HotSyncError, NotHandedOver, PeerSilent, PeerUnreachable
from hotsync.flows import handover as flow
from hotsync.flows.handover import hand_over
from hotsync.model.facts import UnitFact
from hotsync.model.generation import Generation
from hotsync.model.handover import HandOver, Stage, claim_until
from hotsync.model.hold import HeardBy
from hotsync.model.identity import Role, RoleRecord
from hotsync.state import handover as state
from hotsync.state import store
from hotsync.state.hold import drop_hold, held, note_superseded
from hotsync.state.sent import save_sent
from hotsync.system.paths import Paths
from hotsync.transport.dial import Callee
from hotsync.transport.handover_call import HandOverCall, Wish
from hotsync.transport.handover_messages import AskHandOver, HandOverState
from tests.support.sizes import examples

DIGEST = "d" * 64
UNITS = ("dovecot.service", "shop.timer")


class Killed(BaseException):
    """The process, or the whole machine, dies here."""


@dataclass
class Line:
    """Both servers, one thread each, of which one runs at a time: whoever is chosen goes on to its next doing."""

    now: float = 1000.0
    turn: str = ""
    dies: set[str] = field(default_factory=set)
    alive: set[str] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def point(self) -> None:
        """Where another may go on, or this one dies."""
        name = threading.current_thread().name
        with self._changed:
            if name not in self.alive:
                return  # the test itself
            self.turn = ""
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.turn == name)
            if name in self.dies:
                raise Killed

    def start(self, name: str, work: Callable[[], object]) -> None:
        def run() -> None:
            try:
                self.point()
                work()
            except (Killed, HotSyncError):
                pass
            finally:
                with self._changed:
                    self.alive.discard(name)
                    self.dies.discard(name)
                    self.turn = ""
                    self._changed.notify_all()

        self.alive.add(name)
        self.turn = name
        threading.Thread(target=run, name=name, daemon=True).start()
        self._wait()

    def go(self, name: str) -> None:
        """Let one of them go on to its next doing."""
        with self._changed:
            if name in self.alive:
                self.turn = name
                self._changed.notify_all()
        self._wait()

    def _wait(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: not self.turn, timeout=60), "somebody hangs"


@dataclass
class LineClock:
    line: Line

    def now(self) -> float:
        return self.line.now

    def now_ns(self) -> int:
        return int(self.line.now * 10**9)

    def monotonic(self) -> float:
        return self.line.now

    def sleep(self, seconds: float) -> None:
        self.line.point()
        self.line.now += seconds


@dataclass
class Master:
    """Its production: acknowledges a write whenever it is looked at while it runs."""

    paths: Paths
    line: Line
    slave: Slave
    runs: bool = True
    written: int = 0
    fails: bool = False
    busy: int = 0
    leaves_not: bool = False
    small: str = ""
    did: list[str] = field(default_factory=list)

    @property
    def serves(self) -> bool:
        return self.runs and held(self.paths) is None

    def work(self) -> None:
        if self.serves:
            self.written += 1

    def does(self, what: str) -> None:
        self.line.point()
        self.did.append(what)

    def lacking(self) -> str:
        return self.small

    def running(self) -> tuple[str, ...]:
        self.does("look")
        return UNITS

    def told(self) -> tuple[UnitFact, ...]:
        return (UnitFact("dovecot.service", "enabled", self.runs),)

    def timers(self) -> tuple[str, ...]:
        return ("hotsync.timer",)

    def stop(self, units: Sequence[str], timers: Sequence[str]) -> None:
        assert (tuple(units), tuple(timers)) == (UNITS, ("hotsync.timer",))
        self.does("stop")
        self.runs = False
        self.line.point()

    def run(self, *, last: bool) -> Run | None:
        self.does("last run" if last else "run")
        told = state.load_units(self.paths)
        assert [unit.active for unit in told] == ([True] if last else []), "the SLAVE is told what ran before"
        if self.busy:
            self.busy -= 1
            return None
        if last and self.fails:
            return Run(8, 0, "there is no space on the SLAVE")
        self.slave.holds = self.written
        self.slave.generation += 1
        save_sent(self.paths, Generation(self.slave.generation, DIGEST, 0, 1.0, 1.0, 1.0))
        self.line.point()
        return Run(1, self.slave.generation, "done")

    def leave(self) -> None:
        assert held(self.paths) is not None
        self.does("leave")
        if self.leaves_not:
            raise CommandFailed(program="ip", status="exit 1", detail="no", line="ip")
        state.note_left(self.paths)

    def go_on(self, units: Sequence[str], timers: Sequence[str]) -> None:
        assert (tuple(units), tuple(timers)) == (UNITS, ("hotsync.timer",))
        self.does("go on")
        self.runs = True


@dataclass
class Slave:
    paths: Paths
    generation: int = 7
    holds: int = 0
    serves: bool = False
    refused: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


class LossyCall(HandOverCall):
    """The line between them: questions and answers get lost, as the test says."""

    def __init__(self, master: Master, lost: Iterator[int]) -> None:
        self._master, self.address = master, "master"
        self._lost = lost

    def ask(self, wish: Wish, epoch: int) -> HandOverState:
        self._master.line.point()
        fate = next(self._lost, 0)
        if fate == 1:
            raise PeerSilent(address="master", seconds=5, phase="x")
        paths, clock = self._master.paths, LineClock(self._master.line)
        record = store.load_role(paths)
        note_superseded(paths, record, epoch, HeardBy.CALLED, clock.now())
        around = cast("Surroundings", Around(paths, clock))
        answer = answer_hand_over(around, Here(Settings(), record, None), AskHandOver(epoch=epoch, wish=wish))
        if fate == 2:
            raise PeerSilent(address="master", seconds=5, phase="x")
        return answer

    def close(self) -> None:
        pass


@dataclass
class Around:
    paths: Paths
    clock: LineClock


@pytest.fixture(scope="module", autouse=True)
def hasty() -> Iterator[None]:
    """So that a waiting is a handful of looks; the mail, and what only root can do, is not ours here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "LOOK_SECONDS", 10.0)
        patch.setattr(flow, "_LAST_BUSY_LOOKS", 3)
        patch.setattr(switchover, "LOOK_SECONDS", 2.0)
        patch.setattr(flow, "announce", lambda *_: None)
        patch.setattr(flow, "tell", lambda *_: None)
        patch.setattr(flow, "noticing_the_end", _nothing)
        patch.setattr(flow, "deaf_to_the_end", _nothing)
        patch.setattr(flow, "run_command", lambda *_, **__: None)
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@dataclass
class World:
    root: Path
    line: Line = field(default_factory=Line)
    lost: Iterator[int] = field(default_factory=lambda: iter(()))

    def __post_init__(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.slave = Slave(Paths(self.root / "slave"))
        self.master = Master(Paths(self.root / "master"), self.line, self.slave)
        for paths, role in ((self.slave.paths, Role.SLAVE), (self.master.paths, Role.MASTER)):
            paths.state.mkdir(parents=True)
            paths.run.mkdir(parents=True)
            store.save_role_and_flag(paths, RoleRecord(role, epoch=3))

    @property
    def clock(self) -> LineClock:
        return LineClock(self.line)

    @property
    def call(self) -> LossyCall:
        return LossyCall(self.master, self.lost)

    def switch_over(self) -> None:
        """What hotsync-promote --planned does up to production, by its own functions."""
        paths, slave = self.slave.paths, self.slave
        record = store.load_role(paths)
        try:
            if record.claim is None:
                with handed_over(paths, self.clock, slave.said.append, self.call) as handed:
                    self.line.point()
                    if self.line.now > handed.claim_until or handed.generation != slave.generation:
                        raise HandOverFailed(reason="too late")
                    store.save_role(paths, replace(record, claim=4))
                    self.line.point()
            confirm(paths, self.clock, 4, self.call)
        except (HandOverFailed, NotHandedOver, PeerSilent) as error:
            slave.refused.append(error.sentence)
            if isinstance(error, NotHandedOver):  # what its unit does then: the claim is given up
                self.line.point()
                store.save_role(paths, RoleRecord(Role.SLAVE, epoch=4, released=4))
            return
        self.line.point()
        slave.serves = True

    def unit(self) -> None:
        """What hotsync-handover.path and its service do on the MASTER, also what ends it where it was killed."""
        hand_over(self.master.paths, self.clock, self.master)

    def beat(self) -> None:
        """The MASTER's heartbeat: it hears of a claim, or that one was given up: then it serves again."""
        paths, theirs = self.master.paths, store.load_role(self.slave.paths)
        if theirs.claim is not None:
            note_superseded(paths, store.load_role(paths), theirs.claim, HeardBy.CALLING, self.line.now)
        elif theirs.has_released and store.load_role(paths).epoch < 5:
            store.save_role(paths, RoleRecord(Role.MASTER, epoch=5))
            drop_hold(paths)
            self.master.runs = True

    def boot_master(self, answers: bool) -> None:
        """A power cut on the MASTER: its guard asks the SLAVE, if that answers."""
        shutil.rmtree(self.master.paths.run)
        self.master.paths.run.mkdir()
        self.master.runs = True
        if answers:
            self.beat()

    def check(self) -> None:
        assert not (self.master.serves and self.slave.serves), "both serve"
        if self.slave.serves:
            assert self.slave.holds == self.master.written, "acknowledged work is lost"

    def step(self, who: str) -> None:
        self.master.work()
        if who == "master" and who not in self.line.alive:
            self.line.start("master", self.unit)
        self.line.go(who)
        self.check()


def finish(world: World, steps: int = 400) -> None:
    """Let both go on to their ends."""
    for _ in range(steps):
        world.step("slave")
        world.step("master")
        known = state.load_handover(world.master.paths)
        over = known is None or known.resumed or held(world.master.paths) is not None
        if not world.line.alive and over and not state.is_requested(world.master.paths):
            return
    raise AssertionError(f"stuck: {world.line.alive} {state.load_handover(world.master.paths)}")


def test_a_switchover_hands_over_exactly_what_was_written_and_the_master_holds_itself(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.line.start("slave", world.switch_over)
    finish(world)
    hold = held(world.master.paths)
    assert world.slave.serves
    assert hold is not None
    assert (hold.planned, hold.epoch) == (True, 4)
    assert world.master.did == ["run", "look", "stop", "last run", "leave"]
    assert world.slave.holds == world.master.written > 0


def test_addresses_that_cannot_be_given_up_at_once_are_left_to_the_hold(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.master.leaves_not = True
    world.line.start("slave", world.switch_over)
    finish(world)
    assert world.slave.serves
    assert held(world.master.paths) is not None


def test_who_waits_until_the_addresses_are_gone_is_on_a_line_that_outlives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [SimpleNamespace(address=each) for each in ("master.example", "192.0.2.1", "fe80::1%eth0", "2001:db8::1")]
    monkeypatch.setattr(switchover, "callees", lambda *_: tuple(found))
    monkeypatch.setattr(switchover, "read_settings", lambda _: (Settings(), ()))
    world = World(tmp_path / "w")
    monkeypatch.setattr(switchover, "HandOverCall", lambda find, *_: find())
    there = cast("Sequence[Callee]", call_of(world.slave.paths, world.clock, 4))
    assert [each.address for each in there] == ["fe80::1%eth0", "master.example", "192.0.2.1", "2001:db8::1"]


def test_a_master_that_answers_nowhere_any_more_has_given_its_addresses_up(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    state.save_handover(world.master.paths, HandOver(Stage.READY, 3, 1.0, until=world.line.now + 60))

    class Gone(LossyCall):
        asked = 0

        def ask(self, wish: Wish, epoch: int) -> HandOverState:
            self.asked += 1
            if self.asked > 1:
                raise PeerUnreachable(address="master", port=273, reason="nobody is there")
            return super().ask(wish, epoch)

    call, began = Gone(world.master, iter(())), world.line.now
    assert confirm(world.slave.paths, world.clock, 4, call).endswith("holds itself and gives up its addresses")
    assert (call.asked, world.line.now - began) == (2, switchover.LOOK_SECONDS)


def test_a_last_run_that_fails_lets_the_master_go_on_and_the_slave_says_why(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.master.fails = True
    world.line.start("slave", world.switch_over)
    finish(world)
    assert world.master.serves
    assert state.load_units(world.master.paths) == ()
    assert store.load_role(world.slave.paths).claim is None
    assert world.slave.refused == [
        "The MASTER does not hand over, and goes on as before: its run failed: there is no space on the SLAVE"
    ]
    assert world.slave.said[-1] == "Nothing was changed here, and the MASTER goes on as before."
    assert not state.is_cancelled(world.master.paths), "there is nothing left to take back"


def test_a_master_that_could_not_become_the_slave_does_not_begin_and_the_slave_says_why(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.master.small = "/home must be copied to the file system of /var/lib/hotsync, which lacks 7 MiB for it"
    world.line.start("slave", world.switch_over)
    finish(world)
    (refused,) = world.slave.refused
    assert "it could not become the SLAVE afterwards: /home must be copied" in refused
    assert world.master.did == []
    assert world.master.serves


def test_a_run_that_goes_on_already_is_waited_for_while_production_runs(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.master.busy = 5
    world.line.start("slave", world.switch_over)
    finish(world)
    assert world.master.did[:7] == ["run"] * 6 + ["look"]
    assert world.slave.serves


def test_a_slave_that_dies_while_the_master_waits_costs_production_the_waiting_and_no_more(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.line.start("slave", world.switch_over)
    while (known := state.load_handover(world.master.paths)) is None or known.stage is not Stage.READY:
        world.step("slave")
        world.step("master")
    world.line.dies.add("slave")
    finish(world)
    assert world.master.serves
    told = state.load_handover(world.master.paths)
    assert told is not None
    assert told.why == "the SLAVE claimed nothing within 120 s"


def test_a_second_request_joins_the_first_and_a_master_that_is_held_begins_none(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    call = world.call
    assert call.ask("look", 3).stage == "none"
    assert [call.ask("begin", 3).stage for _ in range(2)] == ["asked", "asked"]
    assert call.ask("cancel", 3).stage == "none"
    assert not state.is_requested(world.master.paths)
    with pytest.raises(HotSyncError, match="epoch 3"):
        call.ask("begin", 2)
    call.ask("look", 4)
    with pytest.raises(HotSyncError, match="held"):
        call.ask("begin", 4)


def test_a_claim_that_the_master_hears_after_it_serves_again_is_no_hand_over(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.call.ask("begin", 3)
    hand_over(world.master.paths, world.clock, world.master)
    assert world.master.did[-1] == "go on"
    with pytest.raises(NotHandedOver, match="started there again"):
        confirm(world.slave.paths, world.clock, 4, world.call)
    hold = held(world.master.paths)
    assert hold is not None
    assert not hold.planned


def test_what_an_earlier_hand_over_has_left_in_this_boot_means_nothing_at_another_epoch(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    paths = world.master.paths
    world.line.start("slave", world.switch_over)
    finish(world)
    # it rejoined, and was made the MASTER again by a second switchover
    store.save_role(paths, RoleRecord(Role.MASTER, epoch=7))
    drop_hold(paths)
    world.master.runs = True
    assert world.call.ask("look", 7).stage == "none"
    note_superseded(paths, store.load_role(paths), 8, HeardBy.CALLED, 1.0)
    hold = held(paths)
    assert hold is not None
    assert not hold.planned, "it serves, whatever it did then"
    drop_hold(paths)
    world.master.did.clear()
    world.call.ask("begin", 7)
    hand_over(paths, world.clock, world.master)
    assert world.master.did[:2] == ["run", "look"], "nothing is given up that is over"


@given(st.floats(0, 3600), st.floats(0, 60), st.floats(0, 60))
def test_the_slave_stops_claiming_before_the_master_stops_waiting(left: float, way: float, back: float) -> None:
    asked = 1000.0
    answered = asked + way
    assert claim_until(asked, left) <= answered + left
    assert claim_until(asked, left) + back <= answered + left + back


STEPS = st.lists(
    st.sampled_from(
        ("slave", "master", "slave", "master", "slave", "master", "kill slave", "kill master", "boot", "dark boot",
         "beat", "wait", "again")
    ),
    max_size=60,
)  # fmt: skip


@settings(max_examples=examples(60), deadline=None, phases=(Phase.explicit, Phase.generate))
@given(STEPS, st.lists(st.sampled_from((0, 0, 0, 0, 1, 2)), max_size=60), st.booleans())
def test_cut_anywhere_and_with_whatever_lost_never_do_two_serve_nor_is_work_lost_nor_do_both_stay_silent(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], lost: list[int], fails: bool
) -> None:
    world = World(tmp_path_factory.getbasetemp() / "handover", lost=iter(lost))
    world.master.fails = fails
    world.line.start("slave", world.switch_over)
    for what in steps:
        act(world, what)
        world.check()
    world.lost = iter(())
    finish(world)
    world.beat()
    if store.load_role(world.slave.paths).claim is not None and not world.slave.serves:
        # continued by the same command, or by the boot: it takes over, or gives the claim up
        world.line.start("slave", world.switch_over)
        finish(world)
        world.beat()
    world.check()
    assert world.master.serves or world.slave.serves, "both are silent"


def act(world: World, what: str) -> None:
    match what:
        case "slave" | "master":
            world.step(what)
        case "kill slave" | "kill master":
            name = what.split()[1]
            if name in world.line.alive:
                world.line.dies.add(name)
                world.line.go(name)
        case "boot" | "dark boot":
            act(world, "kill master")
            world.boot_master(answers=what == "boot")
        case "beat":
            world.beat()
        case "wait":
            world.line.now += 30
        case _:
            released = store.load_role(world.slave.paths).released
            if "slave" not in world.line.alive and not world.slave.serves and not released:
                world.line.start("slave", world.switch_over)
