"""What is decided of a streamed MariaDB server: places in its log, what hinders, what may go, what events become."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import RestoreFailed
from hotsync.sources.mariadb.binlog import Binlog, Kept, hindrance
from hotsync.sources.mariadb.login import DOCUMENT, load_login, render_login
from hotsync.sources.mariadb.positions import Position, covers, parse_gtids, parse_position
from hotsync.sources.mariadb.sqldump import Definitions
from hotsync.sources.mariadb.sqlpieces import Kind
from hotsync.sources.mariadb.standby import event_states, parse_standing, parse_status
from hotsync.sources.mariadb.stream import Here, cannot_follow, fitness
from hotsync.sources.mariadb.streaming import native_hash, options_name, options_text
from hotsync.sources.source import Dataset

GOOD = Binlog(True, 77, "ROW", "/var/lib/mysql/hotsync-bin", False, False, False, False)
STATUS = """\
*************************** 1. row ***************************
                Slave_IO_State: Waiting for master to send event
               Master_Log_File: bin.000001
              Slave_IO_Running: Yes
             Slave_SQL_Running: Yes
         Seconds_Behind_Master: 3
                 Last_IO_Errno: 0
                 Last_IO_Error:
                Last_SQL_Errno: 1062
                Last_SQL_Error: Duplicate entry
                   Gtid_IO_Pos: 9-9-9
                   Gtid_IO_Pos: 0-77-5
