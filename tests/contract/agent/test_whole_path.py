"""From a MASTER's folder to a committed generation, through all that is real: agents, TLS, rsync, replica."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hotsync.agent.daemon import open_store
from hotsync.engine.open_replica import open_replica
from hotsync.errors import NoSpace
from hotsync.model.changeset import EMPTY_DIGEST, chain_digest, render_change
from hotsync.model.entry import Entry
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.transport.addresses import round_trip
from hotsync.transport.rsync import TransferProgress
from tests.contract.agent.pair import Pair, two_hosts
from tests.support.replica_world import changeset, scan

pytestmark = pytest.mark.contract

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service+p


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Pair]:
    with two_hosts(tmp_path, start=False) as hosts:
        hosts.slave.open_store = partial(open_store, hosts.slave.paths)
        hosts.slave.start()
        hosts.pair()
        yield hosts


class Master:
    """A MASTER's folder, its manifest as a dict, and the way to the SLAVE."""

    def __init__(self, hosts: Pair, folder: Path) -> None:
        self.hosts = hosts
        self.folder = folder
        self.work = folder.parent / "work"
        self.work.mkdir()
        self.known: dict[str, Entry] = {}
        self.digest = EMPTY_DIGEST
        self.number = 0
        self.progress: list[TransferProgress] = []

    def sync(self) -> None:
        now = scan(self.folder)
        changes = changeset(self.known, now)
        lines = [render_change(change) for change in changes]
        planned, wanted = self.work / "planned", self.work / "list"
        planned.write_bytes(b"".join(lines))
        sent = [change for change in changes if change.entry is not None]
        wanted.write_bytes(b"".join(os.fsencode(change.path) + b"\0" for change in sent))
        expected = sum(change.entry.size for change in sent if change.entry is not None)
        self.number += 1
        with self.hosts.link() as link:
            assert link.welcome.digest == self.digest
            link.begin(self.number, self.digest, planned, expected, len(sent))
            result = link.send(self.number, self.folder, wanted, self.progress.append)
            assert (result.vanished, result.unreadable, result.changed) == ((), (), ())
            self.digest = chain_digest(self.digest, lines)
            assert link.commit(self.number, self.digest, planned, 1.0, []).digest == self.digest
        self.known = now

    @property
    def tree(self) -> Path:
        return self.hosts.slave.paths.replica / "tree"

    def differences(self) -> list[str]:
        """Compare by an rsync of its own, then contents and names byte by byte."""
        argv = ["rsync", "-naiHAXXS", "--numeric-ids", "--modify-window=-1", "--delete"]
        said = command.run([*argv, f"{self.folder}/", f"{self.tree}/"]).text
        # the root of the tree is the SLAVE's own folder
        found = [line for line in said.splitlines() if not line.endswith(" ./")]
        for folder, _, names in os.walk(os.fsencode(self.folder)):
            for name in names:
                path = os.path.join(folder, name)
                twin = os.path.join(os.fsencode(self.tree), os.path.relpath(path, os.fsencode(self.folder)))
                if (
                    stat.S_ISREG(os.lstat(path).st_mode)
                    and Path(os.fsdecode(path)).read_bytes() != Path(os.fsdecode(twin)).read_bytes()
                ):
                    found.append(f"content of {path!r}")
        return found


