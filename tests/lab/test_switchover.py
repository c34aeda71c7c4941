"""Both servers alive exchange places: under load nothing acknowledged is lost, and a failure costs nothing.

Without a promise of how long it takes: what people saw is measured and printed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, status, sync, wait_for
from tests.lab.production import promote, switch_off
from tests.lab.test_one_master import wait_for_page
from tests.lab.test_promote import check_production
from tests.support import people

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

SET_UP = """
set -eu
postconf -e 'mydestination = $myhostname, lab.example, localhost' 'inet_interfaces = all' 'home_mailbox = Maildir/'
printf 'annas\\nannas\\n' | smbpasswd -a -s anna
mkdir -p /srv/office; chown anna /srv/office
printf '[office]\\npath = /srv/office\\nread only = no\\n' >>/etc/samba/smb.conf
echo "listen_addresses = '*'" >>/etc/postgresql/15/main/postgresql.conf
echo 'host all all 10.77.0.0/24 trust' >>/etc/postgresql/15/main/pg_hba.conf
systemctl restart postfix smbd postgresql
cd /
su postgres -c 'createdb bank; pgbench -q -i -s 1 bank; psql -qc "create table written (n int primary key)" bank'
"""
# the plugin runs with the last run only: it makes more than the SLAVE has room for
TOO_MUCH = """#!/bin/sh
[ -e /run/hotsync/handing-over ] || exit 0
head -c 300M /dev/urandom >/srv/share/too-much
"""
# one transaction is in all four tables, or in none
SUMS = """
SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)
   AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches)
   AND (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(bbalance) FROM pgbench_branches)
"""


@pytest.fixture(scope="module")
def prepared(production: Lab) -> Iterator[Lab]:
    """A ready SLAVE and its MASTER, which also takes mail, files and rows from the network; saved as `open`."""
    production.revert("ready")
    production.master.run(["bash", "-c", SET_UP])
    assert sync(production)["exit_code"] in (0, 1)
    made_ready = production.slave.run(["hotsync-slave"], check=False, timeout=900)
    assert made_ready.returncode in (0, 1), made_ready.stdout + made_ready.stderr
    production.save("open")
    yield production
    switch_off(production)


@pytest.fixture
def alive(prepared: Lab) -> Lab:
    prepared.revert("open")
    return prepared


@contextmanager
def people_at_work(lab: Lab, folder: Path) -> Iterator[None]:
    """Somebody writes mails, files and rows all the time, and pgbench works beside them."""
    program = Path(people.__file__)
    bench = ["pgbench", "-n", "-h", MASTER, "-U", "postgres", "-c", "2", "-R", "100", "-T", "10000", "-l"]
    with (
        lab.client.spawn([sys.executable, str(program), MASTER, str(folder)]) as writing,
        lab.client.spawn([*bench, f"--log-prefix={folder}/bench", "bank"], stdout=DEVNULL) as banking,
    ):
        try:
            assert writing.stdout is not None
            assert writing.stdout.readline() == b"at work\n"
            end = time.monotonic() + 60
            while any(len(people.read(folder, kind)[0]) < 20 for kind in people.KINDS):
                assert time.monotonic() < end, "people get nothing done"
                time.sleep(0.2)
            yield
        finally:
            for process in (writing, banking):
                process.terminate()


def units_of(host: Host) -> set[str]:
    """Return the units of services that run on a host."""
    listed = "systemctl list-units --state=active --plain --no-legend --full '*.service' '*.socket' '*.timer' '*.path'"
    return {line.split()[0] for line in host.run(listed).stdout.splitlines() if line.strip()}


def postgres(host: Host, sql: str) -> list[str]:
    done = host.run(["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", "bank"], input=sql)
    return done.stdout.split()


def mails(host: Host) -> list[str]:
    """Return the subjects in Anna's mailbox, once the queue is empty."""
    wait_for(host, "postqueue -p | grep -q 'queue is empty'", 120)
    found = host.run("grep -rh '^Subject: mail' /home/anna/Maildir/new").stdout.splitlines()
    return [line.removeprefix("Subject: mail ") for line in found]


def check_nothing_is_lost(host: Host, folder: Path) -> dict[str, float]:
    """Every acknowledged write is on this host, and no mail twice; return how long people got nothing done."""
    told = {kind: people.read(folder, kind) for kind in people.KINDS}
    subjects = mails(host)
    assert len(subjects) == len(set(subjects)), "a mail was delivered twice"
    there = {
        "mail": {int(subject) for subject in subjects},
        "file": {int(name) for name in host.run(["ls", "/srv/office"]).stdout.split()},
        "row": {int(row) for row in postgres(host, "SELECT n FROM written")},
    }
    for kind, (acknowledged, _) in told.items():
        assert acknowledged <= there[kind], f"{kind}: lost {sorted(acknowledged - there[kind])}"
    committed = sum(len(log.read_text().splitlines()) for log in folder.glob("bench*"))
    assert committed > 50
    assert int(postgres(host, "SELECT count(*) FROM pgbench_history")[0]) >= committed
    assert postgres(host, SUMS) == ["t"]
    return {kind: gap for kind, (_, gap) in told.items()}


def nothing_is_left_behind(master: Host) -> None:
    left = "ls -d /run/hotsync/handing-over /run/hotsync/handover-units.json /run/systemd/system/*.d/zz-hotsync-*"
    assert master.run(f"{left} 2>/dev/null", check=False).stdout == ""
    assert "hotsync_handover" not in master.run(["nft", "list", "tables"]).stdout
    assert master.run("find /etc/systemd -name zz-hotsync-mute.conf").stdout == ""


