"""The network of a promotion that is undone, on real interfaces: what was there before is there again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hotsync.backends.network import giving_up
from hotsync.engine.network import before as network_before
from hotsync.engine.network.rollback import Rollback
from hotsync.engine.promotion.network import PromotionNetwork
from hotsync.engine.undo.network import UndoNetwork
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

MASTER, SLAVE = Address("eth7", "10.77.0.1", 24), Address("eth7", "10.77.0.2", 24)
OTHER = Address("eth7", "192.0.2.1", 24)
GATEWAY = Address("eth7", "10.77.0.254", 32)
PLAN = NetworkPlan(NetworkChoice.MASTERS, "", (MASTER, OTHER), (Address("eth7", "10.77.0.253", 32),), (SLAVE,))
MASTERS = """\
auto eth7
iface eth7 inet static
    address 10.77.0.1/24
    gateway 10.77.0.253
    mtu 1400
    up ip route add 10.9.0.0/16 via 10.77.0.9 dev eth7
    up ip route add 10.8.0.0/16 dev $IFACE table 77
iface eth7 inet static
    address 192.0.2.1/24
"""
PROMOTION = Promotion(4, 1, "d", 1.0, 1.0, 1.0, PLAN, ())


@dataclass
class Lines:
    """The real addresses, without the network managers of the machine that runs the test."""

    stopped: list[str] = field(default_factory=list[str])

    def served(self) -> tuple[Address, ...]:
        return ()

    def gateways(self) -> tuple[Address, ...]:
        return ()

    def give_up(self, addresses: tuple[Address, ...], standby: tuple[Address, ...]) -> None:
        self.stopped.append("managers")
        giving_up.give_up(addresses)
        assert standby == (SLAVE,)

    def restore(self, addresses: tuple[Address, ...], gateways: tuple[Address, ...]) -> None:
        del addresses, gateways


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    with own_network():
        command.run(["ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far7"])
        command.run(["ip", "link", "set", "far7", "up"])
        command.run(["ip", "address", "add", str(SLAVE), "dev", "eth7"])
        command.run(["ip", "link", "set", "eth7", "up"])
        command.run(["ip", "route", "add", "default", "via", GATEWAY.address, "dev", "eth7"])
        paths = Paths(tmp_path)
        paths.state.mkdir(parents=True)
        of_the_master = paths.replica / "tree/etc/network/interfaces"
        of_the_master.parent.mkdir(parents=True)
        of_the_master.write_text(MASTERS)
        yield paths


def shown() -> tuple[list[str], list[str]]:
    links: list[dict[str, Any]] = json.loads(command.run(["ip", "-j", "-4", "address", "show"]).text)
    addresses = [f"{one['local']} on {link['ifname']}" for link in links for one in link["addr_info"]]
    routes = command.run(["ip", "-4", "route", "show", "table", "all"]).text.splitlines()
    routes += [f"{link['ifname']} mtu {link['mtu']}" for link in links]
    return sorted(addresses), [route for route in routes if "table local" not in route]


def promoted(paths: Paths, notes: list[str]) -> None:
    guard = Rollback(paths, SystemClock(), 0)
    PromotionNetwork(paths, lambda: PROMOTION, notes.append, guard).take_addresses()


def test_the_addresses_and_the_routes_of_before_are_there_again_and_nothing_else(paths: Paths) -> None:
    before = shown()
    notes: list[str] = []
    promoted(paths, notes)
    promoted(paths, notes)  # it was cut, and goes on
    assert shown() != before
    there = shown()[1]
    assert "10.9.0.0/16 via 10.77.0.9 dev eth7 proto static src 10.77.0.1 " in there
    assert "10.8.0.0/16 dev eth7 table 77 proto static scope link src 10.77.0.1 " in there
    assert "eth7 mtu 1400" in there
    lines = Lines()
    for _ in range(2):
        UndoNetwork(paths, PROMOTION, notes.append, lines).give_up()
        assert shown() == before
    assert lines.stopped == ["managers", "managers"]
    assert notes == []


def test_where_nobody_knows_what_was_before_only_productions_addresses_go(paths: Paths) -> None:
    before = shown()
    notes: list[str] = []
    promoted(paths, notes)
    network_before.forget(paths)
    UndoNetwork(paths, PROMOTION, notes.append, Lines()).give_up()
    assert shown()[0] == before[0]


def test_what_was_before_another_promotion_is_not_what_was_before_this_one(paths: Paths) -> None:
    network_before.remember(paths, 3, ())
    assert network_before.load(paths, 4) is None
    network_before.remember(paths, 4, ())
    assert network_before.load(paths, 3) is None
    found = network_before.load(paths, 4)
    assert found is not None
    assert SLAVE in found.addresses
    network_before.document_path(paths).write_bytes(b"{")
    assert network_before.load(paths, 4) is None


def test_a_promotion_goes_on_where_it_cannot_be_written_down(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(paths.state)
    network_before.remember(paths, 4, ())
    assert "not written down" in caplog.text
