from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.errors import Busy
from hotsync.system import lock


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
