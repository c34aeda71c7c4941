"""Synchronization between two real hosts, and each thing that can go wrong on the way, with message and exit code."""

from __future__ import annotations

import json
import os
import re

import pytest

from lab import Lab
from tests.lab.conftest import MASTER, SLAVE, TREE, configure, status, sync, wait_for
from tests.lab.twin import Running, Twin

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


def difference(lab: Lab, folder: str) -> str:
    """Return "" if a folder of the MASTER and the replica's are alike in names, metadata and content."""
    listing = (
        f"cd {{root}}{folder} && find . -printf '%P %y %m %U %G %s %T@ %l\\n' | LC_ALL=C sort;"
        f" find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum"
    )
    here = lab.master.run(["sh", "-c", listing.format(root="")]).stdout
    there = lab.slave.run(["sh", "-c", listing.format(root=TREE)]).stdout
    return "" if here == there else "differs"


def test_what_changes_on_the_master_is_on_the_slave_after_a_run(pair: Lab) -> None:
    pair.master.run(
        "echo new >/srv/files/new; rm /srv/files/1; echo other >/srv/files/2; mv /srv/files/3 /srv/files/three"
    )
    record = sync(pair)
    assert record["exit_code"] == 0, record
    assert difference(pair, "/srv/files") == ""
    assert status(pair.slave)["generation"]["number"] == record["generation"]


def test_a_run_in_which_nothing_changed_makes_no_generation_and_confirms_the_last(pair: Lab) -> None:
    sync(pair)
    before = status(pair.slave)["generation"]
    record = sync(pair)
    after = status(pair.slave)["generation"]
    assert (record["exit_code"], after["number"]) == (0, before["number"])
    assert after["confirmed_at"] >= before["confirmed_at"]


def test_a_dry_run_changes_nothing_on_either_side(pair: Lab) -> None:
    pair.master.run("echo new >/srv/files/new")
    state = "find /var/lib/hotsync -mindepth 1 -printf '%p %i %T@\\n' | grep -v -e '-wal$' -e '-shm$' | LC_ALL=C sort"
    for host in pair.hosts:
        # their own notes, of when the peer was seen and of what is newer than the generation, are no part of this
        host.run("systemctl stop hotsyncd hotsync-watch")
    before = [host.run(state).stdout for host in pair.hosts]
    shown = pair.master.run(["hotsync", "--dry-run", "--json"])
    assert [host.run(state).stdout for host in pair.hosts] == before
    assert any(row["changed"] for row in json.loads(shown.stdout)["applications"])


def test_a_run_beside_a_run_is_told_who_is_working_and_the_timer_keeps_quiet(pair: Lab) -> None:
    # one process: a child that outlives it would be waited for
    holder = pair.master.spawn(["flock", "--no-fork", "/run/hotsync/run.lock", "sleep", "60"])
    try:
        wait_for(pair.master, "! flock -n /run/hotsync/run.lock true")
        person = pair.master.run(["hotsync"], check=False)
        timer = pair.master.run(["hotsync", "--timer"], check=False)
    finally:
        holder.terminate()
        holder.communicate()
    assert person.returncode == 4
    assert "running" in person.stderr
    assert (timer.returncode, timer.stdout) == (0, "")


def test_two_runs_at_once_are_one_run_and_one_that_is_told_who_is_working(pair: Lab) -> None:
    (pair.master.root / "srv/files/new").write_bytes(os.urandom(20_000_000))
    twin = Twin(pair)
    runs = [Running(twin), Running(twin)]
    (code, first, _), (late_code, late, _) = sorted((run.result() for run in runs), key=lambda result: result[0])
    assert (code, late_code) == (0, 4), (first, late)
    assert re.search(r"is running \(process \d+, for \d+ s\)", late["error"]["sentence"]), late
    assert twin.compare_now() == []


def test_an_empty_mount_point_never_empties_the_replica(pair: Lab) -> None:
    pair.master.run("mkdir /data && mount -t tmpfs none /data && echo precious >/data/file")
    pair.master.write("/etc/backup-data.d/custom.include", "/data")
    assert sync(pair)["exit_code"] == 0
    pair.master.run("umount /data")
    record = sync(pair)
    assert record["exit_code"] == 3, record
    assert "/data" in record["summary"]
    assert pair.slave.read(f"{TREE}/data/file") == "precious\n"


