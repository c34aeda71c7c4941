"""The package on a pair at work, under a running systemd: upgraded in the middle of a sync, removed, back, purged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import Host, Lab
from tests.lab.conftest import SLAVE, status, sync, wait_for
from tests.packaging.conftest import build

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

STATE = "/var/lib/hotsync"
MUTE = "/etc/systemd/system/cron.service.d/zz-hotsync-mute.conf"
OURS = "hotsyncd.service hotsync-slave.timer"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return this checkout's package, and the same as a later version."""
    one, later = (tmp_path_factory.mktemp(name) for name in ("package", "later"))
    return build(one), build(later, "--version", "99.0")


@pytest.fixture
def waiting(pair: Lab) -> Lab:
    """The pair, its SLAVE muted."""
    pair.slave.run(["hotsync-slave", "fixperm"], check=False, timeout=300)
    assert pair.slave.run(["test", "-e", MUTE], check=False).returncode == 0
    return pair


def apt(host: Host, *words: str, package: Path | None = None) -> str:
    """Run apt-get on a host, for a package of this machine if one is given; return what it said."""
    if package:
        host.write(f"/root/{package.name}", package.read_bytes())
        words = (*words, f"/root/{package.name}")
    done = host.run(["sh", "-euc", 'exec "$@" 2>&1', "sh", "apt-get", "-qy", *words], timeout=600, env=QUIET)
    return done.stdout


QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def kept(host: Host) -> str:
    """Return what neither an upgrade nor a removal may change."""
    files = "sha256sum role.json peer.json db/configuration tls/*"
    return host.run(f"cd {STATE}; {files}; find replica/tree -printf '%P %i %T@\\n' | sort").stdout


def active(host: Host) -> list[str]:
    return host.run(f"systemctl is-active {OURS}", check=False).stdout.split()


def enabled(host: Host) -> list[str]:
    return host.run(f"systemctl is-enabled {OURS}", check=False).stdout.split()


def test_an_upgrade_in_the_middle_of_a_sync_costs_that_sync_at_most(waiting: Lab, packages: tuple[Path, Path]) -> None:
    waiting.master.run("head -c 200M /dev/urandom >/srv/files/big")
    waiting.master.run(["config", "setprop", "hotsync", "BandwidthLimit", "20000"])
    before = kept(waiting.slave)
    runner = waiting.master.spawn(["hotsync", "--json"])
    wait_for(waiting.slave, f"find {STATE}/replica/staging -type f -size +1M | grep -q .")
    apt(waiting.slave, "install", package=packages[1])
    record = json.loads(runner.communicate(timeout=300)[0])
    assert record["exit_code"] in (0, 5, 6), record
    if record["exit_code"]:
        assert kept(waiting.slave) == before
    assert waiting.slave.run(["dpkg-query", "-W", "-f", "${Version}", "hotsync"]).stdout == "99.0"
    assert waiting.slave.run(["test", "-e", MUTE], check=False).returncode == 0
    waiting.master.run(["config", "setprop", "hotsync", "BandwidthLimit", "0"])
    assert active(waiting.slave)[0] == "active"
    assert sync(waiting)["exit_code"] == 0
    assert waiting.slave.run(["hotsync", "verify"], check=False).returncode == 0


def test_removed_and_installed_again_a_slave_takes_up_its_work(waiting: Lab, packages: tuple[Path, Path]) -> None:
    slave = waiting.slave
    slave.run(f"systemctl enable -q --now {OURS}")
    before = kept(slave)
    apt(slave, "remove", "hotsync")
    assert kept(slave) == before
    assert "active" not in active(slave)
    assert slave.run(["test", "-e", MUTE], check=False).returncode != 0
    slave.run(["systemctl", "start", "cron"])  # it may, now
    assert sync(waiting)["exit_code"] == 5
    apt(slave, "install", package=packages[0])
    assert kept(slave) == before
    assert active(slave) == ["active", "active"]
    assert enabled(slave) == ["enabled", "enabled"]
    assert sync(waiting)["exit_code"] == 0
    wait_for(slave, f"test -e {MUTE}", 300)
    assert status(slave)["peer"] is not None


def test_a_purge_at_work_ends_all_and_says_what_it_keeps(waiting: Lab) -> None:
    slave = waiting.slave
    said = apt(slave, "purge", "hotsync")
    assert f"{STATE}/replica is kept" in said
    assert slave.run(["ls", STATE]).stdout.split() == ["manifest.db", "replica"]
    assert slave.run(["systemctl", "list-units", "--all", "--no-legend", "hotsync*"]).stdout == ""
    assert slave.run(["nft", "list", "tables"]).stdout == ""
    assert slave.run(["test", "-e", MUTE], check=False).returncode != 0
    assert slave.run(["ss", "-Hltn", "sport = :273"]).stdout == ""
    assert waiting.master.run(["ping", "-c1", "-W2", SLAVE], check=False).returncode == 0
