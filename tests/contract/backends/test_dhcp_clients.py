"""A lease that a held MASTER gives up: real clients and a real DHCP server, in networks of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends.network import dhcp_clients, giving_up
from hotsync.backends.network.dhcp_clients import PROGRAMS
from hotsync.engine.one_master.hold import LiveLines
from hotsync.model.hold import to_give_up
from hotsync.model.network.values import Address
from hotsync.system import command
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

FIXED = Address("eth7", "10.99.9.7", 24)
LEASED = "10.99.8.77"
MAC = "02:00:00:00:08:77"


class Wire:
    """A card of ours, and a DHCP server at the other end of its cable, in a network of its own."""

    def __init__(self, place: Path) -> None:
        self.place, self.log = place, place / "dnsmasq.log"
        # what a client's script writes into /etc is written into this test's folder
        self.private = f"mount --bind {place / 'resolv.conf'} /etc/resolv.conf"
        (place / "resolv.conf").touch()
        command.run(["ip", "link", "add", "eth7", "address", MAC, "type", "veth", "peer", "name", "far7"])
        script = 'read go && ip address add 10.99.8.254/24 dev far7 && ip link set far7 up && exec dnsmasq "$@"'
        words = ["unshare", "--net", "sh", "-c", script, "server"]
        options = [
            "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=far7", "--bind-interfaces",
            "--dhcp-range=10.99.8.70,10.99.8.90,2m", f"--dhcp-host={MAC},{LEASED}", "--dhcp-option=3",
            "--dhcp-option=6", "--no-ping", "--log-dhcp", f"--log-facility={self.log}", "--user=root",
            f"--dhcp-leasefile={place}/leases", f"--pid-file={place}/dnsmasq.pid",
        ]  # fmt: skip
        self.server = subprocess.Popen([*words, *options], stdin=subprocess.PIPE)
        there = Path(f"/proc/{self.server.pid}/ns/net")
        ours = os.stat("/proc/thread-self/ns/net").st_ino
        while there.stat().st_ino == ours:
            os.sched_yield()
        command.run(["ip", "link", "set", "far7", "netns", str(self.server.pid)])
        command.run(["ip", "link", "set", "eth7", "up"])
        assert self.server.stdin is not None
        self.server.stdin.write(b"go\n")
        self.server.stdin.close()

    def end(self) -> None:
        self.server.kill()
        self.server.wait()

    def client(self, program: str) -> None:
        """Ask for a lease as ifupdown does, and go on in the background."""
        line = {
            "dhclient": f"dhclient -4 -i -pf {self.place}/pid -lf {self.place}/client.leases -I eth7",
            "udhcpc": f"udhcpc -i eth7 -p {self.place}/pid -b -R",
            "dhcpcd": "dhcpcd -4 --noarp --timeout 30 eth7",
        }[program]
        command.run(["unshare", "--mount", "sh", "-c", f"{self.private} && exec {line}"], timeout=60)

    def addresses(self) -> set[str]:
        shown = json.loads(command.run(["ip", "-4", "-j", "address", "show", "dev", "eth7"]).text)
        return {address["local"] for link in shown for address in link["addr_info"]}

    def clients(self) -> list[dhcp_clients.Process]:
        """Return what is left of any client, and of its helpers."""
        return [each for each in dhcp_clients.processes(Path("/proc")) if each.program in PROGRAMS]


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with own_network():
        wire = Wire(tmp_path)
        try:
            yield wire
        finally:
            dhcp_clients.end_clients({"eth7"})
            wire.end()


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_a_held_master_gives_its_lease_up_and_nobody_renews_it_or_gives_it_back(wire: Wire, program: str) -> None:
    wire.client(program)
    assert wire.addresses() == {LEASED}
    assert wire.clients()
    command.run(["ip", "address", "add", str(FIXED), "dev", "eth7"])
    lines = LiveLines()
    given = lines.served()
    assert {address.address for address in given} == {LEASED, FIXED.address}
    lines.give_up(to_give_up(given, ()), ())
    assert wire.addresses() == set()
    assert not wire.clients()
    assert "DHCPACK" in wire.log.read_text()
    assert "DHCPRELEASE" not in wire.log.read_text()


def test_a_client_of_another_network_or_of_a_bridge_of_containers_is_left_alone(wire: Wire, tmp_path: Path) -> None:
    shutil.copy("/bin/sleep", tmp_path / "dhclient")
    command.run(["ip", "link", "add", "docker0", "type", "bridge"])
    command.run(["ip", "link", "set", "docker0", "up"])
    bridge = subprocess.Popen(["udhcpc", "-f", "-i", "docker0", "-s", "/bin/true"], stderr=subprocess.DEVNULL)
    with own_network():
        other = subprocess.Popen([tmp_path / "dhclient", "1000"])
    try:
        giving_up.stop_managers()
        assert other.poll() is None
        assert bridge.poll() is None
    finally:
        for process in (other, bridge):
            process.kill()
            process.wait()


NETWORKD = """
mount -t tmpfs tmpfs /run/systemd
mount -t sysfs -o ro sysfs /sys
mkdir -p /run/systemd/network /run/systemd/netif
chown systemd-network /run/systemd/netif
printf '[Match]\\nName=eth7\\n[Network]\\nDHCP=ipv4\\nLinkLocalAddressing=no\\n' >/run/systemd/network/10-eth7.network
exec /lib/systemd/systemd-networkd
"""


def test_networkd_ended_as_its_unit_is_gives_no_lease_back_either(wire: Wire) -> None:
    """It runs without systemd and udev: a read-only /sys tells it, as in a container, to wait for nobody."""
    with subprocess.Popen(["ip", "-4", "monitor", "address"], stdout=subprocess.PIPE) as monitor:
        networkd = subprocess.Popen(["unshare", "--mount", "sh", "-e", "-c", NETWORKD], stderr=subprocess.DEVNULL)
        assert monitor.stdout is not None
        assert LEASED in monitor.stdout.readline().decode()
        monitor.kill()
    (address,) = (each for each in LiveLines().served() if each.interface == "eth7")
    giving_up.give_up((address,))
    networkd.terminate()
    networkd.wait()
    assert wire.addresses() == set()
    assert "DHCPRELEASE" not in wire.log.read_text()
