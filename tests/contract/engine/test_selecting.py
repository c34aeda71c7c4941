"""What a MASTER selects, and what it shows of that beforehand: with the programs and mounts of this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hotsync.engine.sync.host import SyncHost
from hotsync.engine.sync.select import build_selection, own_profiles
from hotsync.errors import ProfileError
from hotsync.sources.plugins import site_rules
from hotsync.state.configdb import ensure_records
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.support.images import MIB, make_disk, mounted

pytestmark = pytest.mark.contract


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    ensure_records(paths)
    return paths


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def quietly(phase: str, figures: object) -> None:
    del phase, figures


def test_a_preview_shows_what_a_run_selects_and_leaves_nothing_behind(paths: Paths, tmp_path: Path) -> None:
    write(paths.at("/data/file"), "x")
    write(paths.at("/dump/file"), "x")
    write(paths.at("/opt/file"), "x")
    write(paths.at("/etc/backup-data.d/site.include"), "/data\n")
    write(paths.at("/etc/backup-data.d/site.exclude"), "/opt\n")
    write(paths.plugins / "dump", f'#!/bin/sh\necho >> {tmp_path}/ran\necho /dump >> "$1"\n', 0o755)
    with socket.socket(socket.AF_UNIX) as sock:
        paths.at("/srv").mkdir()
        sock.bind(str(paths.at("/srv/socket")))
    run = build_selection(paths, site_rules(paths).rules).rules
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    shown = SyncHost.of_this_machine(paths, SystemClock()).preview(quietly)
    rows = {row.application: row.changed for row in shown.rows}
    assert rows["/etc/backup-data.d/site.include:1"] == 2
    assert rows[str(paths.plugins / "dump")] == 2
    assert run.decide("opt/file").rule not in (None, run.decide("etc").rule)
    assert not any("opt" in str(path) for path in rows)
    assert [(note.code, note.path) for note in shown.skipped] == [("skipped.socket", "srv/socket")]
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert (tmp_path / "ran").read_text() == "\n"


def test_a_preview_shows_a_mounted_file_system_that_no_rule_names(paths: Paths, tmp_path: Path) -> None:
    make_disk(tmp_path / "image", 8 * MIB)
    point = paths.at("/srv/disk")
    point.mkdir(parents=True)
    with mounted(tmp_path / "image", point):
        shown = SyncHost.of_this_machine(paths, SystemClock()).preview(quietly)
    assert [(note.code, note.path) for note in shown.skipped] == [("skipped.mount", "srv/disk")]


def test_a_broken_profile_of_the_site_refuses_the_run_instead_of_deleting_what_it_carried(paths: Paths) -> None:
    profile = paths.site_profiles / "ours.toml"
    write(profile, '[profile]\nname = "ours"\ntitle = "Ours"\n[files]\ninclude = ["/ours"]\n')
    assert build_selection(paths, ()).rules.decide("ours/x").rule is not None
    write(profile, '[profile]\nname = "ours"\ntitle = "Ours"\n[files]\ninclude = "/ours"\n')
    with pytest.raises(ProfileError, match=r"ours\.toml"):
        build_selection(paths, ())


@pytest.mark.parametrize("folder", ["/usr/lib/systemd/system", "/etc/systemd/system"])
def test_a_profile_is_found_by_a_unit_that_is_only_installed(paths: Paths, folder: str) -> None:
    write(
        paths.site_profiles / "ours.toml", '[profile]\nname = "ours"\ntitle = "Ours"\n[detect]\nunits = ["our.service"]'
    )
    assert "ours" not in [profile.name for profile in own_profiles(paths)]
    write(paths.at(folder) / "our.service", "[Service]\n")
    assert "ours" in [profile.name for profile in own_profiles(paths)]


def test_what_a_profile_wants_settled_is_required_of_a_run_whose_application_is_here(paths: Paths) -> None:
    write(
        paths.site_profiles / "ours.toml",
        '[profile]\nname = "ours"\ntitle = "Ours"\n[detect]\nunits = ["our.service"]\n'
        '[files]\ninclude = ["/ours", "/sets/*"]\nexclude = ["/ours/tmp"]\nsettled = "required"\n',
    )
    paths.at("/sets/a").mkdir(parents=True)
    assert build_selection(paths, ()).required == ()
    write(paths.at("/etc/systemd/system/our.service"), "[Service]\n")
    assert build_selection(paths, ()).required == ("/ours", "/sets/a")
