"""The mute's drop-in as this machine's systemd understands it, also beside the conditions that a unit has itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotsync.backends.mute import TEXT, Mute
from hotsync.backends.production_units import MUTE_DROP_IN
from hotsync.system import command
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract

UNITS = "etc/systemd/system"
OPEN = "ConditionPathExists=|/\nConditionPathIsDirectory=|/etc\nAssertPathExists=|/\n"
BOTH_FAIL = {"Conditions failed.", "Asserts failed."}


def mute(root: Path, unit: str, own: str = "") -> None:
    """Make a unit with conditions of its own in a root, and mute it there."""
    folder = root / UNITS
    folder.mkdir(parents=True)
    (folder / unit).write_text(f"[Unit]\nDescription=mail\n{own}[Service]\nExecStart=/bin/true\n")
    assert Mute(Paths(root), lambda _words: "").apply([unit]) == (unit,)
    drop_in = folder / f"{unit}.d" / MUTE_DROP_IN
    assert drop_in.read_bytes() == TEXT
    drop_in.write_text(TEXT.decode().replace("/{var/", f"{root}/{{var/"))  # its two files: below this root


def answers(root: Path, unit: str) -> set[str]:
    """Return what systemd says of a unit's conditions and assertions now."""
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{root / UNITS}:"}
    said = command.run(["systemd-analyze", "condition", f"--unit={unit}"], ok=range(256), env=environment)
    return {line for line in (said.text + said.errors).splitlines() if line.startswith(("Conditions", "Asserts"))}


def make(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.touch()


@pytest.mark.parametrize("own", ["", OPEN])
def test_without_either_file_nothing_starts_whatever_conditions_a_unit_has_itself(tmp_path: Path, own: str) -> None:
    mute(tmp_path, "mail.service", own)
    assert answers(tmp_path, "mail.service") == BOTH_FAIL


@pytest.mark.parametrize("own", ["", OPEN])
@pytest.mark.parametrize("file", ["var/lib/hotsync/production", "run/hotsync/promoting"])
def test_with_either_file_a_unit_starts_if_its_own_conditions_let_it(tmp_path: Path, file: str, own: str) -> None:
    make(tmp_path / file)
    mute(tmp_path, "mail.service", own)
    assert answers(tmp_path, "mail.service") == {"Conditions succeeded.", "Asserts succeeded."}


@pytest.mark.parametrize("own", ["ConditionPathExists=/nowhere\n", "ConditionPathExists=|/nowhere\n"])
def test_with_either_file_a_units_own_condition_still_keeps_it_from_harm(tmp_path: Path, own: str) -> None:
    make(tmp_path / "var/lib/hotsync/production")
    mute(tmp_path, "mail.service", own)
    assert "Conditions failed." in answers(tmp_path, "mail.service")


def test_a_drop_in_that_takes_the_conditions_away_leaves_the_assertion(tmp_path: Path) -> None:
    mute(tmp_path, "mail.service", OPEN)
    (tmp_path / UNITS / "mail.service.d/zzz.conf").write_text("[Unit]\nConditionPathExists=\n")
    assert "Asserts failed." in answers(tmp_path, "mail.service")


def test_an_instance_is_held_by_the_drop_in_of_its_template(tmp_path: Path) -> None:
    mute(tmp_path, "mail@.service")
    assert answers(tmp_path, "mail@one.service") == BOTH_FAIL


def test_units_that_a_generator_names_are_held_by_the_beginning_of_their_names(tmp_path: Path) -> None:
    mute(tmp_path, "cron-.service")
    (tmp_path / UNITS / "cron-root-backup.service").write_text("[Service]\nExecStart=/bin/true\n")
    assert answers(tmp_path, "cron-root-backup.service") == BOTH_FAIL
