"""The disk of a drill's sandbox, with the real kernel: what is written stays in it, and nothing of it is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends import sandbox
from hotsync.model.drill_room import Cover
from hotsync.replica.layout import Layout
from hotsync.replica.pin import pin_tree, unpin
from hotsync.system import files
from hotsync.system.namespace import PrivateMounts

MEBIBYTE = 1024**2


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with a replica: a folder with files, and a file of its own."""
    host = tmp_path / "host"
    tree = host / "var/lib/hotsync/replica/tree"
    (tree / "srv/share").mkdir(parents=True)
    (tree / "srv/share/file").write_text("of the MASTER")
    (tree / "single").write_text("of the MASTER")
    os.chown(tree / "srv/share", 1234, 1235)
    (host / "srv/share").mkdir(parents=True)
    (host / "srv/share/file").write_text("own")
    (host / "single").write_text("own")
    (host / "var/lib/hotsync/manifest.db").write_text("own")
    os.chown(host / "var", 7, 8)
    return host


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A room with a disk, in a view of the file systems that is gone afterwards."""
    room = tmp_path / "room"
    room.mkdir()
    with PrivateMounts():
        sandbox.mount_disk(tmp_path, room, 64 * MEBIBYTE)
        yield room
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(os.fspath(room)):
                subprocess.run(["umount", line.split()[1]], check=True)


def build(host: Path, room: Path) -> Path:
    """Build the covers as a drill does, and return where the host is seen in the sandbox."""
    layout = Layout(host / "var/lib/hotsync/replica")
    pin_tree(layout, "drill")
    covers = sandbox.Covers(room, [Cover(os.fspath(host))])
    (covers.root / host.relative_to("/")).mkdir(parents=True)
    state = host / "var/lib/hotsync"
    over = covers.over(state)
    fresh = over.empty(state)
    (fresh / "replica").mkdir(mode=0o700)
    over.show(layout.pins / "drill", layout.tree)
    covers.mount()
    return covers.root / host.relative_to("/")


def test_the_pinned_tree_is_exchanged_in_the_sandbox_and_nothing_changes_outside(host: Path, room: Path) -> None:
    seen = build(host, room)
    tree = seen / "var/lib/hotsync/replica/tree"
    assert sorted(os.listdir(seen / "var/lib/hotsync")) == ["replica"], "only what was put there"
    assert sorted(os.listdir(seen / "var/lib/hotsync/replica")) == ["tree"]
    assert (os.lstat(seen / "var").st_uid, os.lstat(tree / "srv/share").st_uid) == (7, 1234)
    assert len({os.lstat(path).st_dev for path in (seen, tree, tree / "single", seen / "srv/share/file")}) == 1
    for path in ("srv/share", "single"):
        inode = os.lstat(tree / path).st_ino
        files.rename_exchange(os.fspath(tree / path), os.fspath(seen / path))
        assert os.lstat(seen / path).st_ino == inode
    assert (seen / "srv/share/file").read_text() == (seen / "single").read_text() == "of the MASTER"
    (seen / "srv/share/file").write_text("written in the sandbox")
    assert (host / "srv/share/file").read_text() == (host / "single").read_text() == "own"
    kept = host / "var/lib/hotsync/replica/tree"
    assert (kept / "srv/share/file").read_text() == (kept / "single").read_text() == "of the MASTER"


def test_a_generation_that_arrives_meanwhile_is_not_seen_in_the_sandbox(host: Path, room: Path) -> None:
    seen = build(host, room)
    tree = host / "var/lib/hotsync/replica/tree"
    (tree / "new").write_text("newer")
    os.replace(tree / "new", tree / "single")
    (tree / "another").write_text("newer")
    assert (seen / "var/lib/hotsync/replica/tree/single").read_text() == "of the MASTER"
    assert not (seen / "var/lib/hotsync/replica/tree/another").exists()


def test_what_the_sandbox_writes_is_bounded_by_its_disk(host: Path, room: Path) -> None:
    seen = build(host, room)
    with pytest.raises(OSError, match="No space left"):
        (seen / "srv/huge").write_bytes(bytes(80 * MEBIBYTE))
    assert not (host / "srv/huge").exists()


def test_the_disk_has_no_name_and_goes_with_whoever_mounted_it(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    program = (
        "import os, signal, sys; from pathlib import Path; from hotsync.backends import sandbox;"
        "sandbox.mount_disk(Path(sys.argv[1]), Path(sys.argv[2]), 64 << 20);"
        "print(os.path.ismount(sys.argv[2]), flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    alone = ["unshare", "--mount", "--propagation", "slave", "--"]
    words = [*alone, sys.executable, "-c", program, os.fspath(tmp_path), os.fspath(room)]
    died = subprocess.run(words, check=False, capture_output=True, text=True)
    assert (died.returncode, died.stdout) == (-9, "True\n")
    assert os.listdir(tmp_path) == ["room"]
    assert os.listdir(room) == []
    after = subprocess.run(["losetup", "-a"], check=True, capture_output=True, text=True).stdout
    assert os.fspath(tmp_path) not in after


def test_a_pin_has_all_metadata_and_is_taken_away_without_the_tree(host: Path) -> None:
    layout = Layout(host / "var/lib/hotsync/replica")
    os.mkfifo(layout.tree / "fifo")
    (layout.tree / "link").symlink_to("/etc")
    pin = pin_tree(layout, "drill")
    assert sorted(os.listdir(pin)) == ["fifo", "link", "single", "srv"]
    assert os.lstat(pin / "srv/share").st_uid == 1234
    assert os.lstat(pin / "single").st_ino == os.lstat(layout.tree / "single").st_ino
    pin_tree(layout, "drill")
    unpin(layout, "drill")
    assert os.listdir(layout.pins) == []
    assert (layout.tree / "single").read_text() == "of the MASTER"


def test_the_sandboxs_network_leads_to_the_client_and_nowhere_else() -> None:
    """In a network of its own, as the room of a drill is born into one."""
    program = """
