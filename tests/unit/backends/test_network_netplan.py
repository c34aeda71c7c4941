"""netplan's files and the plain YAML in them: read by tables, written and read back as a property, refused by line."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

import pytest
from hypothesis import given, settings

from hotsync.backends.network import netplan
from hotsync.backends.network.detect import network_system
from hotsync.backends.network.plain_yaml import parse_yaml
from hotsync.errors import ConfigError
from hotsync.model.network.links import Bond, Bridge, Route, Virtual, Vlan
from hotsync.model.network.values import Address, Interface, NetworkState
from tests.support.networks import network_states
from tests.support.sizes import examples

CLOUD = """\
# This file is generated from information provided by the datasource.
network:
    ethernets:
        lan:
            addresses:
            - 192.0.2.10/24
            - 2001:db8::10/64:
                lifetime: 0
            dhcp4: false
            match:
                macaddress: 52:54:00:aa:bb:cc
            set-name: ens3
            nameservers:
                addresses: [192.0.2.53, "2001:db8::53"]
                search: [example.org]
            routes:
            -   to: default
                via: 192.0.2.1
            -   to: 10.9.0.0/16
                via: 192.0.2.254
                metric: 50
                table: 100
                on-link: true
            -   to: 10.99.0.0/16
                type: blackhole
            wakeonlan: true
        ens4: {match: {macaddress: "52:54:00:aa:bb:cd"}, dhcp6: yes}
        ens5: {optional: true}
        ens6: {}
    version: 2
    renderer: networkd
"""
SERVER = """\
network:
  bonds:
    bond0:
      interfaces: [ens5, ens6]
      mtu: 9000
      parameters:
        mode: 802.3ad
        lacp-rate: fast
        mii-monitor-interval: 1s
        arp-ip-targets: [192.0.2.1, 192.0.2.2]
  vlans:
    storage: {id: 20, link: bond0, accept-ra: no}
  bridges:
    br0:
      interfaces: [storage]
      parameters: {stp: false, forward-delay: 4, path-cost: {storage: 5}}
      dhcp4: true
  tunnels:
    wg0:
      mode: wireguard
      key: /etc/wg.key
      addresses: [10.7.0.1/24]
      peers:
        - keys: {public: "abc="}
          allowed-ips: [10.7.0.2/32]
