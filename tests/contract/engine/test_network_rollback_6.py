"""A change of a network of IPv6 only is proven by whoever answers there, or undone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network.snapshot import read_before
from hotsync.engine.network.rollback import Rollback
from hotsync.engine.promotion.network import PromotionNetwork
from hotsync.errors import NetworkSilent
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network
from tests.contract.engine.test_network_rollback import Calls, state_now
from tests.contract.other_computer import Computer, other_computer

pytestmark = pytest.mark.contract

SOMEBODY, ROUTER = "2001:db8:77::5", "fe80::1"
OWN = (Address("eth7", "2001:db8:77::2", 64), Address("eth8", "2001:db8:78::2", 64))


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[Computer]:
    """This server in two networks of IPv6, whose routers have the same link-local address, as routers do."""
    (tmp_path / "var/lib/hotsync/replica/tree/etc").mkdir(parents=True)
    first, second = ((str(each),) for each in OWN)
    dmz = other_computer("2001:db8:78::fe/64", f"{ROUTER}/64", card="eth8", ours=second)
    with own_network(), other_computer(f"{SOMEBODY}/64", f"{ROUTER}/64", ours=first) as found, dmz:
        command.run(["ip", "route", "add", "default", "via", ROUTER, "dev", "eth7"])
        yield found


def promotion(lan: str, dmz: str, router: str = ROUTER) -> Promotion:
    """Return one that gives these cards the MASTER's addresses in the two networks, and its router."""
    taken = (Address(lan, "2001:db8:77::1", 64), Address(dmz, "2001:db8:78::1", 64))
    plan = NetworkPlan(NetworkChoice.MAPPED, "master", taken, (Address(lan, router, 128),), OWN)
    return Promotion(1, 1, "d", 1.0, 1.0, 1.0, plan, ())


def promote(root: Path, wanted: Promotion, probe: str = "", seconds: int = 30) -> list[str]:
    notes: list[str] = []
    rollback = Rollback(Paths(root), SystemClock(), seconds, probe, Calls())
    PromotionNetwork(Paths(root), lambda: wanted, notes.append, rollback).take_addresses()
    return notes


def only_the_router_is_known() -> None:
    command.run(["ip", "-6", "neighbour", "flush", "all"])


def somebody_is_known() -> None:
    command.run(["ip", "neighbour", "replace", SOMEBODY, "lladdr", "02:00:00:00:00:05", "dev", "eth7", "nud", "stale"])


def test_right_cards_stand_as_soon_as_a_neighbour_answers(lan: Computer, tmp_path: Path) -> None:
    somebody_is_known()
    assert promote(tmp_path, promotion("eth7", "eth8")) == []
    assert {"2001:db8:77::1", "2001:db8:78::1"} <= {each.address for each in live.read_addresses()}
    assert lan.knows("2001:db8:77::1") == ""  # it was told, and had nothing to correct


def test_a_router_that_is_known_by_its_link_local_address_alone_is_enough(lan: Computer, tmp_path: Path) -> None:
    only_the_router_is_known()
    assert promote(tmp_path, promotion("eth7", "eth8")) == []
    assert Address("eth7", "2001:db8:77::1", 64) in live.read_addresses()


@pytest.mark.parametrize("known", [only_the_router_is_known, somebody_is_known])
@pytest.mark.usefixtures("lan")
def test_cards_that_changed_places_are_put_back_though_each_wire_has_a_router_of_that_address(
    known: object, tmp_path: Path
) -> None:
    assert callable(known)
    command.run(["ip", "route", "add", "default", "via", ROUTER, "dev", "eth8", "metric", "2048"])
    known()
    was = state_now()
    with pytest.raises(NetworkSilent, match="fe80::1"):
        promote(tmp_path, promotion("eth8", "eth7"), seconds=1)
    assert state_now() == was


def test_an_address_in_a_network_that_is_taken_proves_it_and_on_the_wrong_wire_does_not(
    lan: Computer, tmp_path: Path
) -> None:
    assert promote(tmp_path, promotion("eth7", "eth8"), probe=SOMEBODY) == []
    lan.falls_silent()
    with pytest.raises(NetworkSilent, match=SOMEBODY):
        promote(tmp_path, promotion("eth7", "eth8"), probe=SOMEBODY, seconds=1)


@pytest.mark.usefixtures("lan")
def test_an_address_that_must_answer_is_not_heard_on_the_wrong_card(tmp_path: Path) -> None:
    was = state_now()
    with pytest.raises(NetworkSilent, match=SOMEBODY):
        promote(tmp_path, promotion("eth8", "eth7"), probe=SOMEBODY, seconds=1)
    assert state_now() == was
    assert read_before().addresses == OWN


def test_the_masters_router_is_known_though_this_server_has_no_address_in_its_network_yet(
    lan: Computer, tmp_path: Path
) -> None:
    only_the_router_is_known()
    command.run(["ip", "-6", "route", "flush", "default"])
    command.run(["ip", "address", "flush", "dev", "eth7", "scope", "global"])
    was = state_now()
    with pytest.raises(NetworkSilent, match=SOMEBODY):
        promote(tmp_path, promotion("eth8", "eth7", SOMEBODY), seconds=1)
    assert state_now() == was
    assert promote(tmp_path, promotion("eth7", "eth8", SOMEBODY)) == []
    assert lan.knows("2001:db8:77::1") == ""


def test_a_router_that_answers_for_all_its_addresses_on_every_wire_proves_no_wrong_card(tmp_path: Path) -> None:
    """Linux does so with IPv4: seen from the wrong wire all looks well."""
    (tmp_path / "var/lib/hotsync/replica/tree/etc").mkdir(parents=True)
    taken = (Address("eth8", "10.77.0.1", 24), Address("eth7", "10.78.0.1", 24))
    gateway = Address("eth8", "10.77.0.254", 32)
    wrong = NetworkPlan(NetworkChoice.MAPPED, "master", taken, (gateway,), ())
    right = tuple(replace(each, interface={"eth7": "eth8", "eth8": "eth7"}[each.interface]) for each in taken)
    with own_network(), other_computer("10.77.0.254/24", ours=("10.77.0.2/24",)) as router:
        command.run(["ip", "link", "add", "eth8", "type", "veth", "peer", "name", "far-eth8"])
        command.run(["ip", "link", "set", "far-eth8", "netns", str(router.process.pid)])
        router.run("ip", "address", "add", "10.78.0.254/24", "dev", "far-eth8")
        router.run("ip", "link", "set", "far-eth8", "up")
        command.run(["ip", "link", "set", "eth8", "up"])
        command.run(["ip", "address", "add", "10.78.0.2/24", "dev", "eth8"])
        command.run(["ip", "route", "add", "default", "via", "10.77.0.254"])
        assert "10.77.0.254" in live.heard(["eth8"], ["10.77.0.254"], 5.0)["eth8"]
        was = state_now()
        found = Promotion(1, 1, "d", 1.0, 1.0, 1.0, wrong, ())
        with pytest.raises(NetworkSilent, match=r"10\.77\.0\.254"):
            promote(tmp_path, found, seconds=1)
        assert state_now() == was
        plan = replace(wrong, addresses=right, gateways=(replace(gateway, interface="eth7"),))
        assert promote(tmp_path, replace(found, network=plan)) == []