"""


@pytest.mark.parametrize(
    ("applied", "wanted", "answer"),
    [
        ("0-77-3", "0-77-3", True),
        ("0-1-4", "0-77-3", True),
        ("0-77-2", "0-77-3", False),
        ("0-77-3", "0-77-3,1-5-1", False),
        ("0-77-3,1-5-1", "1-5-1", True),
        ("", "", True),
        ("", "0-77-1", False),
    ],
)
def test_a_place_is_reached_when_each_domain_is(applied: str, wanted: str, answer: bool) -> None:
    assert covers(applied, wanted) is answer


def test_a_position_names_the_server_and_nonsense_is_none() -> None:
    assert parse_position(str(Position(77, "0-77-3"))) == Position(77, "0-77-3")
    assert parse_position("77 ") == Position(77, "")
    for odd in ("", "77", "x 0-77-3", "77 0-77", "77 0-77-3'; DROP"):
        assert parse_position(odd) is None
    with pytest.raises(ValueError, match="no global transaction id"):
        parse_gtids("0-77-3,")


@pytest.mark.parametrize(
    ("binlog", "said"),
    [
        (GOOD, ""),
        (replace(GOOD, on=False, format="MIXED", server_id=0), ""),
        (replace(GOOD, galera=True), "Galera"),
        (replace(GOOD, follows=True), "replica itself"),
        (replace(GOOD, follows=True, logs_updates=True), ""),
        (replace(GOOD, format="STATEMENT"), "STATEMENT, not ROW"),
        (replace(GOOD, server_id=0), "server_id is 0"),
        (replace(GOOD, filters=True), "leaves databases out"),
    ],
)
def test_what_no_restart_repairs_hinders(binlog: Binlog, said: str) -> None:
    assert said in hindrance(binlog)
    assert bool(hindrance(binlog)) == bool(said)
    assert GOOD.is_ours
    assert not replace(GOOD, base="/var/lib/mysql/mariadb-bin").is_ours


def test_the_oldest_files_of_a_log_go_first_and_the_last_one_stays() -> None:
    kept = Kept((("a", 10), ("b", 20), ("c", 30)))
    assert kept.total == 60
    assert [kept.first_within(bound) for bound in (60, 59, 49, 30, 1)] == ["a", "b", "c", "c", "c"]


def test_an_option_file_is_read_by_its_own_server_and_keeps_the_administrators_id() -> None:
    off = replace(GOOD, on=False)
    usual, other = Dataset("mariadb", unit="mariadb.service"), Dataset("mariadb", "two", unit="mariadb@two.service")
    assert "[mariadbd]\nlog_bin = hotsync-bin\nserver_id = 77\n" in options_text(usual, off)
    assert "[mariadbd.two]\n" in options_text(other, off)
    assert (options_name(usual), options_name(other)) == (
        "zz-hotsync-streaming.cnf", "zz-hotsync-streaming-two.cnf",
    )  # fmt: skip
    made = options_text(usual, replace(off, server_id=1))
    assert "server_id = 1\n" not in made


def test_a_servers_hash_of_a_password_is_known() -> None:
    assert native_hash("abc") == "*0D3CED9BEC10A777AEC23CCC353A8C08A633045E"  # what 10.11 shows


def test_the_first_word_of_a_dump_on_its_place_counts() -> None:
    definitions = Definitions()
    definitions.add(Kind.NOTE, b"-- CHANGE MASTER TO MASTER_LOG_FILE='hotsync-bin.000001', MASTER_LOG_POS=1017;\n")
    definitions.add(Kind.NOTE, b"-- CHANGE MASTER TO MASTER_LOG_FILE='another', MASTER_LOG_POS=1;\n")
    assert definitions.snapshot == ("hotsync-bin.000001", 1017)


def test_how_far_a_standby_is_and_that_an_error_says_no_more_than_an_error() -> None:
    standing = parse_standing(parse_status(STATUS), "0-77-5", 900.0)
    assert standing.received == "9-9-9", "the first word counts"
    standing = replace(standing, received="0-77-5")
    assert (standing.apply_error, standing.lost, standing.connected) == ("Duplicate entry", False, True)
    assert standing.as_of(1000.0) == 900.0
    assert standing.as_of(1000.0, 50.0) == 950.0
    behind = replace(standing, applied="0-77-4")
    assert behind.as_of(1000.0) == 997.0
    assert replace(behind, behind=None).as_of(1000.0) == 0.0
    assert replace(standing, heard=False, behind=None).as_of(1000.0) == 0.0, "nothing was heard since the start"
    with pytest.raises(ValueError, match="follows nobody"):
        parse_standing({}, "", 0.0)


def test_events_are_named_by_their_bytes() -> None:
    sql = event_states([("shop", "it's", "DISABLED"), ("a", "b", "SLAVESIDE_DISABLED")])
    assert "it's" not in sql
    assert b"it's".hex() in sql
    assert "NOT (FALSE)" in event_states([])


def test_what_a_replica_cannot_keep_and_another_series_leave_it_to_dumps() -> None:
    engines = [("shop", "a", "InnoDB"), ("shop", "b", "MEMORY"), ("mysql", "c", "MEMORY"), ("shop", "v", "NULL")]
    assert cannot_follow(["shop"], engines) == ("shop.b (MEMORY)",)
    here = Here("10.11.6-MariaDB", "mysql")
    assert fitness("10.11.19-MariaDB-log", (), here, "mysql") == ""
    assert "the one here 10.6" in fitness("10.11.19-MariaDB", (), Here("10.6.1-MariaDB", "mysql"), "mysql")
    assert "not installed" in fitness("10.11.19-MariaDB", (), Here("", "mysql"), "mysql")
    assert "belong to root" in fitness("10.11.19-MariaDB", (), Here("10.11.6", "root"), "mysql")
    assert "shop.b" in fitness("10.11.19-MariaDB", ("shop.b (MEMORY)",), here, "mysql")


def test_a_login_is_a_password_of_ours_or_none(tmp_path: Path) -> None:
    assert load_login(tmp_path) is None
    (tmp_path / DOCUMENT).write_bytes(render_login("a" * 32))
    login = load_login(tmp_path)
    assert login is not None
    assert login.password == "a" * 32
    for odd in (render_login("x'; DROP DATABASE shop; -- aaaaaaa"), b"{}", render_login("short")):
        (tmp_path / DOCUMENT).write_bytes(odd)
        with pytest.raises(RestoreFailed):
            load_login(tmp_path)
    os.unlink(tmp_path / DOCUMENT)
    os.symlink("/etc/passwd", tmp_path / DOCUMENT)
    with pytest.raises(RestoreFailed):
        load_login(tmp_path)
