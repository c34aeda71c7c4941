"""Files follow when an account gets another number: on a real file system, with everything that chown takes away."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hotsync.backends import renumber as room
from hotsync.backends.accounts import LocalAccounts, Owners
from hotsync.backends.renumber import Renumbering, renumber
from hotsync.model.accounts import Account, plan_numbers
from hotsync.system.mounts import Mount
from hotsync.system.paths import Paths

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


def test_an_immutable_file_is_named_and_does_not_stop_the_walk(paths: Paths) -> None:
    stuck = make(paths.root / "srv/data/stuck", OLD, OLD)
    other = make(paths.root / "srv/data/other", OLD, OLD)
    if subprocess.run(["chattr", "+i", stuck], capture_output=True).returncode:
        pytest.skip("this file system has no immutable files")
    try:
        assert renumber(paths, Renumbering({OLD: NEW}, {})) == [str(stuck)]
    finally:
        subprocess.run(["chattr", "-i", stuck], check=True)
    assert os.stat(other).st_uid == NEW


class Manager:
    """A service manager that remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    def of_users(self, uids: frozenset[int]) -> Owners:
        assert uids == {OLD, NEW}
        return Owners(("a.service",), ("chrony.service",), ("bash (process 7)",))

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
        assert accounts.apply(plan).still_running == ("bash (process 7)",)
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


def test_another_file_system_is_walked_too_and_mounted_files_and_the_systems_own_are_not(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = paths.root / "data"
    run = paths.root / "run/host"
    for place in (other, run):
        place.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        there, transient = make(other / "file", OLD, OLD), make(run / "file", OLD, OLD)
        mounts = [
            Mount(str(other), "ext4", "none", "/"),
            Mount(str(run), "ext4", "none", "/"),
            Mount(str(there), "ext4", "none", "/x"),
            Mount("/elsewhere", "ext4", "none", "/"),
        ]
        monkeypatch.setattr(room, "read_mounts", lambda: mounts)
        assert renumber(paths, Renumbering({OLD: NEW}, {})) == []
        assert os.stat(there).st_uid == NEW
        assert os.stat(transient).st_uid == OLD
    finally:
        for place in (other, run):
            subprocess.run(["umount", place], check=True)
