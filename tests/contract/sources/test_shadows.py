"""Sound copies of SQLite files under load, at the files' own paths, against the real SQLite and the real kernel."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hotsync.sources.shadows import copy as shadow_copy
from hotsync.sources.shadows import sqlite_child
from hotsync.sources.shadows.copy import Copier, CopyFailed, Original
from hotsync.system import command
from hotsync.system.namespace import PrivateMounts
from hotsync.system.trees import opened
from tests.contract.sources.shadow_world import World
from tests.support.bank import busy, fault_of, held, make_bank, moved, open_bank
from tests.support.images import MIB, make_disk, mounted
from tests.support.sizes import examples

pytestmark = [pytest.mark.contract]
DAEMON = 1
PLAIN_TRIES = 2000


@pytest.fixture
def world() -> Iterator[World]:
    # not below pytest's own folder, which it keeps from other users: some of them take part here
    folder = Path(tempfile.mkdtemp(prefix="hotsync-test-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        made = World(folder / "world")
        yield made
        assert list(made.temporary.iterdir()) == []
    finally:
        shutil.rmtree(folder)


def write_rows(path: Path, *rows: int, journal: str = "DELETE") -> None:
    with closing(open_bank(path)) as db:
        db.execute(f"PRAGMA journal_mode={journal}")
        db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
        db.executemany("INSERT INTO t VALUES (?)", ((row,) for row in rows))


def rows_of(path: Path) -> list[int]:
    with closing(open_bank(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in db.execute("SELECT n FROM t ORDER BY n")]


def plain_copy(path: Path, folder: Path) -> Path:
    """Copy a file and what lies beside it as a program does that knows nothing of SQLite."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in sorted(os.listdir(path.parent)):
        if name.startswith(path.name) and not name.endswith("-shm"):
            try:
                shutil.copyfile(path.parent / name, folder / name)
            except FileNotFoundError:
                continue
            time.sleep(0.003)  # what a file of a usual size takes
    return folder / path.name


@pytest.mark.parametrize("journal", ["WAL", "DELETE", "TRUNCATE"])
@pytest.mark.timeout(1800)
def test_a_file_under_constant_writes_arrives_sound_each_time_and_a_plain_copy_of_it_does_not(
    world: World, journal: str
) -> None:
    bank = world.srv / "bank.db"
    make_bank(bank, journal)
    last = 0
    with busy(bank):
        for _ in range(examples(20)):
            run = world.sync()
            assert run.notices == []
            assert run.verb_of("srv/bank.db") == "content"
            assert sorted(os.listdir(run.arrived / "srv")) == ["bank.db"]
            assert fault_of(run.arrived / "srv/bank.db") == ""
            now = moved(run.arrived / "srv/bank.db")
            assert now > last  # it moves on: no old copy comes twice
            last = now
        faults = (fault_of(plain_copy(bank, world.work / "plain")) for _ in range(PLAIN_TRIES))
        assert any(faults)
    assert fault_of(bank) == ""


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_what_did_not_change_is_not_sent_again_and_its_copy_is_not_touched(world: World, journal: str) -> None:
    write_rows(world.srv / "data.db", 1, 2, journal=journal)
    assert world.sync().verb_of("srv/data.db") == "content"
    world.sync()
    (shadow,) = [path for path in world.paths.shadows.iterdir() if len(path.name) == 64]
    before = shadow.stat()
    assert world.sync().verbs == []
    os.utime(world.srv / "data.db")  # looked at again, and found equal
    assert world.sync().verbs == []
    after = shadow.stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_a_change_that_only_the_log_has_is_carried_without_the_log(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1, journal="WAL")
    with held(path, "PRAGMA wal_autocheckpoint=0", "INSERT INTO t VALUES (2)"):
        world.sync()
        world.sync()
        before = path.stat()
        command.run(["sqlite3", str(path), "PRAGMA wal_autocheckpoint=0; INSERT INTO t VALUES (3)"])
        assert path.stat().st_mtime_ns == before.st_mtime_ns
        run = world.sync()
        assert run.verbs == [("content", "srv/data.db")]
        assert rows_of(run.arrived / "srv/data.db") == [1, 2, 3]
        assert (world.srv / "data.db-wal").stat().st_size > 0