def test_a_root_that_was_full_and_is_empty_holds_the_run_until_it_is_accepted(pair: Lab) -> None:
    pair.master.run("rm -r /srv/files")
    held = sync(pair)
    assert held["exit_code"] == 3, held
    assert pair.slave.run(["ls", f"{TREE}/srv/files/7"]).returncode == 0
    accepted = sync(pair, "--accept-changes")
    assert accepted["exit_code"] == 0, accepted
    assert pair.slave.run(["ls", f"{TREE}/srv/files"], check=False).returncode != 0


def test_a_pulled_cable_is_told_and_the_next_run_goes_on(pair: Lab) -> None:
    pair.master.run("head -c 200M /dev/urandom >/srv/files/big")
    pair.master.run(["config", "setprop", "hotsync", "StallSeconds", "5"])
    pair.master.run(["config", "setprop", "hotsync", "BandwidthLimit", "20000"])
    runner = pair.master.spawn(["hotsync", "--json"])
    wait_for(pair.slave, "find /var/lib/hotsync/replica/staging -type f -size +1M | grep -q .")
    pair.slave.cut()
    out, _ = runner.communicate(timeout=120)
    record = json.loads(out)
    assert record["exit_code"] in (5, 6), record
    pair.slave.join()
    pair.master.run(["config", "setprop", "hotsync", "BandwidthLimit", "0"])
    again = sync(pair)
    assert again["exit_code"] == 0, again
    assert difference(pair, "/srv/files") == ""


def test_a_slave_without_room_is_found_before_sending(pair: Lab) -> None:
    pair.slave.run("fallocate -l $(($(df -B1 --output=avail /var/lib/hotsync | tail -1) - 40000000)) /root/filler")
    pair.master.run("head -c 120M /dev/urandom >/srv/files/big")
    record = sync(pair)
    assert record["exit_code"] == 8, record
    assert record["error"]["code"] == "replica.space"
    assert record["figures"].get("sent_bytes", 0) == 0
    pair.slave.run("rm /root/filler")
    assert sync(pair)["exit_code"] == 0


def test_clocks_two_hours_apart_are_named_as_such(pair: Lab) -> None:
    pair.master.clock("+2h")
    try:
        record = sync(pair)
    finally:
        pair.master.clock("+0")
    assert (record["exit_code"], record["error"]["code"]) == (5, "peer.clock"), record
    assert sync(pair)["exit_code"] == 0


def test_a_wrong_password_is_told_on_both_sides_and_nothing_is_pinned(fresh: Lab) -> None:
    configure(fresh.slave, "slave", "MasterHost", MASTER, "one-password")
    configure(fresh.master, "master", "SlaveHost", SLAVE, "another-password")
    fresh.master.run("systemctl stop hotsync.timer hotsyncd")
    record = sync(fresh)
    # the daemon may have tried before: then the SLAVE makes the next guess wait
    assert record["exit_code"] == 5, record
    assert record["error"]["code"] in ("peer.password", "peer.slowed"), record
    assert fresh.master.run("journalctl -t hotsyncd -t hotsync | grep 'passwords differ'", check=False).returncode == 0
    assert fresh.slave.run("journalctl -t hotsyncd | grep -i password", check=False).returncode == 0
    for host in fresh.hosts:
        assert host.run(["test", "-e", "/var/lib/hotsync/peer.json"], check=False).returncode == 1
        for form in ("export", "json"):  # both show every field of a line, also the command line of who sent it
            assert "another-password" not in host.run(f"journalctl -o {form}").stdout


def test_a_slave_that_is_not_configured_does_not_answer_and_the_master_says_so(fresh: Lab) -> None:
    configure(fresh.master, "master", "SlaveHost", SLAVE)
    fresh.master.run("systemctl stop hotsync.timer")
    record = sync(fresh)
    assert (record["exit_code"], record["error"]["code"]) == (5, "peer.unreachable"), record


def test_status_works_with_the_peer_dead(pair: Lab) -> None:
    pair.master.kill()
    shown = status(pair.slave)
    assert shown["role"] == "slave"
    assert shown["generation"]["number"] >= 1


def test_the_administrator_gets_one_mail_when_it_fails_and_one_when_it_works_again(pair: Lab) -> None:
    pair.master.run(["config", "setprop", "hotsync", "NotifyRelay", "10.77.0.100"])
    pair.client.forget_mails()
    pair.slave.run("systemctl stop hotsyncd")
    assert sync(pair)["exit_code"] == 5
    assert sync(pair)["exit_code"] == 5
    pair.slave.run("systemctl start hotsyncd")
    assert sync(pair)["exit_code"] == 0
    subjects = [mail["Subject"] for mail in pair.client.mails()]
    assert [("failed" in subject, "works again" in subject) for subject in subjects] == [(True, False), (False, True)]
