"""The old MASTER comes back as SLAVE, what its successor never received in a vault; then it is promoted in turn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, SLAVE, wait_for
from tests.lab.production import promote

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

CARRIED = ("srv", "home", "root", "etc", "var/www")
BEFORE = f"""
set -e
mkdir /var/tmp/before
for path in {" ".join(CARRIED)}; do mkdir -p /var/tmp/before/$path; cp -a /$path/. /var/tmp/before/$path/; done
head -c 20000000 /dev/urandom >/srv/share/large
"""
SPLIT = """
set -e
echo 'of the old one' >/srv/share/split
echo changed >/srv/share/hello
mkdir -p /home/anna/Maildir/new; echo 'Subject: came to the old one' >/home/anna/Maildir/new/1.M1.old
chown -R anna: /home/anna/Maildir
rm -f /var/www/html/index.html.gone
mysql -e "insert into shop.orders values (3,'only on the old one')"
"""


# what the command does, except that it is killed: before the next step, when that is done and not written down, or
# before the one after it
TRAP = """
import os, signal, sys
from hotsync.flows import rejoin
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
where, real = sys.argv[1], rejoin.execute
def fall():
    os.kill(os.getpid(), signal.SIGKILL)
def trapped(plan, host, clock, record, progress=None):
    def before(step, position, total):
        if (where, position) in (("before", 1), ("next", 2)): fall()
    def noted(line):
        if where == "after": fall()
        record(line)
    real(plan, host, clock, noted, before)
rejoin.execute = trapped
rejoin.rejoin_as_slave(Paths(), SystemClock(), print, None)
"""


def differing(host: Host) -> dict[str, str]:
    """Compare by an rsync of its own what lies live with what lay there when the last generation was sent."""
    found: dict[str, str] = {}
    for path in CARRIED:
        said = host.run(["rsync", "-naicHAX", "--delete", f"/{path}/", f"/var/tmp/before/{path}/"]).stdout
        for line in said.splitlines():
            what, _, name = line.partition(" ")
            if "zz-hotsync-mute" in name:
                continue  # the hold's own
            if what == "*deleting":
                found[f"{path}/{name.strip().rstrip('/')}"] = "deleted"
            elif not name.endswith("/") and what[0] in ">c.":
                found[f"{path}/{name}"] = "new" if "+" in what else "changed"
    return found


def run_of(host: Host) -> dict[str, Any]:
    """Run hotsync on the new MASTER until its timer's run is over, and return the record."""
    while (done := host.run(["hotsync", "--json"], check=False, timeout=600)).returncode == 4:
        wait_for(host, "systemctl show --property=ActiveState --value hotsync.service | grep -qE 'inactive|failed'")
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def split(lab: Lab) -> None:
    """Both servers serve, neither hears the other; both are written to; then they do, and the old one is held."""
    lab.master.run(["bash", "-c", BEFORE])
    record = json.loads(lab.master.run(["hotsync", "--json"], check=False, timeout=300).stdout)
    assert record["exit_code"] in (0, 1), record
    lab.master.run("cp -a /srv/share/large /var/tmp/before/srv/share/large")
    lab.master.cut()
    code, document, said = promote(lab.slave, "--network", "1")
    assert code in (0, 1), (document, said)
    lab.master.run(["bash", "-c", SPLIT])
    lab.slave.run("echo 'of the new one' >/srv/share/split; echo new >/srv/share/new")
    lab.slave.run(["mysql", "-e", "insert into shop.orders values (4,'only on the new one')"])
    lab.master.join()
    wait_for(lab.master, f"! ip -4 address show | grep -qF {MASTER}/", 120)
    wait_for(lab.master, "hotsync status | grep -q HELD", 120)
    wait_for(lab.master, "! systemctl -q is-active apache2 mariadb", 120)


