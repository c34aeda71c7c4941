"""A promotion's change of the running network: bonds, bridges and VLANs made, proven by whoever answers, or undone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends import production_units
from hotsync.backends.network import addresses as live
from hotsync.backends.network import live_links
from hotsync.backends.network.snapshot import read_before, restore
from hotsync.engine.network import recovery
from hotsync.engine.network.rollback import Rollback, before_path, confirmed_path, load_before, put_back
from hotsync.engine.promotion import host as promotion_host
from hotsync.engine.promotion.facts import read_facts
from hotsync.engine.promotion.network import PromotionNetwork
from hotsync.errors import ConfigError, NetworkSilent
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.network.links import Bridge
from hotsync.model.network.values import Address, Interface, NetworkState
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.planning.promote import plan_promote
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.configdb import configuration, ensure_records
from hotsync.steps.network import TAKE
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

STANDBY, MASTER = Address("br0", "10.77.0.2", 24), Address("br0", "10.77.0.1", 24)
GATEWAY = Address("br0", "10.77.0.254", 32)
FILES = {
    "network/interfaces": "auto br0\niface br0 inet static\n    address 10.77.0.1/24\n    gateway 10.77.0.254\n"
    "    bridge_ports eth7\n    bridge_stp off\n",
}
PLAN = NetworkPlan(NetworkChoice.MASTERS, "master", (MASTER,), (GATEWAY,), (STANDBY,))
PROMOTION = Promotion(1, 1, "d", 1.0, 1.0, 1.0, PLAN, ())


class Calls:
    """A timer that only remembers."""

    def __init__(self) -> None:
        self.armed: list[int] = []
        self.stopped = 0

    def start(self, seconds: int) -> None:
        self.armed.append(seconds)

    def stop(self) -> None:
        self.stopped += 1


@contextmanager
def neighbour(address: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another computer at the other end of eth7's cable: a network namespace of its own."""
    other = subprocess.Popen(["unshare", "-n", "sleep", "600"])
    try:
        command.run(["ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far7"])
        while os.readlink(f"/proc/{other.pid}/ns/net") == os.readlink("/proc/thread-self/ns/net"):
            os.sched_yield()
        command.run(["ip", "link", "set", "far7", "netns", str(other.pid)])
        inside = ["nsenter", "-t", str(other.pid), "-n", "ip"]
        command.run([*inside, "address", "add", address, "dev", "far7"])
        command.run([*inside, "link", "set", "far7", "up"])
        command.run(["ip", "address", "add", "10.77.0.2/24", "dev", "eth7"])
        command.run(["ip", "link", "set", "eth7", "up"])
        yield other
    finally:
        other.kill()
        other.wait()


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    found = Paths(tmp_path)
    for path, text in FILES.items():
        (found.replica / "tree/etc" / path).parent.mkdir(parents=True, exist_ok=True)
        (found.replica / "tree/etc" / path).write_text(text)
    with own_network():
        yield found
    (tmp_path / "over").touch()  # a timer that was not to come does not outlive its test


def network(paths: Paths, rollback: Rollback, notes: list[str]) -> PromotionNetwork:
    return PromotionNetwork(paths, lambda: PROMOTION, notes.append, rollback)


def state_now() -> tuple[tuple[Address, ...], tuple[tuple[str, str], ...], tuple[str, ...]]:
    now = read_before()
    return tuple(sorted(now.addresses)), now.masters, tuple(sorted(now.routes))


def test_a_bridge_is_made_at_once_and_stands_as_soon_as_somebody_answers(paths: Paths) -> None:
    timer, notes = Calls(), list[str]()
    with neighbour("10.77.0.254/24"):
        command.run(["ip", "route", "add", "default", "via", "10.77.0.254"])
        rollback = Rollback(paths, SystemClock(), 30, timer=timer)
        network(paths, rollback, notes).take_addresses()
        assert notes == []
        assert set(live.read_addresses()) == {MASTER, STANDBY}
        assert live_links.read_masters()["eth7"] == "br0"
        assert live.read_gateways() == (GATEWAY,)
    assert timer.armed == [50]
    assert timer.stopped == 1
    assert not before_path(paths).exists()


