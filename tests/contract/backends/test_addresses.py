"""Addresses that are given to a card: as those who look after networks give them, so that none gives it anew."""

from __future__ import annotations

import json

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network import snapshot
from hotsync.model.network.values import Address
from hotsync.system import command
from tests.contract.agent.pair import own_network
from tests.contract.engine.test_network_rollback import neighbour

pytestmark = pytest.mark.contract


def broadcast_of(address: Address) -> str | None:
    shown = json.loads(command.run(["ip", "-j", "address", "show", "dev", address.interface]).text)
    (found,) = (info for info in shown[0]["addr_info"] if info["local"] == address.address)
    return str(found["broadcast"]) if "broadcast" in found else None


@pytest.mark.parametrize(
    ("address", "prefix", "wanted"),
    [
        ("10.77.0.1", 24, "10.77.0.255"),
        ("10.77.4.1", 30, "10.77.4.3"),
        ("10.77.4.8", 31, None),
        ("10.77.4.9", 32, None),
        ("2001:db8:77::1", 64, None),
    ],
)
def test_an_address_of_ipv4_has_the_broadcast_address_of_its_network_also_after_a_rollback(
    address: str, prefix: int, wanted: str | None
) -> None:
    own = Address("eth7", address, prefix)
    with own_network(), neighbour("10.77.0.254/24"):
        live.add(own)
        assert broadcast_of(own) == wanted
        before = snapshot.read_before()
        command.run(["ip", "address", "delete", str(own), "dev", "eth7"])
        snapshot.restore(before)
        assert broadcast_of(own) == wanted
