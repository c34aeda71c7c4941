"""Units that an administrator wrote, although they are called like a part of the machine: zfs-autobackup.timer.

By its name alone such a unit would be the machine's: never started by a promotion, never held on a SLAVE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from hotsync.model.facts import UnitFact
from hotsync.model.machine_units import BASE, base_reason
from hotsync.model.unit_names import is_passing

_NEVER = ("hotsync*", "dbus*", "rescue*", "emergency*")
"""Ours, and what a machine is helped with: whoever wrote such a file meant that."""

OF_USE_TO_BOOT = (
    "the administrator's way in",
    "who may log in to this machine",
    "who may administer this machine",
    "sessions of people",
    "consoles of this machine",
    "the console of this machine",
    "addresses of this machine",
    "addresses are taken without taking the interfaces down",
    "the radio of this machine",
    "the switch that this machine's addresses are on",
    "names that this machine looks up",
    "this machine's firewall",
    "this machine's clock; pairing and history need it right",
    "the access rules of this machine",
    "starts this machine anew when it hangs",
)
"""Why a service or a socket of these is the machine's, whoever wrote it: without it nobody gets in. Timers are jobs."""

_SELF_INSTALLED = frozenset((
    "zfs-load-key", "zfs-load-key@", "zfs-import", "zfs-import@", "zfs-import-scan", "zfs-import-cache", "zfs-mount",
    "zfs-share", "zfs-zed", "zfs-volume-wait", "zfs-scrub", "zfs-scrub@", "zfs-scrub-weekly@", "zfs-scrub-monthly@",
    "zfs-trim", "zfs-trim@", "zfs-trim-weekly@", "zfs-trim-monthly@", "btrfs-scrub", "btrfs-scrub@", "btrfs-balance",
    "btrfs-trim", "btrfs-defrag", "lvm2-monitor", "lvm2-lvmetad", "lvm2-lvmpolld", "lvm2-activation",
    "lvm2-activation-early", "lvm2-pvscan@", "mdcheck_start", "mdcheck_continue", "mdmonitor-oneshot", "iscsi-init",
    "nvmf-autoconnect", "nvmf-connect", "nvmf-connect@", "nvmefc-boot-connections", "multipath-tools",
    "vboxadd-service", "vboxadd-x11", "vmtoolsd-init", "open-vm-tools-desktop", "hv-kvp-daemon", "hv-vss-daemon",
    "hv-fcopy-daemon", "xe-daemon", "xe-linux-distribution", "cloud-init", "cloud-init-local", "cloud-init-main",
    "cloud-init-network", "cloud-init-hotplugd", "cloud-config", "cloud-final", "google-guest-agent",
    "google-guest-agent-manager", "google-guest-compat-manager", "google-startup-scripts", "google-shutdown-scripts",
    "google-osconfig-agent", "google-oslogin-cache", "google-instance-setup", "google-network-daemon",
    "google-clock-skew-daemon", "google-accounts-daemon", "google-disk-expand", "google-cloud-ops-agent",
    "waagent-network-setup", "ipmievd", "kexec-load", "cpupower-performance", "zram-setup@", "systemd-zram-setup@",
    "grub-common", "grub-initrd-fallback", "grub-boot-success", "grub-boot-indeterminate", "grub2-systemd-integration",
))  # fmt: skip
"""Parts of a machine that come with no package as often as with one (installed by a script, or as a manual says)."""

_EARLY = frozenset(
    f"{name}.target"
    for name in (
        "sysinit", "basic", "local-fs", "local-fs-pre", "remote-fs", "remote-fs-pre", "swap", "network", "network-pre",
        "network-online", "nss-lookup", "nss-user-lookup", "time-set", "time-sync", "cryptsetup", "cryptsetup-pre",
        "remote-cryptsetup", "veritysetup", "veritysetup-pre", "remote-veritysetup", "integritysetup",
        "integritysetup-pre", "initrd", "initrd-fs", "initrd-root-fs", "initrd-root-device", "initrd-usr-fs",
        "emergency", "rescue", "getty", "getty-pre", "boot-complete", "first-boot-complete",
    )
)  # fmt: skip
_ORDERS = ("Before", "WantedBy", "RequiredBy", "UpheldBy")


def may_be_handmade(unit: str) -> bool:
    """Given a unit that is called like a part of the machine, return whether an administrator may have meant another.

    Never what is exactly called so: he replaces a part then.
    """
    matching = [(pattern, reason) for pattern, reason in BASE if fnmatchcase(unit, pattern)]
    if not matching or is_passing(unit) or any(fnmatchcase(unit, pattern) for pattern in _NEVER):
        return False
    stem, _, kind = unit.rpartition(".")
    name, at, _ = stem.partition("@")
    if name + at in _SELF_INSTALLED or any(_is_exactly(unit, name, pattern) for pattern, _ in matching):
        return False
    return kind in ("timer", "path") or not any(reason in OF_USE_TO_BOOT for _, reason in matching)


def _is_exactly(unit: str, name: str, pattern: str) -> bool:
    """Return whether a unit is called as a pattern says without what may follow, or like the daemon of that name."""
    stem = pattern.rstrip("*").rstrip("-@._")
    return unit == pattern or name in (stem, f"{stem}d")


def handmade_of(units: Iterable[UnitFact]) -> frozenset[str]:
    """Given the units that a server told, return those that an administrator wrote; by its word alone none is."""
    return frozenset(unit.name for unit in units if unit.handmade and may_be_handmade(unit.name))


def comes_early(text: str) -> bool:
    """Given the files of a unit, return whether it works before the system is up, or something of the machine waits
    for it: whoever holds that may hold a disk, the network or the boot."""
    for key, value in _settings(text):
        if key == "DefaultDependencies" and value.lower() in ("no", "n", "false", "f", "off", "0"):
            return True
        if key in _ORDERS and any(map(_is_early, value.split())):
            return True
    return False


def _is_early(unit: str) -> bool:
    return unit in _EARLY or (bool(base_reason(unit)) and not unit.startswith("hotsync"))


def _settings(text: str) -> Iterator[tuple[str, str]]:
    lines = (line for line in text.splitlines() if not line.lstrip().startswith(("#", ";")))
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            yield key.strip(), value.strip()