def fill(root: Path) -> None:
    """Make a tree of every oddity."""
    raw = os.fsencode(root)
    for name in (
        b"plain",
        b"new\nline",
        b"tab\t\x01",
        b"not utf-8 \xff\xfe",
        b"\\#012 not an escape",
        b"x" * 255,
        b"-rf",
        b" ",
    ):
        with open(os.path.join(raw, name), "wb") as file:
            file.write(name * 3)
    deep = root
    for depth in range(60):
        deep = deep / f"folder-{depth}"
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("here")
    (root / "empty").mkdir(mode=0o711)
    (root / "setuid").write_text("s")
    os.chown(root / "setuid", 1234, 4321)
    (root / "setuid").chmod(0o6755)
    (root / "sticky").mkdir()
    (root / "sticky").chmod(0o3777)
    os.symlink("../../outside", root / "link")
    os.symlink(b"\xff broken", raw + b"/broken link")
    os.lchown(root / "link", 7, 8)
    os.link(root / "plain", root / "hard 1")
    os.link(root / "plain", root / "empty" / "hard 2")
    os.mkfifo(root / "fifo", 0o620)
    os.mknod(root / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(root / "block", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    with (root / "sparse").open("wb") as file:
        file.truncate(50_000_000)
        file.seek(30_000_000)
        file.write(b"island")
    (root / "capable").write_text("c")
    os.setxattr(root / "capable", "security.capability", CAPABILITY)
    (root / "share").mkdir()
    os.setxattr(root / "share", "security.NTACL", os.urandom(200))
    os.setxattr(root / "share", "user.DOSATTRIB", b"0x10")
    os.setxattr(root / "capable", "user.rsync.%stat", b"100644 0,0 1234:4321")  # a store of rsync --fake-super
    os.setxattr(root / "link", "trusted.note", b"on a link", follow_symlinks=False)
    command.run(["setfacl", "-m", "u:1234:rwx,d:u:1234:rx,d:g:99:rwx", str(root / "share")])
    (root / "share" / "file").write_text("in the share")
    command.run(["setfacl", "-m", "g:99:r", str(root / "share" / "file")])
    (root / "read only").mkdir()
    (root / "read only" / "file").write_text("r")
    (root / "read only").chmod(0o555)
    for number, path in enumerate(sorted(root.rglob("*"))):
        os.utime(path, ns=(0, 1_000_000_000_123_456_789 + number), follow_symlinks=False)
    os.utime(root / "empty", ns=(0, -1_000_000_001))


def change(root: Path) -> None:
    """Change every kind of thing into another."""
    (root / "plain").write_text("all three names have this now")
    (root / "hard 1").unlink()
    os.rename(root / "sticky", root / "sticky renamed")
    os.rename(root / "folder-0" / "folder-1", root / "folder-one")
    (root / "link").unlink()
    (root / "link").mkdir()
    (root / "link" / "inside").write_text("what was a link")
    (root / "setuid").unlink()
    os.symlink("elsewhere", root / "setuid")
    (root / "fifo").unlink()
    (root / "fifo").write_text("a file now")
    (root / "capable").chmod(0o700)
    os.setxattr(root / "share", "security.NTACL", b"another")
    command.run(["setfacl", "-b", str(root / "share" / "file")])
    os.chown(root / "empty", 5, 6)
    (root / "null").unlink()
    with (root / "sparse").open("r+b") as file:
        file.seek(10_000_000)
        file.write(b"second island")
    before = os.stat(root / "share" / "file")
    (root / "share" / "file").write_text("IN THE SHARE")  # same size, same time
    os.utime(root / "share" / "file", ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_tree_of_every_oddity_arrives_exactly_at_first_and_after_every_kind_of_change(
    real: Pair, tmp_path: Path
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    fill(folder)
    master = Master(real, folder)
    master.sync()
    assert master.differences() == []
    assert os.stat(master.tree / "sparse").st_blocks < 1000
    assert os.getxattr(master.tree / "capable", "user.rsync.%stat") == b"100644 0,0 1234:4321"
    change(folder)
    master.sync()
    assert master.differences() == []
    assert os.stat(master.tree / "sparse").st_blocks < 1000
    assert os.listdir(real.slave.paths.replica / "staging") == []


def test_a_socket_is_no_reason_to_fail(real: Pair, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "file").write_text("x")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "socket"))
        master = Master(real, folder)
        master.sync()
    assert os.listdir(master.tree) == ["file"]


def test_progress_tells_files_bytes_rate_and_time_left(
    real: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotsync.transport.pump.TICK", 0.05)
    monkeypatch.setattr("tests.contract.agent.pair.BANDWIDTH", 20_000)
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "big").write_bytes(os.urandom(30_000_000))
    master = Master(real, folder)
    master.sync()
    seen = [step for step in master.progress if 0 < step.bytes < step.total_bytes]
    assert seen, "nothing was told while it was under way"
    assert all(step.total_files == 1 and step.total_bytes == 30_000_000 for step in seen)
    assert all(step.bytes_per_second > 0 and (step.seconds_left or 0) > 0 for step in seen)
    assert [step.bytes for step in seen] == sorted(step.bytes for step in seen)


def test_a_local_line_is_not_compressed_and_a_far_one_is(
    real: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "text").write_bytes(b"the same words again and again\n" * 100_000)
    (tmp_path / "planned").write_bytes(b"")
    (tmp_path / "list").write_bytes(b"text\0")
    sent: list[int] = []
    for seconds in (0.0005, 0.02):
        monkeypatch.setattr("hotsync.transport.client.round_trip", lambda _, seconds=seconds: seconds)
        with real.link() as link:
            link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 3_100_000, 1)
            sent.append(link.send(1, folder, tmp_path / "list", lambda _: None, again=True).wire_sent)
    assert sent[0] > 3_000_000 > 100_000 > sent[1]


def test_the_kernel_tells_how_far_the_peer_is(real: Pair) -> None:
    with real.link() as link:
        link.alive()
        assert 0 < round_trip(link._channel.socket) < 1


def test_what_is_gone_or_keeps_changing_is_named_by_path(real: Pair, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "here").write_text("x")
    (tmp_path / "planned").write_bytes(b"")
    odd = b'gone "with" \\#101 \xff\n'
    (tmp_path / "list").write_bytes(b"here\0" + odd + b"\0here/not a folder\0")
    with real.link() as link:
        link.begin(1, EMPTY_DIGEST, tmp_path / "planned", 1, 1)
        result = link.send(1, folder, tmp_path / "list", lambda _: None)
    assert (result.files, result.unreadable, result.changed) == (1, (), ())
    assert result.vanished == (os.fsdecode(odd), "here/not a folder")


@pytest.mark.timeout(1200)
def test_the_slaves_manifest_can_be_fetched_as_canonical_lines(real: Pair, tmp_path: Path, times: int) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(3000 * times):
        (folder / f"file {number}").write_text("x")
    master = Master(real, folder)
    master.sync()
    with real.link() as link:
        length = link.fetch_manifest(tmp_path / "manifest")
    lines = (tmp_path / "manifest").read_bytes()
    assert len(lines) == length
    assert lines == b"".join(render_change(change) for change in changeset({}, master.known))


def test_bytes_that_a_master_merely_claims_cost_no_generation(real: Pair, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    master = Master(real, folder)
    for number in range(5):  # two more than the floor
        (folder / "file").write_text(f"number {number}")
        master.sync()
    incoming = real.slave.paths.state / "incoming"
    assert list(incoming.iterdir()) == []  # what was uploaded is not kept
    (folder / "file").write_text("once more")
    planned = master.work / "planned"
    planned.write_bytes(b"".join(map(render_change, changeset(master.known, scan(folder)))))
    with real.link() as link:
        link.begin(6, master.digest, planned, 2**52, 1)
    held = open_replica(real.slave.paths, SystemClock()).generations()
    assert [generation.number for generation in held] == [1, 2, 3, 4, 5]


def test_a_thin_image_is_not_refused_for_its_holes(real: Pair, tmp_path: Path) -> None:
    master = tmp_path / "thin"
    master.mkdir()
    (master / "image").write_bytes(b"x" * 5000)
    (change,) = changeset({}, scan(master))
    assert change.entry is not None
    planned = tmp_path / "planned"
    planned.write_bytes(render_change(replace(change, entry=replace(change.entry, size=2**50))))
    with real.link() as link, pytest.raises(NoSpace):
        link.begin(1, EMPTY_DIGEST, planned, 2**50, 1)
    with real.link() as link:
        link.begin(1, EMPTY_DIGEST, planned, 2**50, 1, holes=2**50 - 5000)
