"""Could this MASTER become the SLAVE: real file systems, one of them too small."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.flows import rejoin_live
from hotsync.flows.rejoin_live import note_lacking, room_lacking, room_lacking_soon
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Entry, Kind
from hotsync.state.configdb import ensure_records
from hotsync.state.lacking import load_lacking
from hotsync.system import command
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract
SIZE = 50 << 20


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    """A MASTER with 100 MiB for HotSync, and a /home of its own."""
    paths, image = Paths(tmp_path / "root"), tmp_path / "disk.img"
    home = paths.root / "home"
    for place in (paths.state, home):
        place.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(100 << 20)
    command.run(["mkfs.ext4", "-q", str(image)])
    command.run(["mount", "-o", "loop", str(image), str(paths.state)])
    command.run(["mount", "-t", "tmpfs", "tmpfs", str(home)])
    try:
        paths.databases.mkdir(parents=True)
        ensure_records(paths)
        (home / "anna").mkdir()
        (home / "anna/film").write_bytes(os.urandom(SIZE))
        with Manifest(paths.manifest) as manifest:
            film = Entry("home/anna/film", Kind.FILE, 0o644, 0, 0, SIZE, 1, 1, 1, 1, 1)
            manifest.replace([film], 1, "d" * 64)
        yield paths
    finally:
        command.run(["umount", str(home)])
        command.run(["umount", str(paths.state)])


def test_a_master_whose_home_has_no_room_beside_hotsync_knows_it_after_each_run(paths: Paths) -> None:
    assert "/home/anna must be copied to the file system of" in room_lacking(paths)
    note_lacking(paths)
    assert load_lacking(paths) == room_lacking(paths)
    os.truncate(paths.root / "home/anna/film", 0)
    assert room_lacking(paths) == ""
    note_lacking(paths)
    assert load_lacking(paths) == ""


def test_where_little_of_a_large_disk_is_carried_its_data_is_not_looked_at(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Manifest(paths.manifest) as manifest:
        manifest.replace([Entry("home/anna", Kind.DIRECTORY, 0o755, 0, 0, 0, 1, 1, 1, 1, 2)], 1, "d" * 64)

    def never(_: Paths) -> str:
        raise AssertionError("it is not needed")

    monkeypatch.setattr(rejoin_live, "room_lacking", never)
    assert room_lacking_soon(paths) == ""


def test_a_run_does_not_fail_by_what_cannot_be_found_out(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    paths.manifest.write_bytes(b"no database" * 1000)
    note_lacking(paths)
    assert "is not known" in caplog.text
