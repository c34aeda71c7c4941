"""A benchmark that cannot run says so before it has made anything, and says what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.stand import BenchError
from bench.sync import PROGRAMS, check_programs, main


def provide(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of programs."""
    place = tmp_path / "bin"
    provide(place)
    monkeypatch.setenv("PATH", str(place))
    return place


def test_all_programs_that_are_missing_are_named_at_once_with_their_packages(place: Path) -> None:
    provide(place, *set(PROGRAMS) - {"stunnel4", "ip", "ss"})
    with pytest.raises(BenchError) as told:
        check_programs(PROGRAMS)
    assert str(told.value) == "not installed here: stunnel4, ip, ss (apt install stunnel4 iproute2)"


def test_where_all_are_there_nothing_is_said(place: Path) -> None:
    provide(place, *PROGRAMS)
    check_programs(PROGRAMS)


def test_the_benchmark_ends_before_the_tree_is_made(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    provide(place, *set(PROGRAMS) - {"rsync"})
    monkeypatch.setattr(sys, "argv", ["bench.sync", "--folder", str(tmp_path / "work"), "--files", "100"])
    assert main() == 1
    assert capsys.readouterr().err == "Error: not installed here: rsync (apt install rsync)\n"
    assert not (tmp_path / "work").exists()
