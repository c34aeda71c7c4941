"""Everything odd that a file system can hold goes through `hotsync` itself, between two hosts, and arrives exactly."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lab import Lab
from tests.contract.replica.test_odd_trees import CHANGES, build
from tests.lab.conftest import sync
from tests.lab.twin import Twin

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

TOGETHER = 6  # so many changes a run in the first ring


def arrives(twin: Twin, what: str) -> None:
    """Run hotsync; fail unless the SLAVE's tree is the MASTER, compared from outside."""
    record = sync(twin.lab, "--accept-changes")
    assert record["exit_code"] in (0, 1), (what, record)
    assert {notice["code"] for notice in record["warnings"]} <= {"skipped.socket"}, (what, record)
    assert twin.compare_now() == [], what


def test_every_oddity_goes_through_hotsync_and_stays_exact_after_every_kind_of_change(
    pair: Lab, full_size: bool
) -> None:
    twin = Twin(pair)
    odd = pair.master.root / "srv/odd"
    odd.mkdir()
    build(odd)
    arrives(twin, "at first")
    assert os.stat(twin.tree / "srv/odd/data/sparse").st_blocks * 512 < 1_000_000
    together: list[str] = []
    for number, (what, change) in enumerate(CHANGES.items(), start=1):
        change(odd / "data")
        together.append(what)
        if full_size or number % TOGETHER == 0 or number == len(CHANGES):
            arrives(twin, ", ".join(together))
            together.clear()


def test_a_socket_is_left_out_and_the_run_is_fine(pair: Lab) -> None:
    twin = Twin(pair)
    with socket.socket(socket.AF_UNIX) as channel:
        listen_at(channel, pair.master.root / "srv/files/socket")
        (pair.master.root / "srv/files/beside").write_text("a file")
        arrives(twin, "a socket")
    assert (twin.tree / "srv/files/beside").read_text() == "a file"
    assert not os.path.lexists(twin.tree / "srv/files/socket")


def listen_at(channel: socket.socket, path: Path) -> None:
    """Bind a socket to a path that may be longer than an address can be."""
    folder = os.open(path.parent, os.O_PATH)
    try:
        channel.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
