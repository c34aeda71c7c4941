"""What never travels, since it belongs to one machine, and what a SLAVE shows of the MASTER only once it is promoted.

Two lists with a reason for each path: the selection keeps to the first one whatever profiles say, `hotsync explain`
tells the reason, and docs/per-host.md is written from them.
"""

from __future__ import annotations

from functools import cache

from hotsync.model.disk_tables import OWN_UNITS
from hotsync.model.etc_files import OWN_NETWORK
from hotsync.model.selection import Action, Rule, Selection, Voice

ORIGIN = "list of what belongs to one machine"

_DISKS = "which disks this machine has, and how they hang together"
_KEYS = "what opens the encrypted disks of this machine"
_UNITS = "what this machine mounts, as `/etc/fstab` does: with another's it might not boot"
_IDENTITY = "which machine this is: two must not have the same"
_SUBSCRIPTION = "the machine's own registration: two that use it take it from each other"
_BOOT = "how this machine boots: the MASTER's might not boot it"
_KERNEL = "built or chosen for the kernel that this machine runs"
_HARDWARE = "which hardware this machine has"
_POWER = "how this machine's power supply is connected"
_CARDS = "the names of this machine's network cards"
_PACKAGES = "what is installed on this machine"
_INIT = "what the init system remembers of this machine's boots"
_LEASES = "addresses and networks that were given to this machine"
_GUARD = "by which policy SELinux guards this machine: with another one, or none, it might not boot"
_CLOUD = "which instance of its cloud this machine is"
_CLOCK = "how far the clock of this machine drifts"
_FIGURES = "figures of this machine's own hardware and logs"
_HOTSYNC = "who this server is to HotSync (what it collected, in spool, is carried)"
_RECOVERED = "what a file system check found on this disk"

PER_HOST: tuple[tuple[str, tuple[str, ...]], ...] = (
    (_DISKS, (
        "/etc/fstab", "/etc/crypttab", "/etc/integritytab", "/etc/veritytab", "/etc/mtab", "/etc/mdadm",
        "/etc/mdadm.conf", "/etc/default/mdadm", "/etc/lvm", "/etc/multipath", "/etc/multipath.conf", "/etc/iscsi",
        "/etc/zfs/zpool.cache", "/etc/zfs/zfs-list.cache", "/etc/stratisd", "/etc/dmraid", "/etc/blkid.conf",
        "/etc/hdparm.conf", "/etc/smartd.conf", "/etc/smartmontools", "/etc/default/smartmontools", "/var/lib/iscsi",
        "/var/lib/mdcheck", "/var/lib/smartmontools", "/var/lib/udisks2", "/var/lib/lvm",
    )),
    (_KEYS, (
        "/etc/cryptsetup-keys.d", "/etc/cryptsetup-initramfs", "/etc/keys", "/etc/luks", "/etc/zfs/keys",
    )),
    (_UNITS, OWN_UNITS),
    (_IDENTITY, (
        "/etc/machine-id", "/etc/hostid", "/etc/nvme", "/var/lib/dbus", "/var/lib/urandom",
        "/var/lib/netdata", "/var/lib/tpm2-tss",
    )),
    (_SUBSCRIPTION, (
        "/etc/pki/consumer", "/etc/pki/entitlement", "/etc/rhsm", "/etc/yum.repos.d/redhat.repo", "/var/lib/rhsm",
        "/etc/insights-client", "/etc/sysconfig/rhn/systemid", "/var/lib/ubuntu-advantage", "/etc/ubuntu-advantage",
        "/etc/apt/auth.conf.d/90ubuntu-advantage", "/etc/landscape/client.conf", "/var/lib/landscape",
        "/etc/zypp/credentials.d/SCCcredentials", "/etc/SUSEConnect",
    )),
    (_BOOT, (
        "/etc/initramfs-tools", "/etc/dropbear/initramfs", "/etc/dropbear-initramfs", "/etc/dracut.conf",
        "/etc/dracut.conf.d", "/etc/default/grub", "/etc/default/grub.d", "/etc/grub.d", "/etc/grub2.cfg",
        "/etc/grub2-efi.cfg", "/etc/sysconfig/grub", "/etc/lilo.conf", "/etc/secureboot", "/var/lib/initramfs-tools",
        "/var/lib/grub", "/var/lib/shim-signed", "/var/lib/os-prober", "/var/lib/sbctl",
    )),
    (_KERNEL, (
        "/etc/kernel", "/etc/kernel-img.conf", "/etc/sysconfig/kernel", "/etc/default/kexec", "/etc/kdump",
        "/etc/kdump.conf", "/etc/sysconfig/kdump", "/etc/default/kdump-tools", "/var/lib/dkms", "/var/lib/kdump",
    )),
    (_HARDWARE, (
        "/etc/adjtime", "/etc/udev/hwdb.bin", "/etc/udev/rules.d/70-persistent-cd.rules", "/etc/X11/xorg.conf",
        "/etc/sensors3.conf", "/etc/sensors.d", "/etc/fancontrol", "/etc/usbguard/rules.conf", "/etc/usbguard/rules.d",
        "/etc/tuned/active_profile", "/etc/tuned/profile_mode", "/etc/tuned/bootcmdline",
        "/etc/tuned/post_loaded_profile", "/var/lib/alsa", "/var/lib/bluetooth", "/var/lib/bolt",
        "/var/lib/fwupd",
    )),
    (_POWER, ("/var/lib/upower", "/var/lib/power-profiles-daemon")),
    (_CARDS, (
        "/etc/udev/rules.d/70-persistent-net.rules", "/etc/udev/rules.d/*persistent-net*.rules",
        "/etc/udev/rules.d/*persistent-ipoib.rules", "/etc/udev/rules.d/*-net.rules", "/etc/udev/rules.d/*-net-*.rules",
        "/etc/udev/rules.d/*-network*.rules", "/etc/udev/rules.d/*biosdevname*.rules", "/etc/systemd/network/*.link",
    )),
    (_PACKAGES, (
        "/var/lib/dpkg", "/var/lib/apt", "/var/lib/aptitude", "/var/lib/rpm", "/var/lib/dnf", "/var/lib/yum",
        "/var/lib/PackageKit", "/var/lib/ucf", "/var/lib/alternatives", "/etc/dnf/modules.d", "/var/lib/snapd",
        "/var/lib/unattended-upgrades", "/var/lib/needrestart", "/etc/ld.so.cache", "/etc/.updated",
        # snapd writes them for the snaps of /var/lib/snapd, and each needs the mount of one revision
        "/etc/systemd/system/snap.*", "/etc/systemd/system/*.wants/snap.*", "/etc/systemd/user/snap.*",
        "/etc/systemd/user/*.wants/snap.*", "/etc/udev/rules.d/70-snap.*", "/etc/dbus-1/system.d/snap.*",
    )),
    (_GUARD, ("/etc/selinux", "/etc/sysconfig/selinux", "/var/lib/selinux")),
    (_INIT, ("/var/lib/systemd", "/var/lib/private/systemd")),
    # of a DHCP server in the same folder the leases are carried
    (_LEASES, (
        "/var/lib/dhcp/dhclient*", "/var/lib/dhclient", "/var/lib/dhcpcd", "/etc/dhcpcd.duid", "/etc/dhcpcd.secret",
        "/var/lib/NetworkManager", "/var/lib/wicked", "/var/lib/connman",
    )),
    (_CLOUD, (
        "/var/lib/cloud", "/etc/cloud", "/var/lib/waagent", "/etc/waagent.conf", "/var/lib/amazon", "/etc/instance_id",
        "/etc/boto.cfg", "/etc/google_instance_id", "/etc/default/instance_configs.cfg", "/var/lib/google",
    )),
    (_CLOCK, ("/var/lib/chrony", "/var/lib/ntp", "/var/lib/ntpsec", "/var/lib/openntpd")),
    (_FIGURES, ("/var/lib/logrotate", "/var/lib/vnstat", "/var/lib/plymouth")),
    (_HOTSYNC, ("/var/lib/hotsync", "/usr/local/lib/hotsync")),
    (_RECOVERED, ("/var/lib/lost+found",)),
)  # fmt: skip
"""Never copied: what the SLAVE has there stays, also in a promotion."""

