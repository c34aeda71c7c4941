"""Which processes renew leases of this host's cards, and how ifupdown is had to ask again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hotsync.backends.network.addresses import parse_addresses
from hotsync.backends.network.dhcp_clients import Process, chosen, start_clients
from hotsync.model.network.values import Address
from hotsync.system.command import Completed

PROCESSES = (
    Process(1, 0, "systemd", ("/sbin/init",)),
    Process(300, 1, "dhclient", ("dhclient", "-4", "-pf", "/run/dhclient.eth0.pid", "eth0")),
    Process(301, 300, "dhclient-script", ("/bin/sh", "/sbin/dhclient-script")),
    Process(302, 301, "ip", ("ip", "-4", "addr")),
    Process(310, 1, "busybox", ("busybox", "udhcpc", "-i", "eth1")),
    Process(311, 1, "busybox", ("busybox", "syslogd")),
    Process(320, 1, "dhcpcd", ("dhcpcd: [manager] [ip4]",)),
    Process(321, 320, "dhcpcd", ("dhcpcd: [BPF ARP] eth0 192.0.2.10",)),
    Process(330, 1, "dhclient", ("dhclient", "virbr0")),
    Process(331, 1, "dhclient", ("dhclient", "virbr0", "eth0")),
    Process(340, 1, "sleep", ("dhclient", "eth0")),
)


def test_clients_of_cards_go_with_what_they_started_and_nothing_else_does() -> None:
    assert chosen(PROCESSES, {"eth0", "eth1", "virbr0"}) == {300, 301, 302, 310, 320, 321, 331}


def test_ifupdown_asks_again_on_the_cards_whose_files_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[list[str]] = []

    def run(argv: Sequence[str], **_: object) -> Completed:
        said.append(list(argv))
        return Completed(0, b"", b"")

    monkeypatch.setattr("hotsync.backends.network.dhcp_clients.command.run", run)
    (tmp_path / "network").mkdir()
    file = tmp_path / "network/interfaces"
    start_clients(tmp_path, {"eth0", "eth1"})
    file.write_text("iface eth0 inet dhcp\niface eth1 inet static\n    address 192.0.2.1/24\niface eth9 inet dhcp\n")
    start_clients(tmp_path, {"eth0", "eth1"})
    assert [words[-3:] for words in said] == [["ifup", "--force", "eth0"]]
    file.write_text("iface eth0 inet nobody-knows-this\n")
    start_clients(tmp_path, {"eth0"})
    assert len(said) == 1


def test_what_was_lent_is_told_from_what_a_router_announced() -> None:
    text = """[{"ifname": "eth0", "addr_info": [
        {"family": "inet", "local": "192.0.2.10", "prefixlen": 24, "scope": "global", "dynamic": true},
        {"family": "inet6", "local": "2001:db8::10", "prefixlen": 128, "scope": "global", "dynamic": true},
        {"family": "inet6", "local": "2001:db8::5054:ff", "prefixlen": 64, "scope": "global", "dynamic": true},
        {"family": "inet6", "local": "2001:db8::7", "prefixlen": 64, "scope": "global"}]}]"""
    lent = (Address("eth0", "192.0.2.10", 24), Address("eth0", "2001:db8::10", 128))
    fixed, announced = Address("eth0", "2001:db8::7", 64), Address("eth0", "2001:db8::5054:ff", 64)
    assert parse_addresses(text) == (*lent, announced, fixed)
    assert parse_addresses(text, without_routers=True) == (*lent, fixed)
    assert parse_addresses(text, fixed_only=True) == (fixed,)
