"""A MASTER with a bridge, two networks, static routes and IPv6, and a SLAVE with other cards in another order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, SLAVE, make_waiting, own_name, wait_for
from tests.lab.production import promote

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1800)]

# the MASTER's second network is the SLAVE's first card, and none of the names is the same
NICS = "master=eth1:dmz;slave=enp1s0:dmz@10.78.0.2/24,ens18:lan"
RIGHT = ("--map", "eth0=ens18", "--map", "eth1=enp1s0")
WRONG = ("--map", "eth0=enp1s0", "--map", "eth1=ens18")
MASTER_6, MASTER_LOCAL, SLAVE_6, CLIENT_6 = "2001:db8:77::1", "fd00:77::1", "2001:db8:77::2", "2001:db8:77::100"
CLIENT_4, DMZ, DMZ_6 = "10.77.0.100", "10.78.0.1", "2001:db8:78::1"
ROUTES = {"10.99.0.0/16": CLIENT_4, "2001:db8:99::/48": CLIENT_6}
OF_THE_MASTER = {
    "05-br0.netdev": "[NetDev]\nName=br0\nKind=bridge\n\n[Bridge]\nSTP=no\n",
    "10-eth0.network": "[Match]\nName=eth0\n\n[Network]\nBridge=br0\n",
    "10-br0.network": f"[Match]\nName=br0\n\n[Network]\nAddress={MASTER}/24\nAddress={MASTER_6}/64\n"
    f"Address={MASTER_LOCAL}/64\nGateway=10.77.0.254\nIPv6AcceptRA=no\n"
    + "".join(f"\n[Route]\nDestination={route}\nGateway={gateway}\n" for route, gateway in ROUTES.items()),
    "10-eth1.network": f"[Match]\nName=eth1\n\n[Network]\nAddress={DMZ}/24\nAddress={DMZ_6}/64\nIPv6AcceptRA=no\n",
}
OF_THE_SLAVE = {
    "10-ens18.network": f"[Match]\nName=ens18\n\n[Network]\nAddress={SLAVE}/24\nAddress={SLAVE_6}/64\n"
    "Gateway=10.77.0.254\nIPv6AcceptRA=no\n",
}


@pytest.fixture(scope="module")
def prepared() -> Iterator[Lab]:
    """A dead MASTER with a rich network and a SLAVE with other cards, saved as `dead`."""
    lab = Lab.up(name=own_name("rich"), bare=True, network="networkd", nics=NICS)
    try:
        lab.client.run(["ip", "address", "add", f"{CLIENT_6}/64", "dev", "eth0", "nodad"])
        for host, files in ((lab.master, OF_THE_MASTER), (lab.slave, OF_THE_SLAVE)):
            for name, text in files.items():
                host.write(f"/etc/systemd/network/{name}", text)
            host.stop()
            host.boot()
        wait_for(lab.master, f"ip -6 address show dev br0 -tentative | grep -qF {MASTER_6}/")
        make_waiting(lab)
        lab.master.kill()
        lab.save("dead")
        yield lab
    finally:
        lab.down()


def addresses(host: Host) -> set[tuple[str, str]]:
    """Return the addresses of a host that are not link-local, each with its interface."""
    shown = json.loads(host.run(["ip", "-j", "address", "show", "scope", "global"]).stdout)
    return {(link["ifname"], each["local"]) for link in shown if link for each in link["addr_info"] if each}


def routes(host: Host) -> set[tuple[str, str, str]]:
    """Return the routes of a host that lead through somebody: where to, through whom, on which interface."""
    shown = [route for family in "46" for route in json.loads(host.run(["ip", "-j", f"-{family}", "route"]).stdout)]
    return {(each["dst"], each["gateway"], each["dev"]) for each in shown if "gateway" in each}


def reached(lab: Lab, address: str) -> bool:
    """Whether the server answers the client there, be it that nobody listens at that port."""
    family = "AF_INET6" if ":" in address else "AF_INET"
    knock = f"import socket; socket.socket(socket.{family}).connect_ex(({address!r}, 9)) == 111 or exit(1)"
    return lab.client.run(["timeout", "10", sys.executable, "-Ic", knock], check=False).returncode == 0


def assert_is_as_the_master_was(lab: Lab) -> None:
    slave = lab.slave
    wanted = {("br0", address) for address in (MASTER, SLAVE, MASTER_6, MASTER_LOCAL)}
    assert wanted | {("enp1s0", DMZ), ("enp1s0", DMZ_6)} <= addresses(slave)
    for route in ROUTES:
        wait_for(slave, f"ip route show {route} | grep -q br0 || ip -6 route show {route} | grep -q br0")
    assert {(route, gateway, "br0") for route, gateway in ROUTES.items()} <= routes(slave)
    (card,) = json.loads(slave.run(["ip", "-j", "link", "show", "dev", "ens18"]).stdout)
    assert card["master"] == "br0"
    for address in (MASTER, SLAVE, MASTER_6):
        assert reached(lab, address), address


def knows_only(host: Host, neighbour: str) -> None:
    """Let a host know nobody on its wires but one neighbour."""
    wait_for(host, f"ping -n -q -c 1 -W 1 {neighbour}")
    host.run("ip neighbour flush all")
    host.run(["ping", "-n", "-q", "-c", "1", neighbour])


def test_by_a_mapping_the_bridge_the_routes_and_ipv6_are_there_at_once_and_after_a_boot(prepared: Lab) -> None:
    prepared.revert("dead")
    slave = prepared.slave
    code, document, said = promote(slave, *RIGHT)
    assert code in (0, 1), (document, said)
    assert_is_as_the_master_was(prepared)
    slave.stop()
    slave.boot()
    assert_is_as_the_master_was(prepared)


@pytest.mark.parametrize("neighbour", [CLIENT_4, CLIENT_6], ids=["IPv4", "IPv6"])
def test_a_wrong_mapping_is_taken_back_because_who_answered_before_does_not_any_more(
    prepared: Lab, neighbour: str
) -> None:
    """Nothing is set but a shorter time: the neighbours decide."""
    prepared.revert("dead")
    slave = prepared.slave
    slave.run(["config", "setprop", "hotsync", "RollbackSeconds", "15"])
    knows_only(slave, neighbour)
    before = addresses(slave), routes(slave)
    code, document, said = promote(slave, *WRONG)
    assert code == 9, (document, said)
    assert neighbour in said + json.dumps(document), (document, said)
    assert (addresses(slave), routes(slave)) == before
    assert slave.run(["ip", "link", "show", "dev", "br0"], check=False).returncode != 0
    assert reached(prepared, SLAVE)
    assert reached(prepared, SLAVE_6)
    knows_only(slave, neighbour)
    code, document, said = promote(slave, *RIGHT)
    assert code in (0, 1), (document, said)
    assert_is_as_the_master_was(prepared)


def test_an_address_of_ipv6_that_must_answer_proves_the_right_mapping(prepared: Lab) -> None:
    prepared.revert("dead")
    slave = prepared.slave
    slave.run(["config", "setprop", "hotsync", "RollbackSeconds", "15", "NetworkProbe", CLIENT_6])
    before = addresses(slave), routes(slave)
    code, document, said = promote(slave, *WRONG)
    assert code == 9, (document, said)
    assert (addresses(slave), routes(slave)) == before
    code, document, said = promote(slave, *RIGHT)
    assert code in (0, 1), (document, said)
    assert_is_as_the_master_was(prepared)
