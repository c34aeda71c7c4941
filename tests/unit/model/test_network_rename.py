"""Cards under other names: swaps and chains, what hangs on a card, what a command names; and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.errors import ConfigError
from hotsync.model.network.links import Bond, Bridge, Vlan
from hotsync.model.network.rename import names_after, renamed, resolved, top_of, with_standby
from hotsync.model.network.values import Address, Interface, NetworkState
from tests.support.networks import network_states

CARDS = ("eth0", "eth1", "ens3", "enp1s0")


def card(name: str, *addresses: str, **more: str) -> Interface:
    return Interface(name, addresses=tuple(Address(name, each, 24) for each in addresses), **more)  # type: ignore[arg-type]


TOWER = NetworkState(
    (
        card("eth0", master="bond0"),
        card("eth1", master="bond0"),
        Interface("bond0", link=Bond("active-backup", "eth1")),
        Interface("bond0.20", link=Vlan("bond0", 20), master="br0"),
        replace(card("br0", "192.0.2.10"), link=Bridge()),
        card("eth2", "198.51.100.1"),
        replace(card("eth2.5", "203.0.113.1"), link=Vlan("eth2", 5)),
        replace(card("guests", "203.0.113.65"), link=Vlan("eth2", 6)),
        replace(card("eth2.5.7"), link=Vlan("eth2.5", 7)),
    )
)


def test_two_cards_change_places() -> None:
    state = NetworkState((card("eth0", "192.0.2.1"), card("eth1", "198.51.100.1")))
    swapped = renamed(state, (("eth0", "eth1"), ("eth1", "eth0")))
    assert [(each.name, each.addresses[0].address) for each in swapped.interfaces] == [
        ("eth1", "192.0.2.1"),
        ("eth0", "198.51.100.1"),
    ]
    assert {address.interface for address in swapped.addresses} == {"eth0", "eth1"}


def test_what_is_made_keeps_its_name_but_a_vlan_that_is_called_after_its_card_follows_it() -> None:
    pairs = (("eth0", "eth1"), ("eth1", "eth2"), ("eth2", "enp3s0"))
    found = renamed(TOWER, pairs)
    names = [each.name for each in found.interfaces]
    assert names == ["eth1", "eth2", "bond0", "bond0.20", "br0", "enp3s0", "enp3s0.5", "guests", "enp3s0.5.7"]
    links = {each.name: each.link for each in found.interfaces}
    assert links["bond0"] == Bond("active-backup", "eth2")
    assert (links["enp3s0.5"], links["guests"]) == (Vlan("enp3s0", 5), Vlan("enp3s0", 6))
    assert links["enp3s0.5.7"] == Vlan("enp3s0.5", 7)
    assert found.ports_of("bond0") == ("eth1", "eth2")


def test_a_card_without_another_takes_its_vlans_and_its_place_in_a_bond_along() -> None:
    found = renamed(TOWER, (("eth0", "eth0"), ("eth1", ""), ("eth2", "")))
    assert [each.name for each in found.interfaces] == ["eth0", "bond0", "bond0.20", "br0"]
    assert found.interfaces[1].link == Bond("active-backup")


def test_two_interfaces_never_get_one_name() -> None:
    state = NetworkState((card("eth0", "192.0.2.1"), card("eth1", "198.51.100.1")))
    with pytest.raises(ConfigError, match="two interfaces would be eth1"):
        renamed(state, (("eth0", "eth1"),))


def test_commands_and_aliases_name_the_card_under_its_other_name() -> None:
    options = (
        ("inet up", "ethtool -K eth0 gro off; tc qdisc add dev eth0.5 root"),
        ("inet up", "echo 1 >/proc/sys/net/ipv4/conf/eth0/forwarding"),
        ("inet up", "sysctl net.ipv4.conf.eth0.rp_filter=2"),
        ("inet up", "/etc/network/eth0 up-eth0.sh eth01 xeth0"),
        ("inet up", "ip route add 10.0.0.0/8 dev eth1"),
    )
    state = NetworkState((Interface("eth0", options=options), card("eth0:1", "192.0.2.2"), card("eth1", "192.0.2.3")))
    first, alias, _ = renamed(state, (("eth0", "eth1"), ("eth1", "eth0"))).interfaces
    assert [value for _, value in first.options] == [
        "ethtool -K eth1 gro off; tc qdisc add dev eth0.5 root",
        "echo 1 >/proc/sys/net/ipv4/conf/eth1/forwarding",
        "sysctl net.ipv4.conf.eth1.rp_filter=2",
        "/etc/network/eth0 up-eth0.sh eth01 xeth0",
        "ip route add 10.0.0.0/8 dev eth0",
    ]
    assert alias.name == "eth1:1"


def test_a_card_is_called_by_its_name_where_a_file_says_its_address_or_a_pattern() -> None:
    known = (("02:00:00:00:00:01", "eth0"), ("02:00:00:00:00:02", "eth1"), ("02:00:00:00:00:03", "wlan0"))
    named = (("its id", '"lan"'), ("set-name", '"eth0"'), ("Match.PermanentMACAddress", "02:00:00:00:00:01"))
    state = NetworkState(
        (
            Interface("", "02:00:00:00:00:01", options=(*named, ("mtu", "9"))),
            Interface("en* eth*", dhcp4=True),
            Interface("br0", link=Bridge(), options=(("parameters/path-cost", '{"lan": 4}'),)),
            Interface("zz*", dhcp4=True),
        )
    )
    first, second, bridge, pattern = resolved(state, known).interfaces
    assert (first.name, first.mac, first.options) == ("eth0", "", (("mtu", "9"),))
    assert (second.name, second.dhcp4) == ("eth1", True)
    assert bridge.options == (("parameters/path-cost", '{"eth0": 4}'),)
    assert pattern.name == "zz*"
    with pytest.raises(ConfigError, match="02:00:00:00:00:09"):
        resolved(NetworkState((Interface("", "02:00:00:00:00:09"),)), known)


def test_the_standby_address_comes_last_on_the_interface_that_a_port_ends_up_in() -> None:
    assert (top_of(TOWER, "eth0"), top_of(TOWER, "eth2"), top_of(TOWER, "x")) == ("bond0", "eth2", "x")
    own = (Address("eth2", "198.51.100.2", 24), Address("eth9", "192.0.2.99", 24))
    found = with_standby(TOWER, own)
    assert [str(each) for each in found.interfaces[5].addresses] == ["198.51.100.1/24", "198.51.100.2/24"]
    assert found.interfaces[-1] == Interface("eth9", addresses=own[1:])
    assert with_standby(found, own) == found


@given(network_states(), st.permutations(CARDS))
def test_there_and_back_again_is_the_same_network(state: NetworkState, other: list[str]) -> None:
    pairs = tuple(zip(CARDS, other, strict=True))
    back = tuple((new, old) for old, new in pairs)
    there = renamed(state, pairs)
    assert renamed(there, back) == state
    assert len({each.name for each in there.interfaces}) == len(state.interfaces)
    assert {names_after(state, pairs).get(each.name, each.name) for each in state.interfaces} == {
        each.name for each in there.interfaces
    }
    assert sorted(map(str, there.addresses)) == sorted(map(str, state.addresses))


def test_a_vlan_whose_name_would_be_too_long_for_the_kernel_is_called_after_its_number() -> None:
    state = NetworkState((card("eth0"), replace(card("eth0.100", "203.0.113.1"), link=Vlan("eth0", 100))))
    (_, vlan) = renamed(state, (("eth0", "enp129s0f0np0"),)).interfaces
    assert (vlan.name, vlan.link) == ("vlan100", Vlan("enp129s0f0np0", 100))
    assert {each.interface for each in vlan.addresses} == {"vlan100"}
    (_, vlan) = renamed(state, (("eth0", "enp129s0f0"),)).interfaces
    assert vlan.name == "enp129s0f0.100"


@pytest.mark.parametrize(("patterns", "found"), [("eth0 eth2", ["eth0", "eth2"]), ("!eth0 eth2", ["eth1"])])
def test_patterns_that_are_turned_round_fit_every_other_card(patterns: str, found: list[str]) -> None:
    cards = [(f"02:00:00:00:00:0{number}", f"eth{number}") for number in range(3)]
    assert [each.name for each in resolved(NetworkState((Interface(patterns),)), cards).interfaces] == found
