"""What the SLAVE cannot store is left out and named, and everything else goes on. Real agents, TLS, rsync and replica.

The MASTER's data lie on a file system that takes attributes of any size, the SLAVE's on one that does not (ext4).
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hotsync.agent.daemon import open_store
from hotsync.flows.sync import COMMAND
from hotsync.state.runs import Runs
from hotsync.system import command
from tests.contract.agent.pair import Pair, two_hosts
from tests.support import master_child
from tests.support.deep import dig

pytestmark = pytest.mark.contract
LARGE = b"x" * 20_000
UTF8 = "ü" * 125
LONG = "n" * 250


class Servers:
    """A MASTER and its SLAVE."""

    def __init__(self, hosts: Pair) -> None:
        self.hosts = hosts
        self.data = hosts.master.paths.at("/srv")
        self.twin = hosts.slave.paths.replica / "tree/srv"

    def run(self) -> tuple[int, dict[str, str]]:
        """Run `hotsync`; return its exit status, and the sentence of each path that it warns of."""
        argv = [sys.executable, "-m", master_child.__name__, str(self.hosts.master.paths.root), ""]
        report: dict[str, Any] = json.loads(command.run(argv, env={"PYTHONPATH": os.pathsep.join(sys.path)}).text)
        last = Runs(self.hosts.master.paths.runs).last(COMMAND)
        assert last is not None, report
        return report["code"], {notice.path: notice.sentence for notice in last.warnings}

    def write(self, path: str, text: str = "content") -> Path:
        file = self.data / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def differences(self) -> list[str]:
        argv = ["rsync", "-naicHAXXS", "--numeric-ids", "--modify-window=-1", "--delete"]
        return command.run([*argv, f"{self.data}/", f"{self.twin}/"]).text.splitlines()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with two_hosts(tmp_path, start=False) as hosts:
        made = Servers(hosts)
        made.data.mkdir(parents=True)
        command.run(["mount", "-t", "tmpfs", "hotsync-test", str(made.data)])
        try:
            hosts.slave.open_store = partial(open_store, hosts.slave.paths)
            hosts.slave.start()
            hosts.pair()
            yield made
        finally:
            command.run(["umount", "-l", str(made.data)])


def spoil(path: Path, name: str = "trusted.large") -> None:
    os.setxattr(path, name, LARGE, follow_symlinks=False)


def test_attributes_that_do_not_fit_cost_their_paths_and_nothing_else(servers: Servers) -> None:
    old = servers.write("old", "first")
    servers.write("good", "first")
    assert servers.run() == (0, {})
    assert servers.differences() == []

    old.write_text("second")
    spoil(old)
    servers.write("good", "second")
    for name in ("name", ".name", LONG, UTF8, "new\nline", 'a","b', ".x.ABC123"):
        spoil(servers.write(f"new/{name}"))
    spoil(servers.write("new/odd"), 'trusted.a","b" -> "c')
    spoil(servers.write("new/folder/inside").parent)
    servers.write("new/folder/deeper/file")
    (servers.data / "new/link").symlink_to("nowhere")
    spoil(servers.data / "new/link")
    spoil(servers.write("new/names/first"))
    for name in ("new/names/second", "zz"):
        os.link(servers.data / "new/names/first", servers.data / name)
    servers.write("new/names/other")
    status, told = servers.run()
    assert status == 1
    left = ["old", "zz", "new/folder", "new/link", "new/odd", "new/names/first", "new/names/second"]
    left += [f"new/{name}" for name in ("name", ".name", LONG, UTF8, "new\nline", 'a","b', ".x.ABC123")]
    assert set(told) == {f"srv/{path}" for path in left}
    assert all("cannot store an extended attribute of it (No space left" in sentence for sentence in told.values())
    assert (servers.twin / "good").read_text() == "second"
    assert (servers.twin / "old").read_text() == "first"
    assert sorted(os.listdir(servers.twin / "new")) == ["names"]
    assert os.listdir(servers.twin / "new/names") == ["other"]
    assert command.run(["ls", "-A", str(servers.hosts.slave.paths.replica / "staging")]).text == ""

    assert servers.run() == (1, told), "they are named as long as it is so"
    for folder, names, files in os.walk(servers.data):
        for path in (os.path.join(folder, name) for name in (*names, *files)):
            for attribute in os.listxattr(path, follow_symlinks=False):
                os.removexattr(path, attribute, follow_symlinks=False)
    assert servers.run() == (0, {})
    assert servers.differences() == []


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let nobody write a file that is larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_files_that_are_too_large_there_are_left_out_and_what_comes_behind_them_is_sent(servers: Servers) -> None:
    for name in ("a", "m", "z"):
        servers.write(f"{name}/small", name)
    for name in ("b", "n"):
        (servers.data / f"{name}-large").write_bytes(os.urandom(20_000_000))
    with largest_file(10_000_000):
        status, told = servers.run()
    assert (status, set(told)) == (1, {"srv/b-large", "srv/n-large"}), told
    assert all("cannot store it (File too large)" in sentence for sentence in told.values())
    assert [(servers.twin / name / "small").read_text() for name in ("a", "m", "z")] == ["a", "m", "z"]
    assert servers.run() == (0, {})
    assert servers.differences() == []


def test_a_tree_that_is_too_deep_is_named_and_everything_else_arrives(servers: Servers) -> None:
    servers.write("zz", "other")
    dig(servers.data / "deep", 1300, files=1)
    status, told = servers.run()
    assert (status, len(told)) == (1, 1), told
    assert "more than 500 folders deep" in next(iter(told.values()))
    assert (servers.twin / "zz").read_text() == "other"
    assert (servers.twin / "deep" / "/".join(["d"] * 498) / "file").exists()
    command.run(["rm", "-rf", str(servers.data / "deep")])
    assert servers.run() == (0, {})
    assert servers.differences() == []
