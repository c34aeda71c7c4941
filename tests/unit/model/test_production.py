"""Which units a promotion starts and restarts."""

from __future__ import annotations

import pytest

from hotsync.model.production import OWN, is_own, start_waves, to_run, units_to_restart, units_to_start

MASTER = ("cron.service", "dovecot.service", "ssh.service", "systemd-journald.service", "gone.service")


def test_what_ran_on_the_master_and_is_here_and_does_not_run_is_started() -> None:
    known = {"cron.service", "dovecot.service", "ssh.service", "systemd-journald.service"}
    assert units_to_start(to_run(MASTER), known, {"ssh.service"}) == ("cron.service", "dovecot.service")


def test_only_what_ran_before_the_claim_is_restarted() -> None:
    active = {"ssh.service", "dovecot.service", "systemd-journald.service"}
    assert units_to_restart(to_run(MASTER), {"ssh.service", "systemd-journald.service"}, active) == ("ssh.service",)


@pytest.mark.parametrize(
    "unit",
    [
        *("hotsyncd.service", "dbus.service", "user@1000.service", "networking.service", "getty@tty1.service"),
        "cockpit-wsinstance-http.socket",  # there while somebody is logged in to Cockpit
    ],
)
def test_what_belongs_to_this_machine_is_left_alone(unit: str) -> None:
    assert is_own(unit)
    assert to_run([unit]) == ()


def test_every_exception_has_its_reason() -> None:
    assert all(pattern and reason for pattern, reason in OWN)
    assert len({pattern for pattern, _ in OWN}) == len(OWN)


def test_of_each_list_one_unit_starts_in_a_wave_and_what_no_list_names_starts_first() -> None:
    orders = [("a.service", "absent.service", "b.service"), ("x.service", "b.service", "c.service")]
    units = ("a.service", "b.service", "c.service", "other.service")
    assert start_waves(units, orders) == (("a.service", "other.service"), ("b.service",), ("c.service",))
    assert start_waves((), orders) == ()


def test_the_waves_hold_every_unit_once_whatever_lists_say_of_it() -> None:
    waves = start_waves(("a.service", "b.service"), [("a.service", "b.service"), ("b.service", "a.service")])
    assert sorted(unit for wave in waves for unit in wave) == ["a.service", "b.service"]


def test_a_container_of_the_init_system_is_production_and_started_in_a_promotion() -> None:
    assert not is_own("systemd-nspawn@web.service")
    assert to_run(["systemd-nspawn@web.service"]) == ("systemd-nspawn@web.service",)


@pytest.mark.parametrize("unit", ["run-backup.timer", "session-sync.service", "run-u2w.service", "run-report.path"])
def test_only_the_names_that_the_init_system_makes_itself_are_those_of_a_moment(unit: str) -> None:
    assert to_run([unit]) == (unit,)


@pytest.mark.parametrize(
    "unit",
    [
        *("run-u12.service", "run-r0123456789abcdef0123456789abcdef.timer", "run-p12-i345.service", "run-p12.scope"),
        *("run-4711.service", "session-3.scope", "session-c12.scope"),
    ],
)
def test_what_was_made_for_a_moment_is_started_by_nobody(unit: str) -> None:
    assert to_run([unit]) == ()


def test_what_an_administrator_wrote_is_started_whatever_it_is_called_and_so_are_its_instances() -> None:
    units = ("zfs-autobackup.timer", "zfs-send@tank.timer", "zfs-zed.service")
    assert to_run(units) == ()
    assert to_run(units, {"zfs-autobackup.timer", "zfs-send@.timer"}) == units[:2]
