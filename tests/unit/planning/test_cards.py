"""Which of this server's cards is proposed for which of the MASTER's, by the surest sign first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.model.facts import AddressFact, InterfaceFact, NetworkFacts, RouteFact
from hotsync.model.network.cards import Card, Proposed
from hotsync.model.network.links import Bond, Bridge, Vlan
from hotsync.model.network.values import Address, Interface, NetworkState
from hotsync.planning.cards import crossed, master_cards, on_its_wire, propose

STATE = NetworkState(
    (
        Interface("lo"),
        Interface("eth0", master="bond0"),
        Interface("bond0", link=Bond()),
        Interface("br0", addresses=(Address("br0", "192.0.2.10", 24),), link=Bridge()),
        Interface("eth1", dhcp4=True),
        Interface("eth3.5", link=Vlan("eth3", 5)),
        Interface("eth4", dhcp4=True),
        Interface("tun0", addresses=(Address("tun0", "10.8.0.1", 24),)),
    )
)
TOLD = NetworkFacts(
    "master",
    (
        InterfaceFact("eth0", "02:00:00:00:00:0A", up=True, speed=1000),
        InterfaceFact("bond0", "02:00:00:00:00:0a", "bond", addresses=(AddressFact("198.51.100.1", 24),)),
        InterfaceFact("eth1", "02:00:00:00:00:0b", addresses=(AddressFact("203.0.113.7", 24, dynamic=True),)),
        InterfaceFact("eth3", "02:00:00:00:00:0d"),
        InterfaceFact("tun0", "", "tun"),
    ),
    (RouteFact("default", "eth1", "203.0.113.1"),),
)


def test_the_masters_cards_are_what_is_plugged_in_with_what_is_on_their_wires() -> None:
    eth0, eth1, eth4, eth3 = master_cards(STATE, TOLD)
    assert eth0 == Card("eth0", "02:00:00:00:00:0a", True, 1000, ("198.51.100.0/24",), ("198.51.100.1",))
    assert (eth1.networks, eth1.living) == (("203.0.113.0/24",), ("203.0.113.7", "203.0.113.1"))
    assert (eth4.name, eth4.used) == ("eth4", False)  # configured, and not plugged in
    assert (eth3.name, eth3.used) == ("eth3", True)  # a VLAN stands on it


def test_a_link_local_router_says_nothing_of_the_wire_that_a_card_is_on() -> None:
    routes = (RouteFact("default", "eth1", "fe80::1"), RouteFact("default", "eth1", "2001:db8::1"))
    eth1 = next(card for card in master_cards(STATE, replace(TOLD, routes=routes)) if card.name == "eth1")
    assert eth1.living == ("203.0.113.7", "2001:db8::1")


def said(theirs: list[Card], here: list[Card]) -> list[tuple[str, str]]:
    return [(each.card, each.here) for each in propose(theirs, here)]


def test_the_surest_sign_decides() -> None:
    theirs = [
        Card("eth0", "02:0a", networks=("192.0.2.0/24",)),
        Card("eth1", "02:0b", living=("198.51.100.1",)),
        Card("eth2", "02:0c", networks=("203.0.113.0/24",)),
        Card("eth3", "02:0d", speed=10000, link=True),
        Card("eth4", "02:0e"),
        Card("eth5", "02:0f"),
    ]
    here = [
        Card("eth0", networks=("203.0.113.0/24",)),
        Card("eth1", "02:0a"),
        Card("enp1", living=("198.51.100.1",)),
        Card("enp2", speed=1000, link=True),
        Card("enp3", speed=10000, link=True),
        Card("eth4"),
    ]
    found = propose(theirs, here)
    assert [(each.card, each.here) for each in found] == [
        ("eth0", "eth1"),
        ("eth1", "enp1"),
        ("eth2", "eth0"),
        ("eth3", "enp3"),
        ("eth4", "eth4"),
        ("eth5", "enp2"),
    ]
    reasons = [each.reason for each in found]
    assert reasons[0] == "it is the MASTER's card (02:0a)"
    assert reasons[1] == "198.51.100.1 answers on its wire"
    assert reasons[2] == "it is in the network 203.0.113.0/24"
    assert "10000" in reasons[3]
    assert reasons[4] == "it has the same name"


def test_two_ports_of_one_network_keep_their_names_where_they_can() -> None:
    net = ("192.0.2.0/24",)
    theirs = [Card("eth0", networks=net), Card("eth1", networks=net)]
    assert said(theirs, [Card("eth1", networks=net), Card("eno9", networks=net)]) == [
        ("eth0", "eno9"),
        ("eth1", "eth1"),
    ]


def test_a_card_too_few_is_said_and_one_that_nothing_needs_gets_none() -> None:
    theirs = [Card("spare", used=False), Card("eth0"), Card("eth1")]
    found = propose(theirs, [Card("enp1")])
    assert [(each.card, each.here) for each in found] == [("spare", ""), ("eth0", "enp1"), ("eth1", "")]
    assert found[2].reason == "this server has no further card"


LAN, WAN = "192.0.2.0/24", "198.51.100.0/24"
THEIRS = (
    Card("eth0", "02:0a", networks=(LAN,), living=("192.0.2.10", "192.0.2.1")),
    Card("eth1", "02:0b", networks=(WAN,), living=("198.51.100.10",)),
)


@pytest.mark.parametrize(
    "here",
    [
        # the ordinary pair: of both wires, of one, and of none is anything heard
        (Card("eth0", "02:1a", True, networks=(LAN,), living=("192.0.2.1",)), Card("eth1", "02:1b", networks=(WAN,))),
        (Card("eth0", "02:1a", True, networks=(LAN,), living=("192.0.2.1",)), Card("eth1", "02:1b")),
        (Card("eth0", "02:1a", True), Card("eth1", "02:1b", True)),
        # one switch for both, or a router that answers for all of its addresses on each wire
        (Card("eth0", living=("192.0.2.1", "198.51.100.10")), Card("eth1", living=("192.0.2.1", "198.51.100.10"))),
        (Card("eth1", networks=(WAN,), living=("192.0.2.1",)), Card("eth0", living=("192.0.2.1",))),
        # another speed, or the MASTER's very card in another place, is no wire
        (Card("eth0", "02:0b", speed=100), Card("eth1", "02:0a", speed=1000)),
    ],
)
def test_an_ordinary_pair_of_servers_raises_no_doubt(here: tuple[Card, ...]) -> None:
    assert crossed(THEIRS, here) == ()


def test_cards_whose_wires_contradict_their_names_are_told_with_the_reason() -> None:
    heard = (Card("eth0", living=("198.51.100.10",)), Card("eth1", living=("192.0.2.1",)))
    assert crossed(THEIRS, heard) == (
        Proposed("eth0", "eth1", "192.0.2.1 answers on its wire"),
        Proposed("eth1", "eth0", "198.51.100.10 answers on its wire"),
    )
    (one,) = crossed(THEIRS, (Card("eth0"), Card("eth1", networks=(LAN,))))
    assert one == Proposed("eth0", "eth1", f"it is in the network {LAN}")
    (other,) = crossed(THEIRS, (Card("eth0"), Card("eth1"), Card("enp9", living=("192.0.2.1",))))
    assert (other.card, other.here) == ("eth0", "enp9")
    unused = tuple(replace(card, used=False) for card in THEIRS)
    assert crossed(unused, heard) == ()


MACS = st.sampled_from(["", "02:01", "02:02", "02:03"])
NETS = st.lists(st.sampled_from(["192.0.2.0/24", "198.51.100.0/24"]), max_size=2, unique=True).map(tuple)
CARDS = st.lists(
    st.builds(Card, st.sampled_from(["eth0", "eth1", "ens3", "eno1"]), MACS, st.booleans(), networks=NETS),
    unique_by=lambda card: card.name,
)


@given(CARDS, st.booleans())
def test_a_server_on_the_same_wires_is_never_doubted(theirs: list[Card], heard: bool) -> None:
    here = [replace(card, mac="", living=card.living if heard else ()) for card in theirs]
    assert crossed(theirs, here) == ()


@given(CARDS, CARDS)
def test_no_card_is_proposed_twice_and_none_is_left_where_one_is_needed(theirs: list[Card], here: list[Card]) -> None:
    found = propose(theirs, here)
    assert [each.card for each in found] == [card.name for card in theirs]
    used = [each.here for each in found if each.here]
    assert len(set(used)) == len(used)
    assert set(used) <= {card.name for card in here}
    assert len(used) == min(len(theirs), len(here))
    assert all(each.reason for each in found)


def test_a_server_that_answers_on_every_wire_for_all_its_addresses_is_told_apart_by_its_cards() -> None:
    lan = Card("eth0", "aa:00:00:00:00:01", living=("10.77.0.1", "10.77.0.254"))
    dmz = Card("eth1", "aa:00:00:00:00:02", living=("10.78.0.1",))
    on_lan = {"10.77.0.1": "aa:00:00:00:00:01", "10.78.0.1": "aa:00:00:00:00:01", "10.77.0.254": "cc:00:00:00:00:03"}
    on_dmz = {"10.77.0.1": "aa:00:00:00:00:02", "10.78.0.1": "aa:00:00:00:00:02"}
    assert on_its_wire(on_lan, (lan, dmz)) == ("10.77.0.1", "10.77.0.254")
    assert on_its_wire(on_dmz, (lan, dmz)) == ("10.78.0.1",)


def test_a_card_that_a_command_gave_an_address_is_needed() -> None:
    state = NetworkState((Interface("eth0"), Interface("eth1"), Interface("eth2")))
    told = NetworkFacts(
        "master",
        (
            InterfaceFact("eth0", "02:00:00:00:00:0a", addresses=(AddressFact("192.0.2.1", 24),)),
            InterfaceFact("eth1", "02:00:00:00:00:0b", addresses=(AddressFact("192.0.2.2", 24, dynamic=True),)),
            InterfaceFact("eth2", "02:00:00:00:00:0c", addresses=(AddressFact("fe80::1", 64),)),
        ),
    )
    assert [each.name for each in master_cards(state, told) if each.used] == ["eth0"]
