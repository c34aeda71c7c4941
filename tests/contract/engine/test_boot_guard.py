"""The boot guard on a real wire: two network name spaces, a real hotsyncd, real ARP and link-local addresses."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from hotsync.backends.network import giving_up
from hotsync.backends.network.quiet_links import is_up, quiet_links
from hotsync.engine.one_master.boot_guard import Asking, Question
from hotsync.engine.one_master.hold import LiveLines
from hotsync.engine.one_master.still_served import signs_on_the_wire
from hotsync.model.boot_guard import Answers, decide
from hotsync.model.hold import Hold
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.state import store
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

        return self.at_boot(asking)


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
