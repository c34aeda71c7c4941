"""A switchover between two real daemons: what the SLAVE asks, what the MASTER's unit does, and who believes whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from hotsync.engine.one_master import switchover
from hotsync.engine.one_master.handover import Run
from hotsync.engine.one_master.switchover import call_of, fault, handed_over
from hotsync.engine.promotion.roles import PromotionRoles
from hotsync.errors import HandOverFailed, NotHandedOver, PeerRefused, ProtocolError
from hotsync.flows import handover as flow
from hotsync.flows.handover import hand_over
from hotsync.manifest.store import Manifest
from hotsync.model.facts import UnitFact
from hotsync.model.fence import Tier
from hotsync.model.generation import Generation
from hotsync.model.handover import Handed
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.model.switchover import with_handed
from hotsync.state import handover as state
from hotsync.state import promotion as document
from hotsync.state.hold import held
from hotsync.state.lacking import save_lacking
from hotsync.state.sent import save_sent
from hotsync.state.store import load_role, save_role
from hotsync.transport.dial import dial, hang_up, opening
from hotsync.transport.handover_messages import AskHandOver, HandOverState
from hotsync.transport.messages import Welcome
from tests.contract.agent.pair import Host, Pair, until

pytestmark = pytest.mark.contract
DIGEST = "d" * 64


@dataclass
class Yard:
    """The MASTER's production, in a folder; its daemon, its documents and its waiting are the real ones."""

    host: Host
    outcome: Run = field(default_factory=lambda: Run(0, 8, "Generation 8 is on the SLAVE."))
    did: list[str] = field(default_factory=list)

    def lacking(self) -> str:
        return ""

    def running(self) -> tuple[str, ...]:
        return ("dovecot.service",)

    def told(self) -> tuple[UnitFact, ...]:
        return ()

    def timers(self) -> tuple[str, ...]:
        return ("hotsync.timer",)

    def stop(self, units: Sequence[str], timers: Sequence[str]) -> None:
        self.did.append(f"stop {' '.join((*units, *timers))}")

    def run(self, *, last: bool) -> Run:
        self.did.append("last run" if last else "run")
        save_sent(self.host.paths, Generation(8, DIGEST, 0, 1.0, 1.0, 1.0))
        return self.outcome if last else Run(0, 7, "")

    def leave(self) -> None:
        self.did.append("leave")
        state.note_left(self.host.paths)

    def go_on(self, units: Sequence[str], timers: Sequence[str]) -> None:
        self.did.append(f"start {' '.join((*units, *timers))}")


