"""The MASTER's network written for other cards: by each system, and from one system's files for another's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.backends.network.detect import network_system, system_named
from hotsync.engine.network.writing import link_files, master_state, own_names, writer, written
from hotsync.errors import ConfigError
from hotsync.model.network.cards import Card
from hotsync.model.network.values import Address, NetworkState
from hotsync.model.promotion import NetworkChoice, NetworkPlan

CARDS = (("02:00:00:00:00:01", "eth0"), ("02:00:00:00:00:02", "eth1"))
SWAP = (("eth0", "eth1"), ("eth1", "eth0"))
STANDBY = (Address("eth0", "192.0.2.99", 24),)
WANTS = "etc/systemd/system/multi-user.target.wants"

NETWORKD = {
    "systemd/network/10-lan.network": "[Match]\nMACAddress=02:00:00:00:00:01\n[Network]\nBridge=br0\n",
    "systemd/network/20-wan.network": "[Match]\nName=eth1\n[Network]\nAddress=198.51.100.1/24\nVLAN=eth1.5\n",
    "systemd/network/20-wan.network.d/dns.conf": "[Network]\nDNS=198.51.100.53\n",
    "systemd/network/30-br0.network": "[Match]\nName=br0\n[Network]\nAddress=192.0.2.1/24\nGateway=192.0.2.254\n",
    "systemd/network/30-br0.netdev": "[NetDev]\nName=br0\nKind=bridge\n",
    "systemd/network/40-v.netdev": "[NetDev]\nName=eth1.5\nKind=vlan\n[VLAN]\nId=5\n",
    "systemd/network/40-v.network": "[Match]\nName=eth1.5\n[Network]\nAddress=203.0.113.1/24\n",
}
IFUPDOWN = {
    "network/interfaces": "auto lo\niface lo inet loopback\nsource /etc/network/interfaces.d/*\n",
    "network/interfaces.d/lan": "auto br0\niface br0 inet static\n    address 192.0.2.1/24\n    gateway 192.0.2.254\n"
    "    bridge_ports eth0\n    bridge_stp off\n",
    "network/interfaces.d/wan": "auto eth1\niface eth1 inet static\n    address 198.51.100.1/24\n"
    "    dns-nameservers 198.51.100.53\n"
    "auto eth1.5\niface eth1.5 inet static\n    address 203.0.113.1/24\n",
}
NETPLAN = {
    "netplan/50-cloud-init.yaml": "network:\n  version: 2\n  ethernets:\n"
    "    lan: {match: {macaddress: '02:00:00:00:00:01'}, set-name: eth0}\n"
    "    eth1: {addresses: [198.51.100.1/24], nameservers: {addresses: [198.51.100.53]}}\n"
    "  bridges:\n    br0: {interfaces: [lan], addresses: [192.0.2.1/24], routes: [{to: default, via: 192.0.2.254}]}\n"
    "  vlans:\n    eth1.5: {id: 5, link: eth1, addresses: [203.0.113.1/24]}\n",
}
NM = "NetworkManager/system-connections"
NETWORKMANAGER = {
    f"{NM}/Wired 1.nmconnection": "[connection]\nid=Wired 1\nuuid=11111111-1111-1111-1111-111111111111\ntype=ethernet\n"
    "master=br0\nslave-type=bridge\n[ethernet]\nmac-address=02:00:00:00:00:01\n",
    f"{NM}/wan.nmconnection": "[connection]\nid=wan\nuuid=11111111-1111-1111-1111-111111111112\ntype=ethernet\n"
    "interface-name=eth1\n[ipv4]\nmethod=manual\naddress1=198.51.100.1/24\ndns=198.51.100.53;\n[ipv6]\nmethod=ignore\n",
    f"{NM}/br0.nmconnection": "[connection]\nid=br0\nuuid=11111111-1111-1111-1111-111111111113\ntype=bridge\n"
    "interface-name=br0\n[bridge]\nstp=false\n[ipv4]\nmethod=manual\naddress1=192.0.2.1/24,192.0.2.254\n"
    "[ipv6]\nmethod=ignore\n",
    f"{NM}/v.nmconnection": "[connection]\nid=v\nuuid=11111111-1111-1111-1111-111111111114\ntype=vlan\n"
    "interface-name=eth1.5\n[vlan]\nid=5\nparent=11111111-1111-1111-1111-111111111112\n"
    "[ipv4]\nmethod=manual\naddress1=203.0.113.1/24\n[ipv6]\nmethod=ignore\n",
}
SYSTEMS = {"networkd": NETWORKD, "ifupdown": IFUPDOWN, "netplan": NETPLAN, "NetworkManager": NETWORKMANAGER}


def server(root: Path, name: str) -> Path:
    for path, text in SYSTEMS[name].items():
        (root / "etc" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "etc" / path).write_text(text)
    (root / WANTS).mkdir(parents=True)
    unit = {"networkd": "systemd-networkd", "NetworkManager": "NetworkManager"}.get(name)
    if unit:
        os.symlink(f"/lib/systemd/system/{unit}.service", root / WANTS / f"{unit}.service")
    return root / "etc"


def plan_for(theirs: Path, own: Path) -> NetworkPlan:
    system, is_own = writer(theirs, own)
    return NetworkPlan(NetworkChoice.MAPPED, standby=STANDBY, cards=CARDS, pairs=SWAP, system=system, own_system=is_own)


def put(etc: Path, texts: dict[str, str | None]) -> NetworkState:
    for path, text in texts.items():
        (etc / path).parent.mkdir(parents=True, exist_ok=True)
        (etc / path).unlink(missing_ok=True)
        if text is not None:
            (etc / path).write_text(text)
    system = network_system(etc)
    assert system is not None
    return system.read(etc)


def check_swapped(state: NetworkState) -> None:
    by_name = {each.name: each for each in state.interfaces if each.name != "lo"}
    assert set(by_name) == {"eth0", "eth1", "br0", "eth0.5"}
    assert (by_name["eth1"].master, by_name["eth1"].mac) == ("br0", "")
    assert [str(each) for each in by_name["br0"].addresses] == ["192.0.2.1/24"]
    assert [each.address for each in state.gateways] == ["192.0.2.254"]
    assert [str(each) for each in by_name["eth0"].addresses] == ["198.51.100.1/24", "192.0.2.99/24"]
    assert by_name["eth0"].dns == ("198.51.100.53",)
    assert [str(each) for each in by_name["eth0.5"].addresses] == ["203.0.113.1/24"]


@pytest.mark.parametrize("name", SYSTEMS)
def test_cards_change_places_in_the_files_of_every_system_and_no_old_file_stays(tmp_path: Path, name: str) -> None:
    etc = server(tmp_path, name)
    plan = plan_for(etc, etc)
    assert (plan.system, plan.own_system) == (name, False)
    texts = written(etc, etc, plan)
    assert {path for path, text in texts.items() if text is None} == set(SYSTEMS[name]) - {"network/interfaces"}
    check_swapped(put(etc, texts))


@pytest.mark.parametrize("theirs", SYSTEMS)
@pytest.mark.parametrize("own", SYSTEMS)
def test_what_one_system_said_is_written_for_the_one_that_this_server_has(
    tmp_path: Path, theirs: str, own: str
) -> None:
    tree, etc = server(tmp_path / "tree", theirs), server(tmp_path / "own", own)
    plan = plan_for(tree, etc)
    assert (plan.system, plan.own_system) == (own, own != theirs)
    check_swapped(put(etc, written(tree, etc, plan)))


@pytest.mark.parametrize("name", ["ifupdown", "networkd"])
@pytest.mark.parametrize("own", ["ifupdown", "networkd", "NetworkManager", "netplan"])
def test_a_standby_address_of_ipv4_comes_to_a_card_that_has_both_families(tmp_path: Path, name: str, own: str) -> None:
    tree, etc = server(tmp_path / "tree", name), server(tmp_path / "own", own)
    if name == "ifupdown":
        with (tree / "network/interfaces.d/wan").open("a") as file:
            file.write("iface eth1 inet6 static\n    address 2001:db8:9::1/64\n    accept_ra 0\n")
    else:
        drop_in = tree / "systemd/network/20-wan.network.d/dns.conf"
        drop_in.write_text(f"{drop_in.read_text()}Address=2001:db8:9::1/64\nIPv6AcceptRA=no\n")
    state = put(etc, written(tree, etc, plan_for(tree, etc)))
    card = next(each for each in state.interfaces if each.name == "eth0")
    assert {str(each) for each in card.addresses} == {"198.51.100.1/24", "2001:db8:9::1/64", "192.0.2.99/24"}


def test_what_the_other_system_has_no_words_for_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    tree, etc = server(tmp_path / "tree", "ifupdown"), server(tmp_path / "own", "networkd")
    with (tree / "network/interfaces.d/wan").open("a") as file:
        file.write("    up ethtool -K eth1.5 gro off\n")
    with pytest.raises(ConfigError, match="no word for 'inet up'"):
        written(tree, etc, plan_for(tree, etc))


def test_a_lease_is_written_as_a_fixed_address_of_the_card_that_takes_the_place(tmp_path: Path) -> None:
    etc = server(tmp_path, "ifupdown")
    (etc / "network/interfaces").write_text("auto eth0\niface eth0 inet dhcp\n")
    for file in (etc / "network/interfaces.d").iterdir():
        file.unlink()
    plan = NetworkPlan(
        NetworkChoice.MAPPED,
        gateways=(Address("eth1", "192.0.2.254", 32),),
        cards=CARDS,
        pairs=SWAP,
        system="ifupdown",
        leases=(Address("eth0", "192.0.2.7", 24),),
        servers=("192.0.2.53",),
    )
    (card,) = put(etc, written(etc, etc, plan)).interfaces
    assert (card.name, card.dhcp4, card.dns) == ("eth1", False, ("192.0.2.53",))
    assert [str(each) for each in (*card.addresses, *card.gateways)] == ["192.0.2.7/24", "192.0.2.254/32"]


def test_a_network_that_no_system_configures_cannot_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    with pytest.raises(ConfigError, match="cannot be mapped"):
        writer(tmp_path / "etc", tmp_path / "etc")
    with pytest.raises(ConfigError, match="no network system"):
        master_state(tmp_path / "etc", NetworkPlan())
    assert system_named("netplan").name == "netplan"


def test_a_card_that_only_this_servers_netplan_calls_so_keeps_its_name(tmp_path: Path) -> None:
    own = server(tmp_path, "netplan")
    here = (Card("eth0", "02:00:00:00:00:0a"), Card("eth1", "02:00:00:00:00:0b"))
    assert own_names(own, here) == (("02:00:00:00:00:0a", "eth0"),)
    assert own_names(server(tmp_path / "other", "ifupdown"), here) == ()
    (text,) = link_files(NetworkPlan(own_names=own_names(own, here))).values()
    assert text.splitlines()[1:] == ["[Match]", "PermanentMACAddress=02:00:00:00:00:0a", "", "[Link]", "Name=eth0"]
    (own / "netplan/60-odd.yaml").write_text("network: &a {}\n")
    assert own_names(own, here) == ()


def crossed(root: Path, theirs: str, own: str, files: dict[str, str]) -> tuple[NetworkState, str]:
    """Return what a server with one system makes of a card eth0 that another one's files configure, and its files."""
    tree, etc = server(root / "tree", theirs), server(root / "own", own)
    for path in SYSTEMS[theirs]:
        (tree / path).unlink(missing_ok=True)
    for path, text in files.items():
        (tree / path).write_text(text)
    plan = NetworkPlan(NetworkChoice.MAPPED, cards=CARDS, pairs=(("eth0", "eth1"),), system=own, own_system=True)
    texts = written(tree, etc, plan)
    return put(etc, texts), "".join(text or "" for text in texts.values())


