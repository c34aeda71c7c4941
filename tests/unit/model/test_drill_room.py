"""The client's own address in a sandbox: in production's network, and nobody else's."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from hotsync.model.drill_room import free_neighbour
from hotsync.model.network.values import Address


def test_the_client_gets_an_address_that_nobody_has() -> None:
    taken = frozenset({"192.0.2.254", "192.0.2.1"})
    assert free_neighbour(Address("eth0", "192.0.2.1", 24), taken) == Address("eth0", "192.0.2.253", 24)


def test_so_it_does_in_a_network_of_ipv6_however_addresses_are_written() -> None:
    taken = frozenset({"2001:DB8:0::fff"})
    found = free_neighbour(Address("eth0", "2001:db8::1", 64), taken)
    assert found == Address("eth0", "2001:db8::ffe", 64)
    assert free_neighbour(Address("eth0", "fd12:3456::1", 126), frozenset()) == Address("eth0", "fd12:3456::2", 126)


def test_where_there_is_no_other_address_there_is_no_client() -> None:
    assert free_neighbour(Address("eth0", "192.0.2.1", 31), frozenset()) is None
    assert free_neighbour(Address("eth0", "2001:db8::1", 128), frozenset()) is None
    assert free_neighbour(Address("eth0", "192.0.2.1", 30), frozenset({"192.0.2.1", "192.0.2.2"})) is None


@given(st.integers(8, 30), st.integers(0, 2**32 - 1), st.sets(st.integers(0, 5000), max_size=20))
def test_it_is_a_host_of_the_same_network(prefix: int, number: int, offsets: set[int]) -> None:
    address = Address("eth0", str(ipaddress.IPv4Address(number)), prefix)
    network = ipaddress.ip_interface(str(address)).network
    taken = frozenset(str(network[offset % network.num_addresses]) for offset in offsets)
    found = free_neighbour(address, taken)
    if found is None:
        return
    assert found.address not in taken
    host = ipaddress.ip_address(found.address)
    assert host in network
    assert host not in (network.network_address, network.broadcast_address)