def test_where_nobody_answers_any_more_the_network_is_as_it_was(paths: Paths) -> None:
    timer, notes = Calls(), list[str]()
    with neighbour("10.77.0.254/24") as other:
        command.run(["ip", "route", "add", "default", "via", "10.77.0.254", "metric", "7"])
        was = state_now()
        rollback = Rollback(paths, SystemClock(), 1, timer=timer)
        asked = rollback.arm(["br0"])
        assert asked is not None
        assert [each.address.address for each in asked.neighbours] == ["10.77.0.254"]
        command.run(["nsenter", "-t", str(other.pid), "-n", "ip", "link", "set", "far7", "arp", "off"])
        command.run(["nsenter", "-t", str(other.pid), "-n", "ip", "address", "flush", "dev", "far7"])
        with pytest.raises(NetworkSilent, match=r"10\.77\.0\.254") as caught:
            network(paths, rollback, notes).take_addresses()
        assert "--network 3" in caught.value.hint
        assert state_now() == was
    assert timer.stopped == 1
    assert load_before(paths) is None


def test_a_card_that_was_switched_off_is_on_again_with_all_that_it_had(paths: Paths) -> None:
    """As the network program does by a file that says so (ActivationPolicy=always-down)."""
    with neighbour("10.77.0.254/24"):
        command.run(["ip", "address", "add", "2001:db8:77::2/64", "dev", "eth7", "nodad"])
        command.run(["ip", "route", "add", "default", "via", "10.77.0.254"])
        command.run(["ip", "route", "add", "10.9.0.0/16", "via", "10.77.0.254"])
        was = state_now()
        rollback = Rollback(paths, SystemClock(), 600, timer=Calls())
        assert rollback.arm(()) is not None
        command.run(["ip", "link", "set", "eth7", "down"])
        assert state_now() != was
        assert put_back(paths)
        assert state_now() == was
        assert live.holders([replace(GATEWAY, interface="eth7")], 5.0)


def test_a_person_may_say_that_the_server_is_reached(paths: Paths) -> None:
    with neighbour("10.77.0.254/24"):
        rollback = Rollback(paths, SystemClock(), 600, "192.0.2.99", Calls())
        before = rollback.arm(())
        assert before is not None
        confirmed_path(paths).touch()
        rollback.prove(before, (), ())
    assert not before_path(paths).exists()


def test_an_address_that_must_answer_is_asked_and_nobody_else(paths: Paths) -> None:
    with neighbour("10.77.0.254/24"):
        good = Rollback(paths, SystemClock(), 30, "10.77.0.254", Calls())
        before = good.arm(())
        assert before is not None
        good.prove(before, (), ())
        bad = replace(good, probe="192.0.2.99", seconds=0)
        assert bad.arm(()) is None
        with pytest.raises(NetworkSilent, match=r"192\.0\.2\.99"):
            bad.prove(before, (GATEWAY,), ())


def test_what_was_lent_is_said_in_the_report(paths: Paths) -> None:
    leased = replace(PROMOTION, network=replace(PLAN, leases=(Address("eth0", "10.77.0.1", 24),)))
    notes: list[str] = []
    rollback = Rollback(paths, SystemClock(), 0, timer=Calls())
    PromotionNetwork(paths, lambda: leased, notes.append, rollback).take_addresses()
    assert "10.77.0.1/24 was lent to the MASTER by DHCP" in notes[0]


def test_where_nobody_could_tell_the_change_stands(paths: Paths) -> None:
    command.run(["ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far7"])
    command.run(["ip", "link", "set", "eth7", "up"])
    notes: list[str] = []
    network(paths, Rollback(paths, SystemClock(), 600, timer=Calls()), notes).take_addresses()
    assert set(live.read_addresses()) == {MASTER, STANDBY}


