"""What is read without asking is what apt and systemd say of this machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hotsync.sources.facts import read_packages
from hotsync.sources.unit_files import list_unit_files
from hotsync.system import command
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract


def test_the_marks_are_those_that_apt_shows() -> None:
    shown = command.run(["apt-mark", "showmanual"]).text.split()
    manual = {package.name for package in read_packages() if package.manual}
    assert manual == {name.partition(":")[0] for name in shown}
    assert any(not package.manual for package in read_packages())


def test_the_list_of_units_that_was_kept_is_what_systemd_says(tmp_path: Path) -> None:
    paths, patterns = Paths(tmp_path), ["*.service", "*.timer"]
    long_after = time.time_ns() + 10**12
    first = list_unit_files(paths, patterns, long_after)
    assert (paths.state / "unit-files.json").exists()
    asked = command.run(["systemctl", "list-unit-files", "--no-legend", "--no-pager", *patterns]).text
    assert list_unit_files(paths, patterns, long_after) == first == asked
