"""Files follow when an account gets another number: on a real file system, with everything that chown takes away."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hotsync.backends import renumber as room
from hotsync.backends import renumber_left
from hotsync.backends.account_processes import Owners
from hotsync.backends.accounts import LocalAccounts
from hotsync.backends.renumber import CONTAINERS, renumber
from hotsync.backends.renumber_file import Renumbering
from hotsync.backends.renumber_left import LeftFiles
from hotsync.engine.slave.account_plan import plan_accounts, read_master_accounts
from hotsync.model.accounts.moves import Account, Move, NumberPlan, plan_numbers
from hotsync.system import files, flags
from hotsync.system.mounts import Mount
from hotsync.system.paths import Paths
from tests.support.images import MIB, make_disk, mounted

pytestmark = pytest.mark.contract

OLD, NEW, OTHER = 2101, 2150, 2102


class PowerCut(BaseException):
    """The process is gone."""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path)
    for folder in ("etc", "var/lib/hotsync/replica/tree", "srv/data/deep", "home/old"):
        (tmp_path / folder).mkdir(parents=True)
    return found


def make(path: Path, uid: int, gid: int, mode: int = 0o644) -> Path:
    path.write_bytes(b"content of " + os.fsencode(path.name))
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    os.utime(path, ns=(1_000_000_001, 2_000_000_002))
    return path


def acl(path: Path) -> str:
    return subprocess.run(["getfacl", "-nE", "--absolute-names", path], capture_output=True, text=True).stdout


def test_owner_group_acls_and_links_follow_and_bits_capabilities_and_times_stay(paths: Paths) -> None:
    data = paths.root / "srv/data"
    setuid = make(data / "deep/setuid", OLD, 0, 0o4755)
    capable = make(data / "deep/capable", 0, OLD, 0o755)
    subprocess.run(["setcap", "cap_net_raw+ep", capable], check=True)
    shared = make(data / "shared", 0, 0)
    subprocess.run(["setfacl", "-m", f"u:{OLD}:rw,g:{OLD}:r,u:{OTHER}:r", shared], check=True)
    subprocess.run(["setfacl", "-d", "-m", f"u:{OLD}:rwx", data / "deep"], check=True)
    (data / "link").symlink_to("/nowhere")
    os.lchown(data / "link", OLD, OLD)
    odd = Path(os.fsdecode(os.fsencode(data) + b"/new\nline\xff"))
    make(odd, OLD, OTHER)
    os.mkfifo(data / "fifo")
    os.chown(data / "fifo", OLD, OLD)
    replica = make(paths.replica / "tree/theirs", OLD, OLD)

    assert renumber(paths, Renumbering({OLD: NEW}, {OLD: NEW})) == []

    assert os.stat(setuid).st_uid == NEW
    assert stat.S_IMODE(os.stat(setuid).st_mode) == 0o4755
    assert os.stat(setuid).st_mtime_ns == 2_000_000_002
    assert os.stat(capable).st_gid == NEW
    assert "cap_net_raw=ep" in subprocess.run(["getcap", capable], capture_output=True, text=True).stdout
    assert f"user:{NEW}:rw-" in acl(shared)
    assert f"group:{NEW}:r--" in acl(shared)
    assert f"user:{OTHER}:r--" in acl(shared)
    assert f"default:user:{NEW}:rwx" in acl(data / "deep")
    assert os.lstat(data / "link").st_uid == NEW
    assert os.lstat(odd).st_uid == NEW
    assert os.lstat(odd).st_gid == OTHER
    assert os.lstat(data / "fifo").st_gid == NEW
    assert os.stat(replica).st_uid == OLD  # the replica is the MASTER's, by the MASTER's numbers
    assert not (paths.state / "accounts-move.special").exists()


def attributes(path: Path) -> str:
    return subprocess.run(["lsattr", "-d", path], capture_output=True, text=True, check=True).stdout.split()[0]


def test_what_chattr_holds_is_changed_and_held_again(paths: Paths) -> None:
    data = paths.root / "srv/data"
    held = make(data / "held", OLD, OLD, 0o4755)
    subprocess.run(["setcap", "cap_net_raw+ep", held], check=True)
    os.chown(data / "deep", OLD, 0)
    subprocess.run(["chattr", "+i", held], check=True)
    subprocess.run(["chattr", "+a", data / "deep"], check=True)
    try:
        assert renumber(paths, Renumbering({OLD: NEW}, {OLD: NEW})) == []
        assert (os.stat(held).st_uid, os.stat(held).st_gid, os.stat(data / "deep").st_uid) == (NEW, NEW, NEW)
        assert stat.S_IMODE(os.stat(held).st_mode) == 0o4755
        assert "cap_net_raw=ep" in subprocess.run(["getcap", held], capture_output=True, text=True).stdout
        assert "i" in attributes(held)
        assert "a" in attributes(data / "deep")
    finally:
        subprocess.run(["chattr", "-ia", held, data / "deep"], check=True)


@pytest.mark.parametrize("name", ["clear_flags", "add_flags"])
def test_a_cut_while_a_file_was_not_held_leaves_it_held_in_the_end(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    held = make(paths.root / "srv/data/held", OLD, OLD, 0o2755)
    subprocess.run(["chattr", "+i", held], check=True)
    try:
        with monkeypatch.context() as patch:
            real = getattr(flags, name)

            def dying(descriptor: int, which: int) -> None:
                if name == "clear_flags":
                    real(descriptor, which)
                raise PowerCut

            patch.setattr(flags, name, dying)
            patch.setattr(flags, "add_flags", dying)
            with pytest.raises(PowerCut):
                renumber(paths, Renumbering({OLD: NEW}, {}))
        assert "i" not in attributes(held)
        assert renumber(paths, Renumbering({OLD: NEW}, {})) == []
        assert (os.stat(held).st_uid, stat.S_IMODE(os.stat(held).st_mode)) == (NEW, 0o2755)
        assert "i" in attributes(held)
    finally:
        subprocess.run(["chattr", "-i", held], check=True)


def test_a_file_on_a_disk_that_is_read_only_is_named_and_follows_its_account_later_whoever_has_its_number_then(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, etc = paths.root / "disk", paths.root / "etc"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True)
    monkeypatch.setattr(room, "read_mounts", lambda: [Mount(str(disk), "tmpfs", "none", "/")])
    try:
        file = make(disk / "file", OLD, OLD, 0o4755)
        subprocess.run(["setfacl", "-m", f"u:{OLD}:rw,g:{OTHER}:r", file], check=True)
        mode = os.stat(file).st_mode
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        (etc / "passwd").write_text(f"a:x:{OLD}:{OLD}::/:/bin/sh\nb:x:{NEW}:{OLD}::/:/bin/sh\n")
        (etc / "group").write_text(f"g:x:{OLD}:\nh:x:{OTHER}:\n")
        accounts = LocalAccounts(paths, Manager())

        assert not accounts.apply(NumberPlan((Move("a", OLD, NEW), Move("b", NEW, OLD))))
        assert accounts.left == (f"{file} has numbers of before: user a ({OLD})",)
        moves = (Move("b", OLD, 2200), Move("a", NEW, OLD))  # the file looks like b's now, and is not
        accounts.apply(NumberPlan(moves, (Move("g", OLD, 2300),)))
        accounts.apply(NumberPlan((Move("a", OLD, 2400),)))
        assert len(accounts.left) == 1
        assert os.stat(file).st_uid == OLD

        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        accounts.apply(NumberPlan())
        assert not accounts.left
        assert (os.stat(file).st_uid, os.stat(file).st_gid, os.stat(file).st_mode) == (2400, 2300, mode)
        assert "user:2400:rw-" in acl(file)
        assert f"group:{OTHER}:r--" in acl(file)
        assert not list(paths.state.glob("accounts-*"))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_the_files_of_containers_of_a_person_follow_when_his_sub_ids_make_room(paths: Paths) -> None:
    etc = paths.root / "etc"
    (etc / "passwd").write_text("max:x:1000:1000::/:/bin/sh\n")
    (etc / "group").write_text("max:x:1000:\n")
    (etc / "subuid").write_text("max:100000:65536\n")
    (etc / "subgid").write_text("max:100000:65536\n")
    (paths.replica / "tree/etc").mkdir()
    for name in ("subuid", "subgid"):
        (paths.replica / "tree/etc" / name).write_text("anna:100000:65536\n")
    inside = make(paths.root / "srv/data/inside", 100033, 165535)
    outside = make(paths.root / "srv/data/outside", 1000, 165536)
    accounts = LocalAccounts(paths, Manager())
    plan = plan_accounts(read_master_accounts(paths, look=False), accounts)
    assert [move.name for move in (*plan.sub_users, *plan.sub_groups)] == ["max", "max"]
    accounts.apply(plan)
    assert (etc / "subuid").read_text() == (etc / "subgid").read_text() == "max:165536:65536\n"
    assert (os.stat(inside).st_uid, os.stat(inside).st_gid) == (165536 + 33, 165536 + 65535)
    assert (os.stat(outside).st_uid, os.stat(outside).st_gid) == (1000, 165536)
    assert plan_accounts(read_master_accounts(paths, look=False), accounts).empty
    LeftFiles(paths.state / "left").note(str(inside), os.stat(inside), {}, Renumbering({}, {}, {165569: "#7"}, {}))
    LeftFiles(paths.state / "left").retry(paths.root, paths.state / "special", {}, {}, nothing_below)
    assert os.stat(inside).st_uid == 7


def test_a_remembered_file_is_forgotten_when_it_is_gone_but_not_while_its_disk_is_away(paths: Paths) -> None:
    left = LeftFiles(paths.state / "accounts-left.jsonl")
    file = make(paths.root / "srv/data/file", OLD, OLD)
    left.note(str(file), os.stat(file), {}, Renumbering({}, {}, {OLD: "a"}, {}))
    file.unlink()
    (paths.root / "srv/data/deep").rmdir()  # an empty mount point
    left.retry(paths.root, paths.state / "special", {"a": Account("a", NEW)}, {}, nothing_below)
    assert len(left.read()) == 1
    make(paths.root / "srv/data/other", OLD, OLD)
    left.retry(paths.root, paths.state / "special", {"a": Account("a", NEW)}, {}, nothing_below)
    assert left.read() == []


def nothing_below(place: Path, *_: object) -> bool:
    raise AssertionError(f"{place} could be looked at from the first")


def cannot_be_opened(patch: pytest.MonkeyPatch, broken: set[str]) -> None:
    """Let the disk give errors for these folders, as long as they are in the set."""
    real = files.open_beneath

    def opening(base: int, path: str, flags: int) -> int:
        if os.path.normpath(os.path.join(os.readlink(f"/proc/self/fd/{base}"), path)) in broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(base, path, flags)

    patch.setattr(files, "open_beneath", opening)


def test_a_folder_that_cannot_be_read_is_named_until_it_can_and_follows_then(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    (paths.root / "etc/passwd").write_text(f"a:x:{OLD}:{OLD}::/:/bin/sh\n")
    deep = paths.root / "srv/data/deep"
    file = make(deep / "file", OLD, 0)
    accounts = LocalAccounts(paths, Manager())
    with monkeypatch.context() as patch:
        cannot_be_opened(patch, {str(deep)})
        assert accounts.apply(NumberPlan((Move("a", OLD, NEW),))) == (str(deep),)
    said = f"{deep} could not be looked at; it may have numbers of before: user a ({OLD})"
    assert list(accounts.left) == [said], "an hour later, too"
    with (paths.state / "accounts-left.jsonl").open("ab") as stream:
        stream.write(b'{"path": "2f')  # cut while it was written
    make(paths.root / "srv/data/other", OLD, 0)  # somebody else's by now
    accounts.apply(NumberPlan())
    assert list(accounts.left) == []
    assert os.stat(file).st_uid == NEW
    assert os.stat(paths.root / "srv/data/other").st_uid == OLD


def test_two_that_swapped_have_what_is_theirs_when_a_folder_of_both_can_be_read_bit_by_bit(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    (paths.root / "etc/passwd").write_text(f"a:x:{OLD}:{OTHER}::/:/bin/sh\nb:x:{NEW}:{OTHER}::/:/bin/sh\n")
    deep = paths.root / "srv/data/deep"
    (deep / "inner").mkdir()
    os.chown(deep, OLD, 0)
    os.chown(deep / "inner", NEW, 0)
    owned = {make(deep / "of a", OLD, 0): NEW, make(deep / "inner/of b", NEW, 0): OLD, deep: NEW, deep / "inner": OLD}
    accounts, broken = LocalAccounts(paths, Manager()), {str(deep), str(deep / "inner")}
    cannot_be_opened(monkeypatch, broken)
    accounts.apply(NumberPlan((Move("a", OLD, NEW), Move("b", NEW, OLD))))
    assert [os.stat(path).st_uid for path in (deep, deep / "of a")] == [NEW, OLD]
    for _ in range(3):
        accounts.apply(NumberPlan())
        assert os.stat(deep).st_uid == NEW
    assert len(accounts.left) == 1
    broken.discard(str(deep))
    for _ in range(3):
        accounts.apply(NumberPlan())
        assert [os.stat(path).st_uid for path in (deep, deep / "of a", deep / "inner")] == [NEW, NEW, OLD]
        assert os.stat(deep / "inner/of b").st_uid == NEW
        assert [left.partition(" could")[0] for left in accounts.left] == [str(deep / "inner")]
    broken.clear()
    for _ in range(3):
        accounts.apply(NumberPlan())
        assert {path: os.stat(path).st_uid for path in owned} == owned
        assert list(accounts.left) == []
    assert not list(paths.state.glob("accounts-*"))


def test_what_cannot_be_changed_in_a_folder_that_can_be_read_again_is_named_by_its_owner(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    (paths.root / "etc/passwd").write_text(f"a:x:{OLD}:{OLD}::/:/bin/sh\n")
    deep = paths.root / "srv/data/deep"
    file = make(deep / "file", OLD, 0)
    accounts = LocalAccounts(paths, Manager())
    with monkeypatch.context() as patch:
        patch.setattr(room, "make_change", refuse)
        LeftFiles(paths.state / "accounts-left.jsonl").note_unread(
            str(deep), Renumbering({}, {}, {OLD: "a"}, {}), itself=False
        )
        (paths.root / "etc/passwd").write_text(f"a:x:{NEW}:{OLD}::/:/bin/sh\n")
        patch.setattr(renumber_left, "make_change", refuse)
        for _ in range(2):
            accounts.apply(NumberPlan())
            assert list(accounts.left) == [f"{file} has numbers of before: user a ({OLD})"]
    accounts.apply(NumberPlan())
    assert (os.stat(file).st_uid, list(accounts.left)) == (NEW, [])


def refuse(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_line_that_was_cut_takes_no_other_one_along(paths: Paths) -> None:
    left = LeftFiles(paths.state / "accounts-left.jsonl")
    maps = Renumbering({}, {}, {OLD: "a"}, {})
    left.note_unread("/one", maps, itself=False)
    with (paths.state / "accounts-left.jsonl").open("ab") as stream:
        stream.write(b'{"path": "2f')
    left.note_unread("/two", maps, itself=True)
    assert [each.path for each in left.read()] == ["/one", "/two"]


def test_subvolumes_belong_to_their_file_system_and_snapshots_stay_what_they_were(paths: Paths) -> None:
    image = paths.root / "image"
    make_disk(image, 150 * MIB, "btrfs")
    with mounted(image, paths.root / "disk") as disk:
        for name in ("nested", "nested/deeper"):
            subprocess.run(["btrfs", "-q", "subvolume", "create", disk / name], check=True)
        found = [make(disk / name / "file", OLD, OLD) for name in ("", "nested", "nested/deeper")]
        subprocess.run(["btrfs", "-q", "subvolume", "snapshot", "-r", disk / "nested", disk / "before"], check=True)
        assert renumber(paths, Renumbering({OLD: NEW}, {OLD: NEW})) == []
        assert [os.stat(file).st_uid for file in found] == [NEW, NEW, NEW]
        assert os.stat(disk / "before/file").st_uid == OLD
        assert not list(paths.state.glob("accounts-*"))


class Manager:
    """A service manager that remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def owners(self, uids: frozenset[int], gids: frozenset[int]) -> Owners:
        assert not uids or OLD in uids
        assert gids <= uids
        return Owners(("a.service", "hotsync-warm-a.service"), ("chrony.service",))

    def call(self, verb: str, units: Sequence[str]) -> None:
        self.calls.append((verb, tuple(units)))


