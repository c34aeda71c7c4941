"""The boot guard on a real wire: two network name spaces, a real hotsyncd, real ARP and link-local addresses.

A MASTER boots and asks its SLAVE; or a SLAVE that was cut in the middle of its promotion asks its MASTER.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network import giving_up
from hotsync.backends.network.quiet_links import is_up, quiet_links
from hotsync.engine.network import before as network_before
from hotsync.engine.one_master import boot_guard
from hotsync.engine.one_master.boot_guard import QUIET_SECONDS, Asking, Question
from hotsync.engine.one_master.hold import LiveLines
from hotsync.engine.one_master.still_served import signs_on_the_wire
from hotsync.flows.claim_guard import guard_claim
from hotsync.flows.promote import unfinished_sentence
from hotsync.model.boot_guard import Answers, decide, decide_claim
from hotsync.model.hold import HeardBy, Hold
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.hold import load_hold
from hotsync.system import command
from hotsync.transport.dial import Callee
from tests.contract.agent.pair import PORT, Host, own_network, until

pytestmark = pytest.mark.contract

ADDRESS, ADDRESS_6 = "10.88.0.1", "2001:db8:88::1"
_T = TypeVar("_T")


@dataclass
class Wire:
    """This thread's name space has `here0`, where the other server is; in the far one is the booting MASTER's card."""

    master: Host
    slave: Host
    pool: ThreadPoolExecutor
    link_local: str = ""
    cards: list[str] = field(default_factory=lambda: ["far0"])

    def at_boot(self, do: Callable[[], _T]) -> _T:
        """Do something in the MASTER's name space."""
        return self.pool.submit(do).result()

    def ask(self, seconds: float = 20.0, link_local: str | None = None) -> Answers:
        return self.asking(seconds, link_local).result()

    def asking(self, seconds: float = 20.0, link_local: str | None = None) -> Future[Answers]:
        """Begin to ask in the booting server's name space."""
        here = self.master.here
        assert here.peer is not None
        address = self.link_local if link_local is None else link_local
        callee = Callee(address, PORT, here.ours, self.master.around.identity, here.peer.fingerprint)
        question = Question(callee, frozenset({ADDRESS, ADDRESS_6}), seconds)

        def asking() -> Answers:
            with quiet_links() as links:
                answers = Asking(question, self.master.clock, links).ask(lambda: self.cards)
                links.down()
            return answers

        return self.pool.submit(asking)


def shown(name: str) -> list[str]:
    """Return the addresses of an interface."""
    (link,) = json.loads(command.run(["ip", "-j", "address", "show", "dev", name]).text)
    return [info["local"] for info in link["addr_info"]]


