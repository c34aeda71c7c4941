from __future__ import annotations

import sqlite3
from pathlib import Path

from hotsync.model.report import Notice, RunReport
from hotsync.state.runs import Runs

REPORT = RunReport("hotsync", 1.0, 2.0, 1, "done", generation=3, warnings=(Notice("a", "b", "c"),), figures={"x": 1.0})


def test_what_was_kept_reads_back_newest_first(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "new" / "runs.db")
    assert runs.last("hotsync") is None
    runs.add(RunReport("hotsync", 0.0, 1.0, 0, "earlier"))
    runs.add(REPORT)
    runs.add(RunReport("hotsync-slave", 5.0, 6.0, 0, "other"))
    assert [report.summary for report in runs.newest("hotsync", 9)] == ["done", "earlier"]
    assert runs.last("hotsync") == REPORT


def test_a_damaged_file_is_moved_aside_and_a_new_one_begins(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    runs = Runs(path)
    assert runs.last("hotsync") is None
    runs.add(REPORT)
    assert runs.last("hotsync") == REPORT
    assert (tmp_path / "runs.db.damaged").exists()


def test_a_row_that_is_no_record_counts_as_damage(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs.db")
    runs.add(REPORT)
    with sqlite3.connect(runs.path) as database:
        database.execute("UPDATE run SET report = '{}'")
    database.close()
    assert runs.last("hotsync") is None
    runs.add(REPORT)
    assert runs.last("hotsync") == REPORT


def test_where_nothing_can_be_kept_nothing_is_raised(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    runs = Runs(tmp_path / "file" / "runs.db")
    runs.add(REPORT)
    assert runs.last("hotsync") is None
