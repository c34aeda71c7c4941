"""The one list of what is this machine's own; a server that boots by BIOS beside a MASTER that boots by EFI."""

from __future__ import annotations

import pytest

from hotsync.model.facts import PackageFact
from hotsync.model.packages.family import DEBIAN
from hotsync.model.packages.own import OWN_PACKAGES, own_reason
from hotsync.model.packages.values import Package, Transaction, objections
from hotsync.model.packages.wants import Machine, differences
from hotsync.model.selection import Action
from hotsync.profiles import catalog
from hotsync.profiles.resolve import resolve

OWN = {
    "kernel": (
        "linux-image-6.1.0-18-amd64", "linux-image-generic-hwe-24.04", "linux-headers-amd64", "linux-modules-extra-6.8",
        "linux-base", "kernel", "kernel-core", "kernel-modules-extra", "kernel-devel", "kernel-rt-core",
    ),
    "boot loader": (
        "grub-pc", "grub-pc-bin", "grub-efi-amd64-signed", "grub2-common", "grub2-efi-x64", "grubby", "shim-signed",
        "shim-x64", "efibootmgr", "systemd-boot", "syslinux-common", "os-prober", "mokutil",
        "xen-hypervisor-4.17-amd64", "xen-system-amd64", "hardening-runtime", "kdump-tools", "kexec-tools",
        "memtest86+", "systemd-ukify",
    ),
    "firmware": ("firmware-linux-free", "linux-firmware", "iwl7260-firmware", "raspi-firmware"),
    "microcode": ("intel-microcode", "amd64-microcode", "microcode_ctl"),
    "boots from": ("initramfs-tools-core", "dracut", "dracut-network", "busybox-initramfs", "klibc-utils",
                   "dropbear-initramfs", "mandos-client", "tpm2-initramfs-tool", "acpi-override-initramfs",
                   "cryptsetup-initramfs", "clevis-initramfs", "zfs-initramfs", "tiny-initramfs",
                   "live-boot-initramfs-tools", "mkinitcpio", "plymouth-label", "overlayroot"),
    "disks": (
        "mdadm", "lvm2", "lvm2-libs", "dmsetup", "device-mapper", "device-mapper-multipath", "cryptsetup-bin",
        "cryptsetup-libs", "multipath-tools", "open-iscsi", "iscsi-initiator-utils", "zfsutils-linux", "zfs-dkms",
        "yubikey-luks", "clevis-luks", "clevis-dracut", "cryptsetup-suspend", "luksmeta", "bcache-tools",
        "thin-provisioning-tools",
    ),
    "guest agent": ("open-vm-tools", "qemu-guest-agent", "hyperv-daemons", "virtualbox-guest-utils",
                    "linux-cloud-tools-6.8.0-31-generic", "linux-cloud-tools-virtual"),
    "network": ("network-manager", "NetworkManager-libnm", "ifupdown", "netplan.io", "network-scripts", "dhcpcd-base"),
    "names": ("systemd-resolved", "libnss-resolve", "resolvconf", "openresolv"),
    "HotSync": ("hotsync",),
}  # fmt: skip

ORDINARY = (
    "postfix", "mariadb-server", "systemd", "libc6", "glibc", "bash", "udev", "kmod", "kmod-libs", "kernel-headers",
    "linux-libc-dev", "util-linux", "e2fsprogs", "openssh-server", "python3-cryptography", "libnetfilter-conntrack3",
    "nginx", "firewalld", "iproute2", "bridge-utils", "libnm0", "perl", "dbus",
    "dropbear-bin", "wireguard-dkms", "unbound", "dnsmasq-base", "libnss-myhostname",
    "tang", "mandos", "xen-utils-common", "libxentoolcore1", "btrfs-progs", "nvme-cli", "yubikey-manager",
)  # fmt: skip