def test_reading_leaves_nothing_beside_the_file(world: World) -> None:
    write_rows(world.srv / "logged.db", 1, journal="WAL")
    write_rows(world.srv / "journalled.db", 1)
    before = sorted(os.listdir(world.srv)), world.srv.stat().st_mtime_ns
    world.sync()
    assert (sorted(os.listdir(world.srv)), world.srv.stat().st_mtime_ns) == before


def test_the_host_sees_no_mount_and_the_live_file_while_a_run_sees_the_copy(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1)
    live = path.stat().st_ino
    seen: list[int] = []
    mounts: list[str] = []
    asked, answered = threading.Event(), threading.Event()

    def look_from_outside() -> None:
        asked.wait(60)
        seen.append(path.stat().st_ino)
        mounts.append(Path("/proc/thread-self/mountinfo").read_text())
        answered.set()

    outside = threading.Thread(target=look_from_outside)
    outside.start()
    with world.looking():
        asked.set()
        assert answered.wait(60)
        assert str(world.root) in Path("/proc/thread-self/mountinfo").read_text()
        assert path.stat().st_ino != live
        assert command.run(["stat", "-c", "%i", str(path)]).text.strip() == str(path.stat().st_ino)
    outside.join()
    assert seen == [live]
    assert path.stat().st_ino == live
    mounts.append(Path("/proc/thread-self/mountinfo").read_text())
    assert [str(world.root) in told for told in mounts] == [False, False]
    assert Path.cwd().exists()


def test_the_copy_has_owner_mode_acl_and_attributes_of_the_live_file(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1)
    os.chown(path, DAEMON, 7)
    path.chmod(0o640)
    os.setxattr(path, "user.note", b"kept")
    command.run(["setfacl", "-m", "u:2:r", str(path)])
    os.utime(path, ns=(10**18, 10**18))
    (entry,) = [change.entry for change in world.sync().changes if change.path == "srv/data.db"]
    assert entry is not None
    live = path.stat()
    assert (entry.uid, entry.gid, entry.mode, entry.mtime_ns) == (DAEMON, 7, live.st_mode & 0o7777, 10**18)
    with world.looking():
        assert os.getxattr(path, "user.note") == b"kept"
        assert b"user:bin:r--" in command.run(["getfacl", "-c", str(path)]).stdout
    world.sync()
    content = next(path for path in world.paths.shadows.iterdir() if len(path.name) == 64).stat()
    path.chmod(0o600)
    (entry,) = [change.entry for change in world.sync().changes if change.path == "srv/data.db"]
    assert entry is not None
    assert entry.mode == 0o600
    assert entry.inode == content.st_ino  # only its attributes were set


def test_a_file_that_was_left_with_a_hot_journal_is_carried_as_of_its_last_commit(world: World) -> None:
    path = world.srv / "data.db"
    make_bank(path, "DELETE")
    with closing(open_bank(path)) as db:
        db.execute("PRAGMA cache_size=5")  # so that pages go to the file before the transaction ends
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE account SET money = money + 1")
        state = {name: (world.srv / name).read_bytes() for name in ("data.db", "data.db-journal")}
        db.execute("ROLLBACK")
    for name, content in state.items():
        (world.srv / name).write_bytes(content)
    assert fault_of(plain_copy(path, world.work / "alone").parent / "data.db") == ""  # SQLite repairs a whole set
    (world.work / "alone/data.db").write_bytes(state["data.db"])
    run = world.sync()
    assert run.notices == []
    assert fault_of(run.arrived / "srv/data.db") == ""
    assert (world.srv / "data.db-journal").read_bytes() == state[
        "data.db-journal"
    ]  # the live one is not repaired by us
    (world.srv / "data.db-journal").unlink()
    assert fault_of(path) != ""


def test_a_log_that_nobody_shares_is_read_too(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1, journal="WAL")
    with held(path, "PRAGMA wal_autocheckpoint=0", "INSERT INTO t VALUES (2)"):
        state = {name: (world.srv / name).read_bytes() for name in ("data.db", "data.db-wal")}
    for name, content in state.items():
        (world.srv / name).write_bytes(content)
    run = world.sync()
    assert rows_of(run.arrived / "srv/data.db") == [1, 2]
    assert sorted(os.listdir(world.srv)) == ["data.db", "data.db-wal"]


