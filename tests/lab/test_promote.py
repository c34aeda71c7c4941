"""A SLAVE put into production in the place of a dead MASTER: as the manual says, killed anywhere, without power."""

from __future__ import annotations

import json
import random
from contextlib import ExitStack
from pathlib import Path
from subprocess import DEVNULL

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, SLAVE, own_name, status, sync
from tests.lab.production import make_ready, promote

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

# the unit's program, except that it dies (or holds still) at the chosen step: before it, or after it and before its
# record; /run is the one place that a promotion does not exchange
TRAP = """
import json, os, signal, sys
from hotsync.flows import promote, promote_unit
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
number, where, how = int(sys.argv[1]), sys.argv[2], getattr(signal, sys.argv[3])
real = promote.execute
def trapped(plan, host, clock, record, progress):
    count = [0]
    def fall():
        open("/run/fallen", "w").write(plan[count[0] - 1].key)
        os.kill(os.getpid(), how)
    def before(step, position, total):
        progress(step, position, total)
        count[0] = position
        if where == "before" and position == number: fall()
    def after(line):
        if where == "after" and count[0] == number: fall()
        record(line)
    real(plan, host, clock, after, before)
promote.execute = trapped
sys.exit(promote_unit.run_in_unit(Paths(), SystemClock()))
"""


@pytest.fixture
def ready(prepared: Lab) -> Lab:
    """A ready SLAVE whose MASTER has died."""
    prepared.revert("dead")
    return prepared


def set_trap(host: Host, number: int, where: str, how: str) -> None:
    host.write("/run/trap.py", TRAP.encode())
    start = f"ExecStart=\nExecStart=/usr/lib/hotsync/venv/bin/python -I /run/trap.py {number} {where} {how}\n"
    host.run(["mkdir", "-p", "/run/systemd/system/hotsync-promote.service.d"])
    host.write("/run/systemd/system/hotsync-promote.service.d/trap.conf", f"[Service]\n{start}".encode())
    host.run(["systemctl", "daemon-reload"])


def remove_trap(host: Host) -> None:
    host.run("rm -rf /run/systemd/system/hotsync-promote.service.d; systemctl daemon-reload")


def check_production(lab: Lab) -> None:
    """The promoted SLAVE is what the MASTER was, for the client and to look at."""
    host = lab.slave
    assert lab.client.run(["curl", "-sf", f"http://{MASTER}/"]).stdout == "page of the master\n"
    assert host.run(["hostname"]).stdout == "master\n"
    assert host.run(["mysql", "-Ne", "select group_concat(what) from shop.orders"]).stdout == "apples,pears\n"
    assert host.run("cd /; su postgres -c 'psql -Atq app -c \"select i from t\"'").stdout == "7\n"
    assert host.run(["getfacl", "-cn", "/srv/share"]).stdout.splitlines()[1] == "user:1000:rwx"
    assert "i" in host.run(["lsattr", "-d", "/srv/share/fixed"]).stdout.split()[0]
    shown = host.run(["ip", "-4", "-o", "address", "show", "dev", "eth0"]).stdout
    assert f"{MASTER}/24" in shown
    assert f"{SLAVE}/24" in shown
    assert f"src {MASTER}" in host.run(["ip", "route", "get", "10.77.0.100"]).stdout
    role = json.loads(host.read("/var/lib/hotsync/role.json"))
    assert (role["role"], role["epoch"], role["claim"]) == ("master", 1, None)
    assert host.run(["config", "getprop", "hotsync", "role"]).stdout == "master\n"
    assert host.read("/var/lib/hotsync/aside/home/boss/notes") == "boss's\n"
    assert host.read("/var/lib/hotsync/aside/etc/only-here.conf") == "of the slave\n"
    assert host.run("ls /etc/only-here.conf /.hotsync-etc* 2>/dev/null", check=False).stdout == ""
    assert host.run("find /etc/systemd -name zz-hotsync-mute.conf").stdout == ""
    strangers = "find / -xdev '(' -nouser -o -nogroup ')' -not -path '/proc/*' -not -path '/var/lib/hotsync/*'"
    assert host.run(strangers).stdout == ""