import errno, json, socket, subprocess
from hotsync.backends import sandbox_network
from hotsync.model.drill_room import Card
from hotsync.model.network.values import Address
def told(address):
    try:
        socket.create_connection((address, 9), timeout=5)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
def seen(*words, seat=0):
    argv = ["ip", "-j", *words]
    return json.loads(subprocess.run(sandbox_network.as_client(seat, argv) if seat else argv,
        check=True, capture_output=True, text=True).stdout)
own = (Address("eth7", "192.0.2.9", 24), Address("eth7", "192.0.2.254", 32),
       Address("eth7", "2001:db8::fff", 64), Address("eth7", "fd12:3456::fff", 64))
with sandbox_network.client_seat() as seat:
    sandbox_network.lay_cables(seat, [Card("eth7", "02:00:00:00:00:07", own)])
    subprocess.run(["ip", "address", "add", "192.0.2.1/24", "dev", "eth7"], check=True)
    for address in ("2001:db8::1/64", "fd12:3456::1/64"):
        subprocess.run(["ip", "address", "add", address, "dev", "eth7", "nodad"], check=True)
    subprocess.run(["ip", "link", "set", "eth7", "up"], check=True)
    subprocess.run(["ip", "route", "add", "default", "via", "192.0.2.254"], check=True)
    print(json.dumps({
        "links": [each["ifname"] for each in seen("link")],
        "mac": next(each["address"] for each in seen("link") if each["ifname"] == "eth7"),
        "seat": [each["ifname"] for each in seen("link", seat=seat)],
        "near": [told(each) for each in ("192.0.2.9", "2001:db8::fff", "fd12:3456::fff")],
        "far": [told(each) for each in ("198.51.100.1", "2001:db8:9::1")],
    }))
"""
    words = ["unshare", "--net", "--", sys.executable, "-c", program]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert (sorted(found["links"]), found["mac"]) == (["eth7", "lo"], "02:00:00:00:00:07")
    assert sorted(found["seat"]) == ["drill0", "lo"]
    assert found["near"] == ["ECONNREFUSED"] * 3
    assert set(found["far"]) <= {"EHOSTUNREACH", "ENETUNREACH"}, "it is told at once, not after a timeout"
