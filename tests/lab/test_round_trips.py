"""Two round trips: each server is lost and comes back twice, boots once in each of its turns, and serves alone."""

from __future__ import annotations

import json

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, wait_for
from tests.lab.production import promote
from tests.lab.test_rejoin import run_of

pytestmark = [pytest.mark.lab, pytest.mark.full, pytest.mark.timeout(3600)]


def check_serves_alone(lab: Lab, host: Host, epoch: int, written: list[str]) -> None:
    """The promoted server has everything that anybody wrote so far, and is MASTER."""
    assert lab.client.run(["curl", "-sf", f"http://{MASTER}/"]).stdout == "page of the master\n"
    rows = host.run(["mysql", "-Ne", "select group_concat(what order by id) from shop.orders"]).stdout.strip()
    assert rows.split(",") == ["apples", "pears", *written]
    assert host.run("cat /srv/share/turns 2>/dev/null; true").stdout.split() == written
    role = json.loads(host.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"], role["claim"]) == ("master", epoch, None)
    assert host.run(["systemctl", "--failed", "--no-legend", "--plain"]).stdout == ""


def take_over(lab: Lab, lost: Host, host: Host, epoch: int, written: list[str]) -> None:
    """One server loses its power; the other is promoted, every check holds, also after it lost its power once."""
    lost.kill()
    code, document, said = promote(host, "--network", "1")
    assert code in (0, 1), (document, said)
    assert [check for check in document["checks"] if check["verdict"] != "green"] == []
    check_serves_alone(lab, host, epoch, written)
    host.kill()
    host.boot()
    wait_for(host, "systemctl is-system-running | grep -qE 'running|degraded'", 120)
    check_serves_alone(lab, host, epoch, written)


def write(host: Host, written: list[str]) -> None:
    """The server that serves takes an order and a file."""
    turn = f"turn-{len(written) + 1}"
    host.run(["mysql", "-e", f"insert into shop.orders values ({len(written) + 3}, '{turn}')"])
    host.run(f"echo {turn} >>/srv/share/turns")
    written.append(turn)


def come_back(lost: Host, host: Host) -> None:
    """The lost server is switched on, holds itself, becomes SLAVE, gets what is newer, and is made ready."""
    lost.boot()
    wait_for(lost, "hotsync status | grep -q HELD", 120)
    assert f"{MASTER}/" not in lost.run(["ip", "-4", "address", "show"]).stdout
    done = lost.run(["hotsync", "rejoin", "--yes"], check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    record = run_of(host)
    assert record["exit_code"] in (0, 1), json.dumps(record)
    ready = lost.run(["hotsync-slave"], check=False, timeout=900)
    assert ready.returncode in (0, 1), ready.stdout + ready.stderr


def test_two_full_round_trips_each_server_booted_and_every_check_green(prepared: Lab) -> None:
    prepared.revert("ready")
    serving, waiting = prepared.master, prepared.slave
    written: list[str] = []
    for epoch in range(1, 5):
        take_over(prepared, serving, waiting, epoch, written)
        write(waiting, written)
        come_back(serving, waiting)
        serving, waiting = waiting, serving
    assert serving is prepared.master
    assert waiting.read("/var/lib/hotsync/replica/tree/srv/share/turns").split() == written
