"""What time stamps do not tell on real file systems: ties within a second, and writes through a mapping."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.changes.settle import Settling
from hotsync.manifest.changeset_file import read_changes
from hotsync.model.entry import Change
from tests.support.images import MIB, make_disk, mounted
from tests.unit.changes.support import Server

pytestmark = pytest.mark.contract
PAGES = 2 * mmap.PAGESIZE


@contextmanager
def disk(server: Server, place: Path, kind: str, size: int = 320 * MIB) -> Iterator[Path]:
    """A file system of its own where the data lies."""
    make_disk(place / "disk.img", size, kind)
    server.table = {"data": kind}
    with mounted(place / "disk.img", server.root / "data") as data:
        yield data


def changes(server: Server) -> list[Change]:
    server.clock.ns = time.time_ns()
    return [one for one in server.changes() if one.path.startswith("data/file")]


def take(server: Server) -> list[Change]:
    """Detect and make it the next generation."""
    found = changes(server)
    server.manifest.apply(read_changes(server.work / "planned"), server.manifest.generation + 1, "0" * 64)
    return found


def early_in_a_second() -> None:
    time.sleep(1.02 - time.time() % 1)


@pytest.fixture
def coarse(server: Server, tmp_path: Path) -> Iterator[Path]:
    """A file on a file system that keeps whole seconds."""
    with disk(server, tmp_path, "ext3", 16 * MIB) as data:
        early_in_a_second()
        (data / "file").write_text("old")
        assert (data / "file").stat().st_ctime_ns % 10**9 == 0
        yield data / "file"


def test_a_second_write_within_the_second_of_the_first_is_found_by_the_next_run(server: Server, coarse: Path) -> None:
    assert [one.entry is not None and one.entry.unsettled for one in take(server)] == [True]
    before = coarse.stat()
    coarse.write_text("new")
    after = coarse.stat()
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_ino) == (
        after.st_mtime_ns, after.st_ctime_ns, after.st_ino,
    )  # fmt: skip
    time.sleep(2.1)
    assert [one.entry is not None and one.entry.unsettled for one in take(server)] == [False]
    assert changes(server) == []


def test_what_is_written_while_it_is_sent_within_one_second_goes_unsettled(server: Server, coarse: Path) -> None:
    time.sleep(2.1)
    server.clock.ns = time.time_ns()
    settling = Settling(server.root, server.detect().planned, server.manifest.digest)
    early_in_a_second()
    sent_at = time.time_ns()
    coarse.write_text("one")
    assert settling.settle(sent_at) == 1
    sent_at = time.time_ns()
    coarse.write_text("two")  # rsync may have read half of it: nothing but its content is another one now
    assert settling.settle(sent_at) == 0
    assert settling.finalize(server.work / "final").summary.unsettled == 1


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_what_is_written_to_a_page_after_a_run_has_read_it_is_found_by_the_next_one(
    server: Server, tmp_path: Path, kind: str
) -> None:
    with disk(server, tmp_path, kind) as data:
        (data / "file").write_bytes(bytes(PAGES))
        with (data / "file").open("r+b") as file, mmap.mmap(file.fileno(), PAGES) as mapped:
            mapped[0:3] = b"one"  # from here on the page is dirty, and its time has moved
            time.sleep(0.1)
            assert len(take(server)) == 1
            mapped[0:3] = b"two"
        # the program has ended, and nothing else moves the time of the file
        time.sleep(0.1)
        assert len(take(server)) == 1
        assert changes(server) == []


def test_what_is_written_to_a_page_while_it_is_sent_again_is_found(server: Server, tmp_path: Path) -> None:
    with disk(server, tmp_path, "ext4") as data:
        (data / "file").write_bytes(bytes(PAGES))
        with (data / "file").open("r+b") as file, mmap.mmap(file.fileno(), PAGES) as mapped:
            time.sleep(0.1)
            server.clock.ns = time.time_ns()
            settling = Settling(server.root, server.detect().planned, server.manifest.digest)
            mapped[0:3] = b"one"
            time.sleep(0.1)
            assert settling.settle(time.time_ns()) == 1
            read = time.time_ns()
            time.sleep(0.1)
            mapped[0:3] = b"two"
            time.sleep(0.1)
            assert settling.settle(read) == 1


def test_holes_are_not_counted_as_room_whatever_the_file_system(server: Server, tmp_path: Path) -> None:
    for kind in ("ext4", "xfs", "btrfs"):
        place = tmp_path / kind
        place.mkdir()
        with disk(server, place, kind) as data:
            with (data / "file").open("wb") as file:
                file.write(os.urandom(MIB))
                file.seek(2**40 - MIB)
                file.write(os.urandom(MIB))
            (data / "file.full").write_bytes(os.urandom(20 * MIB))
            found = server.detect()
            assert found.summary.content_bytes == 2**40 + 20 * MIB
            assert 22 * MIB <= found.summary.content_bytes - found.holes < 23 * MIB
