"""Streaming on two booted hosts: a bank at work, the MASTER killed, at most a second of it lost; switched off again."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from lab import Host, Lab
from tests.lab.conftest import SLAVE, save_settings, status, sync, wait_for
from tests.lab.production import promote, switch_off
from tests.lab.test_bank import ACCOUNTS, BANK, CLIENTS, MARIADB_SUMS, MONEY, mysql

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

SOCKET = "/run/hotsync/stream/15-main/.s.PGSQL.5432"
MARIADB = "/run/hotsync/stream/mariadb@default/mysqld.sock"
STANDBY = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-h", "/run/hotsync/warm/postgresql@15-main/socket"]
"""How the copy itself is asked; SOCKET is the way to the MASTER's server, which takes no questions."""
OPTIONS = "/etc/mysql/mariadb.conf.d/zz-hotsync-streaming.cnf"
FOLLOWS = "hotsync status --json | grep -q '\"lag_seconds\": [0-2]\\.'"
SLOTS = "SELECT count(*) FROM pg_replication_slots"
CONFIGURED = "SELECT count(*) FROM pg_settings WHERE source NOT IN ('default', 'override')"
SUMS = """
SELECT (SELECT sum(abalance) FROM pgbench_accounts) - (SELECT coalesce(sum(delta), 0) FROM pgbench_history),
  (SELECT sum(abalance) FROM pgbench_accounts) - (SELECT sum(bbalance) FROM pgbench_branches),
  extract(epoch FROM (SELECT max(mtime) FROM pgbench_history) AT TIME ZONE current_setting('TimeZone'))
"""


@pytest.fixture(scope="module")
def opened(production: Lab) -> Iterator[Lab]:
    """A ready SLAVE, saved before anything was streamed."""
    yield production
    switch_off(production)


@pytest.fixture
def streaming(opened: Lab) -> Lab:
    """A MASTER whose bank is at work, and a SLAVE that follows it."""
    opened.revert("ready")
    master, slave = opened.master, opened.slave
    master.run("cd /; runuser -u postgres -- createdb bank; runuser -u postgres -- pgbench -q -i -s 1 bank")
    bench = ["pgbench", "-n", "-b", "tpcb-like", "-c", "3", "-R", "300", "-T", "1000000", "bank"]
    master.run(["systemd-run", "-q", "--unit=teller", "--uid=postgres", "--property=WorkingDirectory=/", *bench])
    before = listening(master), psql(master, CONFIGURED, "postgres")
    master.run(["config", "setprop", "hotsync", "databases", "streaming"])
    save_settings(master)
    assert sync(opened)["exit_code"] in (0, 1)
    wait_for(slave, f"test -S {SOCKET}")
    checks = look_after(slave)
    assert checks["databases.streamed"]["verdict"] == "green", checks["databases.streamed"]
    assert (listening(master), psql(master, CONFIGURED, "postgres")) == before
    wait_for(slave, FOLLOWS)
    return opened


def psql(host: Host, sql: str, database: str = "bank") -> list[str]:
    done = host.run(["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", database], input=sql)
    return done.stdout.strip().split("|")


def listening(host: Host) -> list[str]:
    """Return the addresses and ports on which a host listens."""
    return sorted(line.split()[3] for line in host.run("ss -H -tln").stdout.splitlines())


def look_after(host: Host) -> dict[str, Any]:
    """Run hotsync-slave and return its checks."""
    document = json.loads(host.run(["hotsync-slave", "--json"], check=False, timeout=900).stdout)
    return {check["name"]: check for check in document["checks"]}


def test_at_most_a_second_is_lost_when_the_master_dies(
    streaming: Lab, dice: random.Random, capsys: pytest.CaptureFixture[str]
) -> None:
    slave = streaming.slave
    time.sleep(dice.uniform(0, 5))
    told = status(slave)["streamed"]
    struck = time.time()
    streaming.master.kill()
    died = time.time()
    assert [each["name"] for each in told] == ["postgresql/15-main"]
    began = time.monotonic()
    code, document, said = promote(slave)
    assert code in (0, 1), (document, said)
    accounts, branches, latest = psql(slave, SUMS)
    assert (int(accounts), int(branches)) == (0, 0)
    newest = float(latest)
    assert datetime.fromisoformat(told[0]["as_of"]).timestamp() - 1 <= newest <= died
    assert struck - newest <= 1.0, "what was committed before the power went, but for a second of it"
    assert psql(slave, "SHOW primary_conninfo") == [""]
    assert slave.run("systemctl is-active 'hotsync-warm-*'", check=False).stdout.strip() == ""
    lost, took = max(0.0, struck - newest), time.monotonic() - began
    with capsys.disabled():
        print(f"\nat most {lost:.2f} s of transfers lost; promoted in {took:.1f} s")


