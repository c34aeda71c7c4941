"""`hotsync` is killed at every step of a run: the SLAVE holds the old generation or the new one, and the next run ends
well, from the outbox where that suffices. Real agents, TLS, rsync and replica; an rsync of its own compares.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hotsync.agent.daemon import open_store
from hotsync.manifest.store import Manifest
from hotsync.replica.generations import read_generations
from hotsync.state.sent import load_sent
from hotsync.system import command
from tests.contract.agent.pair import Pair, two_hosts
from tests.support import master_child

pytestmark = pytest.mark.contract
OLD = [
    "while it sends",
    "after the plan",
    "after begin",
    "after it was sent",
    "after the final changeset",
    "before commit",
]
NEW = ["after commit", "in our manifest", "after our manifest", "after the record"]


class Gate:
    """Holds the SLAVE in front of its commit."""

    def __init__(self) -> None:
        self.closed = False
        self.reached, self.opened, self.done = threading.Event(), threading.Event(), threading.Event()

    def store(self, hosts: Pair) -> Any:
        store: Any = open_store(hosts.slave.paths)
        real = store.commit

        def commit(*args: Any) -> Any:
            if self.closed:
                self.reached.set()
                assert self.opened.wait(60)
            try:
                return real(*args)
            finally:
                self.done.set()

        store.commit = commit
        return store


class Servers:
    """A MASTER with data, its SLAVE, and `hotsync` as a process."""

    def __init__(self, hosts: Pair) -> None:
        self.hosts, self.gate = hosts, Gate()
        self.data = hosts.master.paths.at("/srv")
        self.twin = hosts.slave.paths.replica / "tree/srv"

    @contextmanager
    def started(self, point: str = "") -> Iterator[Any]:
        argv = [sys.executable, "-m", master_child.__name__, str(self.hosts.master.paths.root), point]
        env = {"PYTHONPATH": os.pathsep.join(sys.path)}
        with command.spawn(argv, stdout=command.PIPE, stderr=command.PIPE, env=env) as process:
            yield process

    def run(self, point: str = "", *, dies: bool = True) -> dict[str, Any]:
        """Run `hotsync`; return what became of it, or nothing if it was killed at a point."""
        with self.started(point) as process:
            out, err = process.communicate()
        if point and dies:
            assert (process.returncode, out) == (-signal.SIGKILL, b""), err.decode()
            return {}
        assert process.returncode == 0, err.decode()
        found: dict[str, Any] = json.loads(out)
        return found

    def differences(self, one: Path) -> list[str]:
        argv = ["rsync", "-naicHAXXS", "--numeric-ids", "--modify-window=-1", "--delete"]
        return command.run([*argv, f"{one}/", f"{self.twin}/"]).text.splitlines()

    def change(self) -> None:
        """Change, remove, rename and add."""
        for number in range(5):
            (self.data / f"file {number}").write_text(f"new {number}")
        (self.data / "file 5").unlink()
        os.rename(self.data / "folder", self.data / "renamed")
        (self.data / "large").write_bytes(os.urandom(3_000_000))

    @property
    def standing(self) -> tuple[int, int]:
        """The generations of both manifests."""
        found: list[int] = []
        for host in (self.hosts.master, self.hosts.slave):
            with Manifest(host.paths.manifest) as manifest:
                found.append(manifest.generation)
        return found[0], found[1]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with two_hosts(tmp_path, start=False) as hosts:
        made = Servers(hosts)
        hosts.slave.open_store = partial(made.gate.store, hosts)
        hosts.slave.start()
        hosts.pair()
        hosts.master.set("hotsync", BandwidthLimit="20000")
        (made.data / "folder").mkdir(parents=True)
        for number in range(20):
            (made.data / f"file {number}").write_text(str(number))
            (made.data / "folder" / str(number)).write_text("x" * number)
        assert made.run()["code"] == 0
        assert made.differences(made.data) == []
        yield made


@pytest.fixture
def before(servers: Servers, tmp_path: Path) -> Path:
    """What the data was before it is changed."""
    command.run(["cp", "-a", str(servers.data), str(tmp_path / "before")])
    servers.change()
    return tmp_path / "before"


def ends_well(servers: Servers) -> None:
    """The next run ends well without the SLAVE's manifest, both sides agree, and a second one finds nothing to do."""
    report = servers.run()
    assert (report["code"], report["fetched"]) == (0, 0), report
    assert servers.differences(servers.data) == []
    master, slave = servers.standing
    assert (master, slave) == (report["generation"], report["generation"])
    sent = load_sent(servers.hosts.master.paths)
    assert sent is not None
    with Manifest(servers.hosts.slave.paths.manifest) as manifest:
        assert (sent.number, sent.digest) == (manifest.generation, manifest.digest)
    assert os.listdir(servers.hosts.slave.paths.replica / "staging") == []
    assert os.listdir(servers.hosts.master.paths.outbox) == []
    again = servers.run()
    assert (again["code"], again["fetched"], again["generation"]) == (0, 0, report["generation"])


@pytest.mark.parametrize("point", OLD)
def test_a_run_that_dies_before_it_commits_never_was(servers: Servers, before: Path, point: str) -> None:
    servers.run(point)
    assert servers.differences(before) == []
    assert servers.standing == (1, 1)
    ends_well(servers)


@pytest.mark.parametrize("point", NEW)
def test_a_run_that_dies_after_its_commit_is_known_to_the_next(servers: Servers, before: Path, point: str) -> None:
    servers.run(point)
    assert before.exists()
    assert servers.differences(servers.data) == []
    assert servers.standing[1] == 2
    ends_well(servers)


def die_while_the_slave_commits(servers: Servers) -> None:
    servers.gate.done.clear()
    servers.gate.closed = True
    with servers.started() as process:
        assert servers.gate.reached.wait(60), process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    servers.gate.closed = False


def test_a_run_of_which_everything_vanished_confirms_what_was(servers: Servers) -> None:
    known = load_sent(servers.hosts.master.paths)
    assert known is not None
    (servers.data / "file 3").write_text("changed, and gone before it is sent")
    report = servers.run("loses what it sends", dies=False)
    assert (report["code"], report["generation"]) == (1, 1)
    assert report["summary"] == "Nothing of what changed could be sent; the SLAVE holds generation 1."
    assert (servers.twin / "file 3").read_text() == "3"
    sent = load_sent(servers.hosts.master.paths)
    assert sent == replace(known, confirmed_at=sent.confirmed_at if sent else 0.0)
    assert sent.confirmed_at > known.confirmed_at
    assert read_generations(servers.hosts.slave.paths.manifest)[-1].confirmed_at > known.confirmed_at
    ends_well(servers)


def test_a_run_that_dies_while_the_slave_commits_is_found_in_the_outbox(servers: Servers, before: Path) -> None:
    die_while_the_slave_commits(servers)
    assert servers.differences(before) == []
    servers.gate.opened.set()
    assert servers.gate.done.wait(60)
    ends_well(servers)


def test_a_run_while_the_slave_still_commits_leaves_the_outbox_as_it_was(servers: Servers, before: Path) -> None:
    die_while_the_slave_commits(servers)
    outbox = servers.hosts.master.paths.outbox / "2.changes"
    committing = outbox.read_bytes()
    (servers.data / "file 7").write_text("changed meanwhile")
    refused = servers.run()
    assert refused["code"] == 5, refused
    assert outbox.read_bytes() == committing
    assert servers.differences(before) == []
    servers.gate.opened.set()
    assert servers.gate.done.wait(60)
    ends_well(servers)
    assert servers.standing == (3, 3)