def check_vault(old: Host, wanted: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The vault lists what was found to differ, no more and no less; return where it is, and its list."""
    vault = json.loads(old.read("/var/lib/hotsync/rejoin.json"))["vault"]
    listed: dict[str, Any] = json.loads(old.read(f"{vault}/list.json"))
    found = {
        one["path"]: one["fate"]
        for one in listed["paths"]
        if not one["folder"] and one["path"].startswith(tuple(f"{path}/" for path in CARRIED))
    }
    assert {path: fate for path, fate in found.items() if fate != "perhaps"} == wanted
    return vault, listed


def test_the_old_master_comes_back_and_can_be_promoted_in_turn(prepared: Lab) -> None:
    prepared.revert("ready")
    old, new = prepared.master, prepared.slave
    split(prepared)
    wanted = differing(old)
    assert wanted["srv/share/split"] == "new"

    done = old.run(["hotsync", "rejoin", "--yes"], check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    vault, listed = check_vault(old, wanted)
    assert listed["mails"] == 1
    assert old.read(f"{vault}/files/srv/share/split") == "of the old one\n"
    assert new.read("/srv/share/split") == "of the new one\n", "nothing flows backwards"

    role = json.loads(old.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"]) == ("slave", 1)
    assert f"{SLAVE}/24" in old.run(["ip", "-4", "-o", "address", "show", "dev", "eth0"]).stdout
    wait_for(new, f"! ip -4 address show | grep -qF {SLAVE}/", 60)
    wait_for(new, f"config getprop hotsync SlaveHost | grep -qxF {SLAVE}", 60)

    assert f"{MASTER}/24" in new.run(["ip", "-4", "-o", "address", "show", "dev", "eth0"]).stdout
    record = run_of(new)
    assert record["exit_code"] in (0, 1), json.dumps(record)
    assert record["figures"]["sent_bytes"] < 5_000_000, record["figures"]
    assert old.read("/var/lib/hotsync/replica/tree/srv/share/split") == "of the new one\n"
    assert old.run("cmp /var/tmp/before/srv/share/large /var/lib/hotsync/replica/tree/srv/share/large").stdout == ""

    ready = old.run(["hotsync-slave"], check=False, timeout=900)
    assert ready.returncode in (0, 1), ready.stdout + ready.stderr
    new.kill()
    code, document, said = promote(old, "--network", "1")
    assert code in (0, 1), (document, said)
    red = [check for check in document["checks"] if check["verdict"] == "red"]
    assert [check["name"] for check in red if not check["name"].startswith("dovecot")] == []
    assert prepared.client.run(["curl", "-sf", f"http://{MASTER}/"]).stdout == "page of the master\n"
    rows = old.run(["mysql", "-Ne", "select group_concat(what order by id) from shop.orders"]).stdout
    assert rows == "apples,pears,only on the new one\n"
    assert old.read("/srv/share/new") == "new\n"
    role = json.loads(old.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"]) == ("master", 2)


def is_finished(host: Host) -> bool:
    told = host.run(["cat", "/var/lib/hotsync/rejoin.json"], check=False).stdout
    return bool(told) and bool(json.loads(told)["finished_at"])


@pytest.mark.full
def test_killed_before_and_after_every_step_and_without_power_now_and_then_it_comes_to_its_end(prepared: Lab) -> None:
    prepared.revert("ready")
    old, new = prepared.master, prepared.slave
    split(prepared)
    wanted = differing(old)
    steps = 0
    while not is_finished(old):
        for where in ("before", "after", "next"):
            if is_finished(old):
                break  # by a step that was killed after it was done
            old.write("/run/trap.py", TRAP.encode())
            done = old.run(["/usr/lib/hotsync/venv/bin/python", "-I", "/run/trap.py", where], check=False, timeout=900)
            assert done.returncode in (0, -9, 137), (steps, where, done.stdout, done.stderr)
        steps += 1
        if steps % 12 == 6:
            old.kill()
            old.boot()
            assert f"{MASTER}/" not in old.run(["ip", "-4", "address", "show"]).stdout
        assert steps < 500
    check_vault(old, wanted)
    wait_for(new, f"config getprop hotsync SlaveHost | grep -qxF {SLAVE}", 60)
    assert f"{MASTER}/24" in new.run(["ip", "-4", "-o", "address", "show", "dev", "eth0"]).stdout
    record = run_of(new)
    assert record["exit_code"] in (0, 1), json.dumps(record)
    assert record["figures"]["sent_bytes"] < 5_000_000, record["figures"]
    left = old.run("ls -d /var/lib/hotsync/*.part /var/lib/hotsync/*.new /var/lib/hotsync/rejoin.spool", check=False)
    assert left.stdout == ""
