"""A bank that never rests: transfers run on both database servers while syncs happen; then the MASTER dies.

After the promotion no money is lost or made, and the newest transfer is as new as the status said.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from lab import Host, Lab
from tests.lab.conftest import status, sync, wait_for
from tests.lab.production import promote, switch_off

pytestmark = [pytest.mark.lab, pytest.mark.timeout(7200)]

ACCOUNTS, MONEY = 200, 1000
BANK = f"""
CREATE DATABASE bank;
USE bank;
CREATE TABLE account (id int PRIMARY KEY, money bigint NOT NULL) ENGINE=InnoDB;
INSERT INTO account SELECT seq, {MONEY} FROM seq_1_to_{ACCOUNTS};
CREATE TABLE transfer (
  id bigint AUTO_INCREMENT PRIMARY KEY, giver int, taker int, money bigint, at timestamp(6) NOT NULL,
  KEY (giver), KEY (taker)
);
DELIMITER //
CREATE PROCEDURE work()
BEGIN
  DECLARE a, b, m int;
  DECLARE CONTINUE HANDLER FOR 1213, 1205 ROLLBACK; -- a deadlock: the next transfer goes on
  LOOP
    SET a = 1 + FLOOR(RAND() * {ACCOUNTS}), b = 1 + FLOOR(RAND() * {ACCOUNTS}), m = 1 + FLOOR(RAND() * 50);
    IF a <> b THEN
      START TRANSACTION;
      UPDATE account SET money = money - m WHERE id = LEAST(a, b);
      UPDATE account SET money = money + m WHERE id = GREATEST(a, b);
      INSERT INTO transfer (giver, taker, money, at) VALUES (LEAST(a, b), GREATEST(a, b), m, NOW(6));
      COMMIT;
    END IF;
    DO SLEEP(0.002);
  END LOOP;
END//
DELIMITER ;
"""
CLIENTS = 3
# what a hostile MASTER has its SLAVE execute while it loads: what it could read is in files of the data directory
TRAP = """
CREATE FUNCTION trap() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  COPY (SELECT 1) TO PROGRAM 'cat /etc/shadow /var/lib/hotsync/tls/identity.pem > read;
    cat /var/lib/hotsync/db/configuration >> read;
    ls /var/lib/hotsync/replica /var/lib/hotsync/db /root /home/anna >> read; cat /proc/net/dev > net;
    for f in /etc /run /tmp /var/tmp /dev/shm /home /root /var/lib/hotsync /var/lib/mysql; do echo x > $f/escaped; done;
    true';
  RETURN 1;
END $$;
CREATE MATERIALIZED VIEW trapped AS SELECT trap();
"""
# what the sums of each bank say: total, accounts whose money is not what the transfers made of it, newest transfer
MARIADB_SUMS = f"""
SELECT (SELECT SUM(money) FROM bank.account),
  (SELECT COUNT(*) FROM bank.account a WHERE money <> {MONEY}
     - (SELECT COALESCE(SUM(money), 0) FROM bank.transfer WHERE giver = a.id)
     + (SELECT COALESCE(SUM(money), 0) FROM bank.transfer WHERE taker = a.id)),
  (SELECT UNIX_TIMESTAMP(MAX(at)) FROM bank.transfer)
"""
# pgbench's own rule: all four tables have the same sum
POSTGRESQL_SUMS = """
SELECT (SELECT sum(abalance) FROM pgbench_accounts) - (SELECT coalesce(sum(delta), 0) FROM pgbench_history),
  (SELECT sum(tbalance) FROM pgbench_tellers) - (SELECT sum(bbalance) FROM pgbench_branches),
  (SELECT sum(abalance) FROM pgbench_accounts) - (SELECT sum(bbalance) FROM pgbench_branches),
  extract(epoch FROM (SELECT max(mtime) FROM pgbench_history) AT TIME ZONE current_setting('TimeZone'))
"""


def psql(host: Host, sql: str) -> list[str]:
    done = host.run(["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", "bank"], input=sql)
    return done.stdout.strip().split("|")


def mysql(host: Host, sql: str) -> list[str]:
    return host.run(["mysql", "-N"], input=sql).stdout.strip().split("\t")


def open_banks(host: Host) -> None:
    """Make both banks and let their clients work, as units, so that nothing but the MASTER's death ends them."""
    host.run(["mysql"], input=BANK)
    host.run("cd /; runuser -u postgres -- createdb bank; runuser -u postgres -- pgbench -q -i -s 1 bank")
    for number in range(CLIENTS):
        host.run(["systemd-run", "-q", f"--unit=teller-{number}", "mysql", "bank", "-e", "CALL work()"])
    bench = ["pgbench", "-n", "-b", "tpcb-like", "-c", str(CLIENTS), "-R", "300", "-T", "1000000", "bank"]
    host.run(["systemd-run", "-q", "--unit=teller-pg", "--uid=postgres", "--property=WorkingDirectory=/", *bench])
    wait_for(host, "test \"$(mysql -N -e 'SELECT COUNT(*) > 100 FROM bank.transfer')\" = 1")
    wait_for(
        host,
        "test \"$(cd /; runuser -u postgres -- psql -Atqc 'SELECT count(*) > 100 FROM pgbench_history' bank)\" = t",
    )


