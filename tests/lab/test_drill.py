"""The promotion rehearsed on the SLAVE while its MASTER lives: green where it would go well, red where it would not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Host, Lab
from tests.lab.conftest import status, sync
from tests.lab.production import promote, switch_off

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

LEFT = """
ls /run/hotsync/drill /run/netns 2>/dev/null; ls -A /var/lib/hotsync/replica/pins 2>/dev/null
losetup -a; grep -E 'drill|overlay' /proc/self/mounts; pgrep -x systemd-nspawn
systemctl list-units --all --plain --no-legend 'hotsync-drill-room*'; ls /run/systemd/nspawn/propagate 2>/dev/null
"""


@pytest.fixture(scope="module")
def prepared(production: Lab) -> Iterator[Lab]:
    """A ready SLAVE and its MASTER, alive, for all drills."""
    yield production
    switch_off(production)


@pytest.fixture
def alive(prepared: Lab) -> Lab:
    """Both hosts, ready, the MASTER on."""
    prepared.revert("ready")
    return prepared


def drill(host: Host) -> tuple[int, dict[str, Any]]:
    """Run a drill; return exit code and document."""
    done = host.run(["hotsync", "drill", "--json"], check=False, timeout=900)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def red_of(document: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["detail"] for each in document["checks"] if each["verdict"] == "red"}


def test_a_good_slave_holds_its_drill_and_its_promotion_takes_as_long(alive: Lab) -> None:
    before = alive.slave.run(LEFT, check=False).stdout
    code, document = drill(alive.slave)
    assert red_of(document) == {}, document
    assert code in (0, 1), document
    assert document["rto_seconds"] > 0
    asked = {each["name"] for each in document["checks"]}
    assert {"rows.mariadb/default", "rows.postgresql/15-main", "client.apache.http.1"} <= asked
    assert alive.slave.run(LEFT, check=False).stdout == before
    role = json.loads(alive.slave.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"], role["claim"]) == ("slave", 0, None)
    alive.master.run("echo more >/srv/share/more")
    assert sync(alive)["exit_code"] in (0, 1)
    assert status(alive.slave)["drill"]["verdict"] == document["verdict"]
    alive.master.kill()
    code, promoted, said = promote(alive.slave, "--network", "1")
    assert code in (0, 1), (promoted, said)