ALIAS = (
    "auto eth0\niface eth0 inet static\n    address 192.0.2.1/24\n"
    "auto eth0:1\niface eth0:1 inet static\n    address 192.0.2.2/24\n    gateway 192.0.2.254\n"
)


@pytest.mark.parametrize("own", ["networkd", "NetworkManager", "netplan"])
def test_an_alias_becomes_one_more_address_of_its_card(tmp_path: Path, own: str) -> None:
    state, _ = crossed(tmp_path, "ifupdown", own, {"network/interfaces": ALIAS})
    (card,) = state.interfaces
    assert card.name == "eth1"
    assert [str(each) for each in (*card.addresses, *card.gateways)] == [
        "192.0.2.1/24",
        "192.0.2.2/24",
        "192.0.2.254/32",
    ]


def test_an_alias_that_a_person_brings_up_is_no_address_of_every_boot(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="eth1:1 has faults: no other system"):
        crossed(tmp_path, "ifupdown", "networkd", {"network/interfaces": ALIAS.replace("auto eth0:1\n", "")})


SIX = "    address 2001:db8::1/64\n"
NETWORKD_SIX = "[Match]\nName=eth0\n[Network]\nAddress=2001:db8::1/64\n"


@pytest.mark.parametrize("own", ["networkd", "NetworkManager", "netplan"])
@pytest.mark.parametrize(("gateway", "listens"), [("    gateway 2001:db8::ff\n", False), ("", True)])
def test_ifupdown_listens_to_no_router_where_it_has_a_gateway(
    tmp_path: Path, own: str, gateway: str, *, listens: bool
) -> None:
    files = {"network/interfaces": f"auto eth0\niface eth0 inet6 static\n{SIX}{gateway}"}
    state, _ = crossed(tmp_path, "ifupdown", own, files)
    assert [each.accept_ra for each in state.interfaces] == [listens]