def copy_of(slave: Host) -> str:
    """Return what tells one copy of the MASTER's cluster from the next: the number of a file that never changes."""
    folder = slave.run(STANDBY, input="SHOW data_directory").stdout.strip()
    return slave.run(["stat", "-c", "%i", f"{folder}/PG_VERSION"]).stdout


@pytest.mark.full
def test_a_cut_cable_costs_nothing_and_one_cut_for_too_long_a_new_copy(streaming: Lab) -> None:
    master, slave = streaming.master, streaming.slave
    first = copy_of(slave)
    slave.cut()
    wait_for(slave, f"! {FOLLOWS}", 120)
    psql(master, "CREATE TABLE meanwhile AS SELECT generate_series(1, 1000) AS n")
    slave.join()
    wait_for(slave, FOLLOWS, 300)
    assert copy_of(slave) == first, "what was kept for it was enough"

    master.run(["config", "setprop", "hotsync", "StreamKeepMB", "16"])
    save_settings(master)
    slave.cut()
    psql(master, "CREATE TABLE more AS SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 100000) AS n")
    while_away = "test 0 = $(cd /; runuser -u postgres -- psql -XAtqc 'SELECT count(*) FROM pg_replication_slots')"
    wait_for(master, while_away, 180)
    assert "would keep" in master.run(["journalctl", "-u", "hotsync-stream", "--no-pager"]).stdout
    slave.join()
    wait_for(master, f"ping -c 1 -W 1 {SLAVE}")
    record = sync(streaming)
    assert record["exit_code"] in (0, 1), record
    look_after(slave)
    wait_for(slave, FOLLOWS, 300)
    assert copy_of(slave) != first, "the log between is gone: it was copied anew"
    master.run("systemctl stop teller")
    rows = psql(master, "SELECT count(*) FROM more; SELECT count(*) FROM pgbench_history")
    follower = [*STANDBY, "-d", "bank"]
    question = "SELECT count(*) FROM more; SELECT count(*) FROM pgbench_history"
    end = time.monotonic() + 60
    while slave.run(follower, input=question).stdout.strip().split("|") != rows and time.monotonic() < end:
        time.sleep(0.5)
    assert slave.run(follower, input=question).stdout.strip().split("|") == rows


@pytest.mark.full
def test_a_standby_goes_on_after_a_boot_of_either_server(streaming: Lab) -> None:
    master, slave = streaming.master, streaming.slave
    for host in (master, slave):
        host.stop()
        host.boot()
        wait_for(slave, f"test -S {SOCKET}")
        psql(master, "CREATE TABLE IF NOT EXISTS booted (n int); INSERT INTO booted VALUES (1)")
        wait_for(slave, "hotsync status --json | grep -q '\"lag_seconds\": [0-9]\\.'")
    # the boot was the restart that the MASTER's MariaDB waited for: from the next dump on it is streamed, too
    assert sync(streaming)["exit_code"] in (0, 1)
    wait_for(slave, f"test -S {MARIADB}")
    checks = look_after(slave)
    assert checks["databases.streamed"]["verdict"] == "green", checks["databases.streamed"]


@pytest.mark.full
def test_switched_off_nothing_of_it_stays_on_the_master(streaming: Lab) -> None:
    master, slave = streaming.master, streaming.slave
    assert psql(master, SLOTS) == ["1"]
    master.run(["config", "setprop", "hotsync", "databases", "enabled"])
    save_settings(master)
    assert psql(master, SLOTS) == ["0"]
    assert master.run("systemctl is-enabled hotsync-stream", check=False).stdout.strip() == "disabled"
    assert master.run("systemctl is-active hotsync-stream", check=False).stdout.strip() == "inactive"
    wait_for(slave, f"test ! -e {SOCKET}")
    assert sync(streaming)["exit_code"] in (0, 1)
    look_after(slave)
    assert "databases.streamed" not in look_after(slave)
    assert slave.run("systemctl is-active 'hotsync-warm-*'", check=False).stdout.strip() == ""


