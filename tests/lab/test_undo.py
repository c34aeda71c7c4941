"""A promotion that was a mistake: undone after use, given up in the middle, killed anywhere; the old MASTER serves."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, SLAVE, sync, wait_for
from tests.lab.production import promote
from tests.lab.test_one_master import wait_for_page
from tests.lab.test_promote import remove_trap, set_trap

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

# what this server is, but for what HotSync and the system write all the time
OWN = (
    "cd / && find etc home srv root var/www usr/local -xdev ! -path 'etc/mtab' ! -path 'etc/resolv.conf'"
    " ! -path 'etc/adjtime' ! -path 'root/.*' -type f -printf '%p %m %U %G %s\\n' | LC_ALL=C sort"
)


def undo(host: Host, *options: str) -> tuple[int, dict[str, Any], str]:
    """Undo a promotion; return exit code, document, and what it said beside it."""
    done = host.run(["hotsync-promote", "--undo", "--yes", "--json", *options], check=False, timeout=600)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}, done.stderr


def use(host: Host) -> None:
    """People work on the promoted server."""
    host.run(
        "set -e; mkdir -p /home/anna/Maildir/new; echo 'a new mail' >/home/anna/Maildir/new/1.host;"
        " chown -R anna /home/anna;"
        " echo 'changed in production' >/srv/share/hello; echo 'new in production' >/srv/share/new;"
        " rm /var/www/html/index.html; echo 'in production' >/etc/in-production.conf;"
        " sync"  # as a mail server does before it says that it has a mail: some tests cut the power after this
    )
    host.run(["mysql", "shop", "-e", "insert into orders values (3,'plums')"])
    host.run("cd /; su postgres -c \"psql -q app -c 'insert into t values (8)'\"")


def check_slave(host: Host, own: str) -> None:
    """It is the SLAVE that it was: its files, its network, its name, nothing of production."""
    role = json.loads(host.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"], role["claim"], role["released"]) == ("slave", 1, None, 1)
    assert host.run(OWN).stdout == own
    assert host.run(["hostname"]).stdout == "slave\n"
    shown = host.run(["ip", "-4", "-o", "address", "show", "dev", "eth0"]).stdout
    assert f"{SLAVE}/24" in shown
    assert f"{MASTER}/24" not in shown
    running = [
        unit
        for unit in ("mariadb", "postgresql@15-main", "apache2", "dovecot", "smbd", "cron")
        if host.run(["systemctl", "-q", "is-active", unit], check=False).returncode == 0
    ]
    assert running == []
    assert host.run(["config", "getprop", "hotsync", "role"]).stdout == "slave\n"
    assert host.run(["config", "getprop", "hotsync", "MasterHost"]).stdout.strip()
    assert host.run("ls -d /var/lib/hotsync/aside /.hotsync-* /srv/.hotsync-* 2>/dev/null", check=False).stdout == ""
    assert host.run("ls /var/lib/hotsync/production /run/hotsync/promoting 2>/dev/null", check=False).stdout == ""


def check_kept(host: Host) -> None:
    """What people did meanwhile is all there."""
    kept = "/var/lib/hotsync/undone/1"
    assert host.read(f"{kept}/files/home/anna/Maildir/new/1.host") == "a new mail\n"
    assert host.read(f"{kept}/files/srv/share/hello") == "changed in production\n"
    assert host.read(f"{kept}/files/srv/share/new") == "new in production\n"
    assert host.read(f"{kept}/etc/in-production.conf") == "in production\n"
    listed = host.read(f"{kept}/written.txt")
    assert "deleted  /var/www/html/index.html\n" in listed
    assert "plums" in host.run(f"zgrep -rah plums {kept}/databases/mariadb || grep -rah plums {kept}/databases").stdout
    assert host.run(f"ls {kept}/databases").stdout.split() == ["list.txt", "mariadb", "postgresql"]


def serves_at(lab: Lab, epoch: int) -> None:
    """The old MASTER serves at this epoch, by itself, and its runs are taken."""
    wait_for(lab.master, f"grep -q '\"epoch\": {epoch},' /var/lib/hotsync/role.json", 120)
    wait_for_page(lab)
    lab.master.run("systemctl stop hotsync.timer hotsync.service")
    for _ in range(4):
        record = sync(lab)
        assert record["exit_code"] in (0, 1), record
        # what would not hold still, since its services have just started, goes with one of the next runs
        verified = lab.slave.run(["hotsync", "verify"], check=False, timeout=300)
        if verified.returncode == 0:
            break
    assert verified.returncode == 0, (verified.stdout, verified.stderr)
    assert lab.slave.read("/var/lib/hotsync/replica/tree/srv/share/hello") == "hello\n"
    assert lab.slave.run("ls /var/lib/hotsync/replica/tree/srv/share").stdout.split() == ["fixed", "hello"]


def test_after_use_it_is_a_slave_again_the_held_master_serves_by_itself_and_it_can_be_promoted_again(
    alive: Lab,
) -> None:
    master, slave = alive.master, alive.slave
    own = slave.run(OWN).stdout
    master.cut()
    code, document, said = promote(slave, "--network", "1")
    assert code in (0, 1), (document, said)
    use(slave)
    master.join()
    wait_for(master, "hotsync status | grep -q HELD", 120)
    shown = json.loads(slave.run(["hotsync-promote", "--undo", "--dry-run", "--json"]).stdout)
    assert (shown["written"]["mails"], shown["written"]["databases"]) == (1, ["mariadb/default", "postgresql/15-main"])
    code, document, said = undo(slave)
    assert code in (0, 1), (document, said)
    assert document["written"]["files"] >= 3, document
    check_slave(slave, own)
    check_kept(slave)
    serves_at(alive, 2)
    assert "HELD" not in master.run(["hotsync", "status"], check=False).stdout
    slave.run("systemctl stop hotsync-slave.timer hotsync-slave.service")
    made_ready = slave.run(["hotsync-slave"], check=False, timeout=900)
    assert made_ready.returncode in (0, 1), made_ready.stdout + made_ready.stderr
    master.kill()
    code, document, said = promote(slave, "--network", "1")
    assert code in (0, 1), (document, said)
    role = json.loads(slave.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"]) == ("master", 3)
    assert slave.run(["mysql", "-Ne", "select group_concat(what) from shop.orders"]).stdout == "apples,pears\n"
    assert alive.client.run(["curl", "-sf", f"http://{MASTER}/"]).stdout == "page of the master\n"


@pytest.mark.full
def test_given_up_in_the_middle_a_master_that_never_heard_of_it_goes_on(alive: Lab) -> None:
    master, slave = alive.master, alive.slave
    own = slave.run(OWN).stdout
    master.cut()
    set_trap(slave, 12, "after", "SIGKILL")
    code, document, said = promote(slave, "--network", "1")
    assert code == 9, (document, said)
    remove_trap(slave)
    code, document, said = undo(slave)
    assert code in (0, 1), (document, said)
    check_slave(slave, own)
    master.join()
    serves_at(alive, 2)


LEFT_OUT = 7
"""One more than how many steps in a row are left out at most."""


@pytest.mark.full
@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("power", [False, True])
def test_killed_at_any_step_the_same_command_ends_it(alive: Lab, where: str, power: bool, dice: random.Random) -> None:
    """Each attempt dies at a later step than the one before, and with `power` without it; then it goes on."""
    master, slave = alive.master, alive.slave
    own = slave.run(OWN).stdout
    master.cut()
    code, document, said = promote(slave, "--network", "1")
    assert code in (0, 1), (document, said)
    use(slave)
    keys: list[str] = []
    for _ in range(60):
        slave.run(["rm", "-f", "/run/fallen"])
        number = 1 + dice.randrange(LEFT_OUT)
        set_undo_trap(slave, number, where)
        code, document, said = undo(slave)
        fallen = slave.run("cat /run/fallen 2>/dev/null", check=False).stdout
        if not fallen:
            break
        assert code == 9, (code, document, said)
        keys.append(fallen)
        if power:
            slave.kill()
            slave.boot()
            if slave.run(["test", "-e", "/var/lib/hotsync/undo.json"], check=False).returncode:
                continue  # it died before the first step: it is the MASTER
            running = slave.run(["systemctl", "-q", "is-active", "apache2"], check=False).returncode == 0
            assert not running, keys
            # a boot after the first step has this server's own address, by which it was reached just now, and no other
            shown = slave.run(["ip", "-4", "-o", "address", "show", "dev", "eth0"]).stdout
            assert f"{SLAVE}/24" in shown, keys
            assert f"{MASTER}/24" not in shown, keys
            is_over = where == "after" and "undo.finish" in keys[-1]
            if not is_over and "undo.role" not in keys[-1]:
                assert "UNDONE" in slave.run("cat /run/issue.d/hotsync.issue", check=False).stdout, keys
    remove_trap(slave)
    code, document, said = undo(slave)
    assert code in (0, 1, 3), (document, said, keys)
    assert len(keys) > 3
    check_slave(slave, own)
    check_kept(slave)
    master.join()
    serves_at(alive, 2)


def set_undo_trap(host: Host, number: int, where: str) -> None:
    """Let the unit's program die at its `number`-th step, whichever that is."""
    set_trap(host, number, where, "SIGKILL")
    trap = host.read("/run/trap.py").replace(
        "from hotsync.flows import promote, promote_unit", "from hotsync.flows import promote_unit, undo as promote"
    )
    host.write("/run/trap.py", trap.encode())
