"""A SLAVE that is another machine: cards of other names, in another order; a wrong mapping heals itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from subprocess import DEVNULL

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, SLAVE, make_waiting, own_name, wait_for
from tests.lab.production import promote

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

# the MASTER's second network is the SLAVE's first card, and none of the names is the same
NICS = "master=eth1:dmz@10.78.0.1/24;slave=enp1s0:dmz@10.78.0.2/24,ens18:lan"
DMZ = "10.78.0.1"
RIGHT = ("--map", "eth0=ens18", "--map", "eth1=enp1s0")
WRONG = ("--map", "eth0=enp1s0", "--map", "eth1=ens18")


@pytest.fixture(scope="module")
def prepared() -> Iterator[Lab]:
    """A dead MASTER with two networks and a SLAVE with other cards, saved as `dead`."""
    lab = Lab.up(name=own_name("cards"), bare=True, nics=NICS)
    try:
        make_waiting(lab)
        lab.save("ready")
        lab.master.kill()
        lab.save("dead")
        yield lab
    finally:
        lab.down()


def addresses(host: Host, card: str) -> set[str]:
    shown = json.loads(host.run(["ip", "-j", "-4", "address", "show", "dev", card]).stdout)
    return {each["local"] for link in shown for each in link["addr_info"]}


def reached(lab: Lab, address: str) -> bool:
    """Whether the server answers the client there, be it that nobody listens at that port."""
    knock = f"import socket; socket.socket().connect_ex(({address!r}, 9)) == 111 or exit(1)"
    return lab.client.run(["timeout", "10", sys.executable, "-Ic", knock], check=False).returncode == 0


@pytest.mark.full
def test_the_readiness_proposes_which_card_takes_the_place_of_which(prepared: Lab) -> None:
    prepared.revert("ready")
    record = json.loads(prepared.slave.run(["hotsync-slave", "--json"], check=False, timeout=600).stdout)
    said = " ".join(f"{check['detail']} {check['hint']}" for check in record["checks"])
    assert "--map eth0=ens18" in said, record
    assert "--map eth1=enp1s0" in said, record
    done = prepared.slave.run(["hotsync-slave", *RIGHT], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(prepared.slave.run(["hotsync-slave", "--json"], check=False, timeout=600).stdout)
    assert "--map eth0=ens18" not in json.dumps(record["checks"])


def test_by_a_mapping_it_has_the_masters_network_now_and_after_a_boot(prepared: Lab) -> None:
    prepared.revert("dead")
    slave = prepared.slave
    refused = slave.run(["hotsync-promote", "--yes"], check=False)
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "--map eth0=ens18" in refused.stderr, refused.stderr
    code, document, said = promote(slave, *RIGHT)
    assert code in (0, 1), (document, said)
    for _ in range(2):
        assert {MASTER, SLAVE} <= addresses(slave, "ens18")
        assert DMZ in addresses(slave, "enp1s0")
        assert reached(prepared, MASTER)
        slave.stop()
        slave.boot()


@pytest.mark.full
def test_a_wrong_mapping_is_taken_back_by_itself_and_the_promotion_can_go_on(prepared: Lab) -> None:
    prepared.revert("dead")
    slave = prepared.slave
    slave.run(["config", "setprop", "hotsync", "RollbackSeconds", "15", "NetworkProbe", "10.77.0.100"])
    code, document, said = promote(slave, *WRONG)
    assert code == 9, (document, said)
    assert SLAVE in addresses(slave, "ens18")
    assert MASTER not in addresses(slave, "enp1s0")
    assert reached(prepared, SLAVE)
    code, document, said = promote(slave, *RIGHT)
    assert code in (0, 1), (document, said)
    assert reached(prepared, MASTER)


@pytest.mark.full
def test_the_old_network_comes_back_also_when_everything_of_hotsync_is_killed(prepared: Lab) -> None:
    prepared.revert("dead")
    slave = prepared.slave
    slave.run(["config", "setprop", "hotsync", "RollbackSeconds", "20", "NetworkProbe", "10.77.0.100"])
    watching = slave.spawn(["hotsync-promote", "--yes", "--json", *WRONG], stdout=DEVNULL)
    wait_for(slave, f"ip -4 address show dev enp1s0 | grep -qF {MASTER}/", 120)
    slave.run("systemctl kill -s KILL hotsync-promote hotsyncd; systemctl stop hotsyncd", check=False)
    watching.wait()
    wait_for(slave, f"! ip -4 address show dev enp1s0 | grep -qF {MASTER}/", 60)
    assert reached(prepared, SLAVE)
    code, document, said = promote(slave, *RIGHT)
    assert code in (0, 1), (document, said)
    assert reached(prepared, MASTER)
