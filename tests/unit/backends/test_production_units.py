"""What systemctl and dpkg print, read."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.backends.package_files import parse_status, read_files
from hotsync.backends.production_units import ProductionUnits, parse_loaded, parse_units
from hotsync.errors import CommandFailed
from hotsync.system import command
from hotsync.system.paths import Paths


def test_units_are_the_first_word_of_each_line() -> None:
    text = "ssh.service loaded active running OpenBSD Secure Shell server\n\ncron.service loaded active running x\n"
    assert parse_units(text) == {"ssh.service", "cron.service"}


def test_a_unit_that_hangs_is_noted_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str], **_: object) -> None:
        if argv[1] == "start":
            raise CommandFailed(program="systemctl", status="no end after 900 s", detail="it was ended", line="x")

    monkeypatch.setattr(command, "run", run)
    notes: list[str] = []
    ProductionUnits(Paths(tmp_path), notes.append).start_all(["hangs.service", "good.service"])
    assert len(notes) == 1
    assert "systemctl list-jobs" in notes[0]


@pytest.mark.parametrize("ran", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_a_unit_is_stopped_for_as_long_as_its_files_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: bool, fails: bool
) -> None:
    said: list[str] = []
    state = {"active": ran}

    def run(argv: list[str], **_: object) -> command.Completed:
        if argv[1] in ("start", "stop"):
            said.append(argv[1])
            state["active"] = argv[1] == "start"
        return command.Completed(0 if argv[1] != "is-active" or state["active"] else 3, b"", b"")

    monkeypatch.setattr(command, "run", run)
    try:
        with ProductionUnits(Paths(tmp_path)).stopped("slapd.service"):
            assert not state["active"]
            if fails:
                raise ValueError("the load failed")
    except ValueError:
        assert fails
    assert state["active"] is ran
    assert said == (["stop", "start"] if ran else [])


def test_only_units_with_a_file_exist_here() -> None:
    shown = "Id=ssh.service\nLoadState=loaded\n\nId=none.service\nLoadState=not-found\n\nId=x.timer\nLoadState=masked\n"
    assert parse_loaded(shown) == {"ssh.service"}


STATUS = """\
Package: libc6
Status: install ok installed
Description: GNU C Library
 Status: not this one

Package: gone
Status: deinstall ok config-files

Package: half
Status: install reinstreq half-installed
"""


def test_a_package_is_installed_if_dpkg_says_so_in_its_own_field() -> None:
    assert parse_status(STATUS) == {"libc6"}


def test_the_files_of_packages_with_and_without_architecture_are_found(tmp_path: Path) -> None:
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "qemu.list").write_text("/.\n/etc\n/etc/qemu.conf\n")
    (info / "libx:amd64.list").write_text("/usr/lib/libx.so\n")
    (info / "libxx.list").write_text("/never\n")
    assert read_files(tmp_path, ["qemu", "libx", "none"]) == {"/.", "/etc", "/etc/qemu.conf", "/usr/lib/libx.so"}