"""
TEXTS = {"netplan/50-cloud-init.yaml": CLOUD, "netplan/60-server.yaml": SERVER}


def test_the_files_are_read_one_over_the_other() -> None:
    third = "network: {ethernets: {lan: {mtu: 1400, addresses: [10.0.0.1/8]}}}\n"
    state = netplan.parse({**TEXTS, "netplan/70.yaml": third})
    found = {interface.name: interface for interface in state.interfaces}
    card = found["ens3"]
    assert (card.mac, card.mtu) == ("52:54:00:aa:bb:cc", 1400)
    assert [str(address) for address in card.addresses] == ["192.0.2.10/24", "2001:db8::10/64", "10.0.0.1/8"]
    assert card.gateways == (Address("ens3", "192.0.2.1", 32),)
    assert card.routes == (Route("10.9.0.0/16", "192.0.2.254", 50, table="100", on_link=True),)
    assert (card.dns, card.domains) == (("192.0.2.53", "2001:db8::53"), ("example.org",))
    assert ("routes", '{"to": "10.99.0.0/16", "type": "blackhole"}') in card.options
    assert (found[""].mac, found[""].dhcp6) == ("52:54:00:aa:bb:cd", True)
    settings = (("arp_ip_target", "192.0.2.1,192.0.2.2"), ("lacp_rate", "fast"), ("miimon", "1000"))
    assert (found["bond0"].link, found["bond0"].mtu) == (Bond("802.3ad", "", settings), 9000)
    assert state.ports_of("bond0") == ("ens5", "ens6")
    assert (found["storage"].link, found["storage"].master) == (Vlan("bond0", 20), "br0")
    assert found["br0"].link == Bridge(stp=False, settings=(("forward_delay", "4"),))
    assert found["wg0"].link == Virtual("wireguard")


def test_what_is_read_is_written_again_with_nothing_lost() -> None:
    state = netplan.parse(TEXTS)
    texts = netplan.render(state)
    again = netplan.parse(texts)
    key = attrgetter("name")
    assert sorted(again.interfaces, key=key) == sorted(state.interfaces, key=key)
    assert netplan.render(again) == texts


@given(network_states())
@settings(max_examples=examples(60), deadline=None)
def test_what_we_write_we_read_back(state: NetworkState) -> None:
    texts = netplan.render(state)
    found = {interface.name: interface for interface in netplan.parse(texts).interfaces}
    assert found == {interface.name: interface for interface in state.interfaces}
    assert netplan.render(netplan.parse(texts)) == texts


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("just text\n", "line 1"),
        ("network:\n  ethernets:\n    e: &x {}\n", "line 3"),
        ("network:\n  ethernets:\n    e: {frob: 1}\n", "line 3"),
        ("network:\n  frobs: {}\n", "line 2"),
        ("network:\n  version: 3\n", "line 2"),
        ("network:\n  ethernets:\n    e:\n      addresses: [10.0.0.300/24]\n", "line 4"),
        ("network:\n  ethernets:\n    e:\n      addresses: 10.0.0.3/24\n", "line 4"),
        ("network:\n  ethernets:\n    e:\n      match: {driver: x}\n", "line 4"),
        ("network:\n  ethernets:\n    e:\n      dhcp4: perhaps\n", "line 4"),
        ("network:\n  ethernets:\n    e:\n      mtu: big\n", "line 4"),
        ("network:\n  ethernets:\n    e:\n      mtu:\n", "line 4"),
        ("network:\n  ethernets:\n    e:\n      routes: [{to: here, via: 10.0.0.1}]\n", "line 4"),
        ("network:\n  ethernets:\n    e:\n      routes: [{to: default, via: there}]\n", "line 4"),
        ("network:\n  ethernets: here\n", "line 2"),
        ("network:\n  vlans:\n    v: {id: x, link: e}\n", "line 3"),
        ("network:\n  bonds:\n    b: {interfaces: [], parameters: {mode: fast}}\n", "line 3"),
        ("network:\n  bonds:\n    b: {parameters: {frob: 1}}\n", "line 3"),
        ("network:\n  bonds:\n    b: {parameters: {up-delay: soon}}\n", "line 3"),
        ("network:\n  bridges:\n    b: {parameters: {stp: maybe}}\n", "line 3"),
        ("network:\n  bridges:\n    b: {parameters: {frob: 1}}\n", "line 3"),
        ("network:\n  bridges:\n    b: {parameters: {max-age: 1500ms}}\n", "line 3"),
        (
            "network:\n  ethernets:\n    e: {match: {macaddress: '2'}}\n  vlans:\n    v: {id: 1, link: e}\n",
            "line 5",
        ),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        netplan.parse({"netplan/a.yaml": text})


@pytest.mark.parametrize(
    "text",
    [
        "a: *x\n", "a: |\n  b\n", "a: !t b\n", "a:\n\tb: 1\n", "a: 1\na: 2\n", "a: 1\n  b: 2\n", "a: [1\n",
        "a: [1 2] 3\n",
        "a: {b: 1, b: 2}\n", "a: b: c\n", "? [a]\n: b\n", "a: 1\n---\nb: 2\n", "a: 1\n- b\n", "a: 'b\n",
        "a: b\n  c\n", "a: [" * 80 + "\n", "- " * 80 + "a\n", "a: [,]\n",
    ],
)  # fmt: skip
def test_yaml_that_is_not_plain_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="x line"):
        parse_yaml("x", text)


@pytest.mark.parametrize(
    "interface",
    [
        Interface("eth0", role="green"),
        Interface("eth0", options=(("inet up", "x"),)),
        Interface("wg0", link=Virtual("wireguard")),
        Interface("br0", link=Bridge(settings=(("vlan_filtering", "yes"),))),
    ],
)
def test_what_netplan_has_no_words_for_is_not_written(interface: Interface) -> None:
    with pytest.raises(ConfigError):
        netplan.render(NetworkState((interface,)))


def test_the_standby_address_and_the_names_of_the_cards_come_into_the_files(tmp_path: Path) -> None:
    for path, text in TEXTS.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    system = network_system(tmp_path)
    assert system is not None
    assert system.name == "netplan"
    named = system.by_name(tmp_path, {"52:54:00:aa:bb:cc": "ens3", "52:54:00:aa:bb:cd": "ens4"})
    assert list(named) == ["netplan/50-cloud-init.yaml"]
    standby = system.standby(tmp_path, [Address("ens4", "10.77.0.2", 24), Address("br0", "10.78.0.2", 24)], named)
    assert list(standby) == ["netplan/99-hotsync-standby.yaml"]
    state = netplan.parse({**TEXTS, **named, **standby})
    found = {interface.name: interface for interface in state.interfaces}
    assert (found["ens3"].mac, found["ens4"].mac) == ("", "")
    assert found["ens4"].addresses == (Address("ens4", "10.77.0.2", 24),)
    assert found["br0"].addresses == (Address("br0", "10.78.0.2", 24),)
    assert system.standby(tmp_path, [Address("ens9", "10.77.0.2", 24)], {}) == {}


def test_a_file_that_only_names_the_renderer_defines_nothing(tmp_path: Path) -> None:
    (tmp_path / "netplan").mkdir()
    (tmp_path / "netplan/01.yaml").write_text("network:\n  version: 2\n  renderer: NetworkManager\n")
    assert network_system(tmp_path) is None


@pytest.mark.parametrize(
    ("parameters", "stp"), [("", False), ("{}", False), ("{forward-delay: 4}", True), ("{stp: false}", False)]
)
def test_a_bridge_of_which_nothing_is_said_speaks_no_spanning_tree(parameters: str, *, stp: bool) -> None:
    said = f", parameters: {parameters}" if parameters else ""
    (bridge,) = netplan.parse({"netplan/a.yaml": f"network:\n  bridges:\n    br0: {{dhcp4: true{said}}}\n"}).interfaces
    assert isinstance(bridge.link, Bridge)
    assert bridge.link.stp is stp


def test_a_card_that_only_a_pattern_names_gets_the_standby_address(tmp_path: Path) -> None:
    (tmp_path / "netplan").mkdir()
    text = "network:\n  ethernets:\n    all: {match: {name: 'e*'}, addresses: [192.0.2.1/24]}\n"
    (tmp_path / "netplan/a.yaml").write_text(text)
    (further,) = netplan.standby(tmp_path, [Address("eth0", "192.0.2.9", 24)], {}).values()
    assert '"all": {addresses: ["192.0.2.9/24"]}' in further
