"""NethServer's networks database: its documentation's examples read, written and read back, refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.backends.network import esmith
from hotsync.backends.network.detect import network_system
from hotsync.config.esmith import parse_document, parse_value
from hotsync.errors import ConfigError
from hotsync.model.network.links import Bond, Bridge, Virtual, Vlan
from hotsync.model.network.values import Address, Interface, NetworkState
from tests.support.sizes import examples

GATEWAY = """\
# DO NOT MODIFY THIS FILE.
#
# updated: Tue Mar  3 10:00:00 2026
br0=bridge|bootproto|static|device|br0|gateway|192.168.1.9|ipaddr|192.168.1.254|netmask|255.255.255.0|onboot|yes|role|green
bond0=bond|BondOptMiimon|80|BondOptMode|0|bootproto|none|ipaddr|10.5.0.2|netmask|255.255.0.0|role|blue
eth0=ethernet|bridge|br0|role|bridged
eth1=ethernet|bootproto|none|gateway|203.0.113.1|ipaddr|203.0.113.7|netmask|255.255.255.248|role|red
eth1:0=alias|ipaddr|203.0.113.6|netmask|255.255.255.248|role|alias
eth2=ethernet|master|bond0|role|slave
eth3=ethernet|bootproto|dhcp|ipaddr|192.0.2.9|netmask|255.255.255.0|role|red
eth4=ethernet|role|
eth4.10=vlan|bootproto|none|ipaddr|10.10.0.1|netmask|255.255.255.0|role|orange
192.168.77.0=network|Mask|255.255.255.0|Description|branch
red1=provider|interface|eth1|weight|1
"""
SINGLE = "green=ethernet|bootproto|static|device|green|ipaddr|192.168.1.4|netmask|255.255.255.0|onboot|yes|role|green\n"


def parse(text: str) -> NetworkState:
    return esmith.parse({esmith.FILE: text})


def test_roles_bridges_bonds_vlans_and_aliases_are_read() -> None:
    state = parse(GATEWAY)
    assert {f"{address} {address.interface}" for address in state.addresses} == {
        "192.168.1.254/24 br0",
        "10.5.0.2/16 bond0",
        "203.0.113.7/29 eth1",
        "203.0.113.6/29 eth1",
        "10.10.0.1/24 eth4.10",
    }
    assert state.uses_dhcp == ("eth3",)
    found = {interface.name: interface for interface in state.interfaces}
    assert found["bond0"].link == Bond("balance-rr", settings=(("miimon", "80"),))
    assert (found["br0"].link, found["eth4.10"].link) == (Bridge(), Vlan("eth4", 10))
    assert (state.ports_of("br0"), state.ports_of("bond0")) == (("eth0",), ("eth2",))
    assert [found[name].role for name in ("br0", "eth1", "eth4", "eth4.10")] == ["green", "red", "", "orange"]


def test_where_there_is_a_red_interface_only_its_gateway_counts_and_greens_stays_written() -> None:
    state = parse(GATEWAY)
    assert state.gateways == (Address("eth1", "203.0.113.1", 32),)
    assert ("gateway", "192.168.1.9") in state.interfaces[0].options


def test_without_a_red_interface_greens_gateway_counts() -> None:
    state = parse(SINGLE.replace("|ipaddr|", "|gateway|192.168.1.1|ipaddr|"))
    assert state.gateways == (Address("green", "192.168.1.1", 32),)


def test_an_interface_without_a_role_has_no_address() -> None:
    assert parse(SINGLE.replace("role|green", "role|")).addresses == ()


def test_of_the_records_of_interfaces_nothing_is_lost() -> None:
    before, after = (
        parse_document(GATEWAY.encode()),
        parse_document(esmith.render(parse(GATEWAY))[esmith.FILE].encode()),
    )
    assert set(before) - set(after) == {"192.168.77.0", "red1"}
    for key, stored in after.items():
        assert parse_value(stored or "") == parse_value(before[key] or "")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("ppp0=xdsl|provider|x|role|red", "type 'xdsl'"),
        ("ipsec0=ipsec|role|green", "type 'ipsec'"),
        ("nonsense", "type None"),
        ("eth9=ethernet|role|purple", "role 'purple'"),
        ("eth9=ethernet|bootproto|bootp|role|red", "bootproto of eth9"),
        ("eth9=ethernet|ipaddr|10.0.0.1|role|red", "netmask '' of eth9"),
        ("eth9=ethernet|ipaddr|10.0.0.1|netmask|0.0.0.255|role|red", "netmask '0.0.0.255'"),
        ("eth9=ethernet|ipaddr|10.0.0.1|netmask|24|role|red", "netmask '24'"),
        ("eth9=ethernet|ipaddr|10.0.0.300|netmask|255.255.255.0|role|red", "10.0.0.300"),
        ("eth9=ethernet|ipaddr|fe80::1|netmask|255.255.255.0|role|red", "no IPv4 address"),
        ("eth9=ethernet|gateway|x|role|green", "'x' is no address"),
        ("eth9=ethernet|ipv6addr|2001:db8::1/64|role|green", "'ipv6addr' of eth9"),
        ("eth9=ethernet|ipaddr2|10.0.0.2|role|green", "'ipaddr2' of eth9"),
        ("b9=bond|BondOptMode|9|role|green", "BondOptMode of b9"),
        ("v9=vlan|role|green", "name of v9"),
        ("eth9=ethernet|bridge|br9|role|bridged", "bridge that is not there"),
        ("eth9=ethernet|role|slave", "master that is not there"),
        ("eth9:0=alias|ipaddr|10.0.0.1|netmask|255.0.0.0|role|alias", "alias of an interface that is not there"),
    ],
)
def test_what_the_state_cannot_hold_is_refused_with_its_line(record: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"# a comment\n{record}\n")
    assert "/var/lib/nethserver/db/networks line 2" in str(caught.value)
    assert reason in str(caught.value)


keys = st.lists(st.sampled_from(["br0", "eth0", "eth1", "eth1.7", "eth2"]), unique=True, max_size=4).map(sorted)


@st.composite
def interfaces(draw: st.DrawFn, name: str) -> Interface:
    role = draw(st.sampled_from(["green", "blue", "orange", ""]))
    options = (
        ("type", "vlan" if name == "eth1.7" else "ethernet"),
        ("bootproto", "static"),
        *(() if role else (("role", ""),)),
    )
    address = draw(st.ip_addresses(v=4).map(str))
    return Interface(
        name,
        addresses=(Address(name, address, draw(st.integers(1, 32))),) if role else (),
        gateways=(Address(name, address, 32),) if role == "green" and draw(st.booleans()) else (),
        options=options,
        role=role,
        link=Vlan("eth1", 7) if name == "eth1.7" else None,
    )


@given(keys.flatmap(lambda chosen: st.tuples(*map(interfaces, chosen)).map(NetworkState)))
@settings(max_examples=examples(60), deadline=None)
def test_what_we_write_we_read_back(state: NetworkState) -> None:
    texts = esmith.render(state)
    assert esmith.parse(texts) == state
    assert esmith.render(esmith.parse(texts)) == texts


@pytest.mark.parametrize(
    "interface",
    [
        Interface("eth0", addresses=(Address("eth0", "10.0.0.1", 24),)),
        Interface("eth0", role="green", addresses=(Address("eth0", "2001:db8::1", 64),)),
        Interface("eth0", role="green", mtu=9000),
        Interface("eth0", role="green", options=(("Network.LLDP", "yes"),)),
        Interface("br0", role="green", link=Bridge(stp=True)),
        Interface("bond0", role="green", link=Bond("active-backup", "eth1")),
        Interface("lan", role="green", link=Vlan("eth1", 7)),
        Interface("wg0", role="green", link=Virtual("wireguard")),
    ],
)
def test_what_the_database_has_no_words_for_is_not_written(interface: Interface) -> None:
    with pytest.raises(ConfigError):
        esmith.render(NetworkState((interface,)))


def test_a_network_of_another_system_is_written_with_its_roles() -> None:
    state = NetworkState(
        (
            Interface("eth0", role="bridged", master="br0"),
            Interface("br0", role="green", link=Bridge(), addresses=(Address("br0", "10.0.0.1", 24),)),
            Interface("eth1", role="red", dhcp4=True),
        )
    )
    assert {each.name: each.role for each in esmith.parse(esmith.render(state)).interfaces} == {
        "br0": "green",
        "eth0": "bridged",
        "eth1": "red",
    }


def test_standby_addresses_become_aliases_once_and_no_other_record_is_touched() -> None:
    document = parse_document(GATEWAY.encode())
    before = dict(document)
    wanted = [
        Address("eth1", "203.0.113.2", 29),
        Address("br0", "192.168.1.254", 24),
        Address("eth9", "10.9.0.1", 24),
        Address("br0", "2001:db8::1", 64),
    ]
    for _ in range(2):
        esmith.add_aliases(document, wanted)
        assert {key: value for key, value in document.items() if key not in before} == {
            "eth1:1": "alias|ipaddr|203.0.113.2|netmask|255.255.255.248|role|alias"
        }
    assert before.items() <= document.items()


def test_a_nethserver_is_configured_by_its_database_whatever_else_lies_there(tmp_path: Path) -> None:
    etc, file = tmp_path / "etc", tmp_path / esmith.FILE
    for folder in (etc / "network", file.parent):
        folder.mkdir(parents=True)
    (etc / "network/interfaces").write_text("auto eth0\niface eth0 inet dhcp\n")
    file.write_text(SINGLE)
    system = network_system(etc)
    assert system is not None
    assert system.name == "ifupdown"
    (etc / "nethserver-release").write_text("NethServer release 7.9.2009 (final)\n")
    system = network_system(etc)
    assert system is not None
    assert system.name == "e-smith"
    assert [str(address) for address in system.read(etc).addresses] == ["192.168.1.4/24"]
    assert (system.by_name(etc, {}), system.standby(etc, [Address("green", "192.168.1.5", 24)], {})) == ({}, {})
