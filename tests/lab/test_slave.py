"""A waiting SLAVE beside a MASTER with applications: it has its packages and its numbers, and it stays quiet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from lab import Host, Lab
from tests.lab import evil
from tests.lab.conftest import MASTER, SLAVE, TREE, configure_pair, own_name, status, sync, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

PRODUCTION = "postfix dovecot mariadb postgresql smbd nmbd apache2 cron"
# SMTP, HTTP, IMAP, Samba, MariaDB, PostgreSQL
PORTS = {"25", "80", "143", "445", "3306", "5432"}
WITHDRAWN = ("samba", "dovecot-imapd")


@pytest.fixture(scope="module")
def synced() -> Iterator[Lab]:
    """A MASTER with applications and a bare SLAVE with its first generation."""
    lab = Lab.up(name=own_name("slave"))
    try:
        lab.slave.run("useradd --uid 1500 --create-home keeper; useradd --system --uid 990 inway; touch /srv/inways")
        lab.slave.run("chown inway:inway /srv/inways")
        lab.master.run("useradd --uid 990 --create-home anna; groupadd --gid 880 staffers")
        configure_pair(lab)
        assert sync(lab)["exit_code"] == 0
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="module")
def first_runs(synced: Lab) -> tuple[dict[str, Any], dict[str, Any]]:
    """The records of the first run of hotsync-slave, when two packages cannot be had, and of the next, with them."""
    synced.repository.withdraw(*WITHDRAWN)
    try:
        short = look_after(synced.slave)
        assert_quiet(synced.slave)
    finally:
        synced.repository.offer()
    return short, look_after(synced.slave)


@pytest.fixture(scope="module")
def lab(synced: Lab, first_runs: tuple[dict[str, Any], dict[str, Any]]) -> Lab:
    """A MASTER with applications and a SLAVE that has all of its packages."""
    assert first_runs[1]["exit_code"] in (0, 1), first_runs
    synced.save("ready")
    return synced


@pytest.fixture
def ready(lab: Lab) -> Lab:
    """The hosts as they were after the first runs of hotsync-slave."""
    lab.revert("ready")
    return lab


def look_after(host: Host, *options: str) -> dict[str, Any]:
    """Run hotsync-slave and return its record."""
    done = host.run(["hotsync-slave", "--json", *options], check=False, timeout=600)
    assert done.stdout, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def verdict(record: dict[str, Any], name: str) -> str:
    """Return the verdict of one check."""
    return next(str(check["verdict"]) for check in record["checks"] if check["name"] == name)


def detail(record: dict[str, Any], name: str) -> str:
    """Return what one check says."""
    return next(str(check["detail"]) for check in record["checks"] if check["name"] == name)


def assert_quiet(host: Host) -> None:
    """Fail if anything of production runs or listens, asked of systemd and of the kernel, not of HotSync."""
    active = host.run(f"systemctl is-active {PRODUCTION}", check=False).stdout.split()
    assert set(active) <= {"inactive", "failed"}, active
    listening = {line.split()[4].rpartition(":")[2] for line in host.run("ss -H -tln").stdout.splitlines()}
    assert not listening & PORTS
    names = set(host.run("ps -eo comm=").stdout.split())
    assert not names & {"mariadbd", "postgres", "master", "dovecot", "smbd", "apache2", "cron"}


def number_of(host: Host, account: str) -> str:
    return host.run(["id", "-u", account]).stdout.strip()


def test_the_masters_applications_are_installed_and_none_of_them_runs(ready: Lab) -> None:
    for package in ("postfix", "mariadb-server", "postgresql-15", "samba", "dovecot-imapd", "apache2"):
        assert "installed" in ready.slave.run(["dpkg-query", "-W", "-f=${db:Status-Status}", package]).stdout
    assert_quiet(ready.slave)
    record = look_after(ready.slave)
    assert verdict(record, "mute.quiet") == "green", record
    assert verdict(record, "packages.missing") == "green", record
    assert verdict(record, "promotion.plan") == "green", record
    assert record["packages_missing"] == []


def test_accounts_have_the_masters_numbers_with_their_files_and_are_locked(ready: Lab) -> None:
    for account in ("mysql", "postgres", "postfix", "dovecot", "anna"):
        assert number_of(ready.slave, account) == number_of(ready.master, account)
    owner = ready.slave.run("stat -c %u /var/lib/mysql").stdout.strip()
    assert owner == number_of(ready.master, "mysql")
    moved = number_of(ready.slave, "inway")
    assert moved not in ("990", "0")
    assert ready.slave.run("stat -c %u /srv/inways").stdout.strip() == moved
    assert ready.slave.run("getent shadow anna").stdout.startswith("anna:!:")
    assert "nologin" in ready.slave.run("getent passwd anna").stdout
    assert number_of(ready.slave, "keeper") == "1500"
    assert "880" in ready.slave.run("getent group staffers").stdout


def test_starting_updating_and_booting_leave_it_quiet(ready: Lab) -> None:
    slave = ready.slave
    slave.run(f"systemctl start {PRODUCTION} postgresql@15-main postfix@-", check=False)
    assert_quiet(slave)
    again = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install --reinstall mariadb-server postfix cron"
    slave.run(again, timeout=300)
    assert_quiet(slave)
    slave.stop()
    slave.boot()
    assert_quiet(slave)


def test_a_second_run_finds_nothing_to_do(ready: Lab) -> None:
    shown = json.loads(ready.slave.run(["hotsync-slave", "--dry-run", "--json"]).stdout)
    assert shown["steps"] == []


def test_the_runbook_of_this_pair_is_on_both_servers(ready: Lab) -> None:
    look_after(ready.slave)
    page = ready.slave.run(["hotsync", "runbook"]).stdout
    for said in (f"{MASTER}/24", f"{SLAVE}/24", "eth0", "Postfix mail server", "Samba file server", "hotsync-promote"):
        assert said in page, page
    ready.master.write("/run/page", page)
    wait_for(ready.master, "hotsync runbook | cmp -s - /run/page")


def test_a_server_started_by_hand_is_found_by_name_and_makes_the_readiness_red(ready: Lab) -> None:
    slave = ready.slave
    slave.run("systemd-run --unit=byhand -p User=mysql -p RuntimeDirectory=mysqld /usr/sbin/mariadbd --skip-networking")
    record = look_after(slave)
    assert verdict(record, "mute.quiet") == "red"
    assert "mariadbd" in detail(record, "mute.quiet")
    assert status(slave)["readiness"]["verdict"] == "red"


def test_what_cannot_be_had_is_listed_and_the_rest_is_there(
    first_runs: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    short, later = first_runs
    missing = {each["name"] for each in short["packages_missing"]}
    assert set(WITHDRAWN) <= missing
    assert "mariadb-server" not in missing
    assert short["exit_code"] == 1
    assert later["packages_missing"] == []


def test_repositories_out_of_reach_cost_nothing_that_is_here(ready: Lab) -> None:
    # while something lacks, every run asks the repositories
    ready.slave.run("DEBIAN_FRONTEND=noninteractive apt-get -q -y remove dovecot-imapd", timeout=300)
    ready.slave.cut()
    record = look_after(ready.slave)
    assert record["exit_code"] == 1
    assert verdict(record, "packages.lists") == "amber", record
    assert_quiet(ready.slave)


def test_a_hostile_master_gets_neither_root_nor_a_login_nor_a_running_unit(ready: Lab) -> None:
    lines = ("evil:x:0:0::/root:/bin/bash", "mallory:x:777:27::/home/mallory:/bin/bash", "keeper:x:0:0::/:/bin/sh")
    for line in lines:
        ready.master.run(["sh", "-c", 'echo "$1" >>/etc/passwd', "sh", line])
    assert sync(ready)["exit_code"] in (0, 1)
    # an honest hotsync refuses to run with such a profile
    ready.slave.run(f"mkdir -p {TREE}/etc/hotsync/profiles.d; ln -s /etc/shadow {TREE}/etc/hotsync/profiles.d/x.toml")
    before = ready.slave.run("cat /etc/shadow").stdout
    record = look_after(ready.slave)
    assert verdict(record, "accounts.numbers") == "amber"
    slave = ready.slave
    assert slave.run("getent passwd evil", check=False).stdout == ""
    assert slave.run("awk -F: '$3 == 0 {print $1}' /etc/passwd").stdout.split() == ["root"]
    assert number_of(slave, "keeper") == "1500"
    assert slave.run("getent shadow mallory").stdout.startswith("mallory:!:")
    assert before.splitlines()[0] == slave.run("cat /etc/shadow").stdout.splitlines()[0]
    assert_quiet(slave)


def test_nothing_that_a_hostile_master_carries_runs_or_is_in_force_here(ready: Lab, tmp_path: Path) -> None:
    slave = ready.slave
    evil.poison(ready, tmp_path)
    for change in (
        "mkdir /srv/way; echo 1 >/srv/way/passwd",
        "rm -r /srv/way; ln -s /etc /srv/way",
        "rm /srv/way; mkdir /srv/way; echo root2::0:0::/: | tee /srv/way/passwd >/srv/way/shadow",
    ):
        ready.master.run(change)
        assert sync(ready, "--accept-changes")["exit_code"] in (0, 1)
    slave.run(["hotsync-slave", "--accept-repositories"], input="yes\n" * 9, check=False)
    first = look_after(slave)
    assert evil.PACKAGE in {each["name"] for each in first["packages_missing"]}, first
    slave.run("systemctl daemon-reload; signal-event nethserver-hotsync-save; apt-get -q update", check=False)
    slave.stop()
    slave.boot()
    look_after(slave)
    assert slave.run(["test", "-e", evil.MARK], check=False).returncode == 1
    places = "/etc /home /opt /root /usr /var/spool /var/lib/systemd /var/lib/dpkg"
    assert slave.run(f"grep -rlI {evil.WORD} {places}", check=False).stdout == ""
    carried = slave.run(f"grep -rlI {evil.WORD} /var/lib/hotsync/replica/tree").stdout
    assert all(path in carried for path in evil.FILES), carried
    assert slave.run("awk -F: '$3 == 0 {print $1}' /etc/passwd").stdout.split() == ["root"]
    assert slave.run("awk -F: '$2 == \"\" {print $1}' /etc/shadow").stdout == ""
    assert_quiet(slave)


def test_on_a_master_it_refuses_and_says_where_it_runs(ready: Lab) -> None:
    done = ready.master.run(["hotsync-slave"], check=False)
    assert done.returncode == 3
    assert "runs on a SLAVE only" in done.stderr


def test_a_test_mail_that_the_relay_took_turns_the_alarm_green(ready: Lab) -> None:
    assert verdict(look_after(ready.slave), "notify.relay") == "amber"
    ready.slave.run("config setprop hotsync NotifyRelay 10.77.0.100:25 NotifyTo admin@lab.example")
    record = look_after(ready.slave)
    assert verdict(record, "notify.relay") == "green", record


def mails_for_root(lab: Lab) -> list[EmailMessage]:
    """Return what the relay has of HotSync's mails about runs, the oldest first, once none is under way any more."""
    wait_for(lab.master, "postqueue -p | grep -q 'Mail queue is empty'")
    return [mail for mail in lab.client.mails() if "synchronization" in mail["Subject"]]