def check_boots_as_master(lab: Lab) -> None:
    lab.slave.kill()
    lab.slave.boot()
    check_production(lab)
    assert lab.slave.run(["systemctl", "--failed", "--no-legend", "--plain"]).stdout == ""


def test_the_slave_takes_over_from_a_dead_master_and_still_is_master_after_a_power_cut(ready: Lab) -> None:
    code, document, _ = promote(ready.slave, "--network", "1")
    assert code in (0, 1), document
    red = [check for check in document["checks"] if check["verdict"] == "red"]
    assert [check["name"] for check in red if not check["name"].startswith("dovecot")] == []
    assert {step["outcome"] for step in document["steps"]} == {"done"}
    assert document["generation"] == 1
    check_production(ready)
    check_boots_as_master(ready)
    again = ready.slave.run(["hotsync-promote", "--yes"], check=False)
    assert again.returncode == 3
    assert "MASTER already" in again.stderr


def test_the_old_master_that_comes_back_hears_that_it_was_superseded(ready: Lab) -> None:
    """It has the promoted one's addresses still, so only the link-local address is left to ask at."""
    code, document, _ = promote(ready.slave, "--network", "1")
    assert code in (0, 1), document
    ready.master.boot()
    done = ready.master.run(["hotsync"], check=False, timeout=120)
    assert done.returncode == 3, (done.stdout, done.stderr)
    assert "superseded" in done.stderr
    ready.master.run(
        "until hotsync status --json | grep -q '\"superseded_by\": *1\\|superseded by epoch 1'; do sleep 1; done",
        timeout=180,
    )
    assert "superseded" in ready.master.run(["hotsync", "status"], check=False).stdout


def test_a_master_that_still_answers_is_not_replaced_unless_forced(alive: Lab) -> None:
    done = alive.slave.run(["hotsync-promote", "--yes", "--network", "1"], check=False)
    assert done.returncode == 3
    assert "still answers" in done.stderr
    assert MASTER in done.stderr
    assert json.loads(alive.slave.read("/var/lib/hotsync/role.json"))["claim"] is None
    alive.master.cut()
    code, document, _ = promote(alive.slave, "--network", "1")
    assert code in (0, 1), document


def test_a_dry_run_changes_nothing(ready: Lab) -> None:
    places = "/etc /var/lib/hotsync /home /srv"
    # what hotsyncd writes down of its peer, which has just gone silent, is not ours
    state = f"find {places} -printf '%p %i %T@\\n' | grep -vE '(wal|shm|hotsync) |presence' | sort"
    before = ready.slave.run(state).stdout
    done = ready.slave.run(["hotsync-promote", "--dry-run", "--json", "--network", "1"])
    assert json.loads(done.stdout)["steps"][0]["phase"] == "claim"
    after = ready.slave.run(state).stdout
    assert set(after.splitlines()) ^ set(before.splitlines()) == set()


def test_what_is_not_ready_is_refused_with_a_thing_to_do(ready: Lab) -> None:
    ready.slave.run(["rm", "/var/lib/hotsync/slave-run.json"])
    done = ready.slave.run(["hotsync-promote", "--yes"], check=False)
    assert (done.returncode, "hotsync-slave" in done.stderr) == (3, True)
    ready.slave.run("rm -f /var/lib/hotsync/manifest.db*")
    done = ready.slave.run(["hotsync-promote", "--yes"], check=False)
    assert (done.returncode, "no generation" in done.stderr) == (3, True)
    ready.slave.run(["rm", "/var/lib/hotsync/role.json"])
    done = ready.slave.run(["hotsync-promote", "--yes"], check=False)
    assert (done.returncode, "not configured" in done.stderr) == (3, True)


def test_an_older_generation_is_promoted_whole_and_the_newest_is_still_held(alive: Lab) -> None:
    alive.master.run("echo ruined >/srv/share/hello; echo ruined >/var/www/html/index.html; rm -r /home/anna")
    alive.master.run(["mysql", "shop", "-e", "delete from orders"])
    assert sync(alive, "--accept-changes")["exit_code"] in (0, 1)
    alive.master.kill()
    shown = json.loads(alive.slave.run(["hotsync-promote", "--at", "1", "--dry-run", "--json"]).stdout)
    assert (shown["back"]["generation"], shown["back"]["newest"]) == (1, 2)
    assert shown["generation"] == 1
    assert shown["loss"]["back"]["undone"]["files"] >= 2
    assert alive.slave.run("echo n | hotsync-promote --network 1 --at 1", check=False).returncode == 3
    assert generations(alive) == [1, 2]  # nothing was changed
    code, document, said = promote(alive.slave, "--network", "1", "--at", "1")
    assert code in (0, 1), (document, said)
    assert document["generation"] == 3
    assert "Generation 1 is of" in said
    check_production(alive)
    assert alive.slave.read("/srv/share/hello") == "hello\n"
    assert document["loss"]["back"]["newest"] == 2
    assert generations(alive) == [1, 2, 3]


