"""A SLAVE whose manifest was made anew from its tree is sent what it lacks, and nothing that it has: the content of
every file is proven by its sum on both sides. Real agents, TLS, rsync and replica; an rsync of its own compares.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hotsync.agent.daemon import open_store
from hotsync.flows.sync import COMMAND
from hotsync.manifest.store import Manifest
from hotsync.state.runs import Runs
from hotsync.system import command
from tests.contract.agent.pair import Pair, two_hosts
from tests.support import master_child

pytestmark = pytest.mark.contract
MEGABYTE = 1_000_000


class Servers:
    """A MASTER with a few megabytes, and its SLAVE, which has them."""

    def __init__(self, hosts: Pair) -> None:
        self.hosts = hosts
        self.data = hosts.master.paths.at("/srv")
        self.twin = hosts.slave.paths.replica / "tree/srv"

    def run(self) -> float:
        """Run `hotsync` well, and return how many bytes went out on the bulk connection."""
        argv = [sys.executable, "-m", master_child.__name__, str(self.hosts.master.paths.root), ""]
        said = command.run(argv, env={"PYTHONPATH": os.pathsep.join(sys.path)}).text
        report: dict[str, Any] = json.loads(said)
        assert report["code"] == 0, report
        last = Runs(self.hosts.master.paths.runs).last(COMMAND)
        assert last is not None
        return last.figures.get("sent_bytes", 0.0)

    def lose_the_slaves_manifest(self) -> None:
        for name in ("manifest.db", "manifest.db-wal", "manifest.db-shm"):
            (self.hosts.slave.paths.state / name).unlink(missing_ok=True)

    def differences(self) -> list[str]:
        argv = ["rsync", "-naicHAXXS", "--numeric-ids", "--modify-window=-1", "--delete"]
        return command.run([*argv, f"{self.data}/", f"{self.twin}/"]).text.splitlines()

    def dirty(self) -> int:
        with Manifest(self.hosts.slave.paths.manifest) as manifest:
            return sum(1 for entry in manifest.entries() if entry.unsettled)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with two_hosts(tmp_path, start=False) as hosts:
        made = Servers(hosts)
        hosts.slave.open_store = partial(open_store, hosts.slave.paths)
        hosts.slave.start()
        hosts.pair()
        (made.data / "folder").mkdir(parents=True)
        for number in range(5):
            (made.data / f"file {number}").write_bytes(os.urandom(MEGABYTE))
            (made.data / "folder" / f"new\nline {number}").write_bytes(os.urandom(1000))
        (made.data / "link").symlink_to("file 1")
        assert made.run() > 5 * MEGABYTE
        assert made.differences() == []
        yield made


def test_what_the_slave_has_is_not_sent_again_though_its_manifest_was_lost(servers: Servers) -> None:
    servers.lose_the_slaves_manifest()
    assert servers.run() < MEGABYTE / 10
    assert servers.differences() == []
    assert servers.dirty() == 0
    assert servers.run() == 0.0


def test_what_changed_while_nobody_knew_is_sent_and_nothing_else(servers: Servers) -> None:
    servers.lose_the_slaves_manifest()
    (servers.data / "file 1").write_bytes(os.urandom(MEGABYTE))
    (servers.data / "file 2").chmod(0o600)
    os.chown(servers.data / "file 2", 1234, 4321)
    os.setxattr(servers.data / "folder/new\nline 3", "user.mark", b"only here")
    (servers.data / "file 3").unlink()
    (servers.data / "file 5").write_text("new")
    sent = servers.run()
    assert MEGABYTE <= sent < MEGABYTE * 1.1
    assert servers.differences() == []
    assert servers.dirty() == 0


def test_other_content_of_the_same_size_and_time_is_sent(servers: Servers) -> None:
    """Two servers that were both written to can have it: neither size nor time proves anything."""
    servers.lose_the_slaves_manifest()
    file = servers.twin / "file 4"
    before = file.stat()
    file.write_bytes(os.urandom(MEGABYTE))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert MEGABYTE <= servers.run() < MEGABYTE * 1.1
    assert servers.differences() == []


def test_a_file_with_two_names_travels_with_both_of_them(servers: Servers) -> None:
    os.link(servers.data / "file 0", servers.data / "second name")
    servers.run()
    servers.lose_the_slaves_manifest()
    servers.run()
    assert servers.differences() == []
    assert servers.dirty() == 0
