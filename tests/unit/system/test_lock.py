from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from hotsync.errors import Busy
from hotsync.system import lock


def test_one_who_has_just_taken_the_lock_is_waited_for_until_it_has_said_who_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.lock"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        looks: list[float] = []

        def sleep(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 3:
                path.write_text('{"pid": 4711, "since": 1.0}')

        monkeypatch.setattr("time.sleep", sleep)
        with pytest.raises(Busy) as caught, lock.held(path, "run"):
            pass
    assert (caught.value.facts["pid"], len(looks)) == (4711, 3)


def test_who_holds_a_lock_can_be_seen_without_touching_it(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    assert lock.owner(path) is None
    with lock.held(path, "run"):
        found = lock.owner(path)
        assert found is not None
        with pytest.raises(Busy, match=str(found.pid)), lock.held(path, "run"):
            pass
    assert lock.owner(path) is None


def test_a_lock_of_another_file_is_not_taken_for_this_one(tmp_path: Path) -> None:
    with lock.held(tmp_path / "a.lock", "run"):
        (tmp_path / "b.lock").write_text('{"pid": 1, "since": 1}')
        assert lock.owner(tmp_path / "b.lock") is None


def test_a_table_of_locks_that_cannot_be_read_is_no_owner(tmp_path: Path) -> None:
    with lock.held(tmp_path / "a.lock", "run"):
        assert lock.owner(tmp_path / "a.lock", tmp_path / "nothing") is None


def test_a_lock_file_that_its_last_holder_removed_is_made_and_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "networks.lock"
    entered = threading.Event()

    def want() -> None:
        with lock.held(path, "change", wait=True):
            entered.set()

    with path.open("wb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        waiting = threading.Thread(target=want)
        waiting.start()
        inode = str(os.fstat(theirs.fileno()).st_ino)
        while not any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()):
            assert not entered.is_set()  # until it waits for the file that is about to go
        path.unlink()
        with path.open("wb") as next_holder:
            fcntl.flock(next_holder, fcntl.LOCK_EX)
            fcntl.flock(theirs, fcntl.LOCK_UN)
            inode = str(os.fstat(next_holder.fileno()).st_ino)
            while not any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()):
                assert not entered.is_set()  # it must not count the removed file as the lock
    waiting.join()
    assert entered.is_set()
