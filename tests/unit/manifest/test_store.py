"""The manifest file: what goes in comes out, a generation is applied whole, damage has a name."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.errors import ManifestDamaged, ReplicaError
from hotsync.manifest.store import Manifest, entry_of_row, row_of_entry
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.model.entry import Change, Entry, Kind, Verb, sort_key
from tests.support.sizes import examples

_names = (
    st.binary(min_size=1, max_size=12)
    .filter(lambda name: not {0, 47} & set(name))
    .map(lambda name: name.decode("utf-8", "surrogateescape"))
)
_paths = st.lists(_names, min_size=1, max_size=4).map("/".join)
_numbers = st.integers(0, 2**63 - 1)
_large = st.integers(0, 2**64 - 1)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    return Entry(
        path=draw(_paths),
        kind=draw(st.sampled_from(Kind)),
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(_numbers),
        gid=draw(_numbers),
        size=draw(_numbers),
        mtime_ns=draw(st.integers(-(2**63), 2**63 - 1)),
        ctime_ns=draw(st.integers(-(2**63), 2**63 - 1)),
        inode=draw(_large),
        device=draw(_large),
        links=draw(_numbers),
        rdev=draw(_large),
        target=draw(_names),
        attributes=draw(st.sampled_from(("", "00ff"))),
        flags=draw(st.integers(0, 2**31)),
        unsettled=draw(st.booleans()),
    )


def entry(path: str, inode: int = 1, **fields: object) -> Entry:
    plain = Entry(path, Kind.FILE, 0o644, 0, 0, 3, 10, 10, inode, 1, 1)
    return dataclasses.replace(plain, **fields)  # type: ignore[arg-type]


def content(path: str, inode: int = 1, **fields: object) -> Change:
    return Change(Verb.CONTENT, path, entry(path, inode, **fields))


@given(entries())
def test_an_entry_survives_its_row(given_entry: Entry) -> None:
    assert entry_of_row(row_of_entry(given_entry)) == given_entry


@settings(max_examples=examples(30))
@given(st.lists(entries(), max_size=8, unique_by=lambda one: one.path))
def test_entries_come_back_in_the_order_of_a_walk(given_entries: list[Entry]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder, Manifest(Path(folder) / "manifest.db") as manifest:
        manifest.replace(given_entries, 1, "1" * 64)
        ordered = sorted(given_entries, key=lambda one: sort_key(one.path))
        assert list(manifest.entries()) == ordered
        assert list(manifest.stamps()) == [(*row[:9], row[10], row[15]) for row in map(row_of_entry, ordered)]
        assert [manifest.get(one.path) for one in ordered] == ordered


def test_a_generation_adds_replaces_and_deletes(tmp_path: Path) -> None:
    with Manifest(tmp_path / "manifest.db") as manifest:
        manifest.apply([content("a", 1), content("b", 2), content("c", 3)], 1, "1" * 64)
        manifest.apply([content("a", 9), Change(Verb.DELETE, "b"), content("d", 4)], 2, "2" * 64)
        assert [(one.path, one.inode) for one in manifest.entries()] == [("a", 9), ("c", 3), ("d", 4)]
        assert (manifest.generation, manifest.digest, manifest.count(Kind.FILE)) == (2, "2" * 64, 3)


@pytest.mark.parametrize(("old", "new"), [("a", "z"), ("z", "a")])
def test_a_moved_file_leaves_its_old_name_also_when_a_new_file_took_that_name(
    tmp_path: Path, old: str, new: str
) -> None:
    moved = Change(Verb.MOVED, new, entry(new, 1), source=old)
    with Manifest(tmp_path / "manifest.db") as manifest:
        manifest.apply([content(old, 1)], 1, "1" * 64)
        manifest.apply(sorted([moved, content(old, 2)], key=lambda one: sort_key(one.path)), 2, "2" * 64)
        assert {one.path: one.inode for one in manifest.entries()} == {old: 2, new: 1}
        manifest.apply([Change(Verb.MOVED, "m", entry("m", 2), source=old)], 3, "3" * 64)
        assert {one.path: one.inode for one in manifest.entries()} == {"m": 2, new: 1}


def test_a_generation_that_breaks_off_leaves_the_one_before(tmp_path: Path) -> None:
    def broken() -> Iterator[Change]:
        for number in range(5000):
            yield content(f"f{number:05}", number)
        raise ReplicaError(reason="the line broke")

    with Manifest(tmp_path / "manifest.db") as manifest:
        manifest.apply([content("a")], 1, "1" * 64)
        with pytest.raises(ReplicaError):
            manifest.apply(broken(), 2, "2" * 64)
        assert ([one.path for one in manifest.entries()], manifest.generation) == (["a"], 1)


def test_a_fresh_manifest_is_private_and_at_generation_zero(tmp_path: Path) -> None:
    with Manifest(tmp_path / "manifest.db") as manifest:
        assert (manifest.generation, manifest.digest, manifest.count()) == (0, EMPTY_DIGEST, 0)
    assert (tmp_path / "manifest.db").stat().st_mode & 0o777 == 0o600


def test_what_lies_below_a_folder_excludes_its_neighbours(tmp_path: Path) -> None:
    with Manifest(tmp_path / "manifest.db") as manifest:
        manifest.replace([entry(path) for path in ("a", "a b", "a/x", "a/x/y", "a-b", "ab")], 1, "1" * 64)
        assert [one.path for one in manifest.entries("a")] == ["a", "a/x", "a/x/y"]


def test_a_damaged_file_is_named_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "manifest.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ManifestDamaged, match="damaged") as caught:
        Manifest(tmp_path / "manifest.db")
    assert "rebuilt" in caught.value.hint


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with Manifest(tmp_path / "manifest.db") as manifest:
        manifest.set_meta("schema", 99)
    with pytest.raises(ReplicaError, match="newer"):
        Manifest(tmp_path / "manifest.db")


def test_a_full_disk_in_a_generation_leaves_the_one_before(tmp_path: Path) -> None:
    with Manifest(tmp_path / "manifest.db") as manifest:
        manifest.apply([content("a")], 1, "1" * 64)
        with manifest.transaction() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count={pages + 2}")
        with pytest.raises(ReplicaError, match="full"):
            manifest.apply((content(f"f{number:05}" * 10, number) for number in range(5000)), 2, "2" * 64)
        assert ([one.path for one in manifest.entries()], manifest.generation) == (["a"], 1)


def test_a_caller_may_put_its_own_rows_into_the_same_transaction(tmp_path: Path) -> None:
    with Manifest(tmp_path / "manifest.db") as manifest:
        with pytest.raises(sqlite3.IntegrityError), manifest.transaction() as db:  # noqa: PT012
            db.execute("CREATE TABLE generation (number INTEGER PRIMARY KEY)")
            manifest.apply_changes([content("a")])
            db.execute("INSERT INTO generation VALUES (1)")
            db.execute("INSERT INTO generation VALUES (1)")
        assert manifest.count() == 0
