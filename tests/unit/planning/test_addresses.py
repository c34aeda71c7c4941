"""Which addresses a promoted server takes, from what was configured on the MASTER and what it had in use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.errors import ConfigError
from hotsync.model.facts import AddressFact, InterfaceFact, NetworkFacts, RouteFact
from hotsync.model.network.leases import with_leases
from hotsync.model.network.links import Bridge
from hotsync.model.network.rename import resolved
from hotsync.model.network.values import Address, Interface, NetworkState, is_on_link
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


def test_of_ipv6_global_and_local_addresses_move_and_link_local_ones_come_with_the_files_alone() -> None:
    moved = (Address("eth0", "2001:db8::1", 64), Address("eth0", "fd00::1", 64))
    card = Interface("eth0", addresses=(Address("eth0", "fe80::1", 64), *moved))
    plan = plan_network(NetworkChoice.MASTERS, NetworkState((card,)), TOLD, ())
    assert plan.addresses == moved


def test_a_link_local_address_is_reached_through_its_interface_only() -> None:
    assert Address("eth0", "fe80::1", 64).scoped == "fe80::1%eth0"
    assert [Address("eth0", each, 64).scoped for each in ("fd00::1", "10.0.0.1")] == ["fd00::1", "10.0.0.1"]


def test_where_no_file_is_understood_the_fixed_addresses_of_the_cards_are_taken() -> None:
    plan = plan_network(NetworkChoice.MASTERS, None, TOLD, OWN)
    assert plan.addresses == (Address("eth0", "10.77.0.1", 24), Address("eth0", "10.77.0.50", 24))
    assert plan.gateways == (Address("eth0", "10.77.0.254", 32),)


def test_an_ordinary_bridge_is_no_program_s_and_what_programs_made_here_becomes_no_standby_address() -> None:
    lan = Address("br-lan", "10.77.0.1", 24)
    told = replace(TOLD, interfaces=(InterfaceFact("br-lan", "", "bridge", addresses=(AddressFact("10.77.0.1", 24),)),))
    assert plan_network(NetworkChoice.MASTERS, None, told, ()).addresses == (lan,)
    bridges = Address("docker0", "172.17.0.1", 16), Address("virbr0", "192.168.122.1", 24)
    state = NetworkState((Interface("eth0", master="br-lan"), Interface("br-lan", addresses=(lan,), link=Bridge())))
    plan = plan_network(NetworkChoice.MASTERS, state, told, (*OWN, *bridges))
    assert plan.standby == (Address("br-lan", "10.77.0.2", 24),)
    assert plan_network(NetworkChoice.MASTERS, None, told, bridges).standby == ()
    # a file makes it: it is there without that program
    files = NetworkState((*state.interfaces, Interface("docker0", link=Bridge())))
    assert plan_network(NetworkChoice.MASTERS, files, told, bridges).standby == bridges[:1]


def test_where_the_network_is_kept_only_the_name_is_the_masters() -> None:
    plan = plan_network(NetworkChoice.KEEP, None, TOLD, OWN)
    assert (plan.choice, plan.addresses, plan.standby, plan.host_name) == (NetworkChoice.KEEP, (), (), "master")


@pytest.mark.parametrize(
    "state", [None, NetworkState((Interface("eth0", addresses=(Address("eth0", "10.77.0.1", 24),)),))]
)
def test_where_the_network_is_kept_it_is_known_all_the_same_where_the_master_serves(state: NetworkState | None) -> None:
    kept, taken = (plan_network(choice, state, TOLD, OWN) for choice in (NetworkChoice.KEEP, NetworkChoice.MASTERS))
    assert kept.of_production == taken.of_production == taken.addresses
    assert taken.addresses


def test_the_hardware_addresses_of_the_masters_cards_are_told_with_their_names() -> None:
    plan = plan_network(NetworkChoice.MASTERS, None, TOLD, OWN)
    assert plan.cards == (("02:00", "eth0"), ("02:01", "eth1"))


def test_a_gateway_is_on_the_wire_only_without_a_network_of_ours_around_it() -> None:
    assert is_on_link(Address("eth0", "10.77.0.254", 32), OWN)
    assert is_on_link(Address("eth0", "fe80::1", 128), OWN)
    assert not is_on_link(Address("eth1", "10.77.0.254", 32), OWN)
    assert not is_on_link(Address("eth0", "192.0.2.1", 32), OWN)


def test_on_other_cards_the_addresses_are_those_of_the_cards_that_take_their_places() -> None:
    cards = (
        Interface("eth0", addresses=(Address("eth0", "10.77.0.1", 24),), gateways=(Address("eth0", "10.77.0.9", 32),)),
        Interface("eth1", addresses=(Address("eth1", "192.0.2.1", 24),)),
    )
    pairs = (("eth0", "eth1"), ("eth1", "eth0"))
    plan = plan_network(NetworkChoice.MAPPED, NetworkState(cards), TOLD, OWN, pairs)
    assert plan.addresses == (Address("eth1", "10.77.0.1", 24), Address("eth0", "192.0.2.1", 24))
    assert plan.gateways == (Address("eth1", "10.77.0.9", 32),)
    assert (plan.standby, plan.pairs) == (OWN, pairs)


def test_the_standby_address_goes_where_its_card_becomes_a_port() -> None:
    bridge = Interface("br0", addresses=(Address("br0", "10.77.0.1", 24),), link=Bridge())
    state = NetworkState((Interface("eth0", master="br0"), bridge))
    plan = plan_network(NetworkChoice.MASTERS, state, TOLD, OWN)
    assert plan.standby == (Address("br0", "10.77.0.2", 24),)


def test_what_was_lent_to_the_master_is_taken_as_fixed_with_its_gateway() -> None:
    told = NetworkFacts(
        "master",
        (
            InterfaceFact("eth1", "02:01", addresses=(AddressFact("192.0.2.7", 24, dynamic=True),)),
            InterfaceFact("eth2", "02:02", addresses=(AddressFact("2001:db8::7", 64, dynamic=True),)),
        ),
        (RouteFact("default", "eth1", "192.0.2.1", 100),),
        ("127.0.0.1", "192.0.2.53"),
    )
    state = NetworkState((Interface("", "02:01", dhcp4=True), Interface("eth2", accept_ra=True)))
    plan = plan_network(NetworkChoice.MASTERS, state, told, ())
    assert plan.leases == plan.addresses == (Address("eth1", "192.0.2.7", 24),)
    assert plan.gateways == (Address("eth1", "192.0.2.1", 32),)
    assert plan.servers == ("192.0.2.53",)
    mapped = plan_network(NetworkChoice.MAPPED, state, told, (), (("eth1", "enp3s0"), ("eth2", "")))
    assert mapped.addresses == (Address("enp3s0", "192.0.2.7", 24),)
    assert mapped.leases == plan.leases
    fixed = with_leases(resolved(state, plan.cards), plan.leases, plan.gateways, plan.servers)
    assert fixed.interfaces[0] == Interface(
        "eth1", addresses=plan.leases, gateways=plan.gateways, dns=("192.0.2.53",), dhcp4=False
    )


def test_a_card_that_nobody_knows_is_no_reason_to_stop_where_the_files_are_taken_as_they_are() -> None:
    state = NetworkState((Interface("", "02:99", dhcp4=True),))
    assert plan_network(NetworkChoice.MASTERS, state, TOLD, OWN).leases == ()
    with pytest.raises(ConfigError, match="02:99"):
        plan_network(NetworkChoice.MAPPED, state, TOLD, OWN, (("eth0", "eth1"),))
