"""Whose a unit is follows from where its own file lies, on a root with real files and dpkg's real form of lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.backends.handmade import handmade_units, is_here

PLAIN = "[Service]\nExecStart=/usr/local/bin/x\n[Install]\nWantedBy=multi-user.target\n"
HIS = "etc/systemd/system"


def put(root: Path, path: str, text: str = PLAIN) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize("folder", [HIS, "usr/local/lib/systemd/system"])
def test_a_unit_in_the_administrators_folders_is_his(tmp_path: Path, folder: str) -> None:
    for name in ("zfs-autobackup.timer", "zfs-autobackup.service", "zfs-send@.service", "ledger.service", "cloud.conf"):
        put(tmp_path, f"{folder}/{name}")
    assert handmade_units(tmp_path) == {"zfs-autobackup.timer", "zfs-autobackup.service", "zfs-send@.service"}
    assert is_here(tmp_path, "zfs-send@tank.service")
    assert not is_here(tmp_path, "zfs-other.service")


def test_a_root_without_units_has_none(tmp_path: Path) -> None:
    assert handmade_units(tmp_path) == set()


def test_a_drop_in_or_a_changed_copy_of_what_a_package_brings_is_not_his(tmp_path: Path) -> None:
    put(tmp_path, f"{HIS}/cloud-sync.service.d/own.conf")
    put(tmp_path, f"{HIS}/zfs-events.service")
    put(tmp_path, "usr/lib/systemd/system/zfs-events.service")
    put(tmp_path, f"{HIS}/systemd-foo@bar.service")
    put(tmp_path, "lib/systemd/system/systemd-foo@.service")
    put(tmp_path, f"{HIS}/grub-sysv.service")
    put(tmp_path, "run/systemd/generator.late/grub-sysv.service")
    assert handmade_units(tmp_path) == set()


def test_what_a_package_brought_into_his_folders_is_the_packages(tmp_path: Path) -> None:
    put(tmp_path, "var/lib/dpkg/status", "Package: agent\nStatus: install ok installed\n")
    put(tmp_path, "var/lib/dpkg/info/agent.list", "/.\n/etc/systemd/system/google-agent.service\n/opt/xe/xe-a.service")
    put(tmp_path, f"{HIS}/google-agent.service")
    put(tmp_path, f"{HIS}/google-drive.service")
    put(tmp_path, "opt/xe/xe-a.service")
    (tmp_path / HIS / "xe-a.service").symlink_to("/opt/xe/xe-a.service")
    assert handmade_units(tmp_path) == {"google-drive.service"}


def test_a_link_leads_to_whose_it_is(tmp_path: Path) -> None:
    put(tmp_path, "srv/app/cloud-app.service")
    put(tmp_path, "usr/lib/app/cloud-vendor.service")
    links = {
        "cloud-app.service": "/srv/app/cloud-app.service",
        "cloud-vendor.service": "/usr/lib/app/cloud-vendor.service",
        "cloud-masked.service": "/dev/null",
        "cloud-gone.service": "/srv/app/gone.service",
        "cloud-near.service": "../../../srv/app/cloud-app.service",
    }
    (tmp_path / HIS).mkdir(parents=True)
    for name, target in links.items():
        (tmp_path / HIS / name).symlink_to(target)
    assert handmade_units(tmp_path) == {"cloud-app.service", "cloud-near.service"}


def test_what_the_boot_waits_for_is_the_machines_whoever_wrote_it(tmp_path: Path) -> None:
    put(tmp_path, f"{HIS}/zfs-keys.service", "[Unit]\nBefore=zfs-mount.service\n")
    put(tmp_path, f"{HIS}/zfs-late.service")
    put(tmp_path, f"{HIS}/zfs-drop.service")
    put(tmp_path, f"{HIS}/zfs-drop.service.d/early.conf", "[Unit]\nDefaultDependencies=no\n")
    put(tmp_path, f"{HIS}/zfs-linked.service")
    wants = tmp_path / HIS / "local-fs.target.wants"
    wants.mkdir()
    (wants / "zfs-linked.service").symlink_to("../zfs-linked.service")
    put(tmp_path, f"{HIS}/zfs-each@.service")
    (wants / "zfs-each@tank.service").symlink_to("../zfs-each@.service")
    assert handmade_units(tmp_path) == {"zfs-late.service"}
