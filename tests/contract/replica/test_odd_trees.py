"""Everything odd that a file system can hold arrives byte-exact, at first and after every kind of change to it."""

from __future__ import annotations

import os
import random
import shutil
import socket
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hotsync.system.files import rename_exchange
from tests.contract.replica.conftest import rsync_finds, same_root, send_by_rsync
from tests.support.images import MIB, make_disk, mounted
from tests.support.replica_world import World

pytestmark = pytest.mark.contract

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
NTACL = b"\x04\x00\x04\x00\x00\x00\x02\x00\x04\x00\x02\x00\x01\x00" + bytes(range(200))


def acl(path: Path, *rules: str) -> None:
    subprocess.run(["setfacl", *rules, str(path)], check=True)


def build(root: Path) -> None:
    """Make a tree of every oddity of issue 2, point 5."""
    data = root / "data"
    data.mkdir()
    for number, mode in enumerate((0o000, 0o400, 0o4755, 0o2755, 0o1777, 0o7777, 0o666)):
        (data / f"mode{number}").write_text(str(mode))
        os.chown(data / f"mode{number}", number * 100_000, 2**31 + number)
        (data / f"mode{number}").chmod(mode)
        (data / f"folder{number}").mkdir()
        (data / f"folder{number}").chmod(mode)
    for number, moment in enumerate((0, 1, 10**9 - 1, -1, -(10**9) - 5, 1_234_567_890_123_456_789, 4 * 10**18)):
        (data / f"time{number}").write_text("t")
        os.utime(data / f"time{number}", ns=(moment, moment))
    named = [b"new\nline", b"\xff\xfe bad \x80", b" leading", b"trailing ", b"-rf", b"#remark", b";remark", b"*?[x]"]
    named += [b"\xc3\xbc".decode().encode(), b"n" * 255, b"\\back\\slash", b"\x01\x7f", b"tab\there", b"...", b"a%20b"]
    for name in named:
        with open(os.path.join(os.fsencode(data), name), "wb") as file:
            file.write(name)
    deep = data
    for number in range(60):
        deep = deep / f"{number:03}{'d' * 40}"
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("deep")
    (data / "link").symlink_to("mode0")
    (data / "dangling").symlink_to("/nowhere/at all")
    (data / "long").symlink_to("x" * 4000)
    os.symlink(b"\xff\xfe", os.path.join(os.fsencode(data), b"bad\xfftarget"))
    os.chown(data / "link", 7, 8, follow_symlinks=False)
    os.utime(data / "dangling", ns=(5, 5), follow_symlinks=False)
    (data / "sub").mkdir()
    (data / "group1").write_text("linked")
    os.link(data / "group1", data / "group2")
    os.link(data / "group1", data / "sub/group3")
    os.link(data / "link", data / "sub/link-again", follow_symlinks=False)
    os.mkfifo(data / "pipe")
    os.link(data / "pipe", data / "sub/pipe-again")
    os.mknod(data / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(data / "disk", stat.S_IFBLK | 0o640, os.makedev(7, 200))
    os.mknod(data / "whiteout", stat.S_IFCHR, 0)
    with (data / "sparse").open("wb") as file:
        file.seek(5_000_000)
        file.write(b"in the middle")
        file.truncate(10_000_000)
    for name in (b"user.plain", b"user.\xc3\xbc", b"trusted.secret", b"security.NTACL"):
        os.setxattr(data / "time1", name, NTACL if name.endswith(b"NTACL") else name * 20)
    os.setxattr(data / "mode2", "security.capability", CAPABILITY)
    os.setxattr(data / "sub", "user.on-folder", b"")
    os.setxattr(data / "dangling", "trusted.on-link", b"1", follow_symlinks=False)
    acl(data / "time2", "-m", "u:4711:rw,g:4712:r,m::r")
    acl(data / "sub", "-m", "u:4711:rwx", "-d", "-m", "u:4711:rx,g:99999:rwx")
    (data / "sub/inherits").write_text("i")
    (data / "empty").write_bytes(b"")
    (data / "empty folder").mkdir()
    (data / "big").write_bytes(os.urandom(3_000_000))


def disguise(path: Path) -> None:
    status = path.stat()
    path.write_bytes(os.urandom(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def retype(path: Path, make: Callable[[Path], object]) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    make(path)


def into_folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("i")


UNCOPIED = ("pipe", "pipe3", "pipe-again", "null", "disk", "whiteout", "sparse", "long")

CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda d: (d / "big").write_bytes(os.urandom(2_000_000)),
    "content in disguise": lambda d: disguise(d / "big"),
    "sparse rewritten": lambda d: os.truncate(d / "sparse", 7_000_000),
    "mode": lambda d: (d / "mode6").chmod(0o4711),
    "mode of a folder": lambda d: (d / "folder0").chmod(0o2770),
    "owner": lambda d: os.chown(d / "mode2", 5, 6),
    "owner of a link": lambda d: os.chown(d / "dangling", 5, 6, follow_symlinks=False),
    "owner of a folder": lambda d: os.chown(d / "sub", 5, 6),
    "time": lambda d: os.utime(d / "time3", ns=(-7, -7)),
    "time of a folder": lambda d: os.utime(d / "empty folder", ns=(77, 77)),
    "acl": lambda d: acl(d / "time2", "-m", "u:4711:rwx"),
    "acl removed": lambda d: acl(d / "time2", "-b"),
    "acl of a folder": lambda d: acl(d / "sub", "-x", "u:4711", "-d", "-m", "u:1:r"),
    "default acl removed": lambda d: acl(d / "sub", "-k"),
    "attribute": lambda d: os.setxattr(d / "time1", "security.NTACL", NTACL[::-1]),
    "attribute removed": lambda d: os.removexattr(d / "time1", "trusted.secret"),
    "attribute of a folder": lambda d: os.setxattr(d / "sub", "user.on-folder", b"more"),
    "attribute of a folder removed": lambda d: os.removexattr(d / "sub", "user.on-folder"),
    "capability": lambda d: os.setxattr(d / "mode2", "security.capability", CAPABILITY),
    "link added": lambda d: os.link(d / "group1", d / "group0"),
    "link renamed": lambda d: os.rename(d / "sub/group3", d / "group9"),
    "link removed": lambda d: (d / "group2").unlink(),
    "link broken": lambda d: retype(d / "group1", lambda p: p.write_text("linked")),
    "link to a pipe": lambda d: os.link(d / "pipe", d / "pipe3"),
    "target": lambda d: retype(d / "link", lambda p: p.symlink_to("mode1")),
    "device": lambda d: retype(d / "null", lambda p: os.mknod(p, stat.S_IFCHR | 0o600, os.makedev(1, 5))),
    "file to folder": lambda d: retype(d / "empty", into_folder),
    "folder to link": lambda d: retype(d / "empty", lambda p: p.symlink_to("sub")),
    "link to pipe": lambda d: retype(d / "empty", os.mkfifo),
    "pipe to device": lambda d: retype(d / "empty", lambda p: os.mknod(p, stat.S_IFBLK | 0o600, os.makedev(8, 1))),
    "device to file": lambda d: retype(d / "empty", lambda p: p.write_text("at last")),
    "folder renamed": lambda d: os.rename(d / f"000{'d' * 40}", d / "a whole tree"),
    "folder moved away": lambda d: os.rename(d / "a whole tree" / f"001{'d' * 40}", d / "sub/moved"),
    "folders swapped": lambda d: rename_exchange(str(d / "sub"), str(d / "empty folder")),
    "folder removed": lambda d: shutil.rmtree(d / "empty folder"),
    "odd names changed": lambda d: [p.write_text("new") for p in d.glob("*\udcff*") if not p.is_symlink()],
    "all at once": lambda d: shutil.copytree(d, d.parent / "copy", symlinks=True, ignore=lambda _, names: {
        name for name in names if name in UNCOPIED}),
    "all gone": lambda d: shutil.rmtree(d),
}  # fmt: skip


def test_every_oddity_arrives_exactly_and_stays_exact_after_every_kind_of_change(world: World) -> None:
    build(world.master)
    channel = socket.socket(socket.AF_UNIX)
    channel.bind(str(world.master / "data/socket"))
    channel.close()
    world.generation()
    check(world, "at first", socket_there=True)
    (world.master / "data/socket").unlink()
    for what, change in CHANGES.items():
        world.clock.time += 60
        change(world.master / "data")
        world.generation()
        check(world, what)
    kept = [os.path.join(folder, "sparse") for folder, _, files in os.walk(world.root) if "sparse" in files]
    assert kept
    assert all(os.stat(file).st_blocks * 512 < 1_000_000 for file in kept)
    world.check_history()
    world.check_generations([1, *range(2, len(CHANGES), 6), len(CHANGES)])
    report = world.replica().verify()
    assert report.faults == ()


def check(world: World, what: str, *, socket_there: bool = False) -> None:
    world.check_tree()
    world.check_inodes()
    same_root(world)
    found = [line for line in rsync_finds(world.master, world.root / "tree").splitlines() if line]
    if socket_there:
        found = [line for line in found if "socket" not in line]
    assert found == [], what


def test_a_random_life_with_owners_over_real_rsync_restores_exactly(world: World) -> None:
    for _ in range(6):
        world.live(15)
        changes = world.plan(omit=world.dice.choice((0, 0.2)))
        if changes and world.sync(changes) is not None:
            world.remember(world.replica().state().generation, changes)
        world.check_tree()
        world.clock.time += world.dice.choice((60, 3000))
    world.check_inodes()
    world.check_generations()
    assert world.replica().verify().faults == ()


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_other_file_systems_hold_a_replica_as_well(tmp_path: Path, dice: random.Random, kind: str) -> None:
    make_disk(tmp_path / "image", 400 * MIB, kind)
    with mounted(tmp_path / "image", tmp_path / "disk") as disk:
        world = World(tmp_path / "pair", dice, owners=True, disk=disk, transport=send_by_rsync)
        for _ in range(4):
            world.live(20)
            world.generation()
            world.check_tree()
            world.clock.time += 60
        world.check_inodes()
        world.check_generations()


def test_a_transfer_that_is_cut_resumes_with_real_rsync(world: World) -> None:
    for _ in range(8):
        world.live(6)
        changes = world.plan()
        if not changes:
            continue
        world.sync(changes, cut=True)
        world.live(2)
        world.generation()
        world.check_tree()
    same_root(world)
    assert rsync_finds(world.master, world.root / "tree") == ""
