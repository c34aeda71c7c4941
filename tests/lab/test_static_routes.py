"""A MASTER whose ifupdown brings static routes, MTUs, a second table and commands: its SLAVE has them at once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, SLAVE, make_waiting, own_name, wait_for
from tests.lab.production import promote
from tests.lab.test_other_cards import NICS, RIGHT, WRONG, reached
from tests.lab.test_undo import undo

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(1800)]

DMZ, MASTER_6, CLIENT = "10.78.0.1", "2001:db8:77::1", "10.77.0.100"
OF_THE_MASTER = f"""\
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address {MASTER}/24
    broadcast 10.77.0.255
    gateway 10.77.0.254
    metric 7
    mtu 1400
    up ip route add 10.91.0.0/16 via {CLIENT} dev eth0
    up ip route add 10.92.0.0/16 via 192.0.2.9 dev eth0 onlink metric 50
    up ip route add default via {CLIENT} dev eth0 table 77
    up ip rule add from {MASTER} to 10.93.0.0/16 table 77
iface eth0 inet6 static
    address {MASTER_6}/64
    accept_ra 0
    up ip -6 route add 2001:db8:99::/48 via 2001:db8:77::100 dev eth0

auto eth1
iface eth1 inet static
    address {DMZ}/24
    broadcast 10.78.0.250
    mtu 1380
iface eth1 inet static
    address 10.79.0.1/24
    broadcast 10.79.0.250
"""
COMMAND = f"ip rule add from {MASTER} to 10.93.0.0/16 table 77"


@pytest.fixture(scope="module")
def prepared() -> Iterator[Lab]:
    """That MASTER, dead, and a SLAVE with other cards in another order; saved as `dead`."""
    lab = Lab.up(name=own_name("routes"), bare=True, nics=NICS)
    try:
        lab.master.write("/etc/network/interfaces", OF_THE_MASTER)
        lab.master.stop()
        lab.master.boot()
        wait_for(lab.master, "ip -6 route show 2001:db8:99::/48 | grep -q via")
        check_network(lab.master, "eth0", "eth1", rule=True)
        make_waiting(lab)
        lab.master.kill()
        lab.save("dead")
        yield lab
    finally:
        lab.down()


def routes(host: Host) -> list[str]:
    shown = [host.run(["ip", family, "route", "show", "table", "all"]).stdout for family in ("-4", "-6")]
    # ifup says of a gateway that it is on the wire, where that goes without saying
    lines = (line.replace(" onlink", "").strip() for text in shown for line in text.splitlines())
    return sorted(line for line in lines if "table local" not in line)


def mtus(host: Host) -> dict[str, int]:
    return {link["ifname"]: link["mtu"] for link in json.loads(host.run(["ip", "-j", "link", "show"]).stdout)}


def check_network(host: Host, lan: str, dmz: str, *, rule: bool = False) -> None:
    """All that the MASTER's file says is there, on the cards that take the place of its own."""
    there = routes(host)
    for way in (
        f"10.91.0.0/16 via {CLIENT} dev {lan}",
        f"10.92.0.0/16 via 192.0.2.9 dev {lan}",
        f"default via {CLIENT} dev {lan} table 77",
        f"2001:db8:99::/48 via 2001:db8:77::100 dev {lan}",
        f"default via 10.77.0.254 dev {lan}",
    ):
        assert [line for line in there if line.startswith(way)], (way, there)
    assert (mtus(host)[lan], mtus(host)[dmz]) == (1400, 1380)
    shown = host.run(["ip", "-o", "address", "show", "dev", dmz]).stdout
    assert DMZ in shown
    assert "10.79.0.1/24" in shown
    rules = host.run(["ip", "rule", "show"]).stdout
    assert not rule or f"from {MASTER} to 10.93.0.0/16" in rules, rules


def test_they_are_there_at_once_and_after_a_boot_and_what_nobody_ran_is_said(prepared: Lab) -> None:
    prepared.revert("dead")
    slave = prepared.slave
    code, document, said = promote(slave, *RIGHT)
    assert code in (0, 1), (document, said)
    check_network(slave, "ens18", "enp1s0")
    assert "10.93.0.0/16" not in slave.run(["ip", "rule", "show"]).stdout
    assert f"by hand: `{COMMAND}`." in " ".join(document["notes"]), document["notes"]
    (check,) = (each for each in document["checks"] if each["name"] == "production.addresses")
    assert check["verdict"] == "green", check
    assert reached(prepared, MASTER)
    slave.stop()
    slave.boot()
    assert slave.run(["systemctl", "is-active", "networking.service"], check=False).stdout.strip() == "active"
    check_network(slave, "ens18", "enp1s0", rule=True)
    for address in (MASTER, SLAVE):
        assert reached(prepared, address), address


def test_an_undo_takes_them_away_and_gives_back_what_this_server_had(prepared: Lab) -> None:
    prepared.revert("dead")
    slave = prepared.slave
    before = routes(slave), mtus(slave)
    code, document, said = promote(slave, *RIGHT)
    assert code in (0, 1), (document, said)
    code, document, said = undo(slave)
    assert code in (0, 1), (document, said)
    assert (routes(slave), mtus(slave)) == before
    assert reached(prepared, SLAVE)


def test_a_rollback_takes_them_away_and_gives_back_what_this_server_had(prepared: Lab) -> None:
    prepared.revert("dead")
    slave = prepared.slave
    slave.run(["config", "setprop", "hotsync", "RollbackSeconds", "15", "NetworkProbe", CLIENT])
    slave.run(["ip", "route", "append", "10.94.0.0/16", "nexthop", "via", CLIENT, "nexthop", "via", "10.77.0.99"])
    before = routes(slave), mtus(slave)
    code, document, said = promote(slave, *WRONG)
    assert code == 9, (document, said)
    assert (routes(slave), mtus(slave)) == before
    code, document, said = promote(slave, *RIGHT)
    assert code in (0, 1), (document, said)
    check_network(slave, "ens18", "enp1s0")
