"""A unit is the administrator's whatever it is called, unless the machine would miss it."""

from __future__ import annotations

import pytest

from hotsync.model.facts import UnitFact
from hotsync.model.handmade import OF_USE_TO_BOOT, comes_early, handmade_of, may_be_handmade
from hotsync.model.machine_units import BASE, base_reason
from hotsync.model.mute import mutable, of_master

JOBS = (
    "zfs-autobackup.timer", "zfs-autobackup.service", "cloud-sync.timer", "cloud-sync.service", "systemd-backup.timer",
    "grub-report.service", "google-drive.service", "xe-orders.service", "accts-export.timer", "tlp-orders.service",
    "acct-export.timer", "sshd-keys.timer", "nftables-blocklist.timer", "chrony-report.path",
)  # fmt: skip


@pytest.mark.parametrize("unit", [unit for unit in JOBS if base_reason(unit)])
def test_a_job_that_is_called_like_a_part_of_the_machine_may_be_an_administrators(unit: str) -> None:
    assert may_be_handmade(unit)
    assert base_reason(unit, {unit}) == ""
    assert mutable([unit], {unit}) == {unit}
    assert mutable([unit]) == set()


@pytest.mark.parametrize(
    "unit",
    [
        *("hotsync-extra.timer", "hotsync.service", "dbus-own.service", "run-u3.timer", "ledger.timer"),
        *("sshd-admin.service", "sshd.service", "sshd@.service", "ssh.socket", "dropbear-rescue.service"),
        *("nftables-own.service", "iptables-restore.service", "ufw-extra.service", "dhcpcd-lan.service"),
        *("chronyd.service", "watchdog-own.service", "getty@tty9.service", "netplan-own.service"),
        *("zfs-load-key.service", "zfs-load-key@tank.service", "zfs-scrub@.timer", "cloud-init.service"),
        *("vboxadd-service.service", "btrfs-scrub@.timer", "acct.service", "atopd.service", "networking.service"),
    ],
)
def test_what_gets_somebody_in_or_is_exactly_a_part_of_the_machine_never_is(unit: str) -> None:
    assert not may_be_handmade(unit)


@pytest.mark.parametrize(
    "text",
    [
        "[Unit]\nDefaultDependencies=no\n",
        "[Unit]\nBefore=nginx.service \\\n  network-pre.target\n",
        "[Install]\nWantedBy=zfs-mount.service\n",
        "[Install]\nRequiredBy = sysinit.target\n",
        "[Install]\nUpheldBy=ssh.service\n",
        "[Unit]\nBefore=systemd-user-sessions.service\n",
    ],
)
def test_what_the_boot_waits_for_comes_early(text: str) -> None:
    assert comes_early(text)


@pytest.mark.parametrize(
    "text",
    [
        "[Unit]\nAfter=zfs.target network-online.target\n[Install]\nWantedBy=multi-user.target",
        "[Unit]\nBefore=shutdown.target nginx.service hotsync.service\n[Install]\nWantedBy=timers.target\n",
        "# DefaultDependencies=no\n; Before=sysinit.target\n[Unit]\nDefaultDependencies=yes\n",
        "",
    ],
)
def test_what_starts_with_everything_else_does_not(text: str) -> None:
    assert not comes_early(text)


def test_the_masters_word_makes_nothing_of_a_machine_production() -> None:
    told = [
        UnitFact(name, "enabled", True, handmade=True)
        for name in ("sshd.service", "hotsyncd.service", "nftables.service", "zfs-load-key.service", "cloud-sync.timer")
    ]
    assert handmade_of(told) == {"cloud-sync.timer"}
    assert of_master(told) == {"cloud-sync.timer"}
    assert of_master([UnitFact("cloud-sync.timer", "enabled", True)]) == set()


def test_every_reason_without_which_nobody_gets_in_is_one_that_is_given() -> None:
    assert set(OF_USE_TO_BOOT) <= {reason for _, reason in BASE}