def test_a_file_that_is_locked_but_quiet_is_carried_as_of_its_last_commit(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1)
    with held(path, "BEGIN EXCLUSIVE", "INSERT INTO t VALUES (2)"):
        run = world.sync()
        assert run.notices == []
        assert rows_of(run.arrived / "srv/data.db") == [1]


def test_a_file_that_is_locked_and_does_not_hold_still_keeps_its_last_good_copy_and_says_so(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1)
    world.sync()
    ended = threading.Event()
    with held(path, "PRAGMA locking_mode=EXCLUSIVE", "INSERT INTO t VALUES (2)"):

        def touch() -> None:
            while not ended.wait(0.005):
                os.utime(path)

        restless = threading.Thread(target=touch)
        restless.start()
        try:
            run = world.sync()
        finally:
            ended.set()
            restless.join()
    assert run.verb_of("srv/data.db") == ""
    (notice,) = run.notices
    assert "/srv/data.db: its sound copy is" in notice
    assert "locked" in notice
    assert list(run.stale()) == ["sqlite:/srv/data.db"]
    assert "sqlite" in run.fresh()
    run = world.sync()
    assert (run.notices, run.stale()) == ([], {})
    assert rows_of(run.arrived / "srv/data.db") == [1, 2]


@contextmanager
def leased(path: Path) -> Iterator[None]:
    """Have another process keep a file as a file server does for its client; it gives it back when it is asked to."""
    program = (
        "import fcntl, os, signal, sys\n"
        "held = os.open(sys.argv[1], os.O_RDWR)\n"
        "signal.signal(signal.SIGIO, lambda *_: fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK))\n"
        "fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    argv = [sys.executable, "-S", "-c", program, str(path)]
    with command.spawn(argv, stdin=command.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield


def test_a_file_that_a_file_servers_client_keeps_is_copied_once_it_gives_it_back(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1)
    world.sync()
    write_rows(path, 2)
    with leased(path):
        run = world.sync()
    assert (run.notices, run.verb_of("srv/data.db")) == ([], "content")
    assert rows_of(run.arrived / "srv/data.db") == [1, 2]


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(os.urandom(5 * 4096))


def test_a_file_that_becomes_damaged_keeps_its_last_good_copy(world: World) -> None:
    path = world.srv / "bank.db"
    make_bank(path, "DELETE")
    world.sync()
    damage(path)
    world.clock.sleep(0.05)
    run = world.sync()
    assert run.verb_of("srv/bank.db") == ""
    assert "damaged" in run.notices[0]
    with world.looking() as run:
        assert run.notices == []  # it was said, and the file did not change since
        assert "damaged" in run.stale()["sqlite:/srv/bank.db"]
        assert fault_of(path) == ""


def test_a_file_that_was_damaged_from_the_start_is_carried_as_it_lies_and_named(world: World) -> None:
    path = world.srv / "bank.db"
    make_bank(path, "DELETE")
    damage(path)
    world.clock.sleep(0.05)
    run = world.sync()
    assert (run.arrived / "srv/bank.db").read_bytes() == path.read_bytes()
    assert "carried as it lies" in run.notices[0]
    assert "carried as it lies" in run.stale()["sqlite:/srv/bank.db"]
    run = world.sync()
    assert (run.verbs, run.notices) == ([], [])


def test_a_log_that_was_carried_before_its_file_was_sound_leaves_the_replica(world: World) -> None:
    path = world.srv / "bank.db"
    make_bank(path, "WAL")
    good = path.read_bytes()
    damage(path)
    (world.srv / "bank.db-wal").write_bytes(b"left")
    assert world.sync().verb_of("srv/bank.db-wal") == "content"
    path.write_bytes(good)
    (world.srv / "bank.db-wal").write_bytes(b"")
    run = world.sync()
    assert run.verb_of("srv/bank.db-wal") == "delete"
    assert run.shadows is not None
    assert run.shadows.hides(b"srv\0bank.db-wal")
    assert run.shadows.lies_at("srv/bank.db")
    assert not run.shadows.lies_at("srv/other.db")


def test_a_log_without_a_file_that_is_sqlite_is_a_file_like_others(world: World) -> None:
    (world.srv / "notes").write_text("no database")
    (world.srv / "notes-wal").write_text("a file")
    (world.srv / "other.db-journal").mkdir()
    write_rows(world.srv / "other2.db", 1)
    (world.srv / "other2.db-journal").mkdir()
    paths = [path for _, path in world.sync().verbs]
    assert paths == [
        "srv",
        "srv/notes",
        "srv/notes-wal",
        "srv/other.db-journal",
        "srv/other2.db",
        "srv/other2.db-journal",
    ]


def test_a_renamed_and_a_removed_file_leave_no_copy_behind(world: World) -> None:
    write_rows(world.srv / "one.db", 1)
    write_rows(world.srv / "two.db", 2)
    world.sync()
    (world.srv / "one.db").rename(world.srv / "three.db")
    (world.srv / "two.db").unlink()
    run = world.sync()
    verbs = sorted(one for one in run.verbs if one[1] != "srv")
    assert verbs == [("content", "srv/three.db"), ("delete", "srv/one.db"), ("delete", "srv/two.db")]
    assert rows_of(run.arrived / "srv/three.db") == [1]
    assert len([path for path in world.paths.shadows.iterdir() if len(path.name) == 64]) == 1


def test_a_file_that_is_no_database_any_more_is_carried_like_others(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1)
    world.sync()
    path.write_text("plain text")
    run = world.sync()
    assert run.verb_of("srv/data.db") == "content"
    assert (run.arrived / "srv/data.db").read_text() == "plain text"
    assert not [path for path in world.paths.shadows.iterdir() if len(path.name) == 64]


def test_a_file_that_is_replaced_while_a_run_looks_shows_the_new_one(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1)
    write_rows(world.root / "new.db", 1, 2)
    inode = (world.root / "new.db").stat().st_ino
    world.sync()
    with world.looking():
        here = path.stat().st_ino
        command.run(
            ["nsenter", f"--mount=/proc/{os.getppid()}/ns/mnt", "--", "mv", str(world.root / "new.db"), str(path)]
        )
        assert here != inode
        assert path.stat().st_ino == inode
    assert rows_of(world.sync().arrived / "srv/data.db") == [1, 2]


def test_a_lost_index_costs_no_transfer(world: World) -> None:
    write_rows(world.srv / "data.db", 1, journal="WAL")
    world.sync()
    world.sync()
    (world.paths.shadows / "index.json").write_bytes(b"{")
    assert world.sync().verbs == []
    (world.paths.shadows / ("0" * 64)).write_bytes(b"an old one")
    (world.paths.shadows / ".new-1").write_bytes(b"half")
    assert world.sync().verbs == []
    assert sorted(len(path.name) for path in world.paths.shadows.iterdir()) == [10, 64]


def test_a_dry_run_makes_no_copies_and_shows_those_that_there_are(world: World) -> None:
    write_rows(world.srv / "old.db", 1)
    world.sync()
    world.sync()
    write_rows(world.srv / "old.db", 2)
    write_rows(world.srv / "new.db", 3)
    state = [(path.name, path.stat().st_mtime_ns) for path in sorted(world.paths.shadows.iterdir())]
    with world.looking(make=False) as run:
        assert [path for _, path in run.verbs] == ["srv", "srv/new.db"]
        assert rows_of(world.srv / "old.db") == [1]
    assert [(path.name, path.stat().st_mtime_ns) for path in sorted(world.paths.shadows.iterdir())] == state


def test_odd_names_and_checks_of_the_applications_own_are_no_trouble(world: World) -> None:
    for name in (b"new\nline", b"\xff\xfe", b"who?mode=rw", b"a#b%41", b"n" * 200):
        write_rows(Path(os.fsdecode(os.fsencode(world.srv) + b"/" + name)), 1, journal="WAL")
    with closing(open_bank(world.srv / "own.db")) as db:
        db.create_collation("mine", lambda one, other: (one > other) - (one < other))
        db.execute("CREATE TABLE t (a TEXT COLLATE mine)")
        db.execute("CREATE INDEX i ON t (a)")
        db.execute("INSERT INTO t VALUES ('x')")
    with closing(open_bank(world.srv / "rules.db")) as db:
        db.execute("CREATE TABLE t (a INTEGER CHECK (a > 0))")
        db.execute("PRAGMA ignore_check_constraints=ON")
        db.execute("INSERT INTO t VALUES (-1)")
    run = world.sync()
    assert (run.notices, run.stale()) == ([], {})
    assert len([path for path in world.paths.shadows.iterdir() if len(path.name) == 64]) == 7


def owned(path: Path, uid: int) -> None:
    for one in (path, *path.parent.glob(path.name + "-*")):
        os.chown(one, uid, uid)


def test_a_users_file_under_load_is_copied_with_his_rights_also_in_a_folder_that_he_cannot_reach(world: World) -> None:
    home = world.srv / "private/home"
    home.mkdir(parents=True)
    home.parent.chmod(0o700)
    bank = home / "bank.db"
    make_bank(bank, "WAL")
    os.chown(home, DAEMON, DAEMON)
    owned(bank, DAEMON)
    home.parent.chmod(0o711)
    with busy(bank, workers=1, uid=DAEMON):
        home.parent.chmod(0o700)
        for _ in range(3):
            run = world.sync()
            assert run.notices == []
            assert fault_of(run.arrived / "srv/private/home/bank.db") == ""
    assert not {path.stat().st_uid for path in home.iterdir()} - {DAEMON}


def test_a_link_in_the_place_of_a_users_file_reaches_nothing(world: World) -> None:
    secret = world.root / "secret.db"
    write_rows(secret, 4711)
    secret.chmod(0o600)
    home = world.srv / "home"
    home.mkdir()
    for uid in (0, DAEMON):
        path = home / f"data{uid}.db"
        write_rows(path, 1)
        os.chown(path, uid, uid)
        status = path.stat()
        path.rename(world.work / path.name)
        path.symlink_to(secret)
        with PrivateMounts(), opened(world.root, "srv/home") as folder:
            original = Original(folder, os.fsencode(path.name), "sqlite", status)
            with (
                Copier(world.paths.shadows, world.temporary) as copier,
                pytest.raises(CopyFailed, match="replaced meanwhile"),
                copier.copied(original),
            ):
                pass
        # if it was put there at the very moment: what SQLite has opened is looked at before anything is copied
        out, link = os.fsencode(world.work / f"out{uid}"), os.fsencode(path)
        with pytest.raises(sqlite_child.Trouble, match="replaced meanwhile"):
            sqlite_child.backup(sqlite_child.uri_of(link, "mode=ro"), out, (status.st_dev, status.st_ino), link)
        assert not os.path.exists(out)


def test_a_full_disk_keeps_the_last_good_copy_and_says_which_disk(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1)
    world.sync()
    write_rows(path, 2)
    command.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "none", str(world.temporary)])
    try:
        run = world.sync()
        assert f"the disk of {world.temporary} has no room" in run.notices[0]
        assert run.verb_of("srv/data.db") == ""
    finally:
        command.run(["umount", str(world.temporary)])
    run = world.sync()
    assert (run.notices, run.verb_of("srv/data.db")) == ([], "content")


