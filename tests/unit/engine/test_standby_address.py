"""The standby address in network files: what a promotion added goes again, and an old MASTER's files get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.backends.network.detect import network_system
from hotsync.engine.network.standby_address import files_without
from hotsync.engine.rejoin.network import network_files, write_files
from hotsync.errors import ConfigError
from hotsync.model.facts import InterfaceFact, NetworkFacts
from hotsync.model.network.values import Address
from hotsync.system.paths import Paths

PRODUCTION, STANDBY = Address("eth0", "10.77.0.1", 24), Address("eth0", "10.77.0.2", 24)
IFUPDOWN = {
    "network/interfaces": "# own words\nauto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n"
    "    address 10.77.0.1/24\n    gateway 10.77.0.254\n",
}
NETPLAN = {
    "netplan/50-own.yaml": "# own words\nnetwork:\n  version: 2\n  ethernets:\n    eth0:\n"
    "      addresses: [10.77.0.1/24]\n      routes: [{to: default, via: 10.77.0.254}]\n",
}
NETWORKD = {
    "systemd/network/10-eth0.network": "# own words\n[Match]\nName=eth0\n\n[Network]\nAddress=10.77.0.1/24\n"
    "Gateway=10.77.0.254\n",
}
SYSTEMS = {"ifupdown": IFUPDOWN, "netplan": NETPLAN, "networkd": NETWORKD}


def fill(root: Path, texts: dict[str, str]) -> Paths:
    for path, text in texts.items():
        (root / "etc" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "etc" / path).write_text(text)
        if path.startswith("systemd/network"):
            link = root / "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
            link.parent.mkdir(parents=True)
            link.symlink_to("/lib/systemd/system/systemd-networkd.service")
    return Paths(root)


def content(etc: Path) -> dict[str, str]:
    found = (path for path in sorted(etc.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(etc)): path.read_text() for path in found}


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_a_promotion_added_goes_as_it_came(tmp_path: Path, name: str) -> None:
    paths = fill(tmp_path, SYSTEMS[name])
    etc = paths.at("/etc")
    system = network_system(etc)
    assert system is not None
    assert system.name == name
    before = content(etc)
    write_files(etc, system.standby(etc, [STANDBY], {}), tmp_path / "kept.1")
    assert set(system.read(etc).addresses) == {PRODUCTION, STANDBY}
    write_files(etc, files_without(etc, [STANDBY], paths), tmp_path / "kept.2")
    assert content(etc) == before
    assert files_without(etc, [STANDBY], paths) == {}


@pytest.mark.parametrize("name", SYSTEMS)
def test_where_it_is_part_of_the_lines_they_are_written_anew(tmp_path: Path, name: str) -> None:
    texts = {path: text.replace("10.77.0.1/24", "10.77.0.2/24") for path, text in SYSTEMS[name].items()}
    paths = fill(tmp_path, texts)
    etc = paths.at("/etc")
    write_files(etc, files_without(etc, [STANDBY], paths), tmp_path / "kept")
    system = network_system(etc)
    assert system is not None
    assert system.read(etc).addresses == ()
    assert content(tmp_path / "kept") == texts


@pytest.mark.parametrize("name", SYSTEMS)
def test_an_old_masters_files_get_it_in_the_place_of_productions(tmp_path: Path, name: str) -> None:
    etc = fill(tmp_path, SYSTEMS[name]).at("/etc")
    texts = network_files(etc, [PRODUCTION], [STANDBY])
    write_files(etc, texts, tmp_path / "kept")
    write_files(etc, texts, tmp_path / "kept")
    system = network_system(etc)
    assert system is not None
    state = system.read(etc)
    assert state.addresses == (STANDBY,)
    assert [gateway.address for gateway in state.gateways] == ["10.77.0.254"]
    assert network_files(etc, [PRODUCTION], [STANDBY]) == {}
    assert content(tmp_path / "kept") == SYSTEMS[name]


LEASED = {
    "ifupdown": {"network/interfaces": "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n"},
    "netplan": {"netplan/50-own.yaml": "network:\n  version: 2\n  ethernets:\n    eth0: {dhcp4: true}\n"},
    "networkd": {"systemd/network/10-eth0.network": "[Match]\nName=e*\n\n[Network]\nDHCP=ipv4\n"},
}


@pytest.mark.parametrize("name", LEASED)
def test_where_productions_address_was_lent_they_say_what_came_with_the_lease_and_ask_nobody(
    tmp_path: Path, name: str
) -> None:
    etc = fill(tmp_path, LEASED[name]).at("/etc")
    cards = (InterfaceFact("eth0", "02:00:00:00:00:01"),)
    told, gateway = NetworkFacts(interfaces=cards, dns=("10.77.0.53",)), Address("eth0", "10.77.0.254", 32)
    write_files(etc, network_files(etc, [PRODUCTION], [STANDBY], [gateway], told), tmp_path / "kept")
    system = network_system(etc)
    assert system is not None
    state = system.read(etc)
    assert not state.uses_dhcp
    assert (state.addresses, state.gateways) == ((STANDBY,), (gateway,))
    (interface,) = (each for each in state.interfaces if each.name == "eth0")
    assert interface.dns == ("10.77.0.53",)


def test_what_nobody_knows_is_refused_before_anything_begins(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    with pytest.raises(ConfigError, match="no network system"):
        network_files(tmp_path / "etc", [PRODUCTION], [STANDBY])
