"""Which addresses a promoted server takes, from what was configured on the MASTER and what it had in use."""

from __future__ import annotations

from hotsync.model.facts import AddressFact, InterfaceFact, NetworkFacts, RouteFact
from hotsync.model.network import Address, Interface, NetworkState, is_on_link
from hotsync.model.promotion import NetworkChoice
from hotsync.planning.addresses import plan_network

OWN = (Address("eth0", "10.77.0.2", 24),)
TOLD = NetworkFacts(
    "master",
    (
        InterfaceFact("eth0", "02:00", addresses=(AddressFact("10.77.0.1", 24), AddressFact("10.77.0.50", 24))),
        InterfaceFact("eth1", "02:01", addresses=(AddressFact("192.0.2.7", 24, dynamic=True),)),
        InterfaceFact("docker0", kind="bridge", addresses=(AddressFact("172.17.0.1", 16),)),
        InterfaceFact("wg0", kind="wireguard", addresses=(AddressFact("10.9.0.1", 24),)),
    ),
    (RouteFact("default", "eth0", "10.77.0.254"), RouteFact("10.5.0.0/16", "eth0", "10.77.0.9")),
)


def test_the_configured_addresses_move_and_this_servers_own_stays_as_standby() -> None:
    card = Interface(
        "eth0", addresses=(Address("eth0", "10.77.0.1", 24),), gateways=(Address("eth0", "10.77.0.9", 32),)
    )
    plan = plan_network(NetworkChoice.MASTERS, NetworkState((card,)), TOLD, OWN)
    assert plan.addresses == (Address("eth0", "10.77.0.1", 24),)
    assert plan.gateways == (Address("eth0", "10.77.0.9", 32),)
    assert plan.standby == OWN
    assert plan.host_name == "master"


def test_a_file_for_many_cards_means_the_card_that_had_the_address() -> None:
    card = Interface("e*", addresses=(Address("e*", "10.77.0.1", 24),), gateways=(Address("e*", "10.77.0.9", 32),))
    plan = plan_network(NetworkChoice.MASTERS, NetworkState((card,)), TOLD, ())
    assert plan.addresses == (Address("eth0", "10.77.0.1", 24),)
    assert plan.gateways == (Address("eth0", "10.77.0.9", 32),)


def test_where_no_file_is_understood_the_fixed_addresses_of_the_cards_are_taken() -> None:
    plan = plan_network(NetworkChoice.MASTERS, None, TOLD, OWN)
    assert plan.addresses == (Address("eth0", "10.77.0.1", 24), Address("eth0", "10.77.0.50", 24))
    assert plan.gateways == (Address("eth0", "10.77.0.254", 32),)


def test_where_the_network_is_kept_only_the_name_is_the_masters() -> None:
    plan = plan_network(NetworkChoice.KEEP, None, TOLD, OWN)
    assert (plan.choice, plan.addresses, plan.standby, plan.host_name) == (NetworkChoice.KEEP, (), (), "master")


def test_the_hardware_addresses_of_the_masters_cards_are_told_with_their_names() -> None:
    plan = plan_network(NetworkChoice.MASTERS, None, TOLD, OWN)
    assert plan.cards == (("02:00", "eth0"), ("02:01", "eth1"))


def test_a_gateway_is_on_the_wire_only_without_a_network_of_ours_around_it() -> None:
    assert is_on_link(Address("eth0", "10.77.0.254", 32), OWN)
    assert is_on_link(Address("eth0", "fe80::1", 128), OWN)
    assert not is_on_link(Address("eth1", "10.77.0.254", 32), OWN)
    assert not is_on_link(Address("eth0", "192.0.2.1", 32), OWN)