def cut_after(monkeypatch: pytest.MonkeyPatch, name: str, calls: int) -> Callable[[], None]:
    """Let the process die right after so many calls of a function of `os`, as the renumbering sees it."""
    real = getattr(os, name)
    left = [calls]

    def dying(*args: object, **more: object) -> object:
        result = real(*args, **more)
        left[0] -= 1
        if left[0] == 0:
            raise PowerCut
        return result

    monkeypatch.setattr(os, name, dying)
    return lambda: monkeypatch.setattr(os, name, real)


@pytest.mark.parametrize("calls", [1, 2, 3, 4, 5, 6])
def test_a_swap_of_two_accounts_cut_anywhere_ends_right_when_it_is_continued(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    etc = paths.root / "etc"
    (etc / "passwd").write_text(f"a:x:{OLD}:{OLD}::/:/bin/sh\nb:x:{NEW}:{NEW}::/:/bin/sh\n")
    (etc / "group").write_text(f"a:x:{OLD}:\nb:x:{NEW}:\n")
    (etc / "shadow").write_text("a:*:::::::\nb:*:::::::\n")
    os.chmod(etc / "shadow", 0o640)
    of_a = make(paths.root / "srv/data/a", OLD, OLD, 0o6755)
    of_b = make(paths.root / "srv/data/b", NEW, NEW)
    manager = Manager()
    accounts = LocalAccounts(paths, manager)
    users = {"a": Account("a", NEW, NEW), "b": Account("b", OLD, OLD)}
    groups = {"a": Account("a", NEW), "b": Account("b", OLD)}
    plan = plan_numbers(users, groups, accounts.users(), accounts.groups())

    heal = cut_after(monkeypatch, "chown", calls)
    if calls <= 4:  # two files, parked and brought home
        with pytest.raises(PowerCut):
            accounts.apply(plan)
        assert accounts.unfinished
    else:
        assert not accounts.apply(plan)
    heal()
    accounts.finish()

    assert not accounts.unfinished
    assert accounts.users()["a"].number == NEW
    assert accounts.users()["b"].gid == OLD
    assert (os.stat(of_a).st_uid, os.stat(of_a).st_gid) == (NEW, NEW)
    assert (os.stat(of_b).st_uid, os.stat(of_b).st_gid) == (OLD, OLD)
    assert stat.S_IMODE(os.stat(of_a).st_mode) == 0o6755
    assert stat.S_IMODE(os.stat(etc / "shadow").st_mode) == 0o640
    assert plan_numbers(users, groups, accounts.users(), accounts.groups()).empty
    assert manager.calls[-2:] == [("start", ("a.service",)), ("try-restart", ("chrony.service",))]
    assert manager.calls.count(("start", ("a.service",))) == 1
    assert ("stop", ("a.service", "hotsync-warm-a.service")) in manager.calls


def test_other_file_systems_are_walked_too_and_mounted_files_the_systems_own_and_containers_are_not(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, run, session = (paths.root / name for name in ("data", "run/host", "run"))
    store = paths.root / CONTAINERS[0]
    inside = store / "volume"
    places = (other, session, run, session / "user/7", inside)
    for place in places:
        place.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        there, transient = make(other / "file", OLD, OLD), make(run / "file", OLD, OLD)
        socket, own = make(session / "socket", OLD, OLD), make(session / "user/7/file", OLD, OLD)
        contained = make(store / "file", OLD, OLD), make(inside / "file", OLD, OLD)
        mounts = [
            Mount(str(other), "ext4", "none", "/"),
            Mount(str(session), "tmpfs", "none", "/"),
            Mount(str(run), "ext4", "none", "/"),
            Mount(str(session / "user/7"), "tmpfs", "none", "/"),
            Mount(str(inside), "ext4", "none", "/"),
            Mount(str(there), "ext4", "none", "/x"),
            Mount("/elsewhere", "ext4", "none", "/"),
        ]
        monkeypatch.setattr(room, "read_mounts", lambda: mounts)
        assert renumber(paths, Renumbering({OLD: NEW}, {})) == []
        assert [os.stat(path).st_uid for path in (there, socket)] == [NEW, NEW]
        assert [os.stat(path).st_uid for path in (transient, own, *contained)] == [OLD] * 4
    finally:
        for place in reversed(places):
            subprocess.run(["umount", place], check=True)
