"""Whole runs with what time stamps hide: a disk with whole seconds, and a program that writes through a mapping."""

from __future__ import annotations

import mmap
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hotsync.agent.daemon import open_store
from hotsync.manifest.store import Manifest
from hotsync.system import command
from tests.contract.agent.pair import Pair, two_hosts
from tests.support import master_child
from tests.support.images import MIB, make_disk, mounted

pytestmark = pytest.mark.contract


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Pair]:
    """A pair that has sent nothing yet."""
    with two_hosts(tmp_path, start=False) as made:
        made.slave.open_store = partial(open_store, made.slave.paths)
        made.slave.start()
        made.pair()
        yield made


def run(hosts: Pair) -> None:
    argv = [sys.executable, "-m", master_child.__name__, str(hosts.master.paths.root), ""]
    said = command.run(argv, env={"PYTHONPATH": os.pathsep.join(sys.path)}).text
    assert '"code": 0' in said, said


def unsettled(hosts: Pair) -> list[str]:
    with Manifest(hosts.slave.paths.manifest) as manifest:
        return [entry.path for entry in manifest.entries() if entry.unsettled]


def test_what_was_collected_is_settled_where_whole_seconds_are_kept(hosts: Pair, tmp_path: Path) -> None:
    paths, image = hosts.master.paths, tmp_path / "disk.img"
    make_disk(image, 32 * MIB, "ext3")
    os.rename(paths.state, tmp_path / "aside")
    with mounted(image, paths.state):
        command.run(["cp", "-a", f"{tmp_path}/aside/.", str(paths.state)])
        run(hosts)
        spool = hosts.slave.paths.replica / "tree" / paths.spool.relative_to(paths.root)
        assert [path for path in spool.rglob("*") if path.is_file()]
        assert unsettled(hosts) == []


def test_a_program_that_writes_through_a_mapping_and_ends_has_all_of_it_on_the_slave(
    hosts: Pair, tmp_path: Path
) -> None:
    image, share = tmp_path / "disk.img", hosts.master.paths.at("/srv")
    make_disk(image, 32 * MIB)
    share.mkdir(parents=True, exist_ok=True)
    with mounted(image, share):  # a disk of its own: the SLAVE's commit makes all of its disk durable
        live = share / "table"
        live.write_bytes(bytes(2 * mmap.PAGESIZE))
        with live.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            mapped[:5] = b"first"
            time.sleep(0.1)
            run(hosts)
            mapped[:5] = b"final"
        time.sleep(0.1)
        run(hosts)
        assert (hosts.slave.paths.replica / "tree/srv/table").read_bytes()[:5] == b"final"