KILLED = """
import os, signal, sys
from pathlib import Path
from hotsync.engine.network.rollback import Rollback
from hotsync.engine.promotion.network import PromotionNetwork
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.engine import test_network_rollback as test

class Delayed(test.Calls):
    def start(self, seconds):
        # what systemd's timer does, in this namespace: a process of its own that outlives this one
        words = [sys.executable, "-c", test.CALLED, sys.argv[1]]
        if os.fork() == 0:
            os.setsid()
            os.execv(sys.executable, words)

class Killed(PromotionNetwork):
    def _gateways_here(self, plan):
        os.kill(os.getpid(), signal.SIGKILL)

paths = Paths(Path(sys.argv[1]))
rollback = Rollback(paths, SystemClock(), 600, timer=Delayed())
Killed(paths, lambda: test.PROMOTION, print, rollback).take_addresses()
"""
CALLED = """
import os, sys, time
from pathlib import Path
os.environ["HOTSYNC_ROOT"] = sys.argv[1]
while not Path(sys.argv[1], "fire").exists():
    if Path(sys.argv[1], "over").exists():
        sys.exit()
    time.sleep(0.05)
from hotsync.cli.promote import promote
try:
    promote(["--network-back"], standalone_mode=False)
finally:
    Path(sys.argv[1], "fired").touch()
"""