EFI = (
    "efibootmgr", "grub-common", "grub-efi-amd64", "grub-efi-amd64-bin", "grub-efi-amd64-signed", "grub2-common",
    "mokutil", "shim-helpers-amd64-signed", "shim-signed", "shim-unsigned",
)  # fmt: skip
MOUNTS = [("/boot", "ext4"), ("/boot/efi", "vfat")]
BIOS = ("grub-common", "grub-pc", "grub-pc-bin", "grub2-common")


@pytest.mark.parametrize(("word", "name"), [(word, name) for word, names in OWN.items() for name in names])
def test_what_belongs_to_the_machine_is_its_own_and_the_reason_says_why(word: str, name: str) -> None:
    assert word in own_reason(name)


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_package_is_nobodys_own(name: str) -> None:
    assert own_reason(name) == ""


def test_a_foreign_architecture_makes_no_difference_and_no_pattern_stands_twice() -> None:
    assert own_reason("grub-efi-ia32:i386") == own_reason("grub-efi-ia32")
    patterns = [pattern for _, each in OWN_PACKAGES for pattern in each]
    assert len(patterns) == len(set(patterns))


def test_a_slave_that_boots_by_bios_gets_nothing_of_a_masters_efi_and_keeps_its_own() -> None:
    here = {name: Package(name, "2.06", "amd64") for name in (*BIOS, "bash")}
    told = [PackageFact(name, "2.12", "amd64", True) for name in (*EFI, "bash", "postfix")]
    found = differences(told, here, Machine(DEBIAN, "amd64"))
    assert [each.name for each in found.wanted] == ["bash", "postfix"]
    assert {each.name for each in found.not_carried} == set(EFI) - set(BIOS)
    assert all("boot loader" in each.reason for each in found.not_carried)


@pytest.mark.parametrize(
    "transaction",
    [
        Transaction(installs=(("grub-efi-amd64", "2.12"),), removes=("grub-pc",)),
        Transaction(installs=(("postfix", "3"), ("shim-signed", "1"))),
        Transaction(upgrades=(("grub-common", "2.06", "2.12"),)),
        Transaction(upgrades=(("grub-pc", "2.06", "2.04"),)),
    ],
)
def test_no_transaction_touches_what_it_boots_with(transaction: Transaction) -> None:
    here = {name: Package(name, "2.06", "amd64") for name in BIOS}
    assert any("boot loader" in reason for reason in objections(transaction, here, DEBIAN.order))


@pytest.mark.parametrize(
    "path",
    [
        "etc/default/grub", "etc/default/grub.d/kdump-tools.cfg", "etc/grub.d/40_custom",
        "etc/kernel/postinst.d/zz-grub", "etc/kernel/cmdline", "etc/grub2.cfg", "etc/grub2-efi.cfg", "etc/fstab",
        "etc/crypttab", "etc/mdadm/mdadm.conf",
        "etc/initramfs-tools/modules", "etc/dracut.conf.d/a.conf", "etc/sysconfig/kernel", "etc/sysconfig/grub",
        "etc/lvm/lvm.conf", "var/lib/grub/ucf/grub.previous", "var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite",
    ],
)  # fmt: skip
def test_no_file_that_the_machine_boots_by_is_replaced(path: str) -> None:
    selection = resolve(
        [catalog.shipped()["base"]], [("/boot", "ext4"), ("/boot/efi", "vfat")], [], lambda each: [each]
    )
    assert selection.decide(path).action is Action.PROTECT


@pytest.mark.parametrize("path", ["boot/grub/grub.cfg", "boot/efi/EFI/debian/grubx64.efi", "usr/sbin/grub-install"])
def test_boot_and_programs_are_not_carried_at_all(path: str) -> None:
    selection = resolve(
        [catalog.shipped()["base"]], [("/boot", "ext4"), ("/boot/efi", "vfat")], [], lambda each: [each]
    )
    assert selection.decide(path).action is not Action.INCLUDE