def test_a_switchover_under_load_loses_nothing_that_was_acknowledged(
    alive: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master, slave = alive.master, alive.slave
    ran = {
        unit for unit in units_of(master) if unit.startswith(("postfix", "smbd", "nmbd", "apache2", "cron", "maria"))
    }
    with people_at_work(alive, tmp_path):
        code, document, said = promote(slave, "--planned", "--network", "1")
        assert code in (0, 1), (document, said)
        time.sleep(5)
    assert ran - units_of(slave) == set()
    check_production(alive)
    gaps = check_nothing_is_lost(slave, tmp_path)
    assert (document["planned"], document["loss"]) == (True, None)
    assert [step["key"] for step in document["steps"]][:2] == ["handover.stop", "handover.send"]
    assert document["fences"][0]["reached"]
    role = json.loads(slave.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"]) == ("master", 1)
    assert f"{MASTER}/" not in master.run(["ip", "-4", "address", "show"]).stdout
    wait_for(master, "! systemctl -q is-active mariadb || ! systemctl -q is-active cron")
    # nobody does anything there: the two have exchanged their roles
    wait_for(master, 'grep -q \'"role": "slave"\' /var/lib/hotsync/role.json', 300)
    wait_for_page(alive)
    wait_for(slave, "hotsync --json", 300)
    assert status(master)["generation"]["number"] > document["generation"]
    steps = {step["title"]: step["seconds"] for step in document["steps"] if step["seconds"] >= 0.5}
    with capsys.disabled():
        print(f"\npeople waited {gaps}, production stood still {document['still_seconds']} s\n{steps}")


@pytest.mark.full
def test_a_last_run_that_fails_lets_the_master_go_on_and_nothing_is_left_behind(alive: Lab, tmp_path: Path) -> None:
    master, slave = alive.master, alive.slave
    master.run(
        "mkdir -p /etc/hotsync.d; cat >/etc/hotsync.d/too-much; chmod +x /etc/hotsync.d/too-much", input=TOO_MUCH
    )
    free = int(slave.run("df -B1M --output=avail /var/lib/hotsync | tail -1").stdout)
    slave.run(["fallocate", "-l", f"{free - 200}M", "/filler"])
    before = units_of(master)
    with people_at_work(alive, tmp_path):
        code, document, said = promote(slave, "--planned", "--network", "1")
        assert (code, document["error"]["code"]) == (3, "refused.handover"), (document, said)
        assert "Nothing was changed here, and the MASTER goes on as before" in said
        wait_for_page(alive)
        time.sleep(5)
    check_nothing_is_lost(master, tmp_path)
    nothing_is_left_behind(master)
    passing = {unit for unit in before if unit.startswith(("session-", "user", "run-", "apt-", "hotsync-"))}
    assert before - passing - units_of(master) == set()
    role = json.loads(slave.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"], role["claim"]) == ("slave", 0, None)
    assert status(master)["held"] is None


def test_a_dry_run_tells_both_servers_part_and_changes_nothing(alive: Lab) -> None:
    shown = alive.slave.run(["hotsync-promote", "--planned", "--dry-run"]).stdout
    assert "stop production, also timers and jobs" in shown
    assert "become MASTER at epoch 1" in shown
    assert status(alive.master)["handover"] is None
    asked = "ls /run/hotsync/handover.json /run/hotsync/handover-request 2>/dev/null"
    assert alive.master.run(asked, check=False).stdout == ""
    refused = alive.slave.run(["hotsync-promote", "--planned", "--force", "--yes"], check=False)
    assert refused.returncode == 2


STAGES = ("preparing", "stopping", "syncing", "ready")


@pytest.mark.full
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("victim", ["the MASTER's unit", "the SLAVE's unit", "the MASTER", "the SLAVE"])
def test_killed_at_every_stage_it_is_continued_or_the_master_goes_on(alive: Lab, stage: str, victim: str) -> None:
    master, slave = alive.master, alive.slave
    master.run(["config", "setprop", "hotsync", "HandOverSeconds", "20"])
    reached = f'grep -q \'"stage": "{stage}"\' /run/hotsync/handover.json'
    with slave.spawn(["hotsync-promote", "--planned", "--yes", "--network", "1"], stdout=PIPE) as going:
        if stage == "ready":
            slave.run("systemctl -q is-active hotsync-promote", check=False)
        wait_for(master, f"{reached} || test -e /var/lib/hotsync/held.json", 120)
        match victim:
            case "the MASTER's unit":
                master.run(["systemctl", "kill", "-s", "KILL", "hotsync-handover.service"], check=False)
            case "the SLAVE's unit":
                slave.run(["systemctl", "kill", "-s", "KILL", "hotsync-promote.service"], check=False)
            case "the MASTER":
                master.kill()
                master.boot()
            case _:
                slave.kill()
                slave.boot()
        going.wait(timeout=300)
    claimed = json.loads(slave.read("/var/lib/hotsync/role.json"))
    if claimed["claim"] is None and claimed["role"] == "slave":
        wait_for(master, "! test -e /run/hotsync/handing-over", 180)  # it waits for the SLAVE first
        wait_for_page(alive)
        wait_for(master, "systemctl -q is-active postgresql@15-main mariadb smbd cron")
        nothing_is_left_behind(master)
        return
    code, document, said = promote(slave)
    assert code in (0, 1, 3), (document, said)
    assert json.loads(slave.read("/var/lib/hotsync/role.json"))["role"] == "master"
    assert status(master)["held"] is not None
