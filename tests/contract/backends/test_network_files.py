"""The standby address in the files of the MASTER: each system's own program reads what we wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.backends.network import ifupdown, networkd
from hotsync.backends.network.detect import network_system
from hotsync.model.network.values import Address

STANDBY = [Address("eth0", "10.77.0.2", 24)]
INTERFACES = "auto lo\niface lo inet loopback\nauto eth0\niface eth0 inet static\n    address 10.77.0.1/24\n"
NETWORK = "[Match]\nName=eth*\n[Network]\nAddress=10.77.0.1/24\n"

pytestmark = pytest.mark.contract


def put(etc: Path, texts: dict[str, str]) -> None:
    for path, text in texts.items():
        (etc / path).parent.mkdir(parents=True, exist_ok=True)
        (etc / path).write_text(text)


@pytest.mark.parametrize("head", ["", "source /etc/network/interfaces.d/*\n", "source-directory interfaces.d\n"])
def test_ifupdown_reads_the_standby_address_beside_the_masters(tmp_path: Path, head: str) -> None:
    put(tmp_path, {ifupdown.FILE: head + INTERFACES})
    put(tmp_path, ifupdown.standby(tmp_path, STANDBY, {}))
    assert [str(address) for address in ifupdown.read(tmp_path).addresses] == ["10.77.0.1/24", "10.77.0.2/24"]
    again = ifupdown.standby(tmp_path, STANDBY, {})
    assert again[ifupdown.FILE] == (tmp_path / ifupdown.FILE).read_text()
    system = network_system(tmp_path)
    assert system is not None
    assert system.name == "ifupdown"


def test_networkd_reads_the_standby_address_from_a_drop_in_of_the_file_that_matches(tmp_path: Path) -> None:
    put(tmp_path, {"systemd/network/10-all.network": NETWORK})
    link = tmp_path / "systemd/system/multi-user.target.wants/systemd-networkd.service"
    link.parent.mkdir(parents=True)
    link.symlink_to("/lib/systemd/system/systemd-networkd.service")
    texts = networkd.standby(tmp_path, STANDBY, {})
    assert list(texts) == ["systemd/network/10-all.network.d/zz-hotsync-standby.conf"]
    put(tmp_path, texts)
    assert [str(address) for address in networkd.read(tmp_path).addresses] == ["10.77.0.1/24", "10.77.0.2/24"]
    system = network_system(tmp_path)
    assert system is not None
    assert system.name == "networkd"
    assert network_system(tmp_path / "nothing") is None


def test_a_hostile_masters_files_are_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("iface secret inet static\n    address 10.0.0.1/8\n")
    etc = tmp_path / "etc"
    put(etc, {ifupdown.FILE: "source /etc/network/interfaces.d/*\nsource ../../secret\nsource /etc/network/pipe\n"})
    (etc / "network/interfaces.d").mkdir()
    (etc / "network/interfaces.d/link").symlink_to(secret)
    os.mkfifo(etc / "network/pipe")
    os.truncate(os.open(etc / "network/interfaces.d/large", os.O_CREAT | os.O_WRONLY), 2**40)
    assert ifupdown.read(etc).interfaces == ()
    assert network_system(etc) is None
    (etc / "systemd").mkdir()
    (etc / "systemd/network").symlink_to(tmp_path)
    assert networkd.read(etc).interfaces == ()