def test_a_disk_that_fills_up_while_a_copy_is_made_keeps_the_last_good_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.srv / "bank.db"
    make_bank(path, "WAL")
    world.sync()
    with closing(open_bank(path)) as db:
        db.execute("UPDATE account SET money = money + 0, note = note || 'y'")
    monkeypatch.setattr(shadow_copy, "ROOM", -(10**12))
    command.run(["mount", "-t", "tmpfs", "-o", "size=300k,mode=1777", "none", str(world.temporary)])
    try:
        run = world.sync()
        assert "the disk for the copy is full" in run.notices[0]
    finally:
        command.run(["umount", str(world.temporary)])
    assert fault_of(world.sync().arrived / "srv/bank.db") == ""


def test_where_no_copies_can_be_kept_the_last_good_ones_are_carried_and_marked_as_old(world: World) -> None:
    path = world.srv / "data.db"
    write_rows(path, 1)
    world.sync()
    write_rows(path, 2)
    command.run(["mount", "--bind", "-o", "ro", str(world.paths.shadows), str(world.paths.shadows)])
    try:
        run = world.sync()
    finally:
        command.run(["umount", str(world.paths.shadows)])
    assert run.verb_of("srv/data.db") == ""
    assert len(run.notices) == 1
    assert "Read-only file system" in run.notices[0]
    assert (list(run.stale()), run.fresh()) == (["sqlite"], [])
    assert rows_of(world.sync().arrived / "srv/data.db") == [1, 2]


