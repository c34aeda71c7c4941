"""Neighbours are told where an address lives now: the real kernel of another network listens, and its table follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hotsync.backends.network import addresses as live
from hotsync.model.network.values import Address
from hotsync.system import command
from tests.contract.agent.pair import own_network
from tests.contract.engine.test_network_rollback import neighbour

pytestmark = pytest.mark.contract

OLD = "02:00:00:00:00:09"
FOUR, SIX = Address("eth7", "10.77.0.1", 24), Address("eth7", "2001:db8:77::1", 64)


@pytest.fixture
def inside() -> Iterator[list[str]]:
    """Return what a command begins with that runs on the other computer, which knows both addresses as the dead
    MASTER's."""
    with own_network(), neighbour("10.77.0.254/24") as other:
        words = ["nsenter", "-t", str(other.pid), "-n"]
        command.run([*words, "ip", "address", "add", "2001:db8:77::254/64", "dev", "far7", "nodad"])
        for address in (FOUR, SIX):
            entry = [address.address, "lladdr", OLD, "dev", "far7", "nud", "stale"]
            command.run([*words, "ip", "neighbour", "replace", *entry])
        yield words


def known(inside: list[str], address: Address) -> str:
    shown = command.run([*inside, "ip", "-j", "neighbour", "show", "to", address.address]).text
    entries: list[dict[str, Any]] = json.loads(shown or "[]")
    return str(entries[0]["lladdr"])


def own_mac() -> str:
    links: list[dict[str, Any]] = json.loads(command.run(["ip", "-j", "link", "show", "dev", "eth7"]).text)
    return str(links[0]["address"])


@pytest.mark.parametrize("address", [FOUR, SIX], ids=["gratuitous ARP", "neighbour advertisement"])
def test_a_neighbour_that_knew_the_dead_master_sends_to_this_server_at_once(
    inside: list[str], address: Address
) -> None:
    assert known(inside, address) == OLD
    live.add(address)
    assert known(inside, address) == OLD  # nobody has asked, and nothing was sent
    live.announce([address])
    assert known(inside, address) == own_mac()


@pytest.mark.usefixtures("inside")
def test_a_cable_that_is_out_or_a_card_that_is_gone_stops_nothing() -> None:
    live.add(FOUR)
    live.add(SIX)
    command.run(["ip", "link", "set", "eth7", "down"])
    live.announce([FOUR, SIX, Address("eth9", "10.9.0.1", 24)])
    assert {FOUR, SIX} & set(live.read_addresses()) >= {FOUR}
