"""NetworkManager's profiles: read by tables, written and read back as a property, refused by line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from hotsync.backends.network import networkmanager
from hotsync.backends.network.detect import network_system
from hotsync.errors import ConfigError
from hotsync.model.network.links import Bond, Bridge, Route, Vlan
from hotsync.model.network.values import Address, Interface, NetworkState
from tests.support.networks import network_states
from tests.support.sizes import examples

FOLDER = networkmanager.FOLDER
INSTALLER = """\
[connection]
id=Wired connection 1
uuid=5ef8dd4b-5ba0-4a3c-8a05-3a1f6f5b6b9e
type=ethernet
interface-name=enp1s0
autoconnect-priority=-100
timestamp=1764384000

[ethernet]
mac-address=52:54:00:AA:BB:CC
mtu=9000

[ipv4]
address1=192.0.2.10/24,192.0.2.1
address2=192.0.2.11/24
dns=192.0.2.53;192.0.2.54;
dns-search=example.org;
may-fail=false
method=manual
route1=10.9.0.0/16,192.0.2.254,50
route1_options=table=100,onlink=true
route2=10.8.0.0/16,192.0.2.254
route2_options=mtu=1400

[ipv6]
addr-gen-mode=default
method=auto

[proxy]
"""
BOND = "[connection]\nid=bond\nuuid=b-1\ntype=bond\ninterface-name=bond0\n[bond]\nmiimon=100\nmode=1\nprimary=eno1\n"
PORT = "[connection]\nid=port\nuuid=p-1\ntype=ethernet\ninterface-name=eno1\nmaster=b-1\nslave-type=bond\n"
VLAN = "[connection]\nid=vlan\nuuid=v-1\ntype=vlan\nmaster=br0\nslave-type=bridge\n[vlan]\nflags=1\nid=20\nparent=b-1\n"
BRIDGE = (
    "[connection]\nid=br\nuuid=r-1\ntype=bridge\ninterface-name=br0\n[bridge]\nforward-delay=4\n[ipv4]\nmethod=auto\n"
)


def parse(*texts: str) -> NetworkState:
    return networkmanager.parse({f"{FOLDER}/{number}.nmconnection": text for number, text in enumerate(texts)})


def as_networkmanager_means_it(interface: Interface) -> Interface:
    """Return an interface as it has one way to be said: fixed IPv6 addresses alone mean that no router is heard."""
    six = any(address.version == 6 for address in interface.addresses)
    four = interface.dhcp4 or any(address.version == 4 for address in interface.addresses)
    heard = False if six and not interface.accept_ra and not interface.dhcp6 else interface.accept_ra
    heard = None if interface.dhcp6 and not heard else heard
    return replace(
        interface,
        accept_ra=heard,
        dhcp6=interface.dhcp6 and not heard,
        dns=interface.dns if four else (),
        domains=interface.domains if four or six else (),
    )


def test_an_installers_profile_is_read() -> None:
    (card,) = parse(INSTALLER).interfaces
    assert (card.name, card.mac, card.mtu) == ("enp1s0", "52:54:00:aa:bb:cc", 9000)
    assert [str(address) for address in card.addresses] == ["192.0.2.10/24", "192.0.2.11/24"]
    assert card.gateways == (Address("enp1s0", "192.0.2.1", 32),)
    assert (card.dns, card.domains) == (("192.0.2.53", "192.0.2.54"), ("example.org",))
    assert (card.dhcp4, card.accept_ra) == (False, True)
    assert card.routes == (Route("10.9.0.0/16", "192.0.2.254", 50, table="100", on_link=True),)
    assert ("[ipv4] route2_options", "mtu=1400") in card.options
    assert ("[connection] timestamp", "1764384000") in card.options


def test_bond_vlan_and_bridge_find_each_other_by_name_or_number() -> None:
    state = parse(BOND, PORT, VLAN, BRIDGE)
    found = {interface.name: interface for interface in state.interfaces}
    assert found["bond0"].link == Bond("active-backup", "eno1", (("miimon", "100"),))
    assert found["eno1"].master == "bond0"
    assert (found["bond0.20"].link, found["bond0.20"].master) == (Vlan("bond0", 20), "br0")
    assert found["br0"].link == Bridge(stp=True, settings=(("forward_delay", "4"),))
    assert state.uses_dhcp == ("bond0", "br0")


def test_what_is_read_is_written_again_with_nothing_lost() -> None:
    state = parse(INSTALLER, BOND, PORT, VLAN, BRIDGE)
    texts = networkmanager.render(state)
    assert networkmanager.parse(texts) == state
    written = next(iter(texts.values()))
    for line in INSTALLER.splitlines():
        assert line in written or line.startswith(("address1", "route", "addr-gen", "[proxy"))
    assert "route2=10.8.0.0/16,192.0.2.254\nroute2_options=mtu=1400" in written


@given(network_states())
@settings(max_examples=examples(60), deadline=None)
def test_what_we_write_we_read_back(state: NetworkState) -> None:
    meant = NetworkState(tuple(map(as_networkmanager_means_it, state.interfaces)))
    texts = networkmanager.render(meant)
    assert networkmanager.parse(texts) == meant
    assert networkmanager.render(networkmanager.parse(texts)) == texts


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[connection]\ntype=ethernet\n[frob]\na=b\n", "line 4"),
        ("[connection]\ntype=vpn\n", "type of this connection"),
        ("[connection]\ntype=ethernet\nnonsense\n", "line 3"),
        ("[connection]\ntype=ethernet\nslave-type=team\nmaster=t\n", "line 3"),
        ("[connection]\ntype=ethernet\nautoconnect=perhaps\n", "line 3"),
        ("[connection]\ntype=ethernet\n[ethernet]\nmtu=big\n", "line 4"),
        ("[connection]\ntype=ethernet\n[ipv4]\naddress1=10.0.0.300/24\n", "line 4"),
        ("[connection]\ntype=ethernet\n[ipv4]\naddress1=2001:db8::1/64\n", "line 4"),
        ("[connection]\ntype=ethernet\n[ipv4]\naddresses1=10.0.0.1;24;0.0.0.0;\n", "line 4"),
        ("[connection]\ntype=ethernet\n[ipv4]\nroute1=here,10.0.0.1\n", "line 4"),
        ("[connection]\ntype=ethernet\n[ipv4]\nroute1=10.0.0.0/8,there\n", "line 4"),
        ("[connection]\ntype=bond\n[bond]\nmode=fast\n", "line 4"),
        ("[connection]\ntype=vlan\n[vlan]\nparent=eth0\n", "no id"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line_and_without_its_value(text: str, where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        parse(text)


@pytest.mark.parametrize(
    "interface",
    [
        Interface("eth0", role="green"),
        Interface("eth0", dns=("192.0.2.53",)),
        Interface("eth0", domains=("example.org",)),
        Interface("eth0", options=(("inet up", "x"),)),
        Interface("br0", link=Bridge(settings=(("frob", "1"),))),
    ],
)
def test_what_networkmanager_has_no_words_for_is_not_written(interface: Interface) -> None:
    with pytest.raises(ConfigError):
        networkmanager.render(NetworkState((interface,)))


def enabled(etc: Path, texts: dict[str, str]) -> None:
    link = etc / "systemd/system/multi-user.target.wants/NetworkManager.service"
    link.parent.mkdir(parents=True)
    link.symlink_to("/lib/systemd/system/NetworkManager.service")
    for path, text in texts.items():
        (etc / path).parent.mkdir(parents=True, exist_ok=True)
        (etc / path).write_text(text)


def test_the_standby_address_and_the_name_of_the_card_come_into_its_profile(tmp_path: Path) -> None:
    enabled(tmp_path, {f"{FOLDER}/a.nmconnection": INSTALLER, f"{FOLDER}/b.nmconnection": BOND})
    system = network_system(tmp_path)
    assert system is not None
    assert system.name == "NetworkManager"
    named = system.by_name(tmp_path, {"52:54:00:aa:bb:cc": "eth7"})
    assert list(named) == [f"{FOLDER}/a.nmconnection"]
    wanted = [Address("eth7", "10.77.0.2", 24), Address("bond0", "10.78.0.2", 24)]
    texts = {**named, **system.standby(tmp_path, wanted, named)}
    cards = networkmanager.parse(texts).interfaces
    assert (cards[0].name, cards[0].mac) == ("eth7", "")
    assert [str(address) for address in cards[0].addresses] == ["10.77.0.2/24", "192.0.2.10/24", "192.0.2.11/24"]
    assert [str(address) for address in cards[1].addresses] == ["10.78.0.2/24"]


def test_a_closed_section_is_opened_for_the_standby_address(tmp_path: Path) -> None:
    closed = "[connection]\nid=x\ntype=ethernet\ninterface-name=eth0\n\n[ipv4]\nmethod=disabled\n"
    enabled(tmp_path, {f"{FOLDER}/x.nmconnection": closed})
    texts = networkmanager.standby(tmp_path, [Address("eth0", "10.77.0.2", 24)], {})
    (card,) = networkmanager.parse(texts).interfaces
    assert ([str(address) for address in card.addresses], card.dhcp4) == (["10.77.0.2/24"], False)


def test_profiles_of_the_old_form_are_refused_by_name(tmp_path: Path) -> None:
    enabled(tmp_path, {"sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\n"})
    assert networkmanager.available(tmp_path)
    with pytest.raises(ConfigError, match="ifcfg-eth0"):
        networkmanager.read(tmp_path)
