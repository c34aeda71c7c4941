"""What one server sends the other as a stream: each session has a file of its own, and no disk is filled by it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from hotsync.agent.session import Session
from hotsync.engine.sync.host import SyncHost
from hotsync.errors import DiskFull, HotSyncError, NoSpace, ReplicaError
from hotsync.model.changeset import EMPTY_DIGEST, render_change
from hotsync.model.entry import Change, Entry, Kind, Verb
from hotsync.system import command
from hotsync.system.room import LEAST_FREE
from hotsync.transport.client import PeerLink
from hotsync.transport.messages import Welcome
from tests.contract.agent.pair import FakeStore, Pair, Present, until

pytestmark = pytest.mark.contract

MIB = 1024 * 1024


@contextmanager
def disk_of(folder: Path, size: int) -> Iterator[None]:
    """Let a folder be a disk of so many MiB."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command.run(["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=0700", "tmpfs", str(folder)])
    try:
        yield
    finally:
        command.run(["umount", "--lazy", str(folder)])


@dataclass
class ReadingStore(FakeStore):
    """A replica that reads the planned changeset when it is let to."""

    read: list[bytes] = field(default_factory=list[bytes])
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go_on: threading.Event = field(default_factory=threading.Event)

    def begin(self, number: int, base_digest: str, planned: Path, expected_bytes: int) -> Present:
        self.begun.release()
        assert self.go_on.wait(20)
        self.read.append(planned.read_bytes())
        return Present(0)


def begin_in_thread(link: PeerLink, planned: Path) -> threading.Thread:
    def begin() -> None:
        with suppress(HotSyncError):
            link.begin(1, EMPTY_DIGEST, planned, 0, 0)

    thread = threading.Thread(target=begin)
    thread.start()
    return thread


def test_a_run_that_takes_the_place_of_another_leaves_what_that_one_still_reads(paired: Pair, tmp_path: Path) -> None:
    paired.slave.store = store = ReadingStore(paired.slave.paths)
    contents = [b"the first\n" * 1000, b"the second\n"]
    threads: list[threading.Thread] = []
    links: list[PeerLink] = []
    for number, content in enumerate(contents):
        planned = tmp_path / str(number)
        planned.write_bytes(content)
        links.append(paired.link(heartbeat=False))
        threads.append(begin_in_thread(links[-1], planned))
        assert store.begun.acquire(timeout=20)
    store.go_on.set()
    for thread in threads:
        thread.join(20)
    # the first link was cut: what is served to it ends by itself
    until(lambda: len(store.read) == len(contents), "both are read")
    assert sorted(store.read) == sorted(contents)
    for link in links:
        link.close()
    until(lambda: not os.listdir(paired.slave.paths.incoming), "nothing of them stays")


def test_the_end_of_the_run_before_removes_nothing_of_the_next(paired: Pair, tmp_path: Path) -> None:
    """The store lets the first read at once, and the second when the first session has ended."""
    paired.slave.store = store = ReadingStore(paired.slave.paths)
    (tmp_path / "first").write_bytes(b"the first\n")
    (tmp_path / "second").write_bytes(b"the second\n")
    first, second = paired.link(heartbeat=False), paired.link(heartbeat=False)
    threads = [begin_in_thread(first, tmp_path / "first")]
    assert store.begun.acquire(timeout=20)
    threads.append(begin_in_thread(second, tmp_path / "second"))
    assert store.begun.acquire(timeout=20)
    assert len(os.listdir(paired.slave.paths.incoming)) == 2
    assert {path.stat().st_mode & 0o777 for path in [paired.slave.paths.incoming]} == {0o700}
    store.go_on.set()
    for thread in threads:
        thread.join(20)
    assert second.alive().type == "alive"
    first.close()
    second.close()


def test_a_daemon_that_was_killed_leaves_nothing_in_the_way_of_the_next(paired: Pair) -> None:
    incoming = paired.slave.paths.incoming
    paired.slave.stop()
    incoming.mkdir(mode=0o700, exist_ok=True)
    (incoming / "planned.0011").write_bytes(b"x" * 1000)
    (incoming / "planned").write_bytes(b"of an older version")
    paired.slave.start()
    assert os.listdir(incoming) == []


