"""The boot in the middle of a promotion: asked or not, production's addresses taken or not, and what that leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hotsync.backends.network import giving_up
from hotsync.backends.network.quiet_links import QuietLinks
from hotsync.engine.one_master.boot_guard import Question
from hotsync.errors import CommandFailed, NotServing, PeerStillAlive
from hotsync.flows import claim_guard as flow
from hotsync.flows import promote, promote_look
from hotsync.flows.claim_guard import guard_claim
from hotsync.flows.promote_answers import Answers as Given
from hotsync.model.boot_guard import Answers
from hotsync.model.fence import FenceResult, Tier
from hotsync.model.hold import Hold
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.state import boot_hold, store
from hotsync.state import promotion as document
from hotsync.state.boot_hold import BootHold, load_boot_hold, save_boot_hold
from hotsync.state.configdb import configuration, ensure_records
from hotsync.state.hold import save_hold
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock
from tests.support.system_log import KeptLog

PEER = Peer("master", "192.0.2.10", "f" * 64, "", "fe80::1%eth0")
MASTER, OWN = Address("eth0", "192.0.2.10", 24), Address("eth0", "192.0.2.20", 24)
PLAN = NetworkPlan(NetworkChoice.MASTERS, "", (MASTER, OWN, Address("eth0", "2001:db8::1", 64)), (), (OWN,))
REACHED = (FenceResult(Tier.AGENT, False, "silent"), FenceResult(Tier.SSH, True, "it switches itself off"))
LEFT = Answers(confirmed=True)
SILENT = Answers(asked=("eth0",), seconds=20.0)
CONFLICT = Answers(confirmed=True, conflicts=(("192.0.2.10", "02:00:00:00:00:02"),))
SUPERSEDED = Answers(superseded_by=5)


@dataclass
class Boot:
    """One boot of a SLAVE with the claim of epoch 4: what is asked, what comes back, what is done to the network."""

    paths: Paths
    answers: Answers = SILENT
    asked: list[Question] = field(default_factory=list[Question])
    done: list[str] = field(default_factory=list[str])

    def ask(self, question: Question, _clock: Clock, _links: QuietLinks) -> Answers:
        self.asked.append(question)
        return self.answers

    def run(self, answers: Answers) -> bool:
        self.answers, self.asked, self.done = answers, [], []
        return guard_claim(self.paths, TickingClock(), self.ask, self)

    def served(self) -> tuple[Address, ...]:
        return ()

    def gateways(self) -> tuple[Address, ...]:
        return ()

    def give_up(self, addresses: tuple[Address, ...], standby: tuple[Address, ...]) -> None:
        assert self.paths.held_flag.exists(), "a network manager could start first"
        self.done.append(f"without {addresses[0]}, with {standby[0]}")

    def restore(self, addresses: tuple[Address, ...], gateways: tuple[Address, ...]) -> None:
        del addresses, gateways

    @property
    def promotion(self) -> Promotion:
        promotion = document.load_promotion(self.paths)
        assert promotion is not None
        return promotion


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Boot:
    monkeypatch.setattr("hotsync.state.configdb.SystemLog", KeptLog([]).made)
    monkeypatch.setattr(flow, "load_identity", lambda _: None)
    monkeypatch.setattr(giving_up, "wait_for_cards", lambda: None)
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    paths.at("/etc").mkdir(exist_ok=True)
    ensure_records(paths)
    store.save_role(paths, RoleRecord(Role.SLAVE, 3, claim=4))
    store.save_peer(paths, PEER)
    live = paths.at("/etc").stat().st_ino
    document.save_promotion(paths, Promotion(4, 7, "d", 1.0, 1.0, 1.0, PLAN, (), etc_inode=live, fences=REACHED))
    return Boot(paths)


def test_the_paired_server_hears_the_claim_and_the_wire_is_asked_for_what_was_not_ours_before(boot: Boot) -> None:
    assert boot.run(LEFT)
    (question,) = boot.asked
    ours = question.callee.ours
    assert (question.callee.address, ours.epoch, ours.role, question.seconds) == ("fe80::1", 4, Role.SLAVE, 20.0)
    assert question.addresses == {"192.0.2.10", "2001:db8::1"}
    assert boot.done == []
    assert load_boot_hold(boot.paths, 4) is None
    assert not boot.paths.held_flag.exists()
    assert boot.promotion.fences == REACHED


@pytest.mark.parametrize("answers", [CONFLICT, SUPERSEDED])
def test_addresses_that_somebody_has_are_not_taken_and_the_promotion_waits_for_a_person_and_a_fence(
    boot: Boot, answers: Answers
) -> None:
    assert not boot.run(answers)
    assert boot.done == [f"without {MASTER}, with {OWN}"]
    said = promote.unfinished_sentence(boot.paths)
    assert "UNFINISHED" in said
    assert "booted without production's addresses" in said
    assert "hotsync-promote --undo" in said
    assert [(each.reached, each.detail) for each in boot.promotion.fences] == [
        (False, "silent"),
        (False, "it switches itself off (before this server was cut)"),
    ]


def test_a_switchover_goes_on_as_any_promotion_once_somebody_else_had_its_addresses(boot: Boot) -> None:
    document.save_promotion(boot.paths, replace(boot.promotion, planned=True))
    assert not boot.run(CONFLICT)
    assert not boot.promotion.planned
    assert not boot.promotion.awaits_confirmation


def test_without_an_answer_it_takes_them_and_not_where_the_setting_says_so(boot: Boot) -> None:
    assert boot.run(SILENT)
    configuration(boot.paths).set_props("hotsync", {"OnNoAnswer": "hold"})
    assert not boot.run(SILENT)
    assert "did not answer within 20 seconds (on eth0)" in promote.unfinished_sentence(boot.paths)
    assert boot.promotion.fences == REACHED, "who was fenced and is silent need not be fenced again"


def its_own_etc(boot: Boot) -> None:
    document.save_promotion(boot.paths, replace(boot.promotion, etc_inode=1))


def its_own_network(boot: Boot) -> None:
    document.save_promotion(boot.paths, replace(boot.promotion, network=NetworkPlan(NetworkChoice.KEEP)))


def finished(boot: Boot) -> None:
    document.save_promotion(boot.paths, replace(boot.promotion, finished_at=2.0))


def a_master(boot: Boot) -> None:
    store.save_role(boot.paths, RoleRecord(Role.MASTER, 4))


def no_claim(boot: Boot) -> None:
    store.save_role(boot.paths, RoleRecord(Role.SLAVE, 3))


def unpaired(boot: Boot) -> None:
    store.forget_peer(boot.paths)


def disabled(boot: Boot) -> None:
    configuration(boot.paths).set_props("hotsync", {"status": "disabled"})


def unguarded(boot: Boot) -> None:
    configuration(boot.paths).set_props("hotsync", {"GuardSeconds": "0"})


@pytest.mark.parametrize(
    "change", [its_own_etc, its_own_network, finished, a_master, no_claim, unpaired, disabled, unguarded]
)
def test_nobody_is_asked_where_etc_gives_none_of_productions_addresses_or_it_is_not_wanted(
    boot: Boot, change: Callable[[Boot], None]
) -> None:
    change(boot)
    assert boot.run(CONFLICT)
    assert (boot.asked, boot.done) == ([], [])


def test_what_cannot_be_asked_lets_the_boot_go_on(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Paths) -> None:
        raise CommandFailed(program="openssl", status="1", detail="no key", line="openssl")

    monkeypatch.setattr(flow, "load_identity", broken)
    assert boot.run(CONFLICT)
    assert boot.done == []


def test_a_disk_that_takes_nothing_keeps_no_address_of_production_here(
    boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(document, "save_promotion", full)
    assert not boot.run(CONFLICT)
    assert boot.done == [f"without {MASTER}, with {OWN}"]
    assert load_boot_hold(boot.paths, 4) is not None


def test_what_is_said_of_a_boot_belongs_to_its_promotion_and_one_that_cannot_be_read_holds(boot: Boot) -> None:
    save_boot_hold(boot.paths, BootHold(4, "why"))
    assert load_boot_hold(boot.paths, 4) == BootHold(4, "why")
    assert load_boot_hold(boot.paths, 5) is None
    assert load_boot_hold(boot.paths, None) is None
    boot_hold.boot_hold_path(boot.paths).write_text("{")
    assert load_boot_hold(boot.paths, 4) is not None
    assert load_boot_hold(boot.paths, None) is None


def test_going_on_asks_as_any_promotion_whether_somebody_still_serves_and_only_there(
    boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs = [("02:00:00:00:00:02 holds 192.0.2.10/24",), ()]

    class Parts:
        paths, ground = boot.paths, None

    monkeypatch.setattr(promote_look, "life_of_master", lambda *_: lambda: signs[0])
    role, parts = store.load_role(boot.paths), Parts()
    assert promote._asked_again(parts, boot.promotion, role, Given()) == ()  # type: ignore[arg-type]
    save_boot_hold(boot.paths, BootHold(4, "why"))
    with pytest.raises(PeerStillAlive, match="holds"):
        promote._asked_again(parts, boot.promotion, role, Given())  # type: ignore[arg-type]
    (check,) = promote._asked_again(parts, boot.promotion, role, Given(force=True))  # type: ignore[arg-type]
    assert "holds" in check.detail
    signs.pop(0)
    (check,) = promote._asked_again(parts, boot.promotion, role, Given())  # type: ignore[arg-type]
    assert check.detail == ""


def test_what_is_left_of_a_promotion_is_not_done_on_a_master_that_is_held(boot: Boot) -> None:
    a_master(boot)
    save_hold(boot.paths, Hold(0, 1.0, why="another machine answers"))
    with pytest.raises(NotServing, match="another machine answers"):
        promote.prospect(boot.paths, Given(), TickingClock())
