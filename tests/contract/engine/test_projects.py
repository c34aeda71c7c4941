"""Projects of quotas travel as file attributes: a real XFS, the real chattr, real renames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.engine.promotion.files import PromotionFiles
from hotsync.engine.promotion.prepared_etc import OwnEtc, PreparedEtc
from hotsync.flows.promote_look import immutable_paths
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Change, Entry, Kind, Verb
from hotsync.model.promotion import ExchangeUnit, How, NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.system import flags
from hotsync.system.command import run
from hotsync.system.paths import Paths
from tests.support.images import MIB, make_disk, mounted
from tests.unit.changes.support import Server, selection

pytestmark = pytest.mark.contract
LARGEST = 2**32 - 2  # the last one means none


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with projects: the kernel of the tests mounts no ext4 that has them."""
    make_disk(tmp_path / "image", 320 * MIB, "xfs")
    with mounted(tmp_path / "image", tmp_path / "disk") as place:
        yield place


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Path]:
    """A file system without projects."""
    make_disk(tmp_path / "plain-image", 32 * MIB)
    with mounted(tmp_path / "plain-image", tmp_path / "plain") as place:
        yield place


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def shown(path: Path) -> tuple[str, str]:
    """What lsattr says: the project, and of the flags those that are carried."""
    project, letters, _ = run(["lsattr", "-d", "-p", str(path)]).text.split(maxsplit=2)
    return project, "".join(letter for letter in letters if letter in "iadCP")


def with_project(place: Path) -> Path:
    """Lay a folder of project 42 there, whose files are of it, too, but for one."""
    (place / "data/team").mkdir(parents=True)
    run(["chattr", "+P", "-p", "42", str(place / "data/team")])
    for name in ("plan", "other"):
        (place / "data/team" / name).write_text("x")
    run(["chattr", "-p", str(LARGEST), str(place / "data/team/other")])
    (place / "data/free").write_text("x")
    return place


def test_the_project_of_a_file_is_in_its_entry_and_a_new_one_is_a_change(disk: Path, tmp_path: Path) -> None:
    with_project(disk)
    with Manifest(tmp_path / "manifest.db") as manifest:
        server = Server(disk, tmp_path, manifest, rules=selection("+ /data"))
        server.commit()
        team = flags.project_flag(42)
        assert {entry.path: entry.flags for entry in server.entries()} == {
            "data": 0,
            "data/free": 0,
            "data/team": team | flags.PROJECT_INHERIT,
            "data/team/other": flags.project_flag(LARGEST),
            "data/team/plan": team,
        }
        assert server.verbs() == []
        run(["chattr", "-p", "7", str(disk / "data/team/plan")])
        assert ("content", "data/team/plan") in server.verbs()


def test_a_promotion_gives_files_their_projects_also_those_that_are_immutable(disk: Path, tmp_path: Path) -> None:
    with_project(disk)
    run(["chattr", "+i", str(disk / "data/team/plan")])
    with Manifest(tmp_path / "manifest.db") as manifest:
        server = Server(disk, tmp_path, manifest, rules=selection("+ /data"))
        server.commit()
        entries = server.entries()
    run(["chattr", "-i", str(disk / "data/team/plan")])
    place = disk / "live"
    paths = slave_with(place, entries)
    promotion_files(paths).set_attributes()
    assert shown(place / "data/team") == ("42", "P")
    assert shown(place / "data/team/plan") == ("42", "i")
    assert shown(place / "data/team/other") == (str(LARGEST), "")
    assert shown(place / "data/free") == ("0", "")
    promotion = document.load_promotion(paths)
    assert promotion is not None
    assert promotion.notes == ()
    with opened(place / "data/team/plan") as plan:
        assert flags.clear_flags(plan, flags.HOLDING) == flags.IMMUTABLE


def test_where_the_file_system_knows_no_projects_that_is_said(disk: Path, plain: Path, tmp_path: Path) -> None:
    with_project(disk)
    with Manifest(tmp_path / "manifest.db") as manifest:
        server = Server(disk, tmp_path, manifest, rules=selection("+ /data"))
        server.commit()
        paths = slave_with(plain, server.entries())
    promotion_files(paths).set_attributes()
    promotion = document.load_promotion(paths)
    assert promotion is not None
    (note,) = promotion.notes
    assert "(chattr, projects) could not be set on /data/team (" in note
    with opened(plain / "data/free") as free:
        assert flags.read_flags(free) == 0


def test_nothing_can_be_renamed_into_a_folder_of_a_project_until_it_is_let_go(disk: Path, tmp_path: Path) -> None:
    with_project(disk)
    (disk / "new").write_text("x")
    with pytest.raises(OSError, match="cross-device"):
        os.rename(disk / "new", disk / "data/team/new")
    paths = Paths(disk)
    plan = ExchangeUnit("data/team/plan", How.EXCHANGE, Kind.FILE, 0, 0)
    guarded = Promotion(1, 1, "d", 1.0, 1.0, 1.0, NetworkPlan(), (plan,))
    assert immutable_paths(paths, guarded) == ("/data/team (a folder of a project, chattr +P)",)
    with opened(disk / "data/team") as folder:
        assert flags.clear_flags(folder, flags.HOLDING) == flags.PROJECT_INHERIT
    os.rename(disk / "new", disk / "data/team/new")
    assert shown(disk / "data/team") == ("42", ""), "it is counted for its project as before"
    assert immutable_paths(paths, guarded) == ()


def slave_with(root: Path, entries: list[Entry]) -> Paths:
    """A promoted SLAVE on whose disk the files lie, without any attributes."""
    paths = Paths(root)
    paths.state.mkdir(parents=True)
    for name in ("team/plan", "team/other", "free"):
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_text("x")
    paths.manifest.parent.mkdir(parents=True, exist_ok=True)
    with Manifest(paths.manifest) as manifest:
        manifest.apply([Change(Verb.CONTENT, entry.path, entry) for entry in entries], 1, "1" * 64)
    document.save_promotion(paths, Promotion(1, 1, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    return paths


def promotion_files(paths: Paths) -> PromotionFiles:
    own = OwnEtc(frozenset(), frozenset())
    return PromotionFiles(paths, PreparedEtc(paths, lambda: own, lambda _etc, _promotion: {}))
