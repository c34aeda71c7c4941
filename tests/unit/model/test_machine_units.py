"""Every unit of a package that fits one machine only runs on a waiting SLAVE, too: its disks open, it is reached."""

from __future__ import annotations

import pytest

from hotsync.model.machine_units import base_reason
from hotsync.model.mute import mutable
from hotsync.model.packages.own import own_reason
from hotsync.model.production import is_own

UNITS = {
    "mdadm": "mdadm.service mdmonitor.service mdmonitor-oneshot.timer mdcheck_start.timer mdcheck_continue.service "
    "mdmon@md0.service mdadm-grow-continue@md0.service mdadm-last-resort@md0.timer mdadm-shutdown.service",
    "lvm2": "lvm2-lvmpolld.socket lvm2-lvmpolld.service lvm2-monitor.service lvm2-lvmetad.socket "
    "blk-availability.service lvm2-pvscan@8:0.service lvm-devices-import.path lvm-devices-import.service",
    "lvm2-dbusd": "lvm2-lvmdbusd.service",
    "lvm2-lockd": "lvmlockd.service lvmlocks.service",
    "dmeventd": "dm-event.socket dm-event.service",
    "dmraid": "dmraid-activation.service dmraid.service",
    "device-mapper-multipath": "multipathd.service multipathd.socket multipathd-queueing.service",
    "cryptsetup": "cryptdisks.service cryptdisks-early.service",
    "cryptsetup-suspend": "cryptsetup-suspend.service",
    "clevis-systemd": "clevis-luks-askpass.path clevis-luks-askpass.service",
    "multipath-tools": "multipath-tools.service multipathd.socket",
    "open-iscsi": "open-iscsi.service iscsid.service iscsid.socket iscsi.service",
    "iscsi-initiator-utils": "iscsi-init.service iscsi-onboot.service iscsi-starter.service iscsiuio.socket",
    "vdo": "vdo.service vdo-start-by-dev@sdb.service",
    "zfsutils-linux": "zfs-import-cache.service zfs-mount.service zfs-load-key@tank.service zfs-zed.service "
    "zfs-share.service zfs-volume-wait.service zfs-scrub-weekly@tank.timer zfs-trim@tank.service",
    "drbd-utils": "drbd.service drbd@r0.service drbd-promote@r0.service drbd-lvchange@r0.service "
    "drbd-wait-promotable@r0.service",
    "drbd-reactor": "drbd-reactor.service drbd-reactor-reload.path",
    "open-vm-tools": "open-vm-tools.service vmtoolsd.service vgauth.service vgauthd.service",
    "open-vm-tools-desktop": "vmware-vmblock-fuse.service",
    "qemu-guest-agent": "qemu-guest-agent.service",
    "spice-vdagent": "spice-vdagentd.service spice-vdagentd.socket spice-vdagent.service",
    "hyperv-daemons": "hv-kvp-daemon.service hypervkvpd.service hypervvssd.service hypervfcopyd.service",
    "virtualbox-guest-utils": "virtualbox-guest-utils.service vboxservice.service",
    "xe-guest-utilities": "xe-linux-distribution.service xe-daemon.service",
    "walinuxagent": "walinuxagent.service walinuxagent-network-setup.service ephemeral-disk-warning.service",
    "google-guest-agent": "google-guest-agent.service google-startup-scripts.service gce-workload-cert-refresh.timer",
    "amazon-ssm-agent": "amazon-ssm-agent.service",
    "network-manager": "NetworkManager.service NetworkManager-wait-online.service nm-cloud-setup.timer "
    "nm-priv-helper.service",
    "ifupdown": "networking.service ifup@eth0.service ifupdown-pre.service ifupdown-wait-online.service",
    "netplan.io": "netplan-ovs-cleanup.service netplan-wpa-wlan0.service",
    "systemd-networkd": "systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service",
    "network-scripts": "network.service",
    "wicked": "wicked.service wickedd.service wickedd-auto4.service wickedd-nanny.service",
    "connman": "connman.service connman-vpn.service connman-wait-online.service",
    "dhcpcd": "dhcpcd.service dhcpcd@eth0.service",
    "cloud-init": "cloud-init.service cloud-init-local.service cloud-config.service cloud-final.service "
    "cloud-init-hotplugd.socket cloud-init-main.service cloud-init-network.service",
    "grub-common": "grub-common.service grub-initrd-fallback.service grub-boot-success.timer",
    "grub2-tools": "grub2-systemd-integration.service",
    "systemd-boot": "systemd-boot-update.service systemd-boot-random-seed.service",
    "s390utils-base": "dumpconf.service cpi.service",
    "s390utils-cpuplugd": "cpuplugd.service",
    "s390utils-mon_statd": "mon_fsstatd.service mon_procd.service",
    "microcode_ctl": "microcode.service",
    "dracut": "dracut-shutdown.service dracut-initqueue.service",
    "busybox-syslogd": "busybox-syslogd.service busybox-klogd.service",
    "linux-base": "",
}
"""Package -> its units."""

BESIDE = "fcoe.service lldpad.service lldpad.socket tpm2-abrmd.service teamd@team0.service cryptmount.service"
"""Of packages that are carried, and that nevertheless bring up a disk or a line of the machine."""


@pytest.mark.parametrize(
    ("package", "unit"), [(package, unit) for package, units in UNITS.items() for unit in units.split()]
)
def test_the_units_of_a_machines_own_packages_are_never_held(package: str, unit: str) -> None:
    assert own_reason(package)
    assert base_reason(unit)
    assert mutable([unit]) == set()


@pytest.mark.parametrize("unit", BESIDE.split())
def test_what_brings_up_a_disk_or_a_line_of_the_machine_is_never_held(unit: str) -> None:
    assert base_reason(unit)


@pytest.mark.parametrize(
    "unit", ["clevis-luks-askpass.path", "vdo.service", "dmraid-activation.service", "drbd@r0.service", "fcoe.service"]
)
def test_no_promotion_starts_what_opens_the_masters_disks(unit: str) -> None:
    assert is_own(unit)


@pytest.mark.parametrize(
    "unit", ["tang.service", "tangd.socket", "nbd-server.service", "target.service", "rbdmap.service"]
)
def test_what_serves_disks_to_others_is_production(unit: str) -> None:
    assert not base_reason(unit)
