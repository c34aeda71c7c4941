"""The walk against independent eyes (find), real mounts and real file attributes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.changes.detect import mount_table
from hotsync.changes.walk import Gap, Remark, Same, Walk
from hotsync.errors import CommandFailed
from hotsync.manifest.changeset_file import read_changes
from hotsync.model.entry import Entry
from hotsync.model.selection import Selection
from hotsync.system.command import run
from tests.unit.changes.support import Server, selection

pytestmark = pytest.mark.contract
DATA = selection("+ /data")


def walked(
    root: Path, rules: Selection = DATA, mounts: frozenset[str] = frozenset()
) -> tuple[list[Entry], list[Remark], list[Gap]]:
    remarks: list[Remark] = []
    walk = Walk(root, rules, mounts, mount_table(root), remarks.append)
    entries: list[Entry] = []
    gaps: list[Gap] = []
    for stamp in walk:
        if isinstance(stamp, Gap):
            gaps.append(stamp)
        else:
            assert not isinstance(stamp, Same)  # nothing is sealed here
            entries.append(walk.complete(stamp))
    return entries, remarks, gaps


def paths(root: Path, mounts: frozenset[str] = frozenset(), rules: Selection = DATA) -> list[str]:
    return [entry.path for entry in walked(root, rules, mounts)[0]]


def oddities(data: bytes) -> None:
    os.makedirs(data + b"/folder/deeper", mode=0o751)
    for name in (b"plain", b"new\nline", b"\xff\xfe", b"n" * 255, b"folder/x", b"folder.y", b"folder y", b"\xc3\xa9"):
        with open(data + b"/" + name, "wb") as file:
            file.write(name)
    os.link(data + b"/plain", data + b"/folder/deeper/linked")
    os.symlink(b"\xfe/nowhere", data + b"/link")
    os.mkfifo(data + b"/fifo")
    os.mknod(data + b"/null", stat.S_IFCHR | 0o622, os.makedev(1, 3))
    os.mknod(data + b"/loop", stat.S_IFBLK | 0o660, os.makedev(7, 200))
    os.mknod(data + b"/socket", stat.S_IFSOCK | 0o600)
    with open(data + b"/sparse", "wb") as file:
        file.truncate(10_000_000)
    os.chown(data + b"/folder/x", 12345, 54321)
    os.chmod(data + b"/plain", 0o6755)
    os.utime(data + b"/link", ns=(1, 123456789012345678), follow_symlinks=False)
    os.utime(data + b"/fifo", ns=(1, -5_000_000_001))


def seen_by_find(root: Path) -> dict[bytes, tuple[object, ...]]:
    # %T@ and %C@ are seconds with ten digits behind the point, the last always 0
    form = r"%P\0%y\0%m\0%U\0%G\0%s\0%T@\0%C@\0%i\0%D\0%n\0%l\0"
    words = run(["find", str(root), "-mindepth", "1", "-printf", form]).stdout.split(b"\0")[:-1]
    found: dict[bytes, tuple[object, ...]] = {}
    for row in (words[start : start + 12] for start in range(0, len(words), 12)):
        path, kind, mode, uid, gid, size, mtime, ctime, inode, device, links, target = row
        found[path] = (
            kind, int(mode, 8), int(uid), int(gid), int(size) if kind == b"f" else 0, nanoseconds(mtime),
            nanoseconds(ctime), int(inode), int(device), 1 if kind == b"d" else int(links), target,
        )  # fmt: skip
    return found


def nanoseconds(text: bytes) -> int:
    seconds, _, rest = text.decode().partition(".")
    fraction = int((rest + "0" * 9)[:9])
    return int(seconds) * 10**9 + fraction


def as_find_sees(entry: Entry) -> tuple[object, ...]:
    return (
        entry.kind.value.encode(), entry.mode, entry.uid, entry.gid, entry.size, entry.mtime_ns, entry.ctime_ns,
        entry.inode, entry.device, entry.links, os.fsencode(entry.target),
    )  # fmt: skip


def test_the_walk_sees_what_find_sees(tmp_path: Path) -> None:
    data = os.fsencode(tmp_path) + b"/data"
    oddities(data)
    entries, remarks, gaps = walked(tmp_path)
    found = seen_by_find(tmp_path)
    del found[b"data/socket"]
    assert {os.fsencode(entry.path): as_find_sees(entry) for entry in entries} == found
    assert [(one.code, one.path) for one in remarks] == [("skipped.socket", "data/socket")]
    assert gaps == []
    devices = {entry.path: entry.rdev for entry in entries if entry.rdev}
    assert devices == {"data/null": os.makedev(1, 3), "data/loop": os.makedev(7, 200)}


def test_nothing_of_the_oddities_differs_in_the_next_run_and_no_access_time_moves(server: Server) -> None:
    data = server.path("data")
    oddities(data)
    server.clock.ns = 10**19
    os.utime(data + b"/folder", ns=(1, 1))
    server.commit()
    assert server.detect().empty
    assert os.stat(data + b"/folder").st_atime_ns == 1
    assert list(read_changes(server.work / "planned")) == []


def test_an_acl_and_a_capability_are_in_the_hash(server: Server) -> None:
    server.write("data/a")
    server.write("data/b")
    run(["setfacl", "-m", "u:12345:r", server.path("data/a").decode()])
    run(["setcap", "cap_net_raw+ep", server.path("data/b").decode()])
    server.commit()
    hashes = [entry.attributes for entry in server.entries()]
    assert hashes[0] == ""
    assert len(set(hashes)) == 3
    run(["setfacl", "-m", "u:12345:rw", server.path("data/a").decode()])
    server.commit()
    entry = server.manifest.get("data/a")
    assert entry is not None
    assert entry.attributes not in hashes


def test_the_flags_of_chattr_are_in_the_entry(server: Server) -> None:
    server.write("data/a")
    server.write("data/folder/b")
    try:
        run(["chattr", "+i", server.path("data/a").decode()])
    except CommandFailed:
        pytest.skip("this file system has no file attributes")
    try:
        run(["chattr", "+d", server.path("data/folder").decode()])
        server.commit()
        flags = {entry.path: entry.flags for entry in server.entries()}
        assert flags == {"data": 0, "data/a": 0x10, "data/folder": 0x40, "data/folder/b": 0}
        run(["chattr", "-i", server.path("data/a").decode()])
        assert ("content", "data/a") in server.verbs()
    finally:
        run(["chattr", "-i", server.path("data/a").decode()])


@contextmanager
def mounted(*argv: str | bytes) -> Iterator[None]:
    point = argv[-1]
    os.makedirs(point, exist_ok=True)
    run(["mount", *map(os.fsdecode, argv)])
    try:
        yield
    finally:
        run(["umount", "--lazy", os.fsdecode(point)])


def test_a_mount_is_entered_only_where_it_is_allowed_or_named(tmp_path: Path) -> None:
    point = tmp_path / "data" / "disk"
    with mounted("-t", "tmpfs", "none", str(point)):
        (point / "a").write_text("x")
        assert paths(tmp_path) == ["data"]
        assert [(one.code, one.path) for one in walked(tmp_path)[1]] == [("skipped.mount", "data/disk")]
        assert paths(tmp_path, frozenset({"data/disk"})) == ["data", "data/disk", "data/disk/a"]
        assert paths(tmp_path, rules=selection("+ /data", "+ /data/disk")) == ["data", "data/disk", "data/disk/a"]
        inner = selection("+ /data", "+ /data/disk/a")
        (point / "b").write_text("x")
        assert paths(tmp_path, rules=inner) == ["data", "data/disk", "data/disk/a"]


def test_a_mount_above_what_is_named_is_entered_with_all_rules(tmp_path: Path) -> None:
    point = tmp_path / "data"
    with mounted("-t", "tmpfs", "none", str(point)):
        for name in ("lib/x/keep", "lib/x/drop", "other"):
            (point / name).parent.mkdir(parents=True, exist_ok=True)
            (point / name).write_text("x")
        rules = selection("+ /data/lib", "- /data/lib/*/drop")
        assert paths(tmp_path, rules=rules) == ["data", "data/lib", "data/lib/x", "data/lib/x/keep"]


@pytest.mark.parametrize("mounts", [frozenset[str](), frozenset({"data/kernel"})])
def test_a_pseudo_file_system_is_never_entered(tmp_path: Path, mounts: frozenset[str]) -> None:
    with mounted("-t", "proc", "none", str(tmp_path / "data" / "kernel")):
        assert paths(tmp_path, mounts) == ["data"]
        assert paths(tmp_path, mounts, selection("+ /data", "+ /data/kernel")) == ["data"]


def test_a_bind_mount_of_the_same_device_is_seen_as_a_mount(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_text("x")
    with mounted("--bind", str(tmp_path / "elsewhere"), os.fsencode(tmp_path) + b"/data/b\xc3\xa9 \n\r\xc2\x85\xff"):
        assert paths(tmp_path) == ["data"]
        name = "data/bé \n\r\x85\udcff"
        assert paths(tmp_path, frozenset({name})) == ["data", name, f"{name}/a"]


def test_a_mount_of_a_folder_inside_itself_does_not_lead_in_circles(tmp_path: Path) -> None:
    (tmp_path / "data" / "a").mkdir(parents=True)
    with mounted("--bind", str(tmp_path / "data"), str(tmp_path / "data" / "a" / "loop")):
        entries, remarks, _ = walked(tmp_path, DATA, frozenset({"data/a/loop"}))
        assert [entry.path for entry in entries] == ["data", "data/a", "data/a/loop"]
        assert [(one.code, one.path) for one in remarks] == [("skipped.loop", "data/a/loop")]


def test_a_file_system_that_is_mounted_while_we_walk_is_not_entered(server: Server) -> None:
    server.write("data/a/kept")
    server.write("data/z")
    server.commit()
    point = os.fsdecode(server.path("data/a"))
    server.table = mount_table(server.root)
    with mounted("-t", "tmpfs", "none", point):
        with open(point + "/foreign", "w") as file:
            file.write("x")
        found = server.detect()
        assert found.summary.deleted == 0
        assert "data/a/foreign" not in {change.path for change in read_changes(found.planned)}
        assert [note.path for note in found.problems] == ["data/a"]


def test_what_is_mounted_at_and_below_a_root_is_told_by_its_path(tmp_path: Path) -> None:
    with mounted("-t", "tmpfs", "none", str(tmp_path / "root")):
        with mounted("-t", "tmpfs", "none", str(tmp_path / "root" / "a b")):
            assert mount_table(tmp_path / "root") == {"": "tmpfs", "a b": "tmpfs"}
        assert mount_table(Path("/"))["proc"] == "proc"