@pytest.fixture
def mariadb(opened: Lab) -> Lab:
    """A MASTER whose MariaDB was restarted once, whose bank is at work, and a SLAVE that follows it."""
    opened.revert("ready")
    master, slave = opened.master, opened.slave
    before = listening(master)
    said = master.run(["config", "setprop", "hotsync", "databases", "streaming"])
    assert "needs a binary log, which only a restart of mariadb.service begins" in said.stderr
    assert master.run(["test", "-e", OPTIONS], check=False).returncode == 1
    save_settings(master)
    assert mysql(master, "SELECT @@log_bin") == ["0"], "nothing was restarted unasked"
    assert "mariadb/default waits for a restart" in master.run(["hotsync", "status"], check=False).stdout
    said = master.run(["config", "setprop", "hotsync", "databases", "streaming", "--now"], timeout=300)
    assert "mariadb.service was restarted." in said.stderr
    assert mysql(master, "SELECT @@log_bin, @@binlog_format") == ["1", "ROW"]
    master.run(["mysql"], input=BANK)
    for number in range(CLIENTS):
        master.run(["systemd-run", "-q", f"--unit=teller-{number}", "mysql", "bank", "-e", "CALL work()"])
    assert sync(opened)["exit_code"] in (0, 1)
    wait_for(slave, f"test -S {MARIADB}")
    checks = look_after(slave)
    assert checks["databases.streamed"]["verdict"] == "green", checks["databases.streamed"]
    assert listening(master) == before
    wait_for(slave, "hotsync status --json | grep -A3 mariadb/default | grep -q '\"lag_seconds\": [0-2]\\.'")
    return opened


def test_at_most_a_second_of_mariadb_is_lost_when_the_master_dies(
    mariadb: Lab, dice: random.Random, capsys: pytest.CaptureFixture[str]
) -> None:
    slave = mariadb.slave
    time.sleep(dice.uniform(0, 5))
    told = {each["name"]: each for each in status(slave)["streamed"]}
    struck = time.time()
    mariadb.master.kill()
    died = time.time()
    began = time.monotonic()
    code, document, said = promote(slave)
    assert code in (0, 1), (document, said)
    total, wrong, latest = mysql(slave, MARIADB_SUMS)
    assert (int(total), int(wrong)) == (ACCOUNTS * MONEY, 0)
    newest = float(latest)
    assert datetime.fromisoformat(told["mariadb/default"]["as_of"]).timestamp() - 1 <= newest <= died
    assert struck - newest <= 1.0, "what was committed before the power went, but for a second of it"
    assert slave.run(["mysql", "-e", "SHOW SLAVE STATUS"]).stdout == ""
    assert slave.run("ls /var/lib/mysql | grep hotsync", check=False).stdout == ""
    assert slave.run("systemctl is-active 'hotsync-warm-*'", check=False).stdout.strip() == ""
    lost, took = max(0.0, struck - newest), time.monotonic() - began
    with capsys.disabled():
        print(f"\nat most {lost:.2f} s of MariaDB's transfers lost; promoted in {took:.1f} s")


@pytest.mark.full
def test_switched_off_nothing_of_it_stays_on_the_masters_mariadb(mariadb: Lab) -> None:
    master = mariadb.master
    look_after(mariadb.slave)
    master.run(["config", "setprop", "hotsync", "databases", "enabled"])
    save_settings(master)
    assert mysql(master, "SELECT COUNT(*) FROM mysql.user WHERE User = 'hotsync_stream'") == ["0"]
    assert master.run(["test", "-e", OPTIONS], check=False).returncode == 1
    master.run("systemctl stop 'teller-*'; systemctl restart mariadb")
    assert mysql(master, "SELECT @@log_bin") == ["0"]
    assert sync(mariadb)["exit_code"] in (0, 1)
    assert master.run("ls /var/lib/mysql | grep hotsync", check=False).stdout == ""
    look_after(mariadb.slave)
    assert "mariadb/default" not in [each["name"] for each in status(mariadb.slave)["streamed"]]
