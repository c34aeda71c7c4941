"""Which units belong to the machine itself, whatever it serves: they run on a waiting SLAVE, too."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hotsync.model.production import OWN, is_handmade, is_production_anyway
from hotsync.model.unit_names import is_passing

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
    ("busybox-*", "the system log of this machine"),
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
    # the ways in, and who may use them
    ("xrdp*", "the administrator's way in"),
    ("webmin*", "the administrator's way in"),
    ("gdm*", "the console of this machine"),
    ("lightdm*", "the console of this machine"),
    ("sddm*", "the console of this machine"),
    ("display-manager*", "the console of this machine"),
    ("accounts-daemon*", "who may log in to this machine"),
    ("oddjobd*", "who may log in to this machine"),
    ("nscd*", "who may log in to this machine"),
    ("unscd*", "who may log in to this machine"),
    ("pcscd*", "who may log in to this machine"),
    # network and clock
    ("network.service", "addresses of this machine"),
    ("networkd-dispatcher*", "addresses of this machine"),
    ("nm-*", "addresses of this machine"),
    ("wicked*", "addresses of this machine"),
    ("connman*", "addresses of this machine"),
    ("iwd*", "the radio of this machine"),
    ("ModemManager*", "the radio of this machine"),
    ("openvswitch*", "the switch that this machine's addresses are on"),
    ("ovs-vswitchd*", "the switch that this machine's addresses are on"),
    ("ovsdb-server*", "the switch that this machine's addresses are on"),
    ("ptp4l*", "this machine's clock; pairing and history need it right"),
    ("phc2sys*", "this machine's clock; pairing and history need it right"),
    # what guards it
    ("shorewall*", "this machine's firewall"),
    ("ferm*", "this machine's firewall"),
    ("ipset*", "this machine's firewall"),
    ("ebtables*", "this machine's firewall"),
    ("arptables*", "this machine's firewall"),
    ("selinux-*", "the access rules of this machine"),
    ("restorecond*", "the access rules of this machine"),
    ("aide*", "compares this machine with itself"),
    ("dailyaidecheck*", "compares this machine with itself"),
    # packages
    ("dnf-*", "looks after this machine's packages"),
    ("yum-cron*", "looks after this machine's packages"),
    ("snapd*", "looks after this machine's packages"),
    ("update-notifier*", "looks after this machine's packages"),
    ("motd-news*", "looks after this machine's packages"),
    ("ubuntu-advantage*", "the subscription of this machine"),
    ("ua-*", "the subscription of this machine"),
    ("esm-cache*", "the subscription of this machine"),
    ("rhsm*", "the subscription of this machine"),
    ("insights-client*", "the subscription of this machine"),
    ("fwupd*", "firmware of this machine"),
    ("plocate*", "an index of this machine's files"),
    ("mlocate*", "an index of this machine's files"),
    ("updatedb*", "an index of this machine's files"),
    ("etckeeper*", "a history of this machine's /etc"),
    # disks, boot, hardware
    ("mdcheck_*", "disks of this machine"),
    ("mdmon@*", "disks of this machine"),
    ("raid-check*", "disks of this machine"),
    ("smartd*", "disks of this machine"),
    ("nvme*", "disks of this machine"),
    ("nvmf*", "disks of this machine"),
    ("zfs*", "disks of this machine"),
    ("btrfs*", "disks of this machine"),
    ("xfs_scrub*", "disks of this machine"),
    ("stratis*", "disks of this machine"),
    ("cryptmount*", "disks of this machine"),
    ("quotaon*", "disks of this machine"),
    ("kdump*", "the kernel of this machine"),
    ("dumpconf*", "the kernel of this machine"),
    ("kexec*", "the kernel of this machine"),
    ("dkms*", "the kernel of this machine"),
    ("dracut*", "the boot of this machine"),
    ("secureboot-db*", "the boot of this machine"),
    ("import-state*", "the boot of this machine"),
    ("loadmodules*", "the boot of this machine"),
    ("rhel-*", "the boot of this machine"),
    ("nis-domainname*", "the boot of this machine"),
    ("apport*", "crashes of this machine"),
    ("whoopsie*", "crashes of this machine"),
    ("kerneloops*", "crashes of this machine"),
    ("abrt*", "crashes of this machine"),
    ("upower*", "the power supply of this machine"),
    ("power-profiles-daemon*", "the power supply of this machine"),
    ("tlp*", "the power supply of this machine"),
    ("tuned*", "the processor of this machine"),
    ("cpuplugd*", "the processor of this machine"),
    ("cpupower*", "the processor of this machine"),
    ("cpufrequtils*", "the processor of this machine"),
    ("ondemand*", "the processor of this machine"),
    ("numad*", "the processor of this machine"),
    ("microcode*", "the processor of this machine"),
    ("mcelog*", "faults of this machine's hardware"),
    ("rasdaemon*", "faults of this machine's hardware"),
    ("lm-sensors*", "faults of this machine's hardware"),
    ("lm_sensors*", "faults of this machine's hardware"),
    ("fancontrol*", "faults of this machine's hardware"),
    ("ipmi*", "faults of this machine's hardware"),
    ("openipmi*", "faults of this machine's hardware"),
    ("watchdog*", "starts this machine anew when it hangs"),
    ("wd_keepalive*", "starts this machine anew when it hangs"),
    ("zramswap*", "memory of this machine"),
    ("zram-*", "memory of this machine"),
    ("earlyoom*", "memory of this machine"),
    ("ksm*", "memory of this machine"),
    ("bluetooth*", "devices of this machine"),
    ("bolt*", "devices of this machine"),
    ("usbmuxd*", "devices of this machine"),
    ("alsa-*", "devices of this machine"),
    ("rtkit-daemon*", "devices of this machine"),
    ("colord*", "devices of this machine"),
    ("hv-*", "the hypervisor of this machine"),
    ("hyperv*", "the hypervisor of this machine"),
    ("spice-vdagent*", "the hypervisor of this machine"),
    ("virtualbox-guest*", "the hypervisor of this machine"),
    ("vboxservice*", "the hypervisor of this machine"),
    ("vmware-tools*", "the hypervisor of this machine"),
    ("vmware-vmblock*", "the hypervisor of this machine"),
    ("mon_fsstatd*", "the hypervisor of this machine"),
    ("mon_procd*", "the hypervisor of this machine"),
    ("cpi.service", "the hypervisor of this machine"),
    ("vboxadd*", "the hypervisor of this machine"),
    ("xe-*", "the hypervisor of this machine"),
    ("google-*", "the cloud of this machine"),
    ("amazon-ssm-agent*", "the cloud of this machine"),
    ("walinuxagent*", "the cloud of this machine"),
    ("waagent*", "the cloud of this machine"),
    ("gce-*", "the cloud of this machine"),
    ("ephemeral-disk-warning*", "the cloud of this machine"),
    ("pollinate*", "the cloud of this machine"),
    # figures
    ("pmcd*", "figures of this machine"),
    ("pmlogger*", "figures of this machine"),
    ("pmie*", "figures of this machine"),
    ("pmproxy*", "figures of this machine"),
    ("atop*", "figures of this machine"),
    ("acct*", "figures of this machine"),
    ("psacct*", "figures of this machine"),
    ("vnstat*", "figures of this machine"),
)
"""Units that are never muted, each with the reason."""


WATCHERS = (
    "zabbix-agent*", "prometheus-*exporter*", "node_exporter*", "nagios-nrpe*", "nrpe*", "icinga2*", "check-mk-agent*",
    "munin-node*", "netdata*", "collectd*", "telegraf*", "snmpd*", "monit*", "puppet*", "salt-minion*", "chef-client*",
    "cfengine*", "cf-*", "ansible-pull*", "wazuh-agent*", "ossec*", "osqueryd*", "falcon-sensor*", "auditbeat*",
    "filebeat*", "metricbeat*", "fluent-bit*", "td-agent*", "promtail*", "vector*", "datadog-agent*", "newrelic-infra*",
    "landscape-client*", "sentinelone*", "mdatp*", "clamav-freshclam*", "postgres_exporter*", "mysqld_exporter*",
    "fail2ban*", "crowdsec*", "sshguard*", "denyhosts*", "nut-*", "nut.target", "apcupsd*",
)  # fmt: skip
"""What watches, guards or looks after the machine that it runs on, each under a name of its own: it may run on both.
Only what hotsync-slave brought itself is held, since that would run as its package came."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A kind of tunnel: its units, the files (below the root) that say whose they are, and what makes a tunnel in one.

    Packages of IPsec bring files in which there is none: with these it is as good as not set up.
    """

    units: tuple[str, ...]
    files: tuple[str, ...]
    mark: re.Pattern[bytes] = re.compile(b"")


_CONNECTION = re.compile(rb"^[ \t]*(?:conn[ \t]+(?!%default\b)\S|connections[ \t\r\n]*[.{])", re.MULTILINE)

TUNNELS = (
    Tunnel(("wg-quick*",), ("etc/wireguard/*.conf",)),
    Tunnel(("openvpn*",), ("etc/openvpn/*.conf", "etc/openvpn/client/*.conf", "etc/openvpn/server/*.conf")),
    Tunnel(
        ("ipsec*", "strongswan*"),
        (
            "etc/ipsec.conf", "etc/ipsec.d/*.conf", "etc/swanctl/swanctl.conf", "etc/swanctl/conf.d/*.conf",
            "etc/strongswan/ipsec.conf", "etc/strongswan/ipsec.d/*.conf", "etc/strongswan/swanctl/swanctl.conf",
            "etc/strongswan/swanctl/conf.d/*.conf",
        ),
        _CONNECTION,
    ),
    Tunnel(("tinc*",), ("etc/tinc/*/tinc.conf",)),
    Tunnel(("nebula*",), ("etc/nebula/*.yml", "etc/nebula/*.yaml")),
    Tunnel(("zerotier-one*",), ("var/lib/zerotier-one/identity.secret",)),
)  # fmt: skip
"""Tunnels whose configuration says whose they are. One identity must not be used twice."""

RESOLVERS = ("unbound*", "pdns-recursor*", "kresd*", "knot-resolver*", "dnscrypt-proxy*", "stubby*")
"""What looks names up and does nothing else: it may run on both, and this server may need its own."""


def is_watcher(unit: str) -> bool:
    """Given a unit, return whether it watches the machine that it runs on."""
    return any(fnmatchcase(unit, pattern) for pattern in WATCHERS)


def is_firewall(unit: str) -> bool:
    """Given a unit, return whether it brings up a firewall: the machine's own, unless hotsync-slave brought it, since
    that has its package's rules and shuts out whom they do not name."""
    return base_reason(unit) == "this machine's firewall"


def base_reason(unit: str, handmade: Collection[str] = ()) -> str:
    """Given a unit, return why it belongs to the machine and is never muted, or "" if it does not.

    `handmade` are those that an administrator wrote, though they are called like the machine's.
    """
    if is_production_anyway(unit) or is_handmade(unit, handmade):
        return ""
    if is_passing(unit):
        return "made for a moment"
    return next((reason for pattern, reason in BASE if fnmatchcase(unit, pattern)), "")