@pytest.mark.parametrize("gateway", ["Gateway=2001:db8::ff\n", ""])
def test_a_card_of_networkd_goes_on_listening_to_routers_beside_its_fixed_address(tmp_path: Path, gateway: str) -> None:
    files = {"systemd/network/10-lan.network": NETWORKD_SIX + gateway}
    _, text = crossed(tmp_path / "i", "networkd", "ifupdown", files)
    assert "    accept_ra 1\n    autoconf 1\n" in text
    _, text = crossed(tmp_path / "n", "networkd", "NetworkManager", files)
    assert "[ipv6]\nmethod=auto\naddress1=2001:db8::1/64\n" in text


def test_dhcp_of_networkd_is_networkmanagers_automatic_one(tmp_path: Path) -> None:
    files = {"systemd/network/10-lan.network": "[Match]\nName=eth0\n[Network]\nDHCP=yes\n"}
    _, text = crossed(tmp_path, "networkd", "NetworkManager", files)
    assert "[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n" in text


@pytest.mark.parametrize("line", ["dns-nameservers 192.0.2.53", "pre-up iptables-restore /etc/rules", "mtu 1500"])
@pytest.mark.parametrize("own", ["networkd", "NetworkManager", "netplan"])
def test_what_is_said_of_the_loopback_is_said_again_or_refused(tmp_path: Path, line: str, own: str) -> None:
    text = f"auto lo\niface lo inet loopback\n    {line}\nauto eth0\niface eth0 inet static\n    address 192.0.2.1/24\n"
    if line.startswith("mtu") and own != "NetworkManager":
        state, _ = crossed(tmp_path, "ifupdown", own, {"network/interfaces": text})
        assert [each.mtu for each in state.interfaces if each.name == "lo"] == [1500]
        return
    with pytest.raises(ConfigError, match="lo has faults"):
        crossed(tmp_path, "ifupdown", own, {"network/interfaces": text})


