"""What nothing protects is said: on a MASTER within one run of `hotsync coverage`, on a SLAVE by how it differs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab import Host, Lab
from tests.lab.conftest import status, sync, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

# a service that no profile knows, that keeps its book in a folder that no rule speaks of, and listens
LEDGER = """
set -e
mkdir -p /ledger
systemd-run -q --unit=ledger python3 -c '
import socket, time
door = socket.create_server(("", 4711))
book = open("/ledger/book", "a", buffering=1)
while True:
    book.write("a line\\n")
    time.sleep(0.1)
'
"""


def coverage(host: Host, code: int) -> dict[str, Any]:
    done = host.run(["hotsync", "coverage", "--json"], check=False, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_plain_server_has_nothing_unprotected_and_a_strange_service_is_seen_at_once(pair: Lab) -> None:
    master = pair.master
    assert coverage(master, 0)["unprotected"] == []
    master.run(LEDGER)
    wait_for(master, "test -s /ledger/book")
    found = coverage(master, 1)
    told = json.dumps(found["unprotected"])
    assert "/ledger" in told, told
    assert "ledger.service" in told, told
    assert "4711" in told, told
    assert status(master)["coverage"]["unprotected"] == len(found["unprotected"])
    master.write("/etc/backup-data.d/ledger.include", "/ledger\n")
    master.run("systemctl stop ledger")
    assert coverage(master, 0)["unprotected"] == []


def test_a_slave_says_how_it_differs_and_what_of_it_matters(pair: Lab) -> None:
    slave = pair.slave
    assert sync(pair)["exit_code"] == 0
    slave.run(["hotsync-slave"], check=False, timeout=600)
    before = coverage(slave, 0)["differences"]
    assert [each for each in before if each["matters"]] == []
    slave.run("useradd --system --uid 977 stranger; touch /srv/strange; chown stranger /srv/strange")
    pair.master.run("useradd --system --uid 977 wanted; install -o wanted -d /srv/wanted")
    assert sync(pair)["exit_code"] == 0
    found = coverage(slave, 1)["differences"]
    told = [(each["topic"], each["name"]) for each in found if each["matters"]]
    assert ("user", "wanted") in told, found
    slave.run(["hotsync-slave"], check=False, timeout=600)
    assert slave.run(["stat", "-c", "%U", "/srv/strange"]).stdout.strip() == "stranger"
    after = coverage(slave, 0)["differences"]
    assert [each for each in after if each["matters"]] == []
