"""What a vault does with odd files: holes, second names, bad sectors, what is gone; and with a disk that gets full."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotsync.changes.detect import detect
from hotsync.engine.rejoin import vault as rooms
from hotsync.engine.rejoin.host import RejoinHost
from hotsync.engine.rejoin.readable_copy import copied_but_for
from hotsync.engine.rejoin.vault import Vault, read_summary
from hotsync.engine.sync.select import Selected
from hotsync.engine.watch import Watched
from hotsync.errors import CommandFailed, ReplicaError
from hotsync.manifest.changeset_file import read_changes
from hotsync.manifest.store import Manifest
from hotsync.model.rejoin import Rejoin, Terms
from hotsync.model.selection import Action, Rule, Selection
from hotsync.model.vault import VaultSummary
from hotsync.state import rejoin as document
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.support.disks import bad_sector

pytestmark = pytest.mark.contract
WATCHED = Watched(Selected(Selection([Rule("/srv", Action.INCLUDE, "test")]), frozenset()))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A server whose manifest is empty: of /srv nothing was received."""
    paths = Paths(tmp_path / "root")
    paths.state.mkdir(parents=True)
    (paths.root / "srv").mkdir()
    with Manifest(paths.manifest) as manifest:
        manifest.replace([], 1, "1" * 64)
    return paths


def place(paths: Paths) -> Path:
    return paths.state / "vault/x"


def keep(paths: Paths) -> VaultSummary:
    vault = Vault(paths, SystemClock(), place(paths), WATCHED)
    vault.start()
    return vault.keep(3)


def listed(paths: Paths) -> list[list[str]]:
    lines = (place(paths) / "LIST.txt").read_text().splitlines()
    return sorted(line.split() for line in lines if line.endswith(("a", "b", "c")) and "  /srv/" in line)


def test_a_file_with_holes_needs_the_room_of_its_content(paths: Paths) -> None:
    with (paths.root / "srv/image").open("wb") as file:
        file.truncate(1 << 43)
        file.write(b"content")
    assert keep(paths).files == 1
    copy = place(paths) / "files/srv/image"
    assert (copy.stat().st_size, copy.stat().st_blocks < 1000) == (1 << 43, True)


def test_a_database_servers_file_with_holes_does_so_too(paths: Paths) -> None:
    folder = paths.root / "var/lib/shop"
    folder.mkdir(parents=True)
    with (folder / "data").open("wb") as file:
        file.truncate(1 << 43)
    vault = Vault(paths, SystemClock(), place(paths), WATCHED)
    vault.start()
    assert vault.keep_directories("shop/default", ["/var/lib/shop"]) == ()
    assert (vault.part / "databases/shop/default/server/var/lib/shop/data").stat().st_size == 1 << 43


def test_one_mail_in_many_mailboxes_is_kept_once_by_all_its_names(paths: Paths) -> None:
    (paths.root / "srv/mail").write_bytes(os.urandom(100_000))
    for number in range(5):
        os.link(paths.root / "srv/mail", paths.root / f"srv/box{number}")
    assert keep(paths).files == 6
    kept = [path.stat() for path in (place(paths) / "files/srv").iterdir()]
    assert [(status.st_nlink, status.st_size) for status in kept] == [(6, 100_000)] * 6


@pytest.mark.parametrize("of", ["content", "inode"])
def test_a_bad_sector_costs_its_file_and_is_named(paths: Paths, tmp_path: Path, of: str) -> None:
    with bad_sector(paths.root / "srv", tmp_path / "disk", of=of):
        summary = keep(paths)
    assert (summary.files, summary.unread, summary.is_empty) == (2, 1, False)
    assert "1 that could not be read, and are not in it" in summary.sentence
    assert ["unread", "file", "0", "/srv/b"] in listed(paths)
    assert sorted(os.listdir(place(paths) / "files/srv")) == ["a", "c"]
    assert read_summary(place(paths)) == summary


@pytest.mark.parametrize("of", ["content", "inode"])
def test_a_bad_sector_of_a_database_server_costs_no_other_file_of_it(paths: Paths, tmp_path: Path, of: str) -> None:
    with bad_sector(paths.root / "srv", tmp_path / "disk", of=of) as bad:
        vault = Vault(paths, SystemClock(), place(paths), WATCHED)
        vault.start()
        assert vault.keep_directories("shop/default", ["/srv"]) == (str(bad),)
        found = os.listdir(vault.part / "databases/shop/default/server/srv")
        assert sorted(found) == ["a", "c"]


def test_a_bad_sector_hides_no_full_disk(paths: Paths, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    command.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(small)])
    try:
        with bad_sector(paths.root / "srv", tmp_path / "disk"):
            (paths.root / "srv/d").write_bytes(b"d" * 100_000)
            with pytest.raises(CommandFailed):
                copied_but_for(paths.root / "srv", small / "srv")
    finally:
        command.run(["umount", str(small)])


@pytest.mark.parametrize("gone", ["a file", "its folder"])
def test_what_is_gone_when_it_is_to_be_copied_is_named_and_ends_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """Logs are rotated, and somebody is logged in: what is no production goes on."""
    (paths.root / "srv/logs").mkdir()
    for name in ("a", "logs/b"):
        (paths.root / "srv" / name).write_text("x")
    look = detect

    def then_gone(*args: object, **words: object) -> object:
        found = look(*args, **words)  # type: ignore[arg-type]
        (paths.root / "srv/logs/b").unlink()
        if gone == "its folder":
            (paths.root / "srv/logs").rmdir()
        return found

    monkeypatch.setattr(rooms, "detect", then_gone)
    summary = keep(paths)
    assert (summary.files, summary.unread) == (1, 1 if gone == "a file" else 2)
    assert ["unread", "file", "0", "/srv/logs/b"] in listed(paths)


def test_a_disk_that_becomes_full_is_left_as_it_was(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sizes say that there is room; a file that grew since, or another program, has taken it."""
    small = tmp_path / "small"
    small.mkdir()
    (paths.root / "srv/film").write_bytes(os.urandom(1000))
    document.save_rejoin(paths, Rejoin(Terms(3, 1, "1" * 64), 1.0, str(small / "vault/x"), ()))
    host = RejoinHost(paths, SystemClock(), read_watched=lambda _: WATCHED)
    grown = _growing(paths.root / "srv/film", 80_000_000)
    command.run(["mount", "-t", "tmpfs", "-o", "size=70m", "tmpfs", str(small)])
    try:
        monkeypatch.setattr(rooms, "read_changes", grown)
        with pytest.raises(ReplicaError, match="no room in") as caught:
            host.keep_files()
        assert "--vault /media/DISK/DIR" in caught.value.hint
        assert list((small / "vault").iterdir()) == []
    finally:
        command.run(["umount", str(small)])


def _growing(file: Path, size: int) -> Callable[[Path], Iterator[object]]:
    read, calls = read_changes, list[Path]()

    def reads(planned: Path) -> Iterator[object]:
        calls.append(planned)
        if len(calls) == 2:  # the first time its size is asked for
            file.write_bytes(os.urandom(size))
        return read(planned)

    return reads