def test_a_changeset_leaves_the_slaves_disk_some_room(paired: Pair, tmp_path: Path) -> None:
    planned = tmp_path / "planned"
    planned.write_bytes(b"x" * 30 * MIB)
    incoming = paired.slave.paths.incoming
    with disk_of(incoming, LEAST_FREE // MIB + 4):
        with paired.link() as link, pytest.raises(NoSpace) as full:
            link.begin(1, EMPTY_DIGEST, planned, 1, 1)
        assert full.value.facts["needed"] == LEAST_FREE
        until(lambda: not os.listdir(incoming), "nothing of it stays")
        planned.write_bytes(b"x" * MIB * 3)
        with paired.link() as link:
            assert link.begin(1, EMPTY_DIGEST, planned, 1, 1).present == 0
        paired.slave.stop()


def test_one_that_is_short_needs_no_room_to_spare(paired: Pair, tmp_path: Path) -> None:
    planned = tmp_path / "planned"
    planned.write_bytes(b"x" * 500_000)
    with disk_of(paired.slave.paths.incoming, 4):
        with paired.link() as link:
            assert link.begin(1, EMPTY_DIGEST, planned, 1, 1).present == 0
        paired.slave.stop()


Fetching = Callable[[PeerLink, Path], int]


@pytest.mark.parametrize("fetching", [PeerLink.fetch_manifest, PeerLink.fetch_sums], ids=["manifest", "sums"])
def test_a_slave_that_sends_without_end_takes_half_of_what_the_masters_disk_has_free_and_no_more(
    paired: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetching: Fetching
) -> None:
    def without_end(self: Session, *_: object) -> None:
        while True:
            self._channel.send_bytes(b"x" * 200_000, "test")

    monkeypatch.setattr(Session, "_send_lines", without_end)
    folder = tmp_path / "outbox"
    least: list[int] = []
    with disk_of(folder, 200):
        watcher = threading.Timer(0.0, _watch, (folder, least, stop := threading.Event()))
        watcher.start()
        with paired.link(heartbeat=False) as link:
            with pytest.raises(DiskFull, match="what the other server sends does not fit") as full:
                fetching(link, folder / "fetched")
            with pytest.raises(DiskFull):  # nobody knows where the other side is: nothing is asked any more
                link.alive()
        stop.set()
        watcher.join()
        assert os.listdir(folder) == []
    assert "100 MiB" in full.value.sentence
    assert min(least) > 95 * MIB


def _watch(folder: Path, least: list[int], stop: threading.Event) -> None:
    while not stop.wait(0.02):
        found = os.statvfs(folder)
        least.append(found.f_bavail * found.f_frsize)


class Lying:
    """A link to a SLAVE whose manifest is as long as it likes."""

    welcome = Welcome(epoch=0, role="slave", host="slave", version="1", clock=0.0, generation=5, digest="d" * 64)

    def fetch_manifest(self, to: Path) -> int:
        with to.open("wb") as file:
            for number in range(150_000):
                path = f"a{number:08d}"
                file.write(render_change(Change(Verb.CONTENT, path, entry(path))))
        return to.stat().st_size


def entry(path: str) -> Entry:
    return Entry(path, Kind.FILE, 0o644, 0, 0, 1, 1, 1, 1, 1, 1)


def test_a_manifest_that_would_fill_the_masters_disk_once_it_is_unpacked_is_not_taken(paired: Pair) -> None:
    master = paired.master
    host = SyncHost.of_this_machine(master.paths, master.clock)
    with disk_of(master.paths.state, 85):
        with pytest.raises(DiskFull, match="does not fit"):
            host.reconcile(cast("PeerLink", Lying()))
        with host.manifest() as manifest:
            assert (manifest.generation, manifest.digest, list(manifest.entries())) == (0, EMPTY_DIGEST, [])
        assert os.listdir(host.paths.outbox) == []


def test_what_is_refused_of_a_long_list_is_said_shortly(paired: Pair) -> None:
    """The error of a commit goes to the peer, and must fit into a message."""
    paired.slave.store.fail["commit"] = ReplicaError(reason="x" * 100_000)
    with paired.link(heartbeat=False) as link:
        empty = paired.master.paths.state / "empty"
        empty.write_bytes(b"")
        link.begin(1, EMPTY_DIGEST, empty, 0, 0)
        with pytest.raises(ReplicaError) as told:
            link.commit(1, EMPTY_DIGEST, empty, 0.0, [])
    assert len(told.value.sentence) < 1000
