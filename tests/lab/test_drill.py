"""The promotion rehearsed on the SLAVE while its MASTER lives: green where it would go well, red where it would not."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, TREE, status, sync, wait_for
from tests.lab.drill_faults import FAULTS
from tests.lab.production import promote, switch_off

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

PASSWORD = "correct"
LEFT = """
ls -d /run/hotsync/drill /var/lib/hotsync/replica/pins/drill* /run/systemd/nspawn/*/*
losetup -a | grep /var/lib/hotsync/; grep overlay /proc/self/mounts; pgrep -x systemd-nspawn; ip -o link | grep drill
systemctl list-units --all --plain --no-legend 'hotsync-drill-room*'
"""
"""What a drill could leave behind, on this host and in its replica."""


@pytest.fixture(scope="module")
def prepared(production: Lab) -> Iterator[Lab]:
    """A ready SLAVE with an account for the checks, and its MASTER, saved as `rehearsed`."""
    production.revert("ready")
    production.master.run(
        f"echo anna:{PASSWORD} | chpasswd; printf '{PASSWORD}\\n{PASSWORD}\\n' | smbpasswd -s -a anna"
    )
    production.slave.run(["config", "setprop", "hotsync", "CheckUser", "anna", "CheckPassword", PASSWORD])
    assert sync(production)["exit_code"] in (0, 1)
    production.slave.run(["hotsync-slave"], check=False, timeout=900)
    production.slave.run(["sync"])
    production.save("rehearsed")
    yield production
    switch_off(production)


@pytest.fixture
def alive(prepared: Lab) -> Lab:
    """Both hosts, ready, the MASTER on."""
    prepared.revert("rehearsed")
    return prepared


def drill(host: Host) -> tuple[int, dict[str, Any]]:
    """Run a drill; return exit code and document."""
    done = host.run(["hotsync", "drill", "--json"], check=False, timeout=900)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def red_of(document: dict[str, Any]) -> dict[str, str]:
    """Return what of a drill is red, by name."""
    return {each["name"]: each["detail"] for each in document["checks"] if each["verdict"] == "red"}


def left_on(host: Host) -> list[str]:
    """Return what a drill has left on a host."""
    return host.run(f"{{ {LEFT} }} 2>/dev/null", check=False).stdout.splitlines()


HEARD = "nft list table arp drill | grep -o 'counter packets [0-9]*'"
"""How often the MASTER heard on its wire that somebody else has its address."""


def test_a_good_slave_holds_its_drill_while_generations_arrive_and_nothing_gets_out(alive: Lab) -> None:
    assert left_on(alive.slave) == []
    alive.master.run(
        "nft add table arp drill; nft add chain arp drill in '{ type filter hook input priority 0; }';"
        f"nft add rule arp drill in arp saddr ip {MASTER} counter"
    )
    running = alive.slave.spawn(["hotsync", "drill", "--json"])
    wait_for(alive.slave, "test -e /run/hotsync/drill/console || test -d /var/lib/hotsync/replica/pins/drill", 120)
    alive.master.run("echo more >/srv/share/more")
    assert sync(alive)["exit_code"] in (0, 1), "replication goes on meanwhile"
    said, _ = running.communicate(timeout=900)
    document = json.loads(said)
    assert red_of(document) == {}, document
    assert running.returncode in (0, 1), document
    assert document["generation"] == 2, "that of its beginning"
    asked = {each["name"] for each in document["checks"] if each["verdict"] == "green"}
    assert {
        "rows.mariadb/default", "rows.postgresql/15-main", "client.apache.http.1", "client.dovecot.imap.1",
        "client.samba.smb.1", f"client.reach.{MASTER}", "replica", "promotion.done",
    } <= asked, asked  # fmt: skip
    details = {each["name"]: each["detail"] for each in document["checks"]}
    assert "anna logged in" in details["client.dovecot.imap.1"] + details["client.samba.smb.1"]
    assert {"verify", "pin", "build", "boot", "promotion", "count"} <= {each["name"] for each in document["stages"]}
    assert any("fences" in sentence for sentence in document["left_out"])
    assert left_on(alive.slave) == []
    role = json.loads(alive.slave.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"], role["claim"]) == ("slave", 0, None)
    assert alive.slave.read(f"{TREE}/srv/share/more") == "more\n"
    shown = status(alive.slave)
    assert (shown["drill"]["verdict"], shown["generation"]["number"]) == (document["verdict"], 3)
    assert alive.master.run(HEARD).stdout == "counter packets 0\n"
    alive.slave.run(f"ip address add {MASTER}/32 dev eth0; arping -q -U -c 1 -I eth0 {MASTER}")
    assert alive.master.run(HEARD).stdout != "counter packets 0\n", "one that was told is counted"


def tried(host: Host) -> dict[str, tuple[str, str]]:
    """Try the fences; return what came of each, and in which words."""
    done = host.run(["hotsync", "drill", "--fences", "--json"], check=False, timeout=120)
    assert done.stdout, done.stderr
    return {each["tier"]: (each["outcome"], each["detail"]) for each in json.loads(done.stdout)["fences"]}


def test_the_fences_are_tried_and_the_master_goes_on(alive: Lab) -> None:
    master, slave = alive.master, alive.slave
    slave.run("mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
    key = slave.read("/root/.ssh/id_ed25519.pub")
    slave.write("/root/.ssh/known_hosts", f"{MASTER} {master.read('/etc/ssh/ssh_host_ed25519_key.pub')}")
    master.run("useradd -m fence; mkdir -p -m 700 /root/.ssh; install -d -m 700 -o fence /home/fence/.ssh")
    switches_off, asks = "/usr/local/sbin/fence-master", "/usr/local/sbin/fence-test"
    slave.write(switches_off, f"#!/bin/sh\nexec ssh {MASTER} poweroff\n", 0o755)
    slave.write(asks, f'#!/bin/sh\ntest "$2" = {MASTER}\n', 0o755)
    slave.run(["config", "setprop", "hotsync", "FenceSsh", MASTER, "FenceCommand", switches_off, "FenceTest", asks])
    found = tried(slave)
    assert found["agent"][0] == "works"
    assert found["agent"][1].startswith("it answers at fe80:"), "where it stays when it lets its addresses go"
    assert found["ssh"][0] == "failed"
    assert "Permission denied" in found["ssh"][1]
    assert found["command"] == ("works", f"{asks} ended with 0")
    assert status(slave)["fences"][1]["outcome"] == "failed"
    master.write("/root/.ssh/authorized_keys", f'command="/usr/bin/systemctl --no-block poweroff" {key}', 0o600)
    outcome, said = tried(slave)["ssh"]
    assert (outcome, "command of its own, which was not run" in said) == ("not_run", True), said
    master.write("/root/.ssh/authorized_keys", key, 0o600)
    slave.run(["config", "setprop", "hotsync", "FenceTest", switches_off])
    found = tried(slave)
    assert found["ssh"] == ("works", f"root is let in at {MASTER}, and may switch it off")
    assert "very program" in found["command"][1]
    master.write("/home/fence/.ssh/authorized_keys", key, 0o644)
    slave.write("/root/.ssh/config", f"Host {MASTER}\nUser fence\n", 0o600)
    outcome, said = tried(slave)["ssh"]
    assert (outcome, said.startswith("fence is let in")) == ("failed", True), said
    assert "poweroff" not in master.run(["systemctl", "list-jobs"]).stdout
    assert sync(alive)["exit_code"] in (0, 1), "it serves as before"


@pytest.mark.full
def test_a_client_reaches_productions_addresses_of_ipv6_too_and_what_it_did_not_ask_there_is_named(alive: Lab) -> None:
    addresses = ("2001:db8:77::1", "fd12:3456:77::1")
    for address in addresses:
        alive.master.run(
            f"printf '\\niface eth0 inet6 static\\n    address {address}/64\\n' >>/etc/network/interfaces;"
            f"ip address add {address}/64 dev eth0 nodad"
        )
    assert sync(alive)["exit_code"] in (0, 1)
    code, document = drill(alive.slave)
    assert (code, red_of(document)) in ((0, {}), (1, {})), document
    asked = {each["name"] for each in document["checks"] if each["verdict"] == "green"}
    assert {f"client.reach.{address}" for address in (MASTER, *addresses)} <= asked, asked
    assert any(f"the services at {', '.join(addresses)}" in sentence for sentence in document["left_out"]), document


@pytest.mark.full
def test_a_promotion_takes_as_long_as_the_drill_before_it(alive: Lab) -> None:
    alive.master.kill()
    code, document = drill(alive.slave)
    assert (code, red_of(document)) in ((0, {}), (1, {})), document
    begun = time.monotonic()
    code, promoted, told = promote(alive.slave, "--network", "1")
    took = time.monotonic() - begun
    assert code in (0, 1), (promoted, told)
    assert abs(document["rto_seconds"] - took) <= 0.3 * took, (document["rto_seconds"], took, document["stages"])


IN_THE_FIRST_RING = ("a web server that cannot start",)


@pytest.mark.parametrize(
    "fault", [pytest.param(each, marks=() if each in IN_THE_FIRST_RING else pytest.mark.full) for each in FAULTS]
)
def test_a_planted_fault_turns_the_drill_red_with_the_reason(alive: Lab, fault: str) -> None:
    on, plant, check, word = FAULTS[fault]
    host = alive.master if on == "master" else alive.slave
    host.run(["bash", "-euc", plant])
    if on == "master":
        assert sync(alive)["exit_code"] in (0, 1)
    code, document = drill(alive.slave)
    assert (code, document["verdict"]) == (9, "red"), document
    red = red_of(document)
    assert word in red.get(check, ""), red
    assert word in document["reason"]
    assert left_on(alive.slave) == []


STAGES = (
    "Planning",
    "The replica is verified",
    "The last generation is kept",
    "The sandbox is built",
    "Its network",
    "Booting",
    "Promoting",
    "Its databases",
    "A client",
)


WAYS_TO_END = ("SIGKILL of all", "SIGKILL of one", "power cut")


@pytest.mark.parametrize(
    "how", [pytest.param(each, marks=() if each == WAYS_TO_END[0] else pytest.mark.full) for each in WAYS_TO_END]
)
def test_ended_at_any_stage_nothing_is_left_and_the_next_one_holds(
    alive: Lab, how: str, dice: random.Random, full_size: bool
) -> None:
    for stage in STAGES if full_size else dice.sample(STAGES, 1):
        # so many starts in a row are a loop to systemd, unless it is told that they are meant (`hotsync drill` does so)
        start = "systemctl reset-failed hotsync-drill; systemctl start --no-block hotsync-drill"
        alive.slave.run(f"rm -f /run/hotsync/drill-events; {start}", check=False)
        wait_for(alive.slave, f'grep -q \'"said": "{stage}\' /run/hotsync/drill-events', 300)
        if how == "power cut":
            alive.slave.kill()
            alive.slave.boot()
        else:
            whom = "all" if how == "SIGKILL of all" else "main"
            alive.slave.run(f"systemctl kill --signal=KILL --kill-who={whom} hotsync-drill", check=False)
            # while it is cleaned up after, a start would be taken for the one that was killed
            ended = "systemctl show --property=ActiveState --value hotsync-drill | grep -qE 'inactive|failed'"
            wait_for(alive.slave, ended, 60)
        wait_for(alive.slave, f'test -z "$({{ {LEFT} }} 2>/dev/null)"', 30)
    code, document = drill(alive.slave)
    assert red_of(document) == {}, document
    assert code in (0, 1)


@pytest.mark.full
def test_a_real_promotion_ends_a_drill_and_does_not_wait_for_it(alive: Lab) -> None:
    alive.slave.run("systemctl start --no-block hotsync-drill")
    wait_for(alive.slave, "grep -q 'Promoting the sandbox' /run/hotsync/drill-events", 300)
    alive.master.kill()
    code, document, said = promote(alive.slave, "--network", "1")
    assert code in (0, 1), (document, said)
    assert "Ending a drill" in said
    assert left_on(alive.slave) == []
    assert alive.slave.run(["systemctl", "is-enabled", "hotsync-drill.timer"], check=False).stdout.strip() == "disabled"