@contextmanager
def unit(yard: Yard) -> Iterator[None]:
    """hotsync-handover.path and its service: one thread that waits for the request."""
    paths, ended = yard.host.paths, threading.Event()

    def serve() -> None:
        while not ended.is_set():
            if state.is_requested(paths):
                hand_over(paths, yard.host.clock, yard)
            ended.wait(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def both(paired: Pair, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Both daemons run; what only systemd does is not ours here, and signals belong to the main thread."""
    silent: Callable[..., Any] = lambda *_, **__: None  # noqa: E731
    monkeypatch.setattr(flow, "announce", silent)
    monkeypatch.setattr(flow, "tell", silent)
    monkeypatch.setattr(flow, "noticing_the_end", _nothing)
    monkeypatch.setattr(flow, "deaf_to_the_end", _nothing)
    monkeypatch.setattr(switchover, "LEAVES_SECONDS", 0.5)
    monkeypatch.setattr(switchover, "CONFIRM_SECONDS", 3.0)
    paired.master.set("hotsync", HandOverSeconds="20")
    with Manifest(paired.slave.paths.manifest) as manifest, manifest.transaction():
        manifest.set_generation(8, DIGEST)
    paired.master.start()
    return paired


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def claim(pair: Pair, handed: Handed) -> PromotionRoles:
    promotion = with_handed(Promotion(1, 8, DIGEST, 1.0, 1.0, 1.0, NetworkPlan(), (), planned=True), handed)
    port = PromotionRoles(pair.slave.paths, pair.slave.clock, handed.claim_until)
    port.claim(promotion)
    return port


def test_a_switchover_by_two_daemons_ends_with_a_held_master_that_says_it_stood_still(both: Pair) -> None:
    yard, said = Yard(both.master), list[str]()
    assert fault(both.slave.paths, both.slave.clock) == ""
    with unit(yard):
        with handed_over(both.slave.paths, both.slave.clock, said.append) as handed:
            port = claim(both, handed)
            port.fence()
            port.become_master(1)
        until(lambda: not state.is_requested(both.master.paths), "the unit ends")
    hold, promotion = held(both.master.paths), document.load_promotion(both.slave.paths)
    assert hold is not None
    assert (hold.epoch, hold.planned) == (1, True)
    assert promotion is not None
    assert [(fence.tier, fence.reached) for fence in promotion.fences] == [(Tier.AGENT, True)]
    assert [record.key for record in promotion.records] == ["handover.stop", "handover.send"]
    assert yard.did == ["run", "stop dovecot.service hotsync.timer", "last run", "leave"]
    assert said[-1] == "The MASTER stands still, and this server holds everything."


def test_a_master_whose_last_run_fails_goes_on_and_the_slave_claims_nothing(both: Pair) -> None:
    yard, said = Yard(both.master, Run(8, 0, "There is no space.")), list[str]()
    with (
        unit(yard),
        pytest.raises(HandOverFailed, match="its run failed: There is no space"),
        handed_over(both.slave.paths, both.slave.clock, said.append),
    ):
        raise AssertionError("nothing was handed over")
    assert yard.did[-1] == "start dovecot.service hotsync.timer"
    assert held(both.master.paths) is None
    assert load_role(both.slave.paths).claim is None
    assert said[-1] == "Nothing was changed here, and the MASTER goes on as before."


def test_a_slave_that_cannot_go_on_takes_its_request_back_and_the_master_does_not_wait(both: Pair) -> None:
    yard = Yard(both.master)
    with unit(yard):
        with pytest.raises(PeerRefused), handed_over(both.slave.paths, both.slave.clock, lambda _: None):
            raise PeerRefused(reason="something here")
        until(lambda: yard.did[-1].startswith("start"), "production runs again")
    known = state.load_handover(both.master.paths)
    assert known is not None
    assert (known.why, known.resumed) == ("the SLAVE took its request back", True)


def test_a_claim_that_comes_after_the_time_is_not_made(both: Pair) -> None:
    late = Handed(8, DIGEST, both.slave.clock.monotonic() - 1, 1.0, 0.0, 0.0)
    with pytest.raises(HandOverFailed, match="as long as it may"):
        claim(both, late)
    assert load_role(both.slave.paths).claim is None


def test_a_claim_of_which_the_master_hears_while_it_serves_is_not_confirmed_and_tried_again_by_the_next_run(
    both: Pair,
) -> None:
    port = claim(both, Handed(8, DIGEST, both.slave.clock.monotonic() + 60, 1.0, 0.0, 0.0))
    for _ in range(2):
        with pytest.raises(NotHandedOver, match="started there again"):
            port.fence()
    hold, promotion = held(both.master.paths), document.load_promotion(both.slave.paths)
    assert hold is not None
    assert not hold.planned
    assert promotion is not None
    assert promotion.fences == ()


def test_a_master_that_is_not_reached_after_the_claim_ends_the_step_and_a_later_run_asks_again(both: Pair) -> None:
    yard = Yard(both.master)
    with unit(yard), handed_over(both.slave.paths, both.slave.clock, lambda _: None) as handed:
        port = claim(both, handed)
        both.master.stop()
        with pytest.raises(NotHandedOver, match="does not confirm"):
            port.fence()
        both.master.start()
        port.fence()
    hold = held(both.master.paths)
    assert hold is not None
    assert hold.planned


def test_a_master_at_another_epoch_or_one_that_is_gone_cannot_be_asked(both: Pair) -> None:
    paths = both.slave.paths
    save_role(both.master.paths, RoleRecord(Role.MASTER, 5))
    assert "the MASTER is at epoch 5, this server at 0" in fault(paths, both.slave.clock)
    both.master.stop()
    assert "cannot be asked to hand over" in fault(paths, both.slave.clock)


def test_a_master_that_its_last_run_found_too_small_to_be_the_slave_says_so_before_anything_begins(both: Pair) -> None:
    save_lacking(both.master.paths, "/home must be copied, and there is no room")
    said = fault(both.slave.paths, both.slave.clock)
    assert said == "the MASTER could not become the SLAVE afterwards: /home must be copied, and there is no room"
    save_lacking(both.master.paths, "")
    assert fault(both.slave.paths, both.slave.clock) == ""
    assert not both.master.paths.lacking.exists()


def test_only_a_slave_asks_and_only_a_master_hands_over(both: Pair) -> None:
    """The MASTER's own certificate, on the connection that it has to its SLAVE, gets nothing by it."""
    peer = both.master.here.peer
    assert peer is not None
    channel = dial(both.callee(peer.fingerprint), both.master.clock, 5)
    channel.send(opening(both.master.here.ours, "control", both.master.clock), "x")
    channel.answer(Welcome, "x")
    channel.send(AskHandOver(epoch=0, wish="begin"), "x")
    with pytest.raises(ProtocolError, match="ask_hand_over came where nothing like it was due"):
        channel.answer(HandOverState, "x")
    hang_up(channel)
    assert not state.is_requested(both.slave.paths)
    call = call_of(both.slave.paths, both.slave.clock, 0)
    assert call.ask("look", 0).stage == "none"
    call.close()
