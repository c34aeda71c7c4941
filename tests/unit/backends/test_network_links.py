"""Bonds, bridges, VLANs, WireGuard and routes in the files that people write: read, written again, read the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from hotsync.backends.network import ifupdown, networkd
from hotsync.engine.network.writing import same_network
from hotsync.errors import ConfigError
from hotsync.model.network.links import Bond, Bridge, Route, Virtual, Vlan
from hotsync.model.network.values import Address, Interface, NetworkState

SERVER = """\
auto lo
iface lo inet loopback

auto bond0
iface bond0 inet manual
    bond-slaves eno1 eno2
    bond-mode 4
    bond-miimon 100
    bond_lacp_rate fast
    bond-xmit_hash_policy layer3+4

auto br0
iface br0 inet static
    address 192.0.2.10/24
    gateway 192.0.2.1
    bridge_ports bond0.20
    bridge_stp off
    bridge_fd 0
    bridge_maxwait 5
    post-up ip route add 10.8.0.0/16 via 192.0.2.254 dev br0 metric 50
    up ip route add blackhole 10.99.0.0/16
    down ip route del 10.8.0.0/16
iface br0 inet6 auto

iface eno3 inet manual
allow-hotplug eno3

auto vlan30
iface vlan30 inet static
    address 198.51.100.1/24
    vlan-raw-device eno3
    mtu 1450

auto wg0
iface wg0 inet static
    address 10.7.0.1/24
    pre-up ip link add $IFACE type wireguard
    pre-up wg setconf $IFACE /etc/wireguard/$IFACE.conf
    post-down ip link del $IFACE
"""
BOND_BY_PORTS = """\
auto bond0
iface bond0 inet dhcp
    bond-mode active-backup
    bond-primary eth1
auto eth0
iface eth0 inet manual
    bond-master bond0
    bond-primary eth1
iface eth1 inet manual
    bond-master bond0