AT_PROMOTION: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("who answers at the MASTER's address must show the MASTER's key, and before that the SLAVE is somebody else",
     ("/etc/ssh/ssh_host_*",)),
    ("two machines must not have one name at the same time",
     ("/etc/hostname", "/etc/hosts", "/etc/mailname", "/etc/machine-info")),
    ("two machines must not have one address at the same time; with network choice 3 the SLAVE's own stays",
     (*(f"/etc/{path}" for path in OWN_NETWORK), "/var/lib/nethserver/db/networks")),
    ("until then the MASTER's accounts have their numbers here, and no passwords, keys or rights",
     ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d")),
    ("whose services run on without a login, from then on", ("/var/lib/systemd/linger",)),
    ("one identity must not be used twice",
     ("/etc/letsencrypt", "/etc/wireguard", "/etc/openvpn", "/var/lib/zerotier-one")),
)  # fmt: skip
"""In the replica, and in its place only once this server is promoted: what makes the MASTER the MASTER."""


def per_host_rules() -> tuple[Rule, ...]:
    """Return the rules that keep what belongs to one machine."""
    paths = (path for _, listed in PER_HOST for path in listed)
    return tuple(Rule(path, Action.PROTECT, ORIGIN, Voice.PROFILE) for path in paths)


def reason_of_rule(rule: Rule | None) -> str:
    """Given the rule that decides, return why what it names belongs to one machine; "" for another rule."""
    if rule is None or rule.origin != ORIGIN:
        return ""
    return next((reason for reason, paths in PER_HOST if rule.pattern in paths), "")


def reason_not_before(path: str) -> str:
    """Given a path that is carried, return why it must not be in its place before a promotion; "" for other paths."""
    rule = _at_promotion().decide(path.strip("/")).rule
    return "" if rule is None else rule.origin


@cache
def _at_promotion() -> Selection:
    return Selection(Rule(path, Action.INCLUDE, reason) for reason, listed in AT_PROMOTION for path in listed)