@pytest.fixture(scope="module")
def opened(production: Lab) -> Iterator[Lab]:
    """A ready SLAVE, saved before any bank was opened."""
    yield production
    switch_off(production)


@pytest.fixture
def bank(opened: Lab) -> Lab:
    """A MASTER whose banks are at work."""
    opened.revert("ready")
    open_banks(opened.master)
    return opened


def moments(document: dict[str, Any]) -> dict[str, float]:
    """Return of when each dataset is, by the status of the SLAVE."""
    found = document["generation"]["datasets"]
    assert [point for point in found if point["stale_since"]] == []
    return {point["name"]: datetime.fromisoformat(point["taken_at"]).timestamp() for point in found}


def test_no_money_is_lost_or_made_whenever_the_master_dies(
    bank: Lab, dice: random.Random, full_size: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    longest = 0.0
    for _ in range(20 if full_size else 3):
        began = time.monotonic()
        record = sync(bank)
        longest = max(longest, time.monotonic() - began)
        assert record["exit_code"] in (0, 1), record
        assert record["generation"] > 0
    with bank.master.spawn(["hotsync", "--json"]) as run:
        instant = time.monotonic() + dice.uniform(0, longest)
        while run.poll() is None and time.monotonic() < instant:
            time.sleep(0.001)
        bank.master.kill()
        died = time.time()
        run.wait(timeout=60)
    held = status(bank.slave)
    told = moments(held)
    code, document, said = promote(bank.slave)
    assert code in (0, 1), (document, said)

    total, wrong, newest = mysql(bank.slave, MARIADB_SUMS)
    assert (int(total), int(wrong)) == (ACCOUNTS * MONEY, 0)
    check_newest("MariaDB", float(newest), told["mariadb/default"], died)
    accounts, tellers, branches, latest = psql(bank.slave, POSTGRESQL_SUMS)
    assert (int(accounts), int(tellers), int(branches)) == (0, 0, 0)
    check_newest("PostgreSQL", float(latest), told["postgresql/15-main/bank"], died)
    with capsys.disabled():
        lost = {"mariadb": round(died - float(newest), 1), "postgresql": round(died - float(latest), 1)}
        print(f"\ngeneration {held['generation']['number']}, seconds of transfers lost: {json.dumps(lost)}")


def test_databases_are_loaded_beforehand_in_a_sandbox_and_a_promotion_loads_what_is_newer(opened: Lab) -> None:
    opened.revert("ready")
    slave = opened.slave
    opened.master.run(
        "mysql -e 'CREATE DATABASE old; CREATE TABLE old.t (i int PRIMARY KEY); INSERT INTO old.t VALUES (1)'"
    )
    opened.master.run(["runuser", "-u", "postgres", "--", "psql", "-Xq", "-d", "app"], input=TRAP)
    assert sync(opened)["exit_code"] in (0, 1)
    document = json.loads(slave.run(["hotsync-slave", "--json"], check=False, timeout=900).stdout)
    checks = {check["name"]: check for check in document["checks"]}
    assert checks["databases.beforehand"]["verdict"] == "green", checks["databases.beforehand"]
    assert {"mariadbd", "postgres"}.isdisjoint(slave.run("ps -eo comm=").stdout.split())
    data = "/var/lib/postgresql/15/main"
    assert slave.run(f"cat {data}/read").stdout == "", "it could read what it should not"
    interfaces = [
        line.split(":")[0].strip() for line in slave.run(f"cat {data}/net").stdout.splitlines() if ":" in line
    ]
    assert interfaces == ["lo"]
    assert slave.run("find / -xdev -name escaped; find /run /dev/shm /tmp -name escaped").stdout == ""
    assert slave.run("ls -A /var/lib/hotsync/replica/pins /run/hotsync/warm").stdout.split() == [
        "/run/hotsync/warm:", "/var/lib/hotsync/replica/pins:",
    ]  # fmt: skip

    opened.master.run("mysql -e 'INSERT INTO shop.orders VALUES (3, \"quinces\")'")
    assert sync(opened)["exit_code"] in (0, 1)
    opened.master.kill()
    code, promotion, said = promote(slave)
    assert code in (0, 1), (promotion, said)
    assert mysql(slave, "SELECT COUNT(*) FROM shop.orders; SELECT i FROM old.t")[0] == "3\n1"
    told = slave.run("journalctl -u hotsync-promote --no-pager | grep 'loaded beforehand'").stdout
    assert "mariadb/default: loaded beforehand: 'old', 'shop'" in told
    assert "postgresql/15-main: loaded beforehand: 'app', 'postgres', 'template1'" in told
    assert "touched" not in told


def check_newest(engine: str, newest: float, told: float, died: float) -> None:
    """The newest transfer is not older than the moment that the status told (to the second), and not made up."""
    assert told - 1 <= newest <= died, f"{engine}: the status told {told}, the newest transfer is of {newest}"