def generations(pair: Lab) -> list[int]:
    held = json.loads(pair.slave.run(["hotsync", "history", "--json"]).stdout)["generations"]
    return [one["number"] for one in held]


LEFT_OUT = 14
"""One more than how many steps in a row the first ring leaves out at most where it kills promotions."""


@pytest.mark.parametrize("where", [pytest.param("before", marks=pytest.mark.full), "after"])
def test_killed_at_any_step_the_same_command_ends_it(
    ready: Lab, where: str, dice: random.Random, full_size: bool
) -> None:
    """Each attempt dies at a later step than the one before, until none is left to die at: at every single one in the
    second ring, at some that chance decides in the first."""
    keys: list[str] = []

    def next_number() -> int:
        return (2 if where == "before" else 1) + (0 if full_size else dice.randrange(LEFT_OUT))

    number = next_number()
    said = ""
    for _ in range(200):
        ready.slave.run(["rm", "-f", "/run/fallen"])
        set_trap(ready.slave, number, where, "SIGKILL")
        code, document, said = promote(ready.slave, *(("--network", "1") if not keys else ()))
        fallen = ready.slave.run("cat /run/fallen 2>/dev/null", check=False).stdout
        if not fallen:
            break
        assert code == 9, (code, document, said)
        number = number + 1 if fallen in keys else next_number()
        keys.append(fallen)
    remove_trap(ready.slave)
    code, document, said = promote(ready.slave)
    assert code in (0, 1, 3), (document, said)
    assert code != 3 or "MASTER already" in said + json.dumps(document)
    plan = {key.partition(":")[0] for key in keys}
    every = {"files.exchange", "files.exchange-etc", "databases.load", "services.start", "role.settle"}
    assert every <= plan if full_size else len(keys) > 1, keys
    check_production(ready)
    steps = json.loads(ready.slave.read("/var/lib/hotsync/promotion.json"))["records"]
    assert sum(step["key"].startswith("role.claim") for step in steps) <= 1
    check_boots_as_master(ready)


STEPS = (
    "role.claim", "network.take", "files.live", "files.exchange:home", "files.prepare-etc", "files.exchange-etc",
    "network.hold", "services.permit", "databases.load", "network.admit", "services.start", "checks.run",
    "role.master", "role.settle", "services.unmute",
)  # fmt: skip


@pytest.mark.parametrize("where", ["before", pytest.param("after", marks=pytest.mark.full)])
def test_without_power_at_a_step_it_boots_muted_says_so_and_goes_on(
    prepared: Lab, where: str, dice: random.Random, full_size: bool
) -> None:
    for step in STEPS if full_size else dice.sample(STEPS, 1):
        prepared.revert("dead")
        plan = json.loads(prepared.slave.run(["hotsync-promote", "--dry-run", "--json", "--network", "1"]).stdout)[
            "steps"
        ]
        number = next(n for n, each in enumerate(plan, 1) if each["key"].startswith(step))
        set_trap(prepared.slave, number, where, "SIGSTOP")
        watching = prepared.slave.spawn(["hotsync-promote", "--yes", "--network", "1"], stdout=DEVNULL)
        prepared.slave.run("until [ -e /run/fallen ]; do sleep 0.1; done", timeout=120)
        prepared.slave.kill()
        watching.wait()
        prepared.slave.boot()
        role = json.loads(prepared.slave.read("/var/lib/hotsync/role.json"))
        if role["role"] == "slave" and role["claim"] is None:
            assert (step, where) == ("role.claim", "before")
        elif role["role"] == "slave":
            told = prepared.slave.run("cat /run/issue.d/hotsync.issue", check=False).stdout
            assert "UNFINISHED" in told, (step, where)
            for unit in ("mariadb", "apache2", "dovecot", "cron", "postfix", "smbd"):
                active = prepared.slave.run(["systemctl", "is-active", unit], check=False).stdout.strip()
                assert active != "active", (step, where, unit)
        code, document, said = promote(prepared.slave, "--network", "1")
        assert code in (0, 1), (step, where, document, said)
        check_production(prepared)


