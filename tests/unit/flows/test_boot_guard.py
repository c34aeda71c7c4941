"""The boot of a MASTER: asked or not, started or held, and what that leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from hotsync.backends.network.quiet_links import QuietLinks
from hotsync.backends.production_units import MUTE_DROP_IN, ProductionUnits
from hotsync.engine.one_master.boot_guard import Question
from hotsync.engine.one_master.hold import Holding, refuse_if_held
from hotsync.errors import NotServing
from hotsync.flows import boot_guard as flow
from hotsync.flows.boot_guard import guard_boot
from hotsync.model.boot_guard import Answers
from hotsync.model.facts import AddressFact, InterfaceFact, MasterFacts, NetworkFacts
from hotsync.model.hold import HeardBy, Hold, hint_of, sentence_of
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.configdb import configuration, ensure_records
from hotsync.state.facts import render_facts
from hotsync.state.hold import held, load_hold, save_hold
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock
from tests.support.system_log import KeptLog

PEER = Peer("slave", "192.0.2.20", "f" * 64, "", "fe80::1%eth0")
SUPERSEDED, CONFIRMED = Answers(superseded_by=4), Answers(confirmed=True)
SILENT = Answers(asked=("eth0",), seconds=20.0)
CONFLICT = Answers(conflicts=(("192.0.2.10", "02:00:00:00:00:02"),))


@dataclass
class Boot:
    """One boot: what is asked, what comes back, what is done."""

    paths: Paths
    answers: Answers = SILENT
    asked: list[Question] = field(default_factory=list[Question])
    done: list[str] = field(default_factory=list[str])

    def ask(self, question: Question, _clock: Clock, _links: QuietLinks) -> Answers:
        self.asked.append(question)
        return self.answers

    def run(self, answers: Answers = SILENT) -> bool:
        self.answers, self.asked, self.done = answers, [], []
        boot = self

        class Held(Holding):
            def apply(self) -> Hold | None:
                boot.done.append("held")
                store.set_production(self.paths, False)
                return held(self.paths)

        class Units(ProductionUnits):
            def reload(self) -> None:
                boot.done.append("reload")

        holding = Held(self.paths, cast("object", None))  # type: ignore[arg-type]
        return guard_boot(self.paths, TickingClock(), holding, Units(self.paths), self.ask)

    def set(self, **props: str) -> None:
        configuration(self.paths).set_props("hotsync", props)


@pytest.fixture
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Boot:
    monkeypatch.setattr("hotsync.state.configdb.SystemLog", KeptLog([]).made)
    monkeypatch.setattr(flow, "load_identity", lambda _: None)
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    ensure_records(paths)
    configuration(paths).set_props("hotsync", {"SlaveHost": "192.0.2.2"})
    store.save_role_and_flag(paths, RoleRecord(Role.MASTER, 3))
    store.save_peer(paths, PEER)
    interfaces = paths.at("/etc/network/interfaces")
    interfaces.parent.mkdir(parents=True)
    interfaces.write_text(
        "auto lo eth0\niface lo inet loopback\niface eth0 inet static\n    address 192.0.2.10/24\n"
        "iface eth0 inet static\n    address 192.0.2.20/24\niface eth0 inet6 static\n    address 2001:db8::1/64\n"
        "iface eth0 inet6 static\n    address fe80::1/64\n"
    )
    network = NetworkPlan(standby=(Address("eth0", "192.0.2.20", 24),))
    document.save_promotion(paths, Promotion(3, 7, "d", 1.0, 1.0, 1.0, network, (), finished_at=2.0))
    return Boot(paths)


def test_a_master_without_a_slave_waits_no_longer_than_for_a_neighbour(boot: Boot) -> None:
    configuration(boot.paths).set_props("hotsync", {"SlaveHost": ""})
    assert boot.run(CONFIRMED)
    assert [question.seconds for question in boot.asked] == [6.0]


def test_a_master_whose_slave_confirms_it_starts_and_nothing_is_left_behind(boot: Boot) -> None:
    assert boot.run(CONFIRMED)
    assert boot.done == []
    assert boot.paths.production_flag.exists()
    assert load_hold(boot.paths) is None
    (question,) = boot.asked
    assert (question.callee.address, question.callee.ours.epoch, question.seconds) == ("fe80::1", 3, 20.0)
    assert question.addresses == {"192.0.2.10", "2001:db8::1"}  # the standby address is nobody else's


def test_a_superseded_one_is_held_and_no_later_boot_asks_again(boot: Boot) -> None:
    assert not boot.run(SUPERSEDED)
    hold = load_hold(boot.paths)
    assert hold is not None
    assert (hold.epoch, hold.heard_by) == (4, HeardBy.BOOT)
    assert boot.done == ["held"]
    assert not boot.run(CONFIRMED)
    assert (boot.asked, boot.done) == ([], ["held"])


def test_without_an_answer_it_starts_by_itself_and_is_held_where_the_setting_says_so(boot: Boot) -> None:
    assert boot.run(SILENT)
    boot.set(OnNoAnswer="hold")
    assert not boot.run(SILENT)
    hold = load_hold(boot.paths)
    assert hold is not None
    assert not hold.is_certain
    assert "did not answer within 20 seconds (on eth0)" in sentence_of(hold)
    assert "reboot" in hint_of(hold)
    with pytest.raises(NotServing, match="did not answer"):
        refuse_if_held(boot.paths)


@pytest.mark.parametrize("first", [SILENT, CONFLICT])
def test_a_hold_that_nobody_stood_for_is_looked_at_anew_by_the_next_boot(boot: Boot, first: Answers) -> None:
    boot.set(OnNoAnswer="hold")
    assert not boot.run(first)
    assert not boot.paths.production_flag.exists()
    drop_in = boot.paths.at(f"/etc/systemd/system/dovecot.service.d/{MUTE_DROP_IN}")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Unit]\n")
    assert boot.run(CONFIRMED)
    assert load_hold(boot.paths) is None
    assert boot.paths.production_flag.exists()
    assert not drop_in.exists()


def test_a_hold_that_nobody_is_left_to_lift_stays(boot: Boot) -> None:
    boot.set(OnNoAnswer="hold")
    assert not boot.run(SILENT)
    unpaired(boot)
    assert not boot.run(CONFIRMED)
    assert load_hold(boot.paths) is not None
    assert boot.asked == []


def test_an_address_that_another_machine_has_is_not_taken(boot: Boot) -> None:
    assert not boot.run(CONFLICT)
    hold = load_hold(boot.paths)
    assert hold is not None
    assert "02:00:00:00:00:02 has 192.0.2.10" in sentence_of(hold)


def unpaired(boot: Boot) -> None:
    store.forget_peer(boot.paths)


def disabled(boot: Boot) -> None:
    boot.set(status="disabled")


def unguarded(boot: Boot) -> None:
    boot.set(GuardSeconds="0")


def slave(boot: Boot) -> None:
    store.save_role_and_flag(boot.paths, RoleRecord(Role.SLAVE, 3))


@pytest.mark.parametrize("change", [unpaired, disabled, unguarded, slave])
def test_nobody_is_asked_where_there_is_nobody_or_it_is_not_wanted(boot: Boot, change: Callable[[Boot], None]) -> None:
    change(boot)
    assert boot.run(SUPERSEDED)
    assert (boot.asked, boot.done) == ([], [])


def test_a_release_that_was_cut_is_finished_by_the_boot(boot: Boot) -> None:
    save_hold(boot.paths, Hold(4, 5.0, begun=True))
    store.set_production(boot.paths, False)
    save_hold(boot.paths, replace(Hold(4, 5.0, begun=True), released=True))
    assert boot.run(SILENT)
    assert boot.asked == []
    assert boot.paths.production_flag.exists()
    assert load_hold(boot.paths) is None


def told(paths: Paths, *addresses: AddressFact) -> None:
    """What the last generation knows of this server's network."""
    network = NetworkFacts(interfaces=(InterfaceFact("eth0", addresses=addresses), InterfaceFact("docker0")))
    folder = paths.spool / "facts"
    folder.mkdir(parents=True)
    (folder / "network.json").write_bytes(render_facts(MasterFacts(network=network))["network.json"])


