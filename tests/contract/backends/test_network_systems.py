"""What we write for each network system is what that system's own program understands, and how it understands it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.network import ifupdown, netplan, networkd, networkmanager
from hotsync.backends.network.plain_yaml import Node, parse_yaml
from hotsync.model.network.links import Bond, Bridge, Route, Virtual, Vlan
from hotsync.model.network.values import Address, Interface, NetworkState
from tests.contract.backends.network_checkers import (
    ifup_says,
    netplan_makes,
    networkd_says,
    nmcli_says,
    put,
    yaml_says,
)

pytestmark = pytest.mark.contract

YAMLS = (
    'network:\n  ethernets:\n    eth0:\n      addresses:\n      - 192.0.2.1/24\n      - "2001:db8::1/64":\n'
    "          label: 'it''s # no comment' # one\n      match: {macaddress: '02:00:00:00:00:01', name: e*}\n",
    '# head\n---\na:\n  - b: 1\n    c: [x, \'y, z\', {q: "r\\"s"}]\n  - d\n  -\n    e: f\nfe80::1/64: {}\ng: []\nh:\n',
    "a: [1,\n    2,\n  3]\nb: x:y\nc: a#b\n",
)


def bare(node: Node) -> object:
    if node.pairs is not None:
        return {key: bare(value) for key, value in node.pairs.items()}
    return [bare(item) for item in node.items] if node.items is not None else node.text


STATE = NetworkState(
    (
        Interface("eth0", master="bond0"),
        Interface("eth1", master="bond0"),
        Interface("bond0", mtu=9000, link=Bond("active-backup", "eth1", (("miimon", "100"), ("updelay", "200")))),
        Interface("bond0.20", master="br0", link=Vlan("bond0", 20)),
        Interface(
            "br0",
            addresses=(Address("br0", "192.0.2.10", 24), Address("br0", "2001:db8::10", 64)),
            gateways=(Address("br0", "192.0.2.1", 32), Address("br0", "fe80::1", 128)),
            dns=("192.0.2.53",),
            domains=("example.org",),
            routes=(
                Route("10.9.0.0/16", "192.0.2.254", 50, "192.0.2.10"),
                Route("10.8.0.0/16", "198.51.100.9", on_link=True),
                Route("2001:db8:5::/48", "2001:db8::5"),
            ),
            accept_ra=False,
            link=Bridge(stp=True, settings=(("forward_delay", "4"), ("priority", "4096"))),
        ),
        Interface("eth2", dhcp4=True, accept_ra=True, mtu=1400),
        Interface("eth3", dhcp6=True, start=False),
    )
)


def test_ifup_understands_what_we_write_as_it_is_meant(tmp_path: Path) -> None:
    put(tmp_path, ifupdown.render(STATE))
    said = ifup_says(tmp_path / ifupdown.FILE, ["bond0", "bond0.20", "br0", "eth2"])
    for command in (
        "ip link set dev bond0 mtu 9000",
        "ip link add link bond0 name bond0.20 type vlan id 20",
        "ip addr add 192.0.2.10/255.255.255.0 broadcast 192.0.2.255 dev br0 label br0",
        "ip route add default via 192.0.2.1 dev br0 onlink",
        "ip -6 addr add 2001:db8::10/64 dev br0",
        "sysctl -q -e -w net.ipv6.conf.br0.accept_ra=0",
        "ip -6 route replace default via fe80::1 dev br0 onlink",
        "ip route add 10.9.0.0/16 via 192.0.2.254 dev $IFACE metric 50 src 192.0.2.10",
        "ip route add 10.8.0.0/16 via 198.51.100.9 dev $IFACE onlink",
        "ip -6 route add 2001:db8:5::/48 via 2001:db8::5 dev $IFACE",
        "sysctl -q -e -w net.ipv6.conf.eth2.autoconf=1",
    ):
        assert command in said


def test_networkd_finds_no_fault_in_what_we_write(tmp_path: Path) -> None:
    tunnel = Interface("wg0", link=Virtual("wireguard"), options=(("NetDev:WireGuard.ListenPort", "51820"),))
    put(tmp_path, networkd.render(NetworkState((*STATE.interfaces, tunnel))))
    assert networkd_says(tmp_path / networkd.FOLDER) == []


def test_networkd_would_tell_a_fault(tmp_path: Path) -> None:
    put(tmp_path, {"x/a.network": "[Match]\nName=e\n[Network]\nFrob=1\n"})
    (fault,) = networkd_says(tmp_path / "x")
    assert "a.network:4: Unknown key" in fault


def test_networkmanager_understands_what_we_write_as_it_is_meant() -> None:
    tunnel = Interface(
        "wg0",
        link=Virtual("wireguard"),
        addresses=(Address("wg0", "10.7.0.1", 24),),
        options=(
            ("[wireguard] private-key", "4GgaQCy68nzNsUE5aJ9fuLzHhB65tAlwbmA72MWnOm8="),
            ("[wireguard-peer.M9nt4YujIOmNrRmpIRTmYSfMdrpvE7u6WkG8FY8WjG4=] allowed-ips", "10.7.0.2/32;"),
        ),
        accept_ra=False,
    )
    state = NetworkState((*STATE.interfaces, tunnel))
    texts = networkmanager.render(state)
    assert networkmanager.parse(texts) == state
    named = zip(texts.items(), state.interfaces, strict=True)
    understood = {path: nmcli_says(text, interface.name) for (path, text), interface in named}
    assert networkmanager.parse(understood) == state


def test_netplan_understands_what_we_write_as_it_is_meant(tmp_path: Path) -> None:
    put(tmp_path / "etc", netplan.render(STATE), mode=0o600)
    made = {each.name: each for each in networkd.parse(netplan_makes(tmp_path)).interfaces}
    assert made.keys() == {each.name for each in STATE.interfaces}
    for interface in STATE.interfaces:
        other = made[interface.name]
        # netplan adds lines of its own, as LinkLocalAddressing=
        same = replace(other, options=(), accept_ra=interface.accept_ra)
        wanted = replace(interface, routes=tuple(sorted(interface.routes, key=str)))
        assert replace(same, routes=tuple(sorted(same.routes, key=str))) == wanted
    assert (made["br0"].accept_ra, made["eth2"].accept_ra) == (False, True)


def test_plain_yaml_is_read_as_yaml_is() -> None:
    for text in (*YAMLS, *netplan.render(STATE).values()):
        assert bare(parse_yaml("x", text)) == yaml_says(text)
