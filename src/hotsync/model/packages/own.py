"""This host's own packages: the one list of what fits this machine only, on Debian's and on Red Hat's family.

They are never carried, never removed, never changed: a server that boots by BIOS stays so beside a MASTER with EFI.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

_KERNEL = "the kernel that fits this machine"
_OF_KERNEL = "belongs to the kernel"
_BOOT = "the boot loader that this machine starts with"
_INITRAMFS = "builds what this machine boots from"
_DISKS = "this machine's disks"
_FIRMWARE = "firmware of this machine's devices"
_MICROCODE = "microcode of this machine's processor"
_GUEST = "the guest agent of this machine's hypervisor"
_NETWORK = "brings this machine's network up"
_NAMES = "decides whom this machine asks for names: as it is installed it takes /etc/resolv.conf over, unstarted"
_CLOUD = "configures this machine, not the MASTER"

OWN_PACKAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (_KERNEL, (
        "linux-image-*", "linux-generic*", "linux-virtual*", "linux-lowlatency*", "linux-kvm*", "linux-aws*",
        "linux-azure*", "linux-gcp*", "linux-oracle*", "linux-oem-*", "linux-raspi*",
        "kernel", "kernel-core", "kernel-debug*", "kernel-rt*", "kernel-64k*", "kernel-16k*", "kernel-uki-*",
        "kernel-lt*", "kernel-ml*", "kernel-uek*", "kernel-plus*", "kernel-zfcpdump*",
    )),
    (_OF_KERNEL, (
        "linux-headers-*", "linux-modules-*", "linux-base", "linux-kbuild-*", "linux-tools-[0-9]*",
        "kernel-modules*", "kernel-devel*",
    )),
    (_BOOT, (
        "grub", "grub-*", "grub2", "grub2-*", "grubby", "shim", "shim-*", "efibootmgr", "efi-filesystem", "mokutil",
        "systemd-boot*", "syslinux*", "extlinux", "lilo", "os-prober", "flash-kernel", "u-boot-*", "zipl",
        "s390utils-*", "refind", "systemd-ukify", "pv-grub-menu", "memtest86*",
        # they ship what GRUB starts, or words of its command line (etc/default/grub.d)
        "xen-hypervisor*", "xen-system*", "hardening-runtime", "kdump-tools", "kdump-utils", "kexec-tools",
    )),
    (_FIRMWARE, ("firmware-*", "linux-firmware*", "*-firmware", "raspi-firmware", "b43-fwcutter")),
    (_MICROCODE, ("intel-microcode", "amd64-microcode", "iucode-tool", "microcode_ctl")),
    (_INITRAMFS, (
        "initramfs-tools*", "*-initramfs*", "dracut*", "mkinitcpio*", "busybox*", "klibc-utils", "libklibc",
        "live-boot*", "overlayroot", "plymouth*", "mandos-client",
    )),
    (_DISKS, (
        "mdadm", "lvm2*", "dmsetup", "dmeventd", "dmraid*", "device-mapper*", "kpartx", "cryptsetup*", "clevis*",
        "luksmeta", "yubikey-luks", "bcache-tools", "thin-provisioning-tools", "fcoe-utils",
        "multipath-tools*", "open-iscsi", "iscsi-initiator-utils*", "vdo", "kmod-kvdo", "zfs", "zfs-*",
        "zfsutils-linux", "kmod-zfs*", "spl", "spl-dkms", "libzfs*linux", "drbd-*", "kmod-drbd*",
    )),
    (_GUEST, (
        "open-vm-tools*", "qemu-guest-agent", "spice-vdagent", "hyperv-daemons*", "hypervkvpd", "hypervvssd",
        "hypervfcopyd", "virtualbox-guest-*", "xe-guest-utilities*", "walinuxagent", "WALinuxAgent*",
        "google-guest-agent", "google-compute-engine*", "amazon-ssm-agent", "linux-cloud-tools-*",
    )),
    (_NETWORK, (
        "network-manager*", "NetworkManager*", "ifupdown*", "netplan*", "systemd-networkd", "network-scripts*",
        "wicked*", "connman*", "isc-dhcp-client*", "dhcp-client", "dhcpcd*",
    )),
    (_NAMES, ("systemd-resolved", "libnss-resolve", "resolvconf", "openresolv")),
    (_CLOUD, ("cloud-init*", "cloud-guest-utils", "cloud-utils-growpart", "cloud-initramfs-*")),
    ("HotSync itself", ("hotsync", "hotsync-*", "nethserver-hotsync")),
)  # fmt: skip
"""Reason, and the patterns of names that it holds for."""


def own_reason(name: str) -> str:
    """Given a package's name (`name` or `name:architecture`), return why it is this host's own, or "" if it is not."""
    bare = name.partition(":")[0]
    for reason, patterns in OWN_PACKAGES:
        if any(fnmatchcase(bare, pattern) for pattern in patterns):
            return reason
    return ""