def test_a_second_call_sees_the_promotion_that_goes_on_and_ends_with_its_code(ready: Lab) -> None:
    set_trap(ready.slave, 5, "before", "SIGSTOP")
    first = ready.slave.spawn(["hotsync-promote", "--yes", "--network", "1"], stdout=DEVNULL)
    ready.slave.run("until [ -e /run/fallen ]; do sleep 0.1; done", timeout=120)
    second = ready.slave.spawn(["hotsync-promote", "--yes"], stdout=DEVNULL)
    first.kill()  # the terminal is lost; the unit knows nothing of it
    first.wait()
    ready.slave.run("systemctl kill --signal=CONT hotsync-promote")
    assert second.wait() in (0, 1)
    check_production(ready)


def test_a_run_of_hotsync_slave_that_hangs_is_ended_and_does_not_hold_up_the_promotion(ready: Lab) -> None:
    hangs = "[Service]\nExecStart=\nExecStart=/usr/bin/flock /run/hotsync/run.lock /usr/bin/sleep 3600\n"
    ready.slave.run(["mkdir", "-p", "/run/systemd/system/hotsync-slave.service.d"])
    ready.slave.write("/run/systemd/system/hotsync-slave.service.d/hangs.conf", hangs.encode())
    ready.slave.run("systemctl daemon-reload; systemctl start --no-block hotsync-slave")
    ready.slave.run("while flock -n /run/hotsync/run.lock true; do sleep 0.1; done", timeout=60)
    code, document, said = promote(ready.slave, "--network", "1")
    assert code in (0, 1), (document, said)
    assert "Ending a run of hotsync-slave" in said
    check_production(ready)


# pg_dump writes it, and no server can load it: the rows of `wanted` are checked against a table that a load, which has
# no search_path, does not find
UNLOADABLE = """
CREATE TABLE known (v int); INSERT INTO known VALUES (1);
CREATE FUNCTION is_known(int) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT 1 FROM known WHERE v = $1)';
CREATE TABLE wanted (v int CHECK (is_known(v))); INSERT INTO wanted VALUES (1);
"""


def test_a_database_that_cannot_be_loaded_stops_it_until_a_person_goes_on_without(alive: Lab) -> None:
    master, slave = alive.master, alive.slave
    master.run("cd /; runuser -u postgres -- createdb odd")
    master.run("cd /; runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 odd", input=UNLOADABLE)
    assert sync(alive)["exit_code"] in (0, 1)
    master.kill()
    odd = "postgresql/15-main/odd"
    code, document, said = promote(slave, "--network", "1")
    assert code == 9, document
    assert 'relation "known" does not exist' in document["error"]["sentence"]
    assert f"hotsync-promote --without {odd}" in document["error"]["hint"]
    code, document, said = promote(slave, "--without", "postgresql/15-main/even")
    assert (code, odd in document["error"]["hint"]) == (2, True), (document, said)
    code, document, said = promote(slave, "--without", odd)
    assert code == 1, (document, said)
    assert any(f"{odd} was left out" in note for note in document["notes"]), document["notes"]
    check_production(alive)
    there = slave.run("cd /; runuser -u postgres -- psql -Atqc 'SELECT datname FROM pg_database'").stdout.split()
    assert sorted(there) == ["app", "postgres", "template0", "template1"]
    kept = next(note for note in document["notes"] if odd in note).partition(" is in ")[2].partition(":")[0]
    assert slave.run(["ls", f"{kept}/odd.dump"]).stdout.split()


def test_post_restore_data_may_be_repeated_without_harm(ready: Lab) -> None:
    promote(ready.slave, "--network", "1")
    ready.slave.run(["mysql", "-e", "insert into shop.orders values (3,'written after the promotion')"])
    for _ in range(2):
        ready.slave.run(["/sbin/e-smith/signal-event", "post-restore-data"])
    assert ready.slave.run(["mysql", "-Ne", "select count(*) from shop.orders"]).stdout == "3\n"