def test_the_network_comes_back_though_hotsync_was_killed_in_the_middle(paths: Paths) -> None:
    with neighbour("10.77.0.254/24"):
        command.run(["ip", "route", "add", "default", "via", "10.77.0.254"])
        was = state_now()
        ended = subprocess.run([sys.executable, "-c", KILLED, str(paths.root)], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert MASTER in live.read_addresses()
        again = Rollback(paths, SystemClock(), 600, timer=Calls()).arm(())
        assert again is not None
        assert again.made == ("br0",)  # who goes on keeps what was, not what is half done
        (paths.root / "fire").touch()
        while not (paths.root / "fired").exists():
            os.sched_yield()
        assert state_now() == was
        assert not put_back(paths)


def plan_now(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what a call of hotsync-promote would do now, by the keys of its steps."""
    for what in ("active_units", "known_units"):
        monkeypatch.setattr(production_units, what, lambda *_: frozenset())
    parts = promotion_host.build(paths)
    return [step.key for step in plan_promote(read_facts(paths, PROMOTION, parts.ground, parts.etc))]


@pytest.mark.parametrize("answers", [True, False])
def test_addresses_that_were_taken_and_not_proven_are_proven_by_the_next_call_before_data_moves(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, *, answers: bool
) -> None:
    """Killed in between: until the timer comes they are up, on cards that may be the wrong ones."""
    paths.at("/etc").mkdir()
    store.save_role(paths, RoleRecord(Role.SLAVE, 0, claim=1))
    document.save_promotion(paths, PROMOTION)
    with neighbour("10.77.0.254/24") as other:
        command.run(["ip", "route", "add", "default", "via", "10.77.0.254"])
        was = state_now()
        ended = subprocess.run([sys.executable, "-c", KILLED, str(paths.root)], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert set(live.read_addresses()) == {MASTER, STANDBY}
        plan = plan_now(paths, monkeypatch)
        assert plan.index(TAKE) < plan.index("files.live")
        notes = list[str]()
        taking = network(paths, Rollback(paths, SystemClock(), 30 if answers else 1, timer=Calls()), notes)
        if answers:
            taking.take_addresses()
            assert set(live.read_addresses()) == {MASTER, STANDBY}
            assert TAKE not in plan_now(paths, monkeypatch)
        else:
            command.run(["nsenter", "-t", str(other.pid), "-n", "ip", "link", "set", "far7", "arp", "off"])
            command.run(["nsenter", "-t", str(other.pid), "-n", "ip", "address", "flush", "dev", "far7"])
            with pytest.raises(NetworkSilent):
                taking.take_addresses()
            assert state_now() == was  # from before the first call
        assert notes == []


def test_a_person_who_has_said_that_the_server_is_reached_is_not_asked_again(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.at("/etc").mkdir()
    store.save_role(paths, RoleRecord(Role.SLAVE, 0, claim=1))
    with neighbour("10.77.0.254/24"):
        subprocess.run([sys.executable, "-c", KILLED, str(paths.root)], check=False)
        confirmed_path(paths).touch()
        assert TAKE not in plan_now(paths, monkeypatch)


@pytest.mark.parametrize("probe", ["", "10.77.0.254"])
def test_a_network_that_the_timer_has_put_back_meanwhile_is_not_called_proven(paths: Paths, probe: str) -> None:
    """Who answers then does so in the old one; and what the change did after that is put back, too."""
    timer = Calls()
    with neighbour("10.77.0.254/24"):
        command.run(["ip", "route", "add", "default", "via", "10.77.0.254"])
        was = state_now()
        rollback = Rollback(paths, SystemClock(), 30, probe, timer)
        before = rollback.arm(())
        assert before is not None
        assert put_back(paths)
        live.add(replace(MASTER, interface="eth7"))
        with pytest.raises(NetworkSilent, match=r"10\.77\.0\.254.* after 50 seconds"):
            rollback.prove(before, (), ())
        assert state_now() == was


def test_one_that_the_timer_puts_back_while_somebody_answers_is_not_called_proven(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with neighbour("10.77.0.254/24"):
        rollback = Rollback(paths, SystemClock(), 30, "10.77.0.254", Calls())
        before = rollback.arm(())
        assert before is not None
        monkeypatch.setattr(Rollback, "_answers", lambda *_: put_back(paths))
        with pytest.raises(NetworkSilent):
            rollback.prove(before, (), ())


def test_bridges_are_made_and_taken_down_again(paths: Paths) -> None:
    del paths
    for number in (1, 2, 3):
        command.run(["ip", "link", "add", f"eth{number}", "type", "veth", "peer", "name", f"far{number}"])
    command.run(["ip", "address", "add", "10.77.0.2/24", "dev", "eth1"])
    state = NetworkState(
        (
            Interface("br1", link=Bridge(stp=True)),
            Interface("eth3", master="br1"),
            Interface("br0", link=Bridge(settings=(("priority", "4096"), ("max_age", "9"))), mtu=1400),
            Interface("eth1", master="br0"),
            Interface("eth2", master="br0"),
        )
    )
    made = live_links.to_make(state, live.read_interfaces())
    before = read_before(each.name for each in made)
    assert before.made == ("br1", "br0")
    for interface in made:
        live_links.make(interface)
    for port, master in live_links.to_join(state, live_links.read_masters()):
        live_links.join(port, master)
    masters = live_links.read_masters()
    assert (masters["eth1"], masters["eth2"], masters["eth3"]) == ("br0", "br0", "br1")
    assert live_links.top_here("eth1", masters) == "br0"
    assert live_links.to_join(state, masters) == ()
    assert STANDBY.address not in {each.address for each in live.read_addresses()}
    assert restore(before) == []
    assert read_before().masters == before.masters
    assert live.read_addresses() == before.addresses


def test_a_wrong_word_in_the_settings_is_answered_before_anything_is_changed(paths: Paths) -> None:
    ensure_records(paths)
    configuration(paths).set_props("hotsync", {"NetworkProbe": "router"})
    with neighbour("10.77.0.254/24"):
        was = state_now()
        with pytest.raises(ConfigError, match="`router` is no IPv4 or IPv6 address") as caught:
            PromotionNetwork(paths, lambda: PROMOTION, print).take_addresses()
        assert "config setprop hotsync NetworkProbe" in caught.value.sentence
        with pytest.raises(ConfigError, match="NetworkProbe"):
            recovery.look(paths)
        assert state_now() == was
    assert not before_path(paths).exists()