@contextmanager
def far_namespace() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Give a thread in a network of its own, and its number."""
    with ThreadPoolExecutor(max_workers=1) as pool:

        def enter() -> int:
            assert ctypes.CDLL(None, use_errno=True).unshare(0x40000000) == 0
            return threading.get_native_id()

        yield pool, pool.submit(enter).result()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with own_network(), far_namespace() as (pool, thread):
        command.run(["ip", "link", "add", "here0", "type", "veth", "peer", "name", "far0"])
        command.run(["ip", "link", "set", "far0", "netns", str(thread)])
        command.run(["sysctl", "-qw", "net.ipv6.conf.here0.accept_dad=0"])
        command.run(["ip", "link", "set", "here0", "up"])
        # an interface gets its link-local address with the first carrier
        pool.submit(command.run, ["ip", "link", "set", "far0", "up"]).result()
        until(lambda: len(shown("here0")) == 1, "the SLAVE has its link-local address")
        (own,) = shown("here0")
        pool.submit(command.run, ["ip", "link", "set", "far0", "down"]).result()
        master, slave = Host(tmp_path / "master", Role.MASTER, ""), Host(tmp_path / "slave", Role.SLAVE, "")
        for host, other in ((master, slave), (slave, master)):
            known = other.around.identity
            peer = Peer("other", "10.77.0.9", known.fingerprint, known.certificate, "fe80::dead%here0")
            store.save_peer(host.paths, peer)
        try:
            slave.start()
            yield Wire(master, slave, pool, own)
        finally:
            slave.stop()
            shutil.rmtree(slave.paths.root, ignore_errors=True)


def test_a_slave_confirms_its_master_over_a_card_that_has_no_address_and_is_left_as_it_was(wire: Wire) -> None:
    answers = wire.ask()
    assert answers.confirmed
    assert (answers.superseded_by, answers.conflicts, answers.asked) == (0, (), ("far0",))
    assert answers.seconds < 10
    assert not wire.at_boot(lambda: is_up("far0"))
    assert wire.at_boot(lambda: Path("/proc/thread-self/net/if_inet6").read_text()) == ""
    accept = wire.at_boot(lambda: Path("/proc/sys/net/ipv6/conf/far0/accept_ra").read_text().strip())
    assert accept == "1"


@pytest.mark.parametrize("record", [RoleRecord(Role.SLAVE, 0, claim=1), RoleRecord(Role.MASTER, 1)])
def test_a_promoted_or_promoting_server_says_so(wire: Wire, record: RoleRecord) -> None:
    store.save_role(wire.slave.paths, record)
    answers = wire.ask()
    assert (answers.superseded_by, answers.confirmed) == (1, False)


def test_a_server_that_gave_its_promotion_up_confirms_its_master(wire: Wire) -> None:
    store.save_role(wire.slave.paths, RoleRecord(Role.SLAVE, 1, released=1))
    answers = wire.ask()
    assert (answers.superseded_by, answers.confirmed) == (0, True)


def test_another_servers_certificate_says_nothing(wire: Wire) -> None:
    peer = wire.master.here.peer
    assert peer is not None
    store.save_role(wire.slave.paths, RoleRecord(Role.MASTER, 1))
    store.save_peer(wire.master.paths, replace(peer, fingerprint="0" * 64))
    answers = wire.ask(seconds=2.0)
    assert (answers.superseded_by, answers.confirmed) == (0, False)
    assert decide(answers, start_without_answer=True).start


def test_an_address_of_ours_that_somebody_has_is_found_without_taking_it(wire: Wire) -> None:
    wire.slave.stop()
    command.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "here0"])
    (link,) = json.loads(command.run(["ip", "-j", "link", "show", "dev", "here0"]).text)
    answers = wire.ask(seconds=2.0)
    assert answers.conflicts == ((ADDRESS, link["address"]),)
    # a probe leaves no trace with the neighbours
    assert json.loads(command.run(["ip", "-j", "-4", "neighbour", "show", "dev", "here0"]).text or "[]") == []


def test_an_ipv6_address_of_ours_that_somebody_has_is_found_too(wire: Wire) -> None:
    wire.slave.stop()
    command.run(["ip", "address", "add", f"{ADDRESS_6}/64", "dev", "here0", "nodad"])
    (link,) = json.loads(command.run(["ip", "-j", "link", "show", "dev", "here0"]).text)
    answers = wire.ask(seconds=2.0)
    assert answers.conflicts == ((ADDRESS_6, link["address"]),)
    assert not decide(answers, start_without_answer=True).start
    # the question comes from a link-local address: production's own one is nowhere told
    seen = json.loads(command.run(["ip", "-j", "-6", "neighbour", "show", "dev", "here0"]).text or "[]")
    assert [each["dst"] for each in seen if not each["dst"].startswith("fe80:")] == []


def test_a_held_server_finds_who_has_its_address_before_it_takes_it_again(wire: Wire) -> None:
    wire.slave.stop()
    wire.at_boot(lambda: command.run(["ip", "link", "set", "far0", "up"]))
    held = Hold(1, 1.0, addresses=(Address("far0", ADDRESS, 24),))
    assert wire.at_boot(lambda: signs_on_the_wire(held, (), PORT)) == ()
    command.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "here0"])
    (link,) = json.loads(command.run(["ip", "-j", "link", "show", "dev", "here0"]).text)
    said = f"{link['address']} holds {ADDRESS}"
    assert wire.at_boot(lambda: signs_on_the_wire(held, (), PORT)) == (said,)
    # one that was held at its boot had none yet: its files say what it would take
    at_boot = Hold(0, 1.0, why="nobody answered")
    assert wire.at_boot(lambda: signs_on_the_wire(at_boot, {ADDRESS}, PORT)) == (said,)


def test_where_nobody_is_the_time_is_over_and_no_longer(wire: Wire) -> None:
    wire.slave.stop()
    command.run(["ip", "link", "set", "here0", "down"])
    answers = wire.ask(seconds=1.5)
    assert (answers.superseded_by, answers.confirmed, answers.conflicts) == (0, False, ())
    assert 1.0 < answers.seconds < 6.0


def test_a_card_that_appears_late_is_asked_on_too(wire: Wire) -> None:
    looks = iter(range(100))

    def late() -> list[str]:
        return ["far0"] if next(looks) > 3 else []

    here = wire.master.here
    assert here.peer is not None
    callee = Callee(wire.link_local, PORT, here.ours, wire.master.around.identity, here.peer.fingerprint)

    def asking() -> Answers:
        with quiet_links() as links:
            return Asking(Question(callee, frozenset(), 20.0), wire.master.clock, links).ask(late)

    assert wire.at_boot(asking).confirmed


def test_a_held_server_lets_all_addresses_go_but_its_standby_and_link_local_one(wire: Wire) -> None:
    """The standby address was added later, in the same network: the kernel takes it along with the first one."""

    def hold() -> list[str]:
        command.run(["ip", "link", "set", "far0", "up"])
        for address in (f"{ADDRESS}/24", "10.88.0.2/24", "2001:db8::1/64"):
            command.run(["ip", "address", "add", address, "dev", "far0"])
        standby = (Address("far0", "10.88.0.2", 24),)
        lines = LiveLines()
        gone = tuple(address for address in lines.served() if address not in standby)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(giving_up, "stop_managers", lambda: None)
            lines.give_up(gone, standby)
            lines.give_up(gone, standby)
        return shown("far0")

    kept = wire.at_boot(hold)
    assert [address for address in kept if not address.startswith("fe80")] == ["10.88.0.2"]
    assert [address for address in kept if address.startswith("fe80")]


def test_only_what_is_a_card_is_lent(wire: Wire) -> None:
    del wire
    command.run(["ip", "link", "add", "br9", "type", "bridge"])
    command.run(["ip", "link", "add", "veth9", "type", "veth", "peer", "name", "peer9"])
    assert giving_up.read_cards() == ("here0",)  # its other end is outside, as that of a container's card
    assert os.path.exists("/proc/thread-self/ns/net")


@pytest.fixture
def claimed(wire: Wire) -> Wire:
    """The booting server is a SLAVE with the claim of epoch 4 now, and the one that listens its MASTER of epoch 3."""
    wire.slave.set("hotsync", SlaveHost="")
    store.save_role(wire.slave.paths, RoleRecord(Role.MASTER, 3))
    store.save_role(wire.master.paths, RoleRecord(Role.SLAVE, 3, claim=4))
    return wire


def test_a_master_hears_the_claim_of_a_slave_that_boots_and_holds_itself(claimed: Wire) -> None:
    answers = claimed.ask()
    assert (answers.confirmed, answers.superseded_by, answers.conflicts) == (True, 0, ())
    assert QUIET_SECONDS <= answers.seconds < 12
    hold = load_hold(claimed.slave.paths)
    assert hold is not None
    assert (hold.epoch, hold.heard_by) == (4, HeardBy.CALLED)


@pytest.mark.parametrize("address", [f"{ADDRESS}/24", f"{ADDRESS_6}/64"])
def test_its_addresses_are_taken_once_it_has_let_them_go(claimed: Wire, address: str) -> None:
    command.run(["ip", "address", "add", address, "dev", "here0", *(["nodad"] if ":" in address else [])])
    asking = claimed.asking()
    until(lambda: load_hold(claimed.slave.paths) is not None, "the MASTER holds itself")
    assert not asking.done(), "it has them still"
    command.run(["ip", "address", "del", address, "dev", "here0"])
    answers = asking.result()
    assert (answers.confirmed, answers.conflicts) == (True, ())
    assert decide_claim(answers, start_without_answer=False).start


def test_and_not_while_it_or_somebody_else_answers_for_them(claimed: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_guard, "LEAVES_SECONDS", 5.0)
    command.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "here0"])
    answers = claimed.ask(seconds=1.0)
    assert answers.confirmed
    assert [address for address, _ in answers.conflicts] == [ADDRESS]
    assert answers.seconds >= 5.0
    assert not decide_claim(answers, start_without_answer=True).start


@pytest.mark.parametrize("epoch", [4, 7])
def test_a_master_that_was_made_one_again_since_does_not_yield_to_the_claim(claimed: Wire, epoch: int) -> None:
    store.save_role(claimed.slave.paths, RoleRecord(Role.MASTER, epoch))
    answers = claimed.ask()
    assert (answers.superseded_by, answers.confirmed) == (epoch, False)
    assert load_hold(claimed.slave.paths) is None


@pytest.mark.parametrize("taken", [True, False])
def test_a_boot_in_the_middle_of_a_promotion_has_the_addresses_of_before_where_somebody_has_productions(
    claimed: Wire, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_up, "stop_managers", lambda: None)
    monkeypatch.setattr(giving_up, "wait_for_cards", lambda: None)
    paths, own = claimed.master.paths, Address("far0", "10.88.0.2", 24)
    etc = paths.at("/etc")
    etc.mkdir(exist_ok=True)
    production = (Address("far0", ADDRESS, 24), Address("far0", ADDRESS_6, 64))
    plan = NetworkPlan(NetworkChoice.MASTERS, "", production, (), (own,))
    document.save_promotion(paths, Promotion(4, 1, "d", 1.0, 1.0, 1.0, plan, (), etc_inode=etc.stat().st_ino))
    known = store.load_peer(paths)
    assert known is not None
    store.save_peer(paths, replace(known, link_local=f"{claimed.link_local}%card9"))  # its name at another boot
    claimed.master.set("hotsync", GuardSeconds="5")

    def before_the_cut() -> None:
        live.add(own)
        command.run(["ip", "link", "set", "far0", "up"])
        command.run(["ip", "route", "add", "default", "via", "10.88.0.254", "dev", "far0"])
        network_before.remember(paths, 4, ())
        command.run(["ip", "address", "flush", "dev", "far0"])
        command.run(["ip", "link", "set", "far0", "down"])

    claimed.at_boot(before_the_cut)
    claimed.slave.stop()
    if taken:
        command.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "here0"])

    def boots() -> bool:
        return guard_claim(paths, claimed.master.clock, lambda *asked: Asking(*asked).ask(lambda: claimed.cards))

    assert claimed.at_boot(boots) is not taken
    assert paths.held_flag.exists() is taken
    found = [address for address in claimed.at_boot(lambda: shown("far0")) if not address.startswith("fe80")]
    assert found == (["10.88.0.2"] if taken else [])
    routes = claimed.at_boot(lambda: command.run(["ip", "-4", "route", "show", "default"]).text)
    assert ("10.88.0.254" in routes) is taken
    said = unfinished_sentence(paths)
    assert (f"has {ADDRESS}" in said) is taken
    assert claimed.at_boot(lambda: is_up("far0")) is taken