def test_where_no_private_view_is_allowed_the_files_are_carried_as_they_lie_with_one_notice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hotsync.system import namespace

    def refused(flags: int) -> int:
        del flags
        return -1

    monkeypatch.setattr(namespace._libc, "unshare", refused)
    write_rows(world.srv / "one.db", 1)
    write_rows(world.srv / "two.db", 1)
    run = world.sync()
    (notice,) = run.notices
    assert "2 of those that changed" in notice
    assert "CAP_SYS_ADMIN" in notice
    assert rows_of(run.arrived / "srv/one.db") == [1]
    run = world.sync()
    assert (run.notices, run.verbs) == ([], [])


def test_what_a_killed_run_left_is_removed_by_the_next(world: World) -> None:
    write_rows(world.srv / "data.db", 1)
    with Copier(world.paths.shadows, world.temporary) as copier:
        left = world.temporary / f"{copier._prefix}left"
    (left / "0-0/copies").mkdir(parents=True)
    (left / "0-0/copies/copy").write_bytes(b"x")
    world.sync()
    assert not left.exists()


def test_an_owner_whose_copies_come_to_no_end_holds_up_the_run_once(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stuck = tmp_path / "stuck.py"
    stuck.write_text("import time\ntime.sleep(10**6)\n")
    for number in range(3):
        write_rows(world.srv / f"{number}.db", number)
    with monkeypatch.context() as patched:
        patched.setattr(shadow_copy, "_CHILD", stuck)
        patched.setattr(shadow_copy, "_STALL_SECONDS", 0.5)
        notices = world.sync().notices
    assert ["no end within" in notice for notice in notices] == [True, False, False]
    assert ["another file of its owner" in notice for notice in notices] == [False, True, True]
    assert world.sync().notices == []


def test_what_is_bound_for_one_owner_is_out_of_reach_for_another(world: World, tmp_path: Path) -> None:
    nosy = tmp_path / "nosy.py"
    nosy.write_text(
        "import json, os, sys\n"
        "os.setgroups([]); os.setresgid(1, 1, 1); os.setresuid(2, 2, 2)\n"
        "for line in sys.stdin:\n"
        "    folder = json.loads(line)['folder']\n"
        "    try: reason = repr(os.listdir(folder))\n"
        "    except OSError as error: reason = error.strerror\n"
        "    print(json.dumps({'trouble': 'passing', 'reason': reason}), flush=True)\n"
    )
    write_rows(world.srv / "data.db", 1)
    owned(world.srv / "data.db", DAEMON)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shadow_copy, "_CHILD", nosy)
        (notice,) = world.sync().notices
    assert notice.endswith("Permission denied")
    assert world.sync().notices == []


