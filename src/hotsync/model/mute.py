"""Which units are production on a waiting SLAVE and which belong to the machine and run on."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from hotsync.model.production import OWN

BASE: tuple[tuple[str, str], ...] = (
    *OWN,
    ("ssh.service", "the administrator's way in"),
    ("ssh.socket", "the administrator's way in"),
    ("ssh@*", "the administrator's way in"),
    ("sshd*", "the administrator's way in"),
    ("dropbear*", "the administrator's way in"),
    ("tailscaled*", "the administrator's way in"),
    ("cockpit*", "the administrator's way in"),
    ("rescue*", "the administrator's last way in"),
    ("emergency*", "the administrator's last way in"),
    ("sssd*", "who may log in to this machine"),
    ("nslcd*", "who may log in to this machine"),
    ("dhcpcd*", "addresses of this machine"),
    ("dhclient*", "addresses of this machine"),
    ("netplan*", "addresses of this machine"),
    ("open-iscsi*", "disks of this machine"),
    ("cryptdisks*", "disks of this machine"),
    ("rsyslog*", "the system log of this machine"),
    ("syslog.*", "the system log of this machine"),
    ("syslog-ng*", "the system log of this machine"),
    ("logrotate*", "keeps the logs of this machine small"),
    ("auditd*", "the audit log of this machine"),
    ("chrony*", "this machine's clock; pairing and history need it right"),
    ("ntp*", "this machine's clock; pairing and history need it right"),
    ("openntpd*", "this machine's clock; pairing and history need it right"),
    ("nftables*", "this machine's firewall"),
    ("firewalld*", "this machine's firewall"),
    ("ufw*", "this machine's firewall"),
    ("netfilter-persistent*", "this machine's firewall"),
    ("iptables*", "this machine's firewall"),
    ("ip6tables*", "this machine's firewall"),
    ("apparmor*", "the access rules of this machine"),
    ("polkit*", "who may administer this machine"),
    ("resolvconf*", "names that this machine looks up"),
    ("apt-daily*", "looks after this machine's packages"),
    ("apt-news*", "looks after this machine's packages"),
    ("apt-listchanges*", "looks after this machine's packages"),
    ("dpkg-*", "looks after this machine's packages"),
    ("unattended-upgrades*", "looks after this machine's packages"),
    ("packagekit*", "looks after this machine's packages"),
    ("needrestart*", "looks after this machine's packages"),
    ("man-db*", "an index of this machine's manuals"),
    ("udisks2*", "disks of this machine"),
    ("acpid*", "the power button of this machine"),
    ("irqbalance*", "the processor of this machine"),
    ("thermald*", "the processor of this machine"),
    ("haveged*", "randomness of this machine"),
    ("rng-tools*", "randomness of this machine"),
    ("rngd*", "randomness of this machine"),
    ("sysstat*", "figures of this machine"),
    ("x11-common*", "makes folders at boot"),
    ("rc-local.service", "the boot of this machine"),
    ("screen-cleanup*", "makes folders at boot"),
    ("sudo*", "makes folders at boot"),
    ("procps*", "kernel settings of this machine"),
    ("dbus-org.*", "other names of the init system's own services"),
)
"""Units that are never muted, each with the reason."""

ALWAYS_MUTED = ("cron.service", "crond.service", "anacron.service", "anacron.timer", "atd.service")
"""Muted whatever the MASTER has: any job there is the MASTER's, or would be."""

KINDS = (".service", ".socket", ".timer", ".path")


def base_reason(unit: str) -> str:
    """Given a unit, return why it belongs to the machine and is never muted, or "" if it does not."""
    return next((reason for pattern, reason in BASE if fnmatchcase(unit, pattern)), "")


def mutable(units: Iterable[str]) -> frozenset[str]:
    """Given units, return those that may be muted: of a kind that starts work, and not the machine's own."""
    return frozenset(unit for unit in units if unit.endswith(KINDS) and not base_reason(unit))


def template_of(unit: str) -> str:
    """Given an instance (postfix@-.service), return its template (postfix@.service); another unit is its own."""
    name, dot, kind = unit.rpartition(".")
    return f"{name.partition('@')[0]}@{dot}{kind}" if "@" in name else unit


def covers(muted: frozenset[str], unit: str) -> bool:
    """Given what is muted, return whether that holds the unit, too: itself, or by its template."""
    return unit in muted or template_of(unit) in muted