"""
NETWORKD = {
    "10-eno.network": "[Match]\nName=eno1\n\n[Network]\nBond=bond0\nPrimarySlave=true\n",
    "10-eno2.network": "[Match]\nName=eno2\n\n[Network]\nBond=bond0\n",
    "20-bond0.netdev": (
        "[NetDev]\nName=bond0\nKind=bond\nMACAddress=02:00:00:00:00:09\n\n"
        "[Bond]\nMode=active-backup\nMIIMonitorSec=1s\nARPIPTargets=192.0.2.1 192.0.2.2\n"
    ),
    "20-bond0.network": "[Match]\nName=bond0\n[Link]\nMTUBytes=9000\n[Network]\nVLAN=lan20\nVLAN=lan30\n",
    "30-lan20.netdev": "[NetDev]\nName=lan20\nKind=vlan\n[VLAN]\nId=20\nGVRP=yes\n",
    "30-lan20.network": "[Match]\nName=lan20\n[Network]\nBridge=br0\n[Bridge]\nCost=5\n",
    "30-lan30.netdev": "[NetDev]\nName=lan30\nKind=vlan\n[VLAN]\nId=30\n",
    "40-br0.netdev": "[NetDev]\nName=br0\nKind=bridge\n[Bridge]\nSTP=yes\nForwardDelaySec=4\nVLANFiltering=1\n",
    "40-br0.network": (
        "[Match]\nName=br0\n[Network]\nAddress=192.0.2.10/24\nAddress=2001:db8::10/64\nIPv6AcceptRA=false\n"
        "Gateway=192.0.2.1\n[Route]\nGateway=2001:db8::1\nMetric=10\n[Route]\nDestination=10.8.0.0/16\nType=blackhole\n"
        "[Route]\nDestination=10.9.0.0/16\nGateway=192.0.2.254\nPreferredSource=192.0.2.10\nTable=100\n"
        "[RoutingPolicyRule]\nFrom=192.0.2.10\nTable=100\n"
    ),
    "40-br0.network.d/dns.conf": "[Network]\nDNS=192.0.2.53 2001:db8::53\nDomains=~.\n",
    "50-wg0.netdev": (
        "[NetDev]\nName=wg0\nKind=wireguard\n[WireGuard]\nPrivateKeyFile=/etc/wg.key\nListenPort=51820\n"
        "[WireGuardPeer]\nPublicKey=abc=\nAllowedIPs=10.7.0.2/32\n"
        "[WireGuardPeer]\nPublicKey=def=\nAllowedIPs=10.7.0.3/32\nEndpoint=vpn.example.org:51820\n"
    ),
    "50-wg0.network": "[Match]\nName=wg0\n[Network]\nAddress=10.7.0.1/24\n",
}


def by_name(state: NetworkState) -> dict[str, Interface]:
    return {interface.name: interface for interface in state.interfaces}


def networkds(texts: Mapping[str, str]) -> dict[str, str]:
    return {f"systemd/network/{name}": text for name, text in texts.items()}


def test_a_server_with_bond_vlan_bridge_and_tunnel_is_read_from_ifupdowns_file() -> None:
    state = ifupdown.parse({ifupdown.FILE: SERVER})
    found = by_name(state)
    bond = Bond("802.3ad", "", (("lacp_rate", "fast"), ("miimon", "100"), ("xmit_hash_policy", "layer3+4")))
    assert found["bond0"].link == bond
    assert state.ports_of("bond0") == ("eno1", "eno2")
    assert found["br0"].link == Bridge(stp=False, settings=(("forward_delay", "0"),))
    assert state.ports_of("br0") == ("bond0.20",)
    assert found["br0"].routes == (Route("10.8.0.0/16", "192.0.2.254", 50),)
    assert ("inet up", "ip route add blackhole 10.99.0.0/16") in found["br0"].options
    assert ("inet bridge_maxwait", "5") in found["br0"].options
    assert found["br0"].accept_ra is True
    assert (found["vlan30"].link, found["vlan30"].mtu) == (Vlan("eno3", 30), 1450)
    assert (found["eno3"].start, found["eno3"].options) == (True, (("hotplug", ""),))
    assert len(found["wg0"].options) == 3
    assert state.made == {"bond0", "bond0.20", "br0", "vlan30"}


def test_ports_that_name_their_bond_are_ports_of_it() -> None:
    state = ifupdown.parse({ifupdown.FILE: BOND_BY_PORTS})
    assert state.ports_of("bond0") == ("eth0", "eth1")
    assert by_name(state)["bond0"].link == Bond("active-backup", "eth1")
    assert by_name(state)["eth0"].options == (("auto", ""), ("inet bond-primary", "eth1"))


def test_a_server_with_bond_vlan_bridge_and_tunnel_is_read_from_networkds_files() -> None:
    state = networkd.parse(networkds(NETWORKD))
    found = by_name(state)
    bond = Bond("active-backup", "eno1", (("arp_ip_target", "192.0.2.1,192.0.2.2"), ("miimon", "1000")))
    assert (found["bond0"].link, found["bond0"].mtu) == (bond, 9000)
    assert state.ports_of("bond0") == ("eno1", "eno2")
    assert (found["lan20"].link, found["lan20"].master) == (Vlan("bond0", 20), "br0")
    assert found["lan30"].link == Vlan("bond0", 30)
    assert found["br0"].link == Bridge(stp=True, settings=(("forward_delay", "4"), ("vlan_filtering", "yes")))
    assert found["br0"].accept_ra is False
    assert found["br0"].dns == ("192.0.2.53", "2001:db8::53")
    assert found["br0"].routes == (
        Route("::/0", "2001:db8::1", 10),
        Route("10.9.0.0/16", "192.0.2.254", source="192.0.2.10", table="100"),
    )
    assert [str(gateway.address) for gateway in state.gateways] == ["2001:db8::1", "192.0.2.1"]
    assert found["wg0"].link == Virtual("wireguard")


Parse = Callable[[Mapping[str, str]], NetworkState]
Render = Callable[[NetworkState], dict[str, str]]


@pytest.mark.parametrize(
    ("parse", "render", "texts"),
    [
        (ifupdown.parse, ifupdown.render, {ifupdown.FILE: SERVER}),
        (ifupdown.parse, ifupdown.render, {ifupdown.FILE: BOND_BY_PORTS}),
        (networkd.parse, networkd.render, networkds(NETWORKD)),
    ],
)
def test_what_is_written_again_means_the_same(parse: Parse, render: Render, texts: Mapping[str, str]) -> None:
    state = parse(texts)
    again = parse(render(state))
    assert by_name(again) == by_name(state)
    assert parse(render(again)) == again


def test_of_a_tunnels_peers_none_is_lost_or_mixed_up() -> None:
    texts = networkd.render(networkd.parse(networkds(NETWORKD)))
    (text,) = (text for path, text in texts.items() if path.endswith("wg0.netdev"))
    for line in NETWORKD["50-wg0.netdev"].splitlines():
        assert line in text
    assert text.count("[WireGuardPeer]") == 2
    assert text.index("def=") < text.index("vpn.example.org") < len(text)


def test_what_is_made_and_has_no_network_file_gets_none() -> None:
    texts = networkd.render(networkd.parse(networkds(NETWORKD)))
    assert [path for path in texts if "lan30" in path] == [path for path in texts if path.endswith("lan30.netdev")]


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ("iface br0 inet manual\n  bridge_ports regex eth.*\n", "line 2"),
        ("iface b inet manual\n  bond-slaves all\n", "line 2"),
        ("iface b inet manual\n  bond-slaves none\n  bond-mode fast\n", "line 3"),
        ("iface br0 inet manual\n  bridge_ports none\n  bridge_stp maybe\n", "line 3"),
        ("iface eth0 inet manual\n  mtu big\n", "line 2"),
        ("iface lan inet manual\n  vlan-raw-device eth0\n", "line 2"),
        ("iface lan.5 inet manual\n  vlan-raw-device eth0\n", "line 2"),
        ("iface a inet static\n  address 10.0.0.1\n  netmask 255.0.255.0\n", "line 2"),
    ],
)
def test_what_ifupdowns_links_leave_open_is_refused_with_its_line(lines: str, where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        ifupdown.parse({ifupdown.FILE: lines})


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("a.network", "[Match]\nName=e\n[Network]\nDNS=\n", "line 4"),
        ("a.network", "[Match]\nName=e\n[Link]\nMTUBytes=9K\n", "line 4"),
        ("a.network", "[Match]\nName=e\n[Network]\nDHCP=perhaps\n", "line 4"),
        ("a.network", "[Match]\nName=e\n[Route]\nDestination=10.0.0.0/99\nGateway=10.0.0.1\n", "line 4"),
        ("a.network", "[Match]\nName=e\n[Route]\nGateway=here\n", "line 4"),
        ("a.netdev", "[NetDev]\nName=b\nKind=bond\n[Bond]\nMode=fast\n", "line 5"),
        ("a.netdev", "[NetDev]\nName=b\nKind=bond\n[Bond]\nMIIMonitorSec=soon\n", "line 5"),
        ("a.netdev", "[NetDev]\nName=b\nKind=bridge\n[Bridge]\nHelloTimeSec=1500ms\n", "line 5"),
        ("a.netdev", "[NetDev]\nName=b\nKind=bridge\n[Bridge]\nFrob=1\n", "line 5"),
        ("a.netdev", "[NetDev]\nName=b\nKind=bridge\n[VLAN]\nId=1\n", "line 5"),
        ("a.netdev", "[Match]\nHost=x\n[NetDev]\nName=b\nKind=bridge\n", "line 1"),
        ("a.netdev", "[NetDev]\nName=b\nKind=vlan\n", "a.netdev has"),
        ("a.netdev", "[NetDev]\nKind=bridge\n", "a.netdev has"),
    ],
)
def test_what_networkds_files_leave_open_is_refused_with_its_line(name: str, text: str, where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        networkd.parse({f"systemd/network/{name}": text})


def test_a_line_of_a_drop_in_is_told_with_the_drop_in() -> None:
    texts = {"10-a.network": "[Match]\nName=e\n", "10-a.network.d/x.conf": "[Network]\nFrob=1\n"}
    with pytest.raises(ConfigError, match=r"10-a\.network\.d/x\.conf line 2"):
        networkd.parse(networkds(texts))


@pytest.mark.parametrize(
    "interface",
    [
        Interface("wg0", link=Virtual("wireguard")),
        Interface("", mac="02:00:00:00:00:01"),
        Interface("lan", link=Vlan("eth0", 5)),
        Interface("lan.5", link=Vlan("eth0", 5)),
        Interface("bond0", link=Bond(settings=(("lp_interval", "1"),))),
        Interface("eth0", options=(("Network.LLDP", "yes"),)),
    ],
)
def test_what_ifupdown_has_no_words_for_is_not_written(interface: Interface) -> None:
    with pytest.raises(ConfigError):
        ifupdown.render(NetworkState((interface,)))


def test_what_networkd_has_no_words_for_is_not_written() -> None:
    for interface in (
        Interface("eth0", options=(("inet up", "x"),)),
        Interface("eth0", role="green"),
        Interface("br0", link=Bridge(settings=(("frob", "1"),))),
    ):
        with pytest.raises(ConfigError):
            networkd.render(NetworkState((interface,)))


def test_a_second_gateway_becomes_a_route_and_is_read_as_a_gateway() -> None:
    gateways = (Address("eth0", "192.0.2.1", 32), Address("eth0", "192.0.2.2", 32))
    state = NetworkState((Interface("eth0", addresses=(Address("eth0", "192.0.2.9", 24),), gateways=gateways),))
    assert ifupdown.parse(ifupdown.render(state)) == state


NUMBERS = {"ad_select": "1", "arp_validate": "3", "fail_over_mac": "1", "lacp_rate": "1", "primary_reselect": "2"}
NAMES = (
    ("ad_select", "bandwidth"),
    ("arp_validate", "all"),
    ("fail_over_mac", "active"),
    ("lacp_rate", "fast"),
    ("primary_reselect", "failure"),
    ("xmit_hash_policy", "layer3+4"),
)


def test_what_a_bonds_file_says_by_a_number_is_known_by_its_name() -> None:
    lines = "".join(f"    bond-{name.replace('_', '-')} {value}\n" for name, value in NUMBERS.items())
    text = f"auto bond0\niface bond0 inet manual\n    bond-slaves none\n    bond-xmit-hash-policy 1\n{lines}"
    (bond,) = ifupdown.parse({ifupdown.FILE: text}).interfaces
    assert bond.link == Bond(settings=NAMES)


def test_networkd_may_say_a_hardware_address_with_dashes() -> None:
    (card,) = networkd.parse({"a.network": "[Match]\nMACAddress=02-00-00-00-00-0A\n[Network]\nDHCP=yes\n"}).interfaces
    assert card.mac == "02:00:00:00:00:0a"


ROUTER = """\
[Match]
Name=eth0
[Link]
RequiredFamilyForOnline=ipv4
[Network]
Address=192.0.2.1/24
DHCPServer=yes
DHCPPrefixDelegation=yes
IPv6HopLimit=64
[Address]
Address=2001:db8::1/64
DuplicateAddressDetection=none
[DHCPServerStaticLease]
MACAddress=02:00:00:00:00:0b
Address=192.0.2.11
[DHCPServerStaticLease]
MACAddress=02:00:00:00:00:0c
Address=192.0.2.12
[Neighbor]
Address=192.0.2.13
LinkLayerAddress=02:00:00:00:00:0d
"""


def test_what_a_router_of_networkd_says_is_written_again_whole() -> None:
    state = networkd.parse({"systemd/network/a.network": ROUTER})
    assert [str(each) for each in state.addresses] == ["192.0.2.1/24", "2001:db8::1/64"]
    texts = networkd.render(state)
    assert same_network(networkd.parse(texts), state)
    (text,) = texts.values()
    assert sorted(filter(None, text.splitlines()[1:])) == sorted(ROUTER.splitlines())