def test_one_child_copies_all_files_of_an_owner(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[int, int]] = []
    real = shadow_copy._Child.__init__

    def counted(self: shadow_copy._Child, base: Path, rights: tuple[int, int]) -> None:
        started.append(rights)
        real(self, base, rights)

    monkeypatch.setattr(shadow_copy._Child, "__init__", counted)
    for number in range(6):
        write_rows(world.srv / f"{number}.db", number)
        owned(world.srv / f"{number}.db", number % 2)
    assert world.sync().notices == []
    assert started == [(0, 0), (1, 1)]


def test_sqlite_itself_agrees_with_what_is_a_copy(world: World) -> None:
    path = world.srv / "data.db"
    make_bank(path, "WAL")
    run = world.sync()
    with closing(sqlite3.connect(run.arrived / "srv/data.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    dumps = [
        command.run(["sqlite3", str(one), ".dump"], timeout=120).stdout for one in (path, run.arrived / "srv/data.db")
    ]
    assert dumps[0] == dumps[1]


def test_a_file_without_its_log_is_copied_once_its_whole_second_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_disk(tmp_path / "disk.img", 16 * MIB, "ext3")
    with mounted(tmp_path / "disk.img", tmp_path / "disk") as disk:
        path, out = disk / "data.db", tmp_path / "out"
        out.mkdir()
        write_rows(path, 3, journal="WAL")
        status = path.stat()
        assert status.st_ctime_ns % 10**9 == 0
        # a program of its own has nothing open but what it copies; the tests' own process may
        monkeypatch.setattr(sqlite_child, "_OWN", sqlite_child.held_files())
        sqlite_child.copy(os.fsencode(disk), b"data.db", (status.st_dev, status.st_ino), os.fsencode(out))
        assert time.time() > path.stat().st_ctime + 2
        assert (out / "copy").exists()