def test_root_of_a_master_reads_once_that_runs_fail_and_once_that_they_work_again(ready: Lab) -> None:
    """By the MASTER's own mail server, which hands everything on to the relay."""
    ready.slave.run(["systemctl", "stop", "hotsyncd"])
    assert sync(ready)["exit_code"] == 5
    (failed,) = mails_for_root(ready)
    assert failed["Subject"] == "[HotSync] master: synchronization failed"
    assert failed["X-Lab-To"].startswith("root@")
    assert "(Postfix, from userid 0)" in failed["Received"]
    body = failed.get_content()
    assert f"{SLAVE} port 273 does not answer" in body.partition("What happened:")[2]
    assert "Is the other server on" in body.partition("What to do:")[2]
    assert "The SLAVE still holds the MASTER as of" in body
    assert sync(ready)["exit_code"] == 5
    assert len(mails_for_root(ready)) == 1
    ready.slave.run(["systemctl", "start", "hotsyncd"])
    record = sync(ready)
    assert record["exit_code"] in (0, 1), record
    _, again = mails_for_root(ready)
    assert again["Subject"] == "[HotSync] master: synchronization works again"
    assert again["X-Lab-To"] == failed["X-Lab-To"]
    assert "Nothing needs to be done." in again.get_content()


def test_the_status_of_a_master_whose_slave_is_dead_says_so_and_waits_for_nobody(ready: Lab) -> None:
    master = ready.master
    master.run(["config", "setprop", "hotsync", "StallSeconds", "5"])
    wait_for(master, "hotsync status | grep -q ', connected'")
    ready.slave.kill()
    wait_for(master, "hotsync status | grep -q 'not connected'")
    wait_for(master, f"hotsync status | grep -q '^Warning: {SLAVE} port 273 does not answer'")
    done = master.run(["timeout", "10", "hotsync", "status"], check=False)
    assert done.returncode == 1, done.stdout
    assert f"({SLAVE}), not connected, last heard of " in done.stdout
    shown = status(master)
    assert (shown["role"], shown["peer"]["connected"]) == ("master", False)
    assert any(f"{SLAVE} port 273 does not answer" in warning for warning in shown["warnings"])
    assert shown["generation"]["number"] >= 1
