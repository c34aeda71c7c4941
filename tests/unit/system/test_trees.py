"""The fingerprint of a folder: any touch changes it, and it leads nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hotsync.system.trees import fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data/base").mkdir(parents=True)
    (tmp_path / "data/base/table").write_text("rows")
    (tmp_path / "data/control").write_text("state")
    return tmp_path / "data"


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def write_back(path: Path) -> None:
    """Another file with the same content and time."""
    status = path.stat()
    path.rename(path.with_suffix(".old"))
    path.write_text("rows")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.with_suffix(".old").unlink()


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: touch(folder / "base/table"),
        lambda folder: (folder / "base/new").touch(),
        lambda folder: (folder / "control").unlink(),
        lambda folder: (folder / "base/table").rename(folder / "base/other"),
        lambda folder: write_back(folder / "base/table"),
        lambda folder: (folder / "link").symlink_to("/"),
    ],
)
def test_whatever_is_touched_changes_it(folder: Path, change: Callable[[Path], object]) -> None:
    before = fingerprint(folder)
    change(folder)
    assert fingerprint(folder) != before


def test_reading_owners_and_modes_do_not_and_no_link_is_followed(folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent)
    before = fingerprint(folder)
    assert (folder / "control").read_text() == "state"
    (folder / "control").chmod(0o600)
    os.chown(folder / "base/table", 4711, 4711)
    (folder.parent / "beside").touch()
    assert fingerprint(folder) == before


def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fingerprint(tmp_path / "nowhere")