@pytest.mark.parametrize(
    ("theirs", "path", "text"),
    [
        (
            "ifupdown",
            "network/interfaces",
            "auto br0\niface br0 inet manual\n    bridge_ports eth0\n    bridge_maxwait 0\n",
        ),
        ("networkd", "systemd/network/1.network", "[Match]\nName=eth0\n[Link]\nRequiredForOnline=no\n"),
        ("netplan", "netplan/50-cloud-init.yaml", "network:\n  ethernets:\n    eth0: {optional: true, dhcp4: true}\n"),
    ],
)
def test_what_waits_for_a_card_is_each_systems_own(tmp_path: Path, theirs: str, path: str, text: str) -> None:
    own = "NetworkManager" if theirs == "netplan" else "netplan"
    state, _ = crossed(tmp_path, theirs, own, {path: text})
    assert "eth1" in {each.name for each in state.interfaces}


@pytest.mark.parametrize(("server_", "domain"), [("192.0.2.53#dns.example.org", "example.org"), ("192.0.2.53", "~.")])
def test_what_is_no_word_of_resolv_conf_is_refused_for_ifupdown(tmp_path: Path, server_: str, domain: str) -> None:
    text = f"[Match]\nName=eth0\n[Network]\nAddress=192.0.2.1/24\nDNS={server_}\nDomains={domain}\n"
    with pytest.raises(ConfigError, match="ifupdown has no word for"):
        crossed(tmp_path, "networkd", "ifupdown", {"systemd/network/10-lan.network": text})


def test_a_tunnel_of_networkds_beside_another_system_is_not_the_network(tmp_path: Path) -> None:
    etc = server(tmp_path, "ifupdown")
    os.symlink("/lib/systemd/system/systemd-networkd.service", tmp_path / WANTS / "systemd-networkd.service")
    (etc / "systemd/network").mkdir()
    (etc / "systemd/network/wg0.netdev").write_text("[NetDev]\nName=wg0\nKind=wireguard\n")
    (etc / "systemd/network/wg0.network").write_text("[Match]\nName=wg0\n[Network]\nAddress=10.7.0.1/24\n")
    system = network_system(etc)
    assert system is not None
    assert system.name == "ifupdown"
    (etc / "systemd/network/lan.network").write_text("[Match]\nName=eth0\n[Network]\nDHCP=yes\n")
    system = network_system(etc)
    assert system is not None
    assert system.name == "networkd"
