from pathlib import Path

import pytest

from hotsync.system.paths import Paths
from hotsync.system.platform import Kind, Platform, PlatformFacts, decide, parse_os_release, read_platform

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nID=debian\n'
UBUNTU = "ID=ubuntu\nID_LIKE=debian\n"
ROCKY = 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\n'
CENTOS_7 = 'NAME="CentOS Linux"\nVERSION="7 (Core)"\nID="centos"\nID_LIKE="rhel fedora"\n'


@pytest.mark.parametrize(
    ("os_release", "kind"), [(DEBIAN, Kind.DEBIAN), (UBUNTU, Kind.DEBIAN), (ROCKY, Kind.RHEL), (CENTOS_7, Kind.RHEL)]
)
def test_the_family_is_what_os_release_says(os_release: str, kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(os_release)
    assert read_platform(tmp_path) == Platform(kind)


def test_os_release_is_also_found_where_etc_has_none(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text(ROCKY)
    assert read_platform(tmp_path).kind is Kind.RHEL


def test_a_system_without_os_release_is_treated_as_debian(tmp_path: Path) -> None:
    assert read_platform(tmp_path) == Platform(Kind.DEBIAN)


def test_a_quote_without_its_partner_spoils_only_its_own_line() -> None:
    assert parse_os_release('ID=\'x\nID_LIKE="rhel fedora"\n') == {"rhel", "fedora"}


def test_a_nethserver_is_known_by_its_release_file_and_keeps_its_places(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(CENTOS_7)
    (tmp_path / "etc/nethserver-release").write_text("NethServer release 7.9.2009 (final)\n")
    paths = Paths(tmp_path)
    assert paths.platform() == Platform(Kind.NETHSERVER7, "/var/lib/nethserver/db", "/var/lib/nethserver/backup")
    assert paths.configuration == tmp_path / "var/lib/nethserver/db/configuration"
    assert paths.backup == tmp_path / "var/lib/nethserver/backup"


def test_databases_of_a_nethserver_are_used_in_place_of_ours_wherever_they_are() -> None:
    found = decide(PlatformFacts(nethserver_databases=True, os_words=frozenset({"debian"})))
    assert found == Platform(Kind.DEBIAN, databases="/var/lib/nethserver/db")


def test_elsewhere_everything_lies_with_hotsyncs_own(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert paths.configuration == tmp_path / "var/lib/hotsync/db/configuration"
    assert paths.backup == tmp_path / "var/lib/hotsync/spool/backup-config"


@pytest.mark.parametrize(
    ("text", "mode", "theirs"),
    [
        ("#!/usr/bin/perl -w\nuse esmith::event;\n", 0o755, "/sbin/e-smith/signal-event"),
        ("#!/usr/bin/perl -w\nuse esmith::event;\n", 0o644, None),
        ("#!/usr/lib/hotsync/venv/bin/python\nfrom hotsync.cli.events import signal_event\n", 0o755, None),
    ],
)
def test_a_signal_event_that_is_not_hotsyncs_stays_the_one_that_answers(
    text: str, mode: int, theirs: str | None, tmp_path: Path
) -> None:
    for name in ("etc", "sbin/e-smith", "usr/bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/nethserver-release").touch()
    (tmp_path / "usr/bin/signal-event").write_text(text)
    (tmp_path / "usr/bin/signal-event").chmod(mode)
    (tmp_path / "sbin/e-smith/signal-event").symlink_to("../../usr/bin/signal-event")
    assert read_platform(tmp_path).signal_event == theirs


def test_a_backup_config_that_is_not_hotsyncs_is_the_one_that_is_called() -> None:
    assert (
        decide(PlatformFacts(nethserver_release=True, backup_config=True)).backup_config
        == "/sbin/e-smith/backup-config"
    )
    assert decide(PlatformFacts(nethserver_release=True)).backup_config is None
    assert decide(PlatformFacts(backup_config=True)).backup_config is None


def test_on_another_system_events_are_hotsyncs_whatever_lies_there() -> None:
    assert decide(PlatformFacts(signal_event=True)).signal_event is None
