"""A network that gets one address from a person: that one counts, and everything else stays."""

from __future__ import annotations

from hypothesis import given

from hotsync.model.network.links import Route
from hotsync.model.network.recovery import Wanted, recovered
from hotsync.model.network.values import Address, Interface, NetworkState
from tests.support.networks import network_states

ADDRESS, GATEWAY = Address("eth0", "192.0.2.10", 24), Address("eth0", "192.0.2.1", 32)


def test_the_address_takes_the_place_of_those_of_its_family_and_of_a_lease() -> None:
    six = Address("eth0", "2001:db8::1", 64)
    card = Interface(
        "eth0", addresses=(Address("eth0", "10.0.0.1", 8), six), dhcp4=True, dhcp6=True, dns=("10.0.0.53",), start=False
    )
    other = Interface(
        "eth1",
        gateways=(Address("eth1", "10.9.9.9", 32), Address("eth1", "fe80::1", 128)),
        routes=(Route("0.0.0.0/0", "10.9.9.8", 7), Route("10.8.0.0/16", "10.9.9.7")),
    )
    first, second = recovered(NetworkState((card, other)), Wanted(ADDRESS, GATEWAY, ("192.0.2.53",))).interfaces
    assert first == Interface(
        "eth0", addresses=(six, ADDRESS), gateways=(GATEWAY,), dns=("192.0.2.53",), dhcp6=True, start=True
    )
    assert second.gateways == (Address("eth1", "fe80::1", 128),)
    assert second.routes == (Route("10.8.0.0/16", "10.9.9.7"),)


@given(network_states())
def test_nothing_else_changes(state: NetworkState) -> None:
    found = recovered(state, Wanted(ADDRESS))
    assert ADDRESS in found.addresses
    assert [each for each in found.interfaces if each.name != "eth0"] == [
        each for each in state.interfaces if each.name != "eth0"
    ]
    assert found.gateways == state.gateways
    assert recovered(found, Wanted(ADDRESS)) == found
