"""Changesets as files: whole or absent, read back line by line, digest and figures beside them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hotsync.errors import ProtocolError, ReplicaError
from hotsync.manifest.changeset_file import ChangesetWriter, digest_of_file, read_changes
from hotsync.model.changeset import EMPTY_DIGEST, chain_digest, render_change
from hotsync.model.entry import Change, Entry, Kind, Verb


def content(path: str, size: int = 1, links: int = 1, unsettled: bool = False) -> Change:
    return Change(Verb.CONTENT, path, Entry(path, Kind.FILE, 0o644, 0, 0, size, 1, 1, 7, 1, links, unsettled=unsettled))


CHANGES = [content("a", 100), Change(Verb.DELETE, "b"), content("c", 30, links=3, unsettled=True)]


def write(path: Path, changes: list[Change]) -> ChangesetWriter:
    with ChangesetWriter(path, EMPTY_DIGEST) as writer:
        for change in changes:
            writer.write(change)
    return writer


def write_cut(path: Path) -> None:
    with ChangesetWriter(path, EMPTY_DIGEST) as writer:
        writer.write(content("z"))
        raise ValueError("cut")


def test_what_is_written_is_read_back_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "changes"
    summary = write(path, CHANGES).summary()
    assert list(read_changes(path)) == CHANGES
    assert summary.digest == chain_digest(EMPTY_DIGEST, map(render_change, CHANGES))
    assert summary.digest == digest_of_file(path, EMPTY_DIGEST)
    assert (summary.changes, summary.content, summary.deleted, summary.unsettled) == (3, 2, 1, 1)
    assert (summary.content_bytes, summary.file_bytes) == (110, path.stat().st_size)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_changeset_that_breaks_off_leaves_no_file_and_no_old_one_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "changes", CHANGES)
    with pytest.raises(ValueError, match="cut"):
        write_cut(tmp_path / "changes")
    assert list(read_changes(tmp_path / "changes")) == CHANGES
    assert [path.name for path in tmp_path.iterdir()] == ["changes"]


def test_a_closed_changeset_takes_nothing_more(tmp_path: Path) -> None:
    writer = write(tmp_path / "changes", CHANGES)
    with pytest.raises(ValueError, match="open"):
        writer.write(content("z"))


def test_a_file_cut_anywhere_is_either_a_shorter_changeset_or_refused(tmp_path: Path) -> None:
    write(tmp_path / "changes", CHANGES)
    whole = (tmp_path / "changes").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        if length == 0 or whole[length - 1 : length] == b"\n":
            assert digest_of_file(tmp_path / "cut", EMPTY_DIGEST) != digest_of_file(tmp_path / "changes", EMPTY_DIGEST)
        else:
            with pytest.raises(ProtocolError, match="middle"):
                list(read_changes(tmp_path / "cut"))


def test_an_endless_line_is_refused_without_reading_it_whole(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 1_000_000 + b"\n")
    with pytest.raises(ProtocolError, match="too long"):
        list(read_changes(tmp_path / "long"))


def test_an_unsorted_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "unsorted").write_bytes(b"".join(map(render_change, reversed(CHANGES))))
    with pytest.raises(ProtocolError, match="sorted"):
        list(read_changes(tmp_path / "unsorted"))


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "changes", CHANGES)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReplicaError, match="No space left") as caught:
        write(tmp_path / "changes", CHANGES[:1])
    assert "df" in caught.value.hint
    assert list(read_changes(tmp_path / "changes")) == CHANGES
    assert [path.name for path in tmp_path.iterdir()] == ["changes"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReplicaError, match="cannot be written: No such file"):
        write(tmp_path / "missing" / "changes", CHANGES)