def test_data_on_a_file_system_of_its_own_is_copied_there_and_the_plan_says_so(ready: Lab) -> None:
    ready.slave.run(
        "truncate -s 256M /disk.img && mkfs.ext4 -q /disk.img && echo '/disk.img /srv ext4 loop 0 0' >>/etc/fstab"
        " && mkdir -p /srv && mount /srv && mkdir /srv/own && echo mine >/srv/own/file"
    )
    shown = json.loads(ready.slave.run(["hotsync-promote", "--dry-run", "--json", "--network", "1"]).stdout)
    assert "srv/share" in shown["copied"]
    assert any(check["name"] == "data.copied" and check["verdict"] == "amber" for check in shown["checks"])
    code, document, said = promote(ready.slave, "--network", "1")
    assert code in (0, 1), (document, said)
    check_production(ready)
    assert ready.slave.run(["mountpoint", "/srv"]).returncode == 0
    assert ready.slave.read("/srv/.hotsync-promotion.1/aside/srv/own/file") == "mine\n"
    check_boots_as_master(ready)
    assert ready.slave.run(["mountpoint", "/srv"]).returncode == 0


def test_too_little_room_for_what_must_be_copied_refuses_before_anything(ready: Lab) -> None:
    ready.slave.run("mkdir -p /srv && mount -t tmpfs -o size=1m none /srv")
    done = ready.slave.run(["hotsync-promote", "--yes", "--network", "1"], check=False)
    assert done.returncode == 3, done.stdout
    assert "lacks" in done.stderr
    assert json.loads(ready.slave.read("/var/lib/hotsync/role.json"))["claim"] is None


@pytest.mark.full
@pytest.mark.parametrize(("fs", "network"), [("xfs", "networkd"), ("btrfs", "networkd"), ("btrfs", "ifupdown")])
def test_on_other_file_systems_and_with_networkd_it_is_the_same(fs: str, network: str) -> None:
    lab = Lab.up(name=own_name("other"), fs=fs, network=network)
    try:
        make_ready(lab)
        lab.master.kill()
        code, document, said = promote(lab.slave, "--network", "1")
        assert code in (0, 1), (document, said)
        check_production(lab)
        check_boots_as_master(lab)
    finally:
        lab.down()


def test_a_sqlite_file_under_load_and_sambas_secrets_are_sound_after_a_promotion(alive: Lab) -> None:
    host = alive.master
    host.write("/root/bank.py", (Path(__file__).resolve().parents[1] / "support/bank.py").read_bytes())
    make = (
        "import sys; sys.path.insert(0, '/root'); import bank; from pathlib import Path; file = Path('/srv/bank.db');"
    )
    host.run(["python3", "-c", f"{make} bank.make_bank(file, 'WAL')"])
    # the number of the machine, which other servers know it by
    secrets = "tdbdump /var/lib/samba/private/secrets.tdb | grep -A1 SECRETS/SID | LC_ALL=C sort"
    before = host.run(secrets).stdout
    assert "SECRETS/SID" in before
    with ExitStack() as stack:
        work = [["python3", "/root/bank.py", "/srv/bank.db", str(seed), "0"] for seed in range(2)]
        loads = [stack.enter_context(host.spawn(argv)) for argv in work]
        for _ in range(4):
            record = sync(alive)
            assert record["exit_code"] in (0, 1), record
            assert [one for one in record["warnings"] if "bank.db" in one["sentence"]] == []
        newest = status(host)["generation"]
        assert {"sqlite", "tdb"} <= {one["name"] for one in newest["datasets"] if not one["stale_since"]}
        assert [one.poll() for one in loads] == [None, None]  # they are still at it
        alive.master.kill()
    code, document, _ = promote(alive.slave, "--network", "1")
    assert code in (0, 1), document
    assert alive.slave.run("ls /srv/bank.db*").stdout == "/srv/bank.db\n"
    found = alive.slave.run(["python3", "-c", f"{make} print(bank.moved(file) > 500, bank.fault_of(file))"]).stdout
    assert found == "True \n"
    assert alive.slave.run(secrets).stdout == before
