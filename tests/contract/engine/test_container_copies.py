"""What a run shows of databases in containers: the copy where it may pause, the live files where it may not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hotsync.config.schema import Settings
from hotsync.config.values import Databases
from hotsync.engine.sync.collect import Collected
from hotsync.engine.sync.copies import completed, show_copies, show_last_copies
from hotsync.engine.sync.select import Selected, paused_units
from hotsync.errors import ProfileError
from hotsync.model.report import Notice
from hotsync.profiles.catalog import parse_profile
from hotsync.sources.frozen import frozen as room
from hotsync.sources.frozen import moment
from hotsync.sources.frozen.frozen import Frozen
from hotsync.sources.frozen.services import PausedUnit
from hotsync.sources.frozen.store import Known, copy_of
from hotsync.sources.shadows.shadows import Shadows
from hotsync.system.clock import SystemClock
from hotsync.system.mounts import Mount
from hotsync.system.paths import Paths
from tests.unit.changes.support import selection

CLOCK = SystemClock()
NAME = "mariadbd in container shop-db"
SELECTED = Selected(selection("+ /srv"), frozenset())


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A MASTER that copied a database once, in a container that does not run any more."""
    paths = Paths(tmp_path)
    (tmp_path / "srv/shop-db").mkdir(parents=True)
    (tmp_path / "srv/shop-db/ibdata1").write_text("as it lies now")
    copy = copy_of(paths.frozen, "/srv/shop-db")
    copy.tree.mkdir(parents=True)
    (copy.tree / "ibdata1").write_text("as it was copied")
    copy.confirm(Known("/srv/shop-db", NAME, 1.0, {}))
    return paths


def seen(paths: Paths) -> str:
    return (paths.root / "srv/shop-db/ibdata1").read_text()


def shown(paths: Paths, settings: Settings) -> tuple[Frozen, str]:
    with Shadows(paths, CLOCK) as shadows:
        frozen = show_copies(paths, CLOCK, settings, SELECTED, shadows, lambda _: None)
        return frozen, seen(paths)


def test_a_server_that_does_not_run_is_copied_as_it_lies_and_the_copy_is_shown(paths: Paths) -> None:
    frozen, text = shown(paths, Settings())
    assert (frozen.failed, [(point.name, point.stale_since) for point in frozen.points]) == ([], [(NAME, 0.0)])
    assert text == "as it lies now"
    assert [cover.path for cover in frozen.covers] == ["srv/shop-db"]
    assert (frozen.covers[0].copy / "ibdata1").read_text() == "as it lies now"


def test_a_copy_that_cannot_be_read_back_is_a_fault_by_name_and_never_passes_for_a_fresh_one(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_moment = moment.copy_moment

    def damaged(*words: Any) -> float:
        taken_at = copy_moment(*words)
        for known in paths.frozen.glob("*/known.json"):
            known.write_text("damaged")
        return taken_at

    monkeypatch.setattr(room, "copy_moment", damaged)
    frozen, text = shown(paths, Settings())
    assert (frozen.covers, text) == ([], "as it lies now")
    assert [(point.name, point.taken_at, point.stale_since > 0) for point in frozen.points] == [(NAME, 0.0, True)]
    assert [error.exit_code for error in frozen.failed] == [7]


def test_where_a_table_has_a_name_that_is_not_utf_8_the_folder_is_copied_as_any_other(paths: Paths) -> None:
    odd = "caf\udce9.ibd"
    (paths.root / "srv/shop-db" / odd).write_text("odd")
    for _ in range(2):
        frozen, _text = shown(paths, Settings())
        assert (frozen.failed, [point.stale_since for point in frozen.points]) == ([], [0.0])
        (cover,) = frozen.covers
        assert (cover.copy / odd).read_text() == "odd"


def test_a_preview_shows_what_the_last_run_copied(paths: Paths) -> None:
    with Shadows(paths, CLOCK, make=False) as shadows:
        show_last_copies(paths, Settings(), SELECTED, shadows)
        assert seen(paths) == "as it was copied"
    assert seen(paths) == "as it lies now"


@pytest.mark.parametrize("settings", [Settings(pause_seconds=0), Settings(databases=Databases.DISABLED)])
def test_where_nothing_is_paused_the_live_files_are_shown_and_old_copies_are_removed(
    paths: Paths, settings: Settings
) -> None:
    frozen, text = shown(paths, settings)
    assert (frozen.covers, frozen.points, text) == ([], [], "as it lies now")
    assert not paths.frozen.exists()


def test_a_folder_that_is_gone_or_no_longer_carried_has_no_copy_any_more(paths: Paths) -> None:
    for rules in ("+ /home", "+ /srv"):
        copy_of(paths.frozen, "/srv/shop-db").tree.mkdir(parents=True, exist_ok=True)
        copy_of(paths.frozen, "/srv/shop-db").confirm(Known("/srv/shop-db", NAME, 1.0, {}))
        with Shadows(paths, CLOCK) as shadows:
            frozen = show_copies(
                paths, CLOCK, Settings(), Selected(selection(rules), frozenset()), shadows, lambda _: None
            )
        assert (frozen.covers, frozen.failed) == ([], [])
        assert list(paths.frozen.iterdir()) == []
        shutil.rmtree(paths.root / "srv", ignore_errors=True)


def test_a_file_system_that_is_mounted_in_the_folder_is_a_fault_by_name(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moment, "read_mounts", lambda: [Mount(f"{paths.root}/srv/shop-db/inner", "ext4", "x", "/")])
    frozen, text = shown(paths, Settings())
    assert "mounted inside" in frozen.failed[0].sentence
    assert (text, [point.stale_since for point in frozen.points]) == ("as it was copied", [1.0])


def test_a_server_that_cannot_be_paused_is_a_notice_of_the_run_with_its_reason() -> None:
    collected = Collected(1.0, (), (), (), (Notice("site.list", "first"),))
    with Shadows(Paths(Path("/nonexistent")), CLOCK, make=False) as shadows:
        done = completed(collected, Frozen(live={"mongod": "its files are copied while they are written"}), shadows)
    assert [(notice.code, notice.sentence) for notice in done.notices] == [
        ("site.list", "first"),
        ("source.live", "mongod: its files are copied while they are written"),
    ]


def test_what_profiles_name_is_paused_each_unit_once_with_all_its_folders() -> None:
    text = """
[profile]
name = "{name}"
title = "Books"
[[paused]]
unit = "books.service"
folders = ["/srv/{name}"]
"""
    profiles = [parse_profile(text.format(name=name), f"{name}.toml") for name in ("books", "more-books")]
    (unit,) = paused_units(profiles)
    assert unit == PausedUnit("books", "books.service", ("/srv/books", "/srv/more-books"))


@pytest.mark.parametrize("unit", ["books.timer", "books", "../books.service", "user.slice"])
def test_only_a_service_can_be_named(unit: str) -> None:
    text = f"""
[profile]
name = "books"
title = "Books"
[[paused]]
unit = "{unit}"
folders = ["/srv/books"]
"""
    with pytest.raises(ProfileError, match="paused"):
        parse_profile(text, "books.toml")
