"""What tables of disks say: which files they name, what belongs to a disk alone, and what is a share."""

from __future__ import annotations

import pytest

from hotsync.model.disk_tables import (
    BIND,
    FSTAB,
    Mounted,
    Named,
    files_of_mapped,
    files_of_mount,
    images_of,
    parse_fstab,
    parse_unit,
)

CRYPTTAB = "/etc/crypttab"


def named_by_fstab(text: str) -> list[str]:
    return [each.path for mounted in parse_fstab(text) for each in files_of_mount(mounted)]


def opened_by(text: str) -> list[str]:
    return [each.path for each in files_of_mapped(text, CRYPTTAB)]


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("data UUID=1-2 /etc/keys/data.key luks,discard", ["/etc/keys/data.key"]),
        ("data /dev/sdb1 none luks,header=/etc/luks/data.header", ["/etc/luks/data.header"]),
        ("data /dev/sdb1 name keyscript=/usr/local/sbin/unlock,luks", ["/usr/local/sbin/unlock"]),
        ("data /dev/sdb1 /root/my\\040key luks", ["/root/my key"]),
        ("data /dev/sdb1 //etc/./keys//a.key luks", ["/etc/keys/a.key"]),
        ("swap /dev/sdb2 /dev/urandom swap,cipher=aes-xts-plain64", []),
        ("data /dev/sdb1 /etc/keys/../../root/x luks", []),
        ("data /dev/sdb1 - luks,key-slot=1,x-systemd.device-timeout=0", []),
        ("data /dev/sdb1", []),
        ("# data /dev/sdb1 /etc/keys/data.key luks", []),
        ("root /dev/a /dev/b 0123abcd root-hash-signature=/etc/verity.sig", ["/etc/verity.sig"]),
    ],
)
def test_a_table_of_mapped_disks_names_what_opens_them(line: str, files: list[str]) -> None:
    assert opened_by(f"{line}\n") == files


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("//nas/x /mnt/x cifs rw,credentials=/etc/samba/nas.cred,uid=5 0 0", ["/etc/samba/nas.cred"]),
        ("m:/ /mnt/c ceph name=a,secretfile=/etc/ceph/secret,conf=/etc/ceph/own.conf", ["/etc/ceph/secret",
         "/etc/ceph/own.conf"]),
        ("a@b:/x /mnt/s fuse.sshfs IdentityFile=/root/.ssh/id,_netdev", ["/root/.ssh/id"]),
        ("/srv/swap\\011file none swap sw 0 0", ["/srv/swap\tfile"]),
        ("/dev/sda2 none swap sw 0 0", []),
        ("/dev/sda1 / ext4 errors=remount-ro,usrjquota=aquota.user 0 1", []),
        ("overlay /m overlay lowerdir=/run/x,upperdir=/proc/y,workdir=/sys/z", []),
        ("/dev/sda3 /home", []),
    ],
)  # fmt: skip
def test_fstab_names_what_its_mounts_read(line: str, files: list[str]) -> None:
    assert named_by_fstab(f"#a comment\n\n{line}\n") == files


def test_what_opens_a_disk_or_is_its_memory_is_of_no_use_elsewhere_and_credentials_are() -> None:
    found = [*files_of_mapped("d /dev/x /etc/k -\n", CRYPTTAB)]
    for line in parse_fstab("/swap none swap sw\n//n/s /s cifs credentials=/etc/c\n"):
        found += files_of_mount(line)
    assert found == [
        Named("/etc/k", CRYPTTAB, of_disk=True), Named("/swap", FSTAB, of_disk=True), Named("/etc/c", FSTAB),
    ]  # fmt: skip


def test_a_unit_says_the_same_as_a_line_of_fstab_and_its_last_word_counts() -> None:
    unit = """[Unit]
Description=What=none
[Mount]
# Options=credentials=/etc/old
What=//nas/x
Where=/mnt/x%%y
Type=cifs
Options=ro, \\
credentials=/etc/old
[Install]
WantedBy=multi-user.target
"""
    drop_in = "[Mount]\nOptions=credentials=/etc/nas.cred,rw\n"
    mounted = parse_unit(f"{unit}\n{drop_in}", "/etc/systemd/system/mnt-x.mount")
    assert mounted == Mounted(
        "//nas/x", "/mnt/x%y", "cifs", ("credentials=/etc/nas.cred", "rw"), "/etc/systemd/system/mnt-x.mount"
    )
    assert [each.path for each in files_of_mount(mounted)] == ["/etc/nas.cred"]
    assert mounted.share == "cifs"


def test_a_swap_unit_names_its_file_and_a_unit_without_a_source_says_nothing() -> None:
    swap = parse_unit("[Swap]\nWhat=/srv/swap\n", "/etc/systemd/system/srv-swap.swap")
    assert swap is not None
    assert [str(each) for each in files_of_mount(swap)] == ["/srv/swap (/etc/systemd/system/srv-swap.swap)"]
    assert parse_unit("[Mount]\nWhere=/x\n", "/etc/systemd/system/x.mount") is None
    assert parse_unit("", "/etc/systemd/system/x.mount") is None


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("nas:/x /x nfs4 defaults", "nfs4"),
        ("/srv/a /srv/b none rbind", BIND),
        ("/dev/sda1 / ext4 defaults", ""),
        ("tmpfs /tmp tmpfs size=1g", ""),
    ],
)
def test_a_share_is_what_no_disk_of_this_machine_has(line: str, share: str) -> None:
    assert [mounted.share for mounted in parse_fstab(line)] == [share]


def test_images_are_devices_that_are_files_and_nothing_else() -> None:
    lines = "/srv/a.img /a ext4 loop\n/dev/sda1 / ext4 x\n//nas/x /x cifs x\n/srv/b /b none bind\n/swap none swap sw\n"
    found = images_of(parse_fstab(lines), [(CRYPTTAB, "c /srv/c.img /etc/k luks\nd /dev/sdb none\n")])
    assert [str(each) for each in found] == ["/srv/a.img (/etc/fstab)", "/srv/c.img (/etc/crypttab)"]