LEASE = AddressFact("198.51.100.7", 24, dynamic=True)


def test_a_lease_is_asked_for_where_the_files_ask_a_dhcp_server(boot: Boot) -> None:
    told(boot.paths, LEASE, AddressFact("203.0.113.9", 24), AddressFact("2001:db8::5054:ff", 64, dynamic=True))
    boot.run()
    assert LEASE.address not in boot.asked[0].addresses
    boot.paths.at("/etc/network/interfaces").write_text("iface eth0 inet dhcp\n")
    boot.run()
    assert boot.asked[0].addresses == {LEASE.address}
    kept = NetworkPlan(NetworkChoice.KEEP)
    document.save_promotion(boot.paths, Promotion(3, 7, "d", 1.0, 1.0, 1.0, kept, (), finished_at=2.0))
    boot.run()
    assert boot.asked[0].addresses == frozenset()  # its former MASTER had that one


def test_where_the_files_are_not_understood_what_it_last_had_is_asked_for(boot: Boot) -> None:
    told(boot.paths, LEASE, AddressFact("203.0.113.9", 24))
    boot.paths.at("/etc/network/interfaces").write_text("iface eth0 inet static\n    address nonsense\n")
    boot.run()
    assert boot.asked[0].addresses == {LEASE.address, "203.0.113.9"}


def test_a_network_that_is_not_understood_leaves_the_other_servers_word(boot: Boot) -> None:
    boot.paths.at("/etc/network/interfaces").write_text("iface eth0 inet static\n    address nonsense\n")
    assert not boot.run(SUPERSEDED)
    assert boot.asked[0].addresses == frozenset()


def test_the_real_question_is_what_is_asked_by_itself(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked:
        def __init__(self, *_: Sequence[object]) -> None:
            pass

        def ask(self) -> Answers:
            return CONFIRMED

    monkeypatch.setattr(flow, "Asking", Asked)
    assert guard_boot(boot.paths, TickingClock(), units=ProductionUnits(boot.paths))
