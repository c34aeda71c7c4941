"""Which units a promotion starts and restarts: a pure function of what ran on the MASTER and what is here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise

from hotsync.model.unit_names import is_passing, template_of

OWN = (
    ("hotsync*", "HotSync's own follow from the role"),
    ("systemd-*", "the init system runs as this machine needs it"),
    ("dbus*", "restarting the message bus takes half the system with it"),
    ("user@*", "sessions of people"),
    ("user-runtime-dir@*", "sessions of people"),
    ("getty@*", "consoles of this machine"),
    ("serial-getty@*", "consoles of this machine"),
    ("console-getty*", "consoles of this machine"),
    ("container-getty@*", "consoles of this machine"),
    ("autovt@*", "consoles of this machine"),
    ("cockpit-wsinstance-*", "made while somebody looks at Cockpit"),
    ("networking.service", "addresses are taken without taking the interfaces down"),
    ("ifup@*", "addresses are taken without taking the interfaces down"),
    ("ifupdown-*", "addresses are taken without taking the interfaces down"),
    ("NetworkManager*", "addresses are taken without taking the interfaces down"),
    ("wpa_supplicant*", "the radio of this machine"),
    ("keyboard-setup*", "the console of this machine"),
    ("console-setup*", "the console of this machine"),
    ("kmod*", "the kernel of this machine"),
    ("modprobe@*", "the kernel of this machine"),
    ("lvm2-*", "disks of this machine"),
    ("blk-availability*", "disks of this machine"),
    ("dm-event*", "disks of this machine"),
    ("mdadm*", "disks of this machine"),
    ("mdmonitor*", "disks of this machine"),
    ("multipath*", "disks of this machine"),
    ("iscsi*", "disks of this machine"),
    ("zfs-*", "disks of this machine"),
    ("lvm-*", "disks of this machine"),
    ("lvmlock*", "disks of this machine"),
    ("cryptsetup*", "disks of this machine"),
    ("clevis*", "disks of this machine"),
    ("tpm2-abrmd*", "disks of this machine"),
    ("vdo*", "disks of this machine"),
    ("dmraid*", "disks of this machine"),
    ("drbd*", "disks of this machine"),
    ("fcoe*", "disks of this machine"),
    ("lldpad*", "disks of this machine"),
    ("teamd@*", "addresses are taken without taking the interfaces down"),
    ("e2scrub*", "disks of this machine"),
    ("fstrim*", "disks of this machine"),
    ("smartmontools*", "disks of this machine"),
    ("initrd-*", "the boot of this machine"),
    ("grub2-*", "the boot of this machine"),
    ("grub-*", "the boot of this machine"),
    ("plymouth*", "the boot of this machine"),
    ("qemu-guest-agent*", "the hypervisor of this machine"),
    ("open-vm-tools*", "the hypervisor of this machine"),
    ("vmtoolsd*", "the hypervisor of this machine"),
    ("vgauth*", "the hypervisor of this machine"),
    ("hyperv-*", "the hypervisor of this machine"),
    ("cloud-*", "the cloud of this machine"),
)
"""Units that stay as this machine runs them, each with the reason."""

NOT_OWN = ("systemd-nspawn@*", "systemd-cron*", "systemd-journal-remote*", "systemd-journal-gatewayd*")
"""Named like the init system's own, and yet they serve: containers, jobs, the journals of other machines."""


def is_production_anyway(unit: str) -> bool:
    """Given a unit, return whether it serves although its name is that of a part of the init system."""
    return any(fnmatchcase(unit, pattern) for pattern in NOT_OWN)


def is_handmade(unit: str, handmade: Collection[str]) -> bool:
    """Given a unit, and those that an administrator wrote, return whether it is one of them, or an instance of one."""
    return bool(handmade) and (unit in handmade or template_of(unit) in handmade)


def is_own(unit: str, handmade: Collection[str] = ()) -> bool:
    """Given a unit, return whether it stays as this machine runs it.

    `handmade` are those that an administrator wrote, though they are called like the machine's.
    """
    if is_production_anyway(unit) or is_handmade(unit, handmade):
        return False
    return is_passing(unit) or any(fnmatchcase(unit, pattern) for pattern, _ in OWN)


def to_run(master_active: Iterable[str], handmade: Collection[str] = ()) -> tuple[str, ...]:
    """Given what ran on the MASTER, return what a promotion has run here: not what stays as this machine runs it."""
    return tuple(unit for unit in master_active if not is_own(unit, handmade))


def units_to_start(wanted: Iterable[str], known: Collection[str], active: Collection[str]) -> tuple[str, ...]:
    """Given what is to run, what exists here and what runs here, return what is to be started, in order."""
    return tuple(sorted(unit for unit in wanted if unit in known and unit not in active))


def start_waves(units: Iterable[str], orders: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Given units to start, and lists of units in the order in which they start, return them in waves.

    Of a list one unit starts in each wave; what no list names starts with the first.
    """
    waiting = tuple(dict.fromkeys(units))
    rank = dict.fromkeys(waiting, 0)
    lists = [present for order in orders if len(present := [unit for unit in order if unit in rank]) > 1]
    for _ in lists:  # a list may push back what another one begins with; lists that contradict each other end, too
        for present in lists:
            for earlier, unit in pairwise(present):
                rank[unit] = max(rank[unit], rank[earlier] + 1)
    return tuple(tuple(unit for unit in waiting if rank[unit] == wave) for wave in sorted(set(rank.values())))


def units_to_restart(wanted: Iterable[str], before: Collection[str], active: Collection[str]) -> tuple[str, ...]:
    """Given what is to run, what ran here before the claim, and what runs now, return the services that run on with
    old settings (timers and sockets have read theirs when the units were read anew)."""
    services = (unit for unit in wanted if unit.endswith(".service"))
    return tuple(sorted(unit for unit in services if unit in before and unit in active))
