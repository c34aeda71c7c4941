"""What we write for each network system is what that system's own program understands, and how it understands it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.network import ifupdown, netplan, networkd, networkmanager
from hotsync.backends.network.plain_yaml import Node, parse_yaml
from hotsync.engine.network.writing import same_network
from hotsync.model.network.links import Bond, Bridge, Route, Virtual, Vlan
from hotsync.model.network.rename import with_standby
from hotsync.model.network.values import Address, Interface, NetworkState
from tests.contract.backends.network_checkers import (
    ifup_makes,
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


SEVERAL = """\
auto eth7
iface eth7 inet static
    address 192.0.2.10/24
    broadcast 192.0.2.250
    network 192.0.2.0
iface eth7 inet static
    address 198.51.100.10/24
    broadcast 198.51.100.250
    gateway 198.51.100.1
    metric 7
    mtu 1400
    up ip route add 10.9.0.0/16 via 198.51.100.2 src 198.51.100.10 dev eth7
iface eth7 inet6 static
    address 2001:db8:7::10/64
    gateway 2001:db8:7::1
    metric 9
auto eth8
iface eth8 inet static
    address 203.0.113.10
    netmask 255.255.255.255
    broadcast 203.0.113.10
    pointopoint 203.0.113.1
    gateway 203.0.113.1
"""
STANDBY = (
    Address("eth7", "192.0.2.11", 24),
    Address("eth7", "2001:db8:7::11", 64),
    Address("eth8", "203.0.113.11", 32),
)


def written_anew(folder: Path, text: str) -> Path:
    """Return the file that says the same network with the standby address."""
    state = with_standby(ifupdown.parse({ifupdown.FILE: text}), STANDBY)
    texts = ifupdown.render(state)
    assert same_network(ifupdown.parse(texts), state)
    put(folder, texts)
    return folder / ifupdown.FILE


def test_ifup_makes_the_same_network_of_several_stanzas_that_were_written_anew(tmp_path: Path) -> None:
    put(tmp_path, {"theirs": SEVERAL})
    theirs = ifup_makes(tmp_path / "theirs", "eth7", "eth8")
    ours = [line.partition(" valid_lft")[0] for line in ifup_makes(written_anew(tmp_path, SEVERAL), "eth7", "eth8")]
    assert not [line for line in ours if "failed" in line]
    for line in (
        "default via 203.0.113.1 dev eth8 onlink",
        "default via 198.51.100.1 dev eth7 metric 7",
        "default via 2001:db8:7::1 dev eth7 metric 9 pref medium",
        "10.9.0.0/16 via 198.51.100.2 dev eth7 src 198.51.100.10",
    ):
        assert line in ours
    for words in (
        "192.0.2.10/24 brd 192.0.2.250",
        "198.51.100.10/24 brd 198.51.100.250",
        "203.0.113.10 peer 203.0.113.1",
    ):
        assert [line for line in ours if words in line], (words, ours)
    for standby in STANDBY:
        assert [line for line in ours if f" {standby} " in line], ours
    # ifup says of a gateway with a metric that it is on the wire, where that goes without saying
    wanted = {line.partition(" valid_lft")[0].replace(" metric 7 onlink", " metric 7") for line in theirs}
    missing = {line.replace("metric 9 onlink", "metric 9") for line in wanted if "fe80:" not in line} - set(ours)
    assert not {line for line in missing if ": eth" not in line}, missing


def test_ifup_has_productions_gateway_though_the_standby_address_fails(tmp_path: Path) -> None:
    """Somebody has given it already: ifup ends with this interface there."""
    text = """\
auto eth7
iface eth7 inet static
    address 192.0.2.10/24
    gateway 192.0.2.1
    up ip route add 10.9.0.0/16 via 192.0.2.2 dev eth7
iface eth8 inet manual
    up ip address add 192.0.2.11/24 dev eth7
"""
    ours = ifup_makes(written_anew(tmp_path, text), "eth8", "eth7")
    assert "eth7 failed" in ours
    assert "default via 192.0.2.1 dev eth7 onlink" in ours
    assert "10.9.0.0/16 via 192.0.2.2 dev eth7" in ours


def test_networkd_finds_no_fault_in_what_we_write(tmp_path: Path) -> None:
    tunnel = Interface("wg0", link=Virtual("wireguard"), options=(("NetDev:WireGuard.ListenPort", "51820"),))
    put(tmp_path, networkd.render(NetworkState((*STATE.interfaces, tunnel))))
    assert networkd_says(tmp_path / networkd.FOLDER) == []


def test_networkd_understands_what_ifupdown_said_by_numbers(tmp_path: Path) -> None:
    text = "auto bond0\niface bond0 inet manual\n    bond-slaves none\n    bond-mode 4\n    bond-lacp-rate 1\n"
    put(tmp_path, networkd.render(ifupdown.parse({ifupdown.FILE: f"{text}    bond-xmit-hash-policy 1\n"})))
    assert networkd_says(tmp_path / networkd.FOLDER) == []


def test_ifup_takes_the_netmask_that_we_read_where_none_is_said(tmp_path: Path) -> None:
    put(tmp_path, {ifupdown.FILE: "iface eth7 inet static\n    address 172.20.0.1\n"})
    (address,) = ifupdown.read(tmp_path).addresses
    assert f"ip addr add {address.address}/255.255.0.0 " in ifup_says(tmp_path / ifupdown.FILE, ["eth7"])
    assert address.prefix == 16


def test_ifup_listens_to_no_router_where_a_gateway_is_said(tmp_path: Path) -> None:
    put(tmp_path, {ifupdown.FILE: "iface eth7 inet6 static\n    address 2001:db8::1/64\n    gateway 2001:db8::ff\n"})
    assert "sysctl -q -e -w net.ipv6.conf.eth7.accept_ra=0" in ifup_says(tmp_path / ifupdown.FILE, ["eth7"])


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


def test_netplan_says_of_a_bridge_what_we_read(tmp_path: Path) -> None:
    text = "network:\n  bridges:\n    br0: {dhcp4: true}\n    br1: {dhcp4: true, parameters: {forward-delay: 4}}\n"
    put(tmp_path / "etc", {"netplan/a.yaml": text}, mode=0o600)
    state = netplan.read(tmp_path / "etc")
    made = {each.name: each.link for each in networkd.parse(netplan_makes(tmp_path)).interfaces}
    assert made == {each.name: each.link for each in state.interfaces}


def test_plain_yaml_is_read_as_yaml_is() -> None:
    for text in (*YAMLS, *netplan.render(STATE).values()):
        assert bare(parse_yaml("x", text)) == yaml_says(text)
