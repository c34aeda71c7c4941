"""Which units are production on a waiting SLAVE and which belong to the machine and run on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hotsync.model.facts import UnitFact
from hotsync.model.handmade import handmade_of
from hotsync.model.machine_units import base_reason, is_watcher
from hotsync.model.unit_names import template_of

ALWAYS_MUTED = (
    # whatever brings these programs, and whoever's jobs they are: crontabs of the system and of users, /etc/cron.*
    "cron.service", "crond.service", "cronie.service", "anacron.service", "anacron.timer", "cronie-anacron.service",
    "cronie-anacron.timer", "bcron.service", "dcron.service", "fcron.service", "mcron.service",
    # systemd-cron makes a timer and a service of each job: cron-daily.timer, cron-root-1.service
    "cron-.service", "cron-.timer", "cron-.path",
    "incron.service", "incrond.service",
    "atd.service",
    # what they start is in their configuration, not in units
    "inetd.service", "openbsd-inetd.service", "inetutils-inetd.service", "rlinetd.service", "xinetd.service",
)  # fmt: skip
"""Muted whatever the MASTER has: any job there is the MASTER's, or would be."""

KINDS = (".service", ".socket", ".timer", ".path")

COMMON_TARGETS = frozenset(
    f"{name}.target"
    for name in (
        "basic", "bluetooth", "boot-complete", "ctrl-alt-del", "cryptsetup", "cryptsetup-pre", "default", "emergency",
        "exit", "factory-reset", "final", "first-boot-complete", "getty", "getty-pre", "graphical", "halt", "hibernate",
        "hybrid-sleep", "initrd", "initrd-fs", "initrd-root-device", "initrd-root-fs", "initrd-switch-root",
        "initrd-usr-fs", "integritysetup", "integritysetup-pre", "kexec", "local-fs", "local-fs-pre", "multi-user",
        "network", "network-online", "network-pre", "nfs-client", "nss-lookup", "nss-user-lookup", "paths", "poweroff",
        "printer", "reboot", "remote-cryptsetup", "remote-fs", "remote-fs-pre", "remote-veritysetup", "rescue",
        "rpcbind", "runlevel0", "runlevel1", "runlevel2", "runlevel3", "runlevel4", "runlevel5", "runlevel6",
        "shutdown", "sigpwr", "sleep", "slices", "smartcard", "sockets", "sound", "storage-target-mode", "suspend",
        "suspend-then-hibernate", "swap", "sysinit", "system-update", "system-update-pre", "time-set", "time-sync",
        "timers", "umount", "usb-gadget", "veritysetup", "veritysetup-pre",
    )
)  # fmt: skip
"""The init system's own targets: what belongs to one of them has nothing in common."""


def mutable(units: Iterable[str], handmade: Collection[str] = ()) -> frozenset[str]:
    """Given units, return those that may be muted: of a kind that starts work, and not the machine's own.

    `handmade` are those that an administrator wrote, though they are called like the machine's. The beginning of a name
    is that of any number of units, maybe the machine's: only our own are taken.
    """
    return frozenset(
        unit
        for unit in units
        if unit.endswith(KINDS)
        and not base_reason(unit, handmade)
        and (unit in ALWAYS_MUTED or not _is_beginning(unit))
    )


def _is_beginning(unit: str) -> bool:
    name = unit.rpartition(".")[0]
    return name.endswith("-") and "@" not in name


def of_master(units: Iterable[UnitFact]) -> frozenset[str]:
    """Given the MASTER's units, return those that must not run on both: all that it runs, but for the machine's own."""
    runs = [unit for unit in units if unit.active or unit.enabled.startswith("enabled")]
    handmade = handmade_of(runs)
    return frozenset(name for name in mutable((unit.name for unit in runs), handmade) if not is_watcher(name))


def umbrellas(units: Iterable[str]) -> frozenset[str]:
    """Given units, return the targets among them that stand for an application: what they start is production."""
    return frozenset(unit for unit in units if unit.endswith(".target")) - COMMON_TARGETS


def covers(muted: frozenset[str], unit: str) -> bool:
    """Given what is muted, return whether that holds the unit, too: itself, by its template, or by how it begins."""
    return unit in muted or template_of(unit) in muted or any(name in muted for name in _beginnings(unit))


def _beginnings(unit: str) -> Iterator[str]:
    """Given cron-root-1.service, return cron-root-.service and cron-.service: their drop-ins are its own, too."""
    name, dot, kind = unit.rpartition(".")
    parts = name.partition("@")[0].removesuffix("-").split("-")
    for count in range(len(parts) - 1, 0, -1):
        yield f"{'-'.join(parts[:count])}-{dot}{kind}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is this SLAVE's own although the MASTER runs it, too: units that its administrator names, patterns of the
    tunnels that have a configuration of their own here, and of resolvers if it looks its names up at itself."""

    named: frozenset[str] = frozenset()
    tunnels: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()

    def reason(self, unit: str) -> str:
        """Given a unit, return why it is kept, or ""."""
        if unit in ALWAYS_MUTED:
            return ""
        if not {unit, template_of(unit)}.isdisjoint(self.named):
            return "a profile of this server keeps it"
        if any(fnmatchcase(unit, pattern) for pattern in self.resolvers):
            return "this server looks its own names up at itself"
        tunnel = any(fnmatchcase(unit, pattern) for pattern in self.tunnels)
        return "a tunnel that is configured on this server otherwise than on the MASTER" if tunnel else ""
