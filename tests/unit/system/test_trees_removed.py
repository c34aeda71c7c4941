"""Removing a tree: however deep, whatever lies in it, and nothing that a link leads to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.system import trees
from tests.support.deep import dig, little_recursion


def test_a_tree_deeper_than_any_path_goes(tmp_path: Path) -> None:
    dig(tmp_path / "deep", 1500, "d" * 200)
    with little_recursion():
        trees.remove(tmp_path / "deep")
    assert os.listdir(tmp_path) == []


def test_everything_goes_but_what_links_lead_to(tmp_path: Path) -> None:
    top, kept = tmp_path / "top", tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("stays")
    for folder in ("a/b/c", "a/d", "e", os.fsdecode(b"\xff/x")):
        (top / folder).mkdir(parents=True)
        (top / folder / "file").write_text("goes")
        (top / folder / "link").symlink_to(kept)
        os.link(kept / "file", top / folder / "name")
        os.mkfifo(top / folder / "fifo")
    trees.remove(top)
    assert os.listdir(tmp_path) == ["kept"]
    assert (kept / "file").read_text() == "stays"
    (tmp_path / "link").symlink_to(kept)
    trees.remove(tmp_path / "link")
    trees.remove(tmp_path / "nothing")
    trees.remove(kept / "file")
    assert os.listdir(kept) == []


def test_what_cannot_be_removed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "top/inner").mkdir(parents=True)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "rmdir", refused)
    with pytest.raises(PermissionError):
        trees.remove(tmp_path / "top")
    assert (tmp_path / "top/inner").is_dir()


def test_folders_come_before_what_they_hold_however_deep(tmp_path: Path) -> None:
    dig(tmp_path / "top", 400)
    (tmp_path / "top/link").symlink_to(tmp_path)
    with little_recursion():
        found = [*trees.folders_below(tmp_path / "top")]
    assert len(found) == 401
    assert all(found.index(folder.parent) < place for place, folder in enumerate(found[1:40], 1))
