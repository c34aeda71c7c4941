"""NethServer's networks database without production's addresses: what changes, what stays, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.backends.network import esmith, esmith_slave
from hotsync.config.esmith import parse_document, parse_value
from hotsync.errors import ConfigError
from hotsync.model.network.values import Address
from tests.support.sizes import examples

DATABASE = """\
br0=bridge|bootproto|static|device|br0|gateway|192.168.1.9|ipaddr|192.168.1.254|netmask|255.255.255.0|role|green
eth0=ethernet|bridge|br0|role|bridged
eth1=ethernet|FwInBandwidth|100|bootproto|none|gateway|203.0.113.1|ipaddr|203.0.113.7|netmask|255.255.255.248|role|red
eth1:0=alias|ipaddr|203.0.113.6|netmask|255.255.255.248|role|alias
eth2=ethernet|bootproto|dhcp|role|blue
eth3=ethernet|role|
192.168.77.0=network|Mask|255.255.255.0|Description|branch
red1=provider|interface|eth1|ipaddr|203.0.113.7|weight|1
"""
GREEN, STANDBY = Address("br0", "192.168.1.254", 24), Address("br0", "192.168.1.2", 24)
RED, ALIAS = Address("eth1", "203.0.113.7", 29), Address("eth1", "203.0.113.6", 29)


def changed(given_up: list[Address], own: list[Address]) -> dict[str, str | None]:
    return esmith_slave.as_slave(parse_document(DATABASE.encode()), given_up, own)


def test_its_own_address_takes_the_place_of_productions_and_the_rest_goes() -> None:
    assert changed([GREEN, RED, ALIAS], [STANDBY]) == {
        "br0": "bridge|bootproto|static|device|br0|gateway|192.168.1.9|ipaddr|192.168.1.2|netmask|255.255.255.0"
        "|role|green",
        "eth1": "ethernet|FwInBandwidth|100|bootproto|none|role|red",
        "eth1:0": None,
    }


def test_beside_an_address_that_stays_it_is_an_alias() -> None:
    assert changed([RED], [Address("br0", "192.168.1.2", 24)]) == {
        "eth1": "ethernet|FwInBandwidth|100|bootproto|none|role|red",
        "br0:0": "alias|ipaddr|192.168.1.2|netmask|255.255.255.0|role|alias",
    }


def test_where_it_has_one_nobody_is_asked_for_another() -> None:
    assert changed([], [Address("eth2", "10.9.0.2", 24)]) == {
        "eth2": "ethernet|bootproto|none|ipaddr|10.9.0.2|netmask|255.255.255.0|role|blue"
    }


def test_what_it_says_already_changes_nothing() -> None:
    assert changed([], [GREEN]) == {}
    assert changed([GREEN], [GREEN]) == {}
    assert changed([GREEN], [GREEN, Address("br0", "2001:db8::2", 64)]) == {}


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ([Address("eth3", "10.9.0.2", 24)], "gives eth3 no role"),
        ([Address("eth9", "10.9.0.2", 24)], "gives eth9 no role"),
        ([Address("br0", "2001:db8::2", 64)], "would not say all"),
        ([], "would not say all"),
    ],
)
def test_what_the_database_cannot_hold_is_refused(own: list[Address], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        changed([GREEN], own)
    assert "db networks setprop" in caught.value.hint


ADDRESSES = [GREEN, RED, ALIAS, STANDBY, Address("eth1", "203.0.113.5", 29), Address("eth2", "10.9.0.2", 24)]


@given(st.sets(st.sampled_from(ADDRESSES)), st.sets(st.sampled_from(ADDRESSES), min_size=1))
@settings(max_examples=examples(100), deadline=None)
def test_whatever_goes_and_comes_the_rest_stays_and_a_second_time_changes_nothing(
    given_up: set[Address], own: set[Address]
) -> None:
    before = parse_document(DATABASE.encode())
    after = dict(before)
    for key, stored in esmith_slave.as_slave(before, given_up, sorted(own)).items():
        if stored is None:
            del after[key]
        else:
            after[key] = stored
    text = "".join(f"{key}={stored}\n" for key, stored in after.items())
    says = set(esmith.parse({esmith.FILE: text}).addresses)
    assert says == ({GREEN, RED, ALIAS} - given_up) | own
    assert esmith_slave.as_slave(after, given_up, sorted(own)) == {}
    for key, stored in before.items():
        old, new = parse_value(stored or ""), parse_value(after.get(key) or "")
        if old.type in esmith.OTHERS:
            assert after[key] == stored
        elif key in after:
            kept = {name: value for name, value in old.props.items() if name not in ("ipaddr", "netmask", "gateway")}
            kept.pop("bootproto", None)
            assert kept.items() <= new.props.items()
            assert new.type == old.type


def test_files_are_known_by_the_address_that_they_give(tmp_path: Path) -> None:
    scripts = tmp_path / "sysconfig/network-scripts"
    scripts.mkdir(parents=True)
    for name, text in {
        "ifcfg-br0": "DEVICE=br0\nIPADDR=192.168.1.254\n",
        "ifcfg-eth1:0": "IPADDR='203.0.113.6'\n",
        "ifcfg-eth4": 'IPADDR0="203.0.113.6"\n',
        "ifcfg-eth2": "#IPADDR=192.168.1.254\nGATEWAY=192.168.1.254\n",
        "ifup-eth": "IPADDR=192.168.1.254\n",
    }.items():
        (scripts / name).write_text(text)
    found = esmith_slave.files_with(tmp_path, [GREEN, ALIAS])
    assert [path.rpartition("/")[2] for path in found] == ["ifcfg-br0", "ifcfg-eth1:0", "ifcfg-eth4"]
    found = esmith_slave.files_with(tmp_path, [GREEN, ALIAS], aliases=True)
    assert [path.rpartition("/")[2] for path in found] == ["ifcfg-eth1:0"]
    assert esmith_slave.files_with(tmp_path / "nowhere", [GREEN]) == ()
