"""Which files have a sound copy, when they are copied anew, and what a damaged index costs."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hotsync.changes.seen import HEAD
from hotsync.sources.shadows.copy import rights_of
from hotsync.sources.shadows.index import (
    Known,
    Looks,
    format_of,
    is_young,
    load_index,
    must_copy,
    save_index,
)
from hotsync.sources.shadows.sqlite_child import uri_of

LOOKS: Looks = ((1, 4096, 10**18, 10**18), (2, 32, 10**18, 10**18), None)
KNOWN = Known("var/lib/app/data.db", "sqlite", LOOKS, young=False, taken_at=100.0)


def test_a_file_is_known_by_its_first_bytes() -> None:
    assert format_of(b"SQLite format 3\0" + bytes(48)) == "sqlite"
    assert format_of(b"TDB file\n" + bytes(55)) == "tdb"
    assert format_of(b"SQLite format 3") is None
    assert format_of(b"") is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tdb_file_with_mutexes_in_it_is_no_case_for_a_copy(order: str) -> None:
    def head(marked: int, features: int) -> bytes:
        made = bytearray(b"TDB file\n".ljust(HEAD, b"\0"))
        struct.pack_into(f"{order}I", made, 40, marked)
        struct.pack_into(f"{order}I", made, 60, features)
        return bytes(made)

    assert format_of(head(0x0BAD1A52, 1)) is None
    assert format_of(head(0x0BAD1A52, 2)) == "tdb"
    assert format_of(head(0, 1)) == "tdb"


def test_a_file_is_copied_anew_when_it_or_its_log_or_its_journal_looks_different() -> None:
    assert not must_copy(KNOWN, LOOKS)
    for number in range(3):
        looks: list[Any] = list(LOOKS)
        looks[number] = (9, 9, 9, 9)
        assert must_copy(KNOWN, (looks[0], looks[1], looks[2]))
    assert must_copy(KNOWN, (LOOKS[0], None, None))


def test_a_file_that_was_young_is_copied_again_though_it_looks_the_same() -> None:
    assert must_copy(replace(KNOWN, young=True), LOOKS)


def test_what_failed_is_tried_again_and_what_is_damaged_only_when_it_changed() -> None:
    assert must_copy(replace(KNOWN, trouble="it was locked"), LOOKS)
    damaged = replace(KNOWN, trouble="it is damaged", damaged=True)
    assert not must_copy(damaged, LOOKS)
    assert must_copy(damaged, ((9, 9, 9, 9), None, None))


def test_a_tdb_file_stays_young_until_the_kernel_has_written_it_back() -> None:
    looks: Looks = ((1, 8192, 10**18, 10**18), None, None)
    assert is_young("tdb", looks, 10**18 + 60 * 10**9)
    assert not is_young("tdb", looks, 10**18 + 301 * 10**9)
    assert not is_young("sqlite", looks, 10**18 + 60 * 10**9)
    assert is_young("sqlite", looks, 10**18 + 10**6)
    assert is_young("sqlite", (looks[0], (2, 1, 10**18 + 10**9, 0), None), 10**18 + 10**9)


def test_the_index_comes_back_as_it_was_written_also_with_odd_names(tmp_path: Path) -> None:
    index = tmp_path / "index.json"
    odd = replace(
        KNOWN, path="srv/new\nline \udcff?#%", trouble="it was locked", damaged=True, looks=(LOOKS[0], None, None)
    )
    save_index(index, [KNOWN, odd])
    assert load_index(index) == {KNOWN.path: KNOWN, odd.path: odd}


def test_an_index_that_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    index = tmp_path / "index.json"
    save_index(index, [KNOWN])
    before = index.stat().st_ino
    save_index(index, [KNOWN])
    assert index.stat().st_ino == before


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.pop("looks"),
        lambda row: row.update(path="../etc/shadow"),
        lambda row: row.update(path="/etc/shadow"),
        lambda row: row.update(path=7),
        lambda row: row.update(format="text"),
        lambda row: row.update(looks=[[1, 2], None, None]),
        lambda row: row.update(looks=[None]),
        lambda row: row.update(looks=["abcd", None, None]),
        lambda row: row.update(taken_at="yesterday"),
    ],
)
def test_an_index_that_was_tampered_with_counts_as_none(tmp_path: Path, change: Any) -> None:
    index = tmp_path / "index.json"
    save_index(index, [KNOWN])
    document = json.loads(index.read_bytes())
    change(document["files"][0])
    index.write_text(json.dumps(document))
    assert load_index(index) == {}


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"schema": 2, "files": []}', b'{"schema": 1}', b"\xff"])
def test_an_index_that_cannot_be_read_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.json").write_bytes(content)
    assert load_index(tmp_path / "index.json") == {}
    assert load_index(tmp_path / "none.json") == {}


@pytest.mark.parametrize(
    "name",
    [b"plain.db", b"new\nline", b"invalid \xff\xfe", b"who?", b"a#b", b"100%", b"%41", b"a b&mode=rw", "é".encode()],
)
def test_sqlite_opens_the_very_file_whatever_its_name_is(tmp_path: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    made = sqlite3.connect(path, isolation_level=None)
    made.execute("CREATE TABLE t AS SELECT 42 AS answer")
    made.close()
    assert os.listdir(os.fsencode(tmp_path)) == [name]
    opened = sqlite3.connect(uri_of(path, "mode=ro"), uri=True)
    assert opened.execute("SELECT answer FROM t").fetchone() == (42,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        opened.execute("INSERT INTO t VALUES (1)")
    opened.close()
    assert os.listdir(os.fsencode(tmp_path)) == [name]


def test_a_file_is_read_with_the_rights_of_its_owner_and_roots_that_others_write_by_nobody() -> None:
    def status(uid: int, mode: int, gid: int = 7) -> os.stat_result:
        return SimpleNamespace(st_uid=uid, st_gid=gid, st_mode=mode)  # type: ignore[return-value]

    open_folder, private = status(0, 0o755), status(0, 0o700)
    assert rights_of(status(0, 0o644), open_folder) == (0, 0)
    assert rights_of(status(0, 0o664), open_folder) == (65534, 7)
    assert rights_of(status(0, 0o666), private) == (0, 0)
    assert rights_of(status(4_000_000_000, 0o600), open_folder) == (4_000_000_000, 65534)
    assert rights_of(status(1, 0o600), open_folder) == (1, 1)  # daemon, of the group daemon
