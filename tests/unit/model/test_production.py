"""Which units a promotion starts and restarts."""

from __future__ import annotations

import pytest

from hotsync.model.production import OWN, is_own, units_to_restart, units_to_start

MASTER = ("cron.service", "dovecot.service", "ssh.service", "systemd-journald.service", "gone.service")


def test_what_ran_on_the_master_and_is_here_and_does_not_run_is_started() -> None:
    known = {"cron.service", "dovecot.service", "ssh.service", "systemd-journald.service"}
    assert units_to_start(MASTER, known, {"ssh.service"}) == ("cron.service", "dovecot.service")


def test_only_what_ran_before_the_claim_is_restarted() -> None:
    active = {"ssh.service", "dovecot.service", "systemd-journald.service"}
    assert units_to_restart(MASTER, {"ssh.service", "systemd-journald.service"}, active) == ("ssh.service",)


@pytest.mark.parametrize(
    "unit", ["hotsyncd.service", "dbus.service", "user@1000.service", "networking.service", "getty@tty1.service"]
)
def test_what_belongs_to_this_machine_is_left_alone(unit: str) -> None:
    assert is_own(unit)
    assert units_to_start([unit], {unit}, set()) == ()


def test_every_exception_has_its_reason() -> None:
    assert all(pattern and reason for pattern, reason in OWN)
    assert len({pattern for pattern, _ in OWN}) == len(OWN)
