"""This machine's tables of disks, read from a folder: what is there of what they name, and what they mount."""

from __future__ import annotations

import os
from pathlib import Path

from hotsync.model.disk_tables import OWN_UNITS
from hotsync.model.facts import ShareFact
from hotsync.model.selection import Action, Selection
from hotsync.sources.disk_tables import disk_rules, own_files, own_images, own_links, read_shares, rules_for
from hotsync.system.paths import Paths

UNITS = "etc/systemd/system"


def write(root: Path, files: dict[str, str]) -> Paths:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Paths(root)


def test_only_plain_files_that_are_there_are_named_each_by_its_true_path(tmp_path: Path) -> None:
    paths = write(tmp_path, {
        "etc/crypttab": "a /dev/a /etc/k/a.key -\nb /dev/b /etc/k/none.key -\nc /dev/c /etc/folder -\n"
                        "d /dev/d /etc/pipe -\ne /dev/e /secret/e.key luks\nf /dev/f /etc/round luks\n",
        "etc/k/a.key": "a", "etc/folder/x": "x", "srv/keys/true.key": "e",
    })  # fmt: skip
    os.mkfifo(tmp_path / "etc/pipe")
    (tmp_path / "secret").symlink_to("/srv/keys")
    (tmp_path / "srv/keys/e.key").symlink_to("../keys/./true.key")
    (tmp_path / "etc/round").symlink_to("round")
    assert [each.path for each in own_files(paths)] == ["/etc/k/a.key", "/srv/keys/true.key"]
    assert [each.path for each in own_links(paths)] == ["/secret", "/srv/keys/e.key"]


def test_a_link_that_leads_above_the_root_stays_below_it(tmp_path: Path) -> None:
    paths = write(tmp_path / "root", {"etc/crypttab": "a /dev/a /etc/a.key -\n", "x.key": "own"})
    (tmp_path / "x.key").write_text("another's")
    (tmp_path / "root/etc/a.key").symlink_to("../../../x.key")
    assert [each.path for each in own_files(paths)] == ["/x.key"]


def test_tables_that_are_missing_or_no_files_name_nothing(tmp_path: Path) -> None:
    (tmp_path / "etc/fstab").mkdir(parents=True)
    os.mkfifo(tmp_path / "etc/crypttab")
    assert (own_files(Paths(tmp_path)), own_images(Paths(tmp_path)), read_shares(Paths(tmp_path))) == ((), (), ())


def test_what_a_mount_unit_and_its_drop_ins_name_is_found_but_no_alias_counts_twice(tmp_path: Path) -> None:
    paths = write(tmp_path, {
        f"{UNITS}/mnt-x.mount": "[Mount]\nWhat=//n/x\nWhere=/mnt/x\nType=cifs\n",
        f"{UNITS}/mnt-x.mount.d/cred.conf": "[Mount]\nOptions=credentials=/etc/x.cred\n",
        "etc/x.cred": "password=x\n",
        f"{UNITS}/srv-swap.swap": "[Swap]\nWhat=/srv/swap\n",
        "srv/swap": "memory",
    })  # fmt: skip
    (tmp_path / UNITS / "alias.mount").symlink_to("mnt-x.mount")
    assert [str(each) for each in own_files(paths)] == [
        f"/etc/x.cred (/{UNITS}/mnt-x.mount)", f"/srv/swap (/{UNITS}/srv-swap.swap)",
    ]  # fmt: skip


def test_the_rules_keep_exactly_the_file_whatever_signs_are_in_its_name(tmp_path: Path) -> None:
    paths = write(tmp_path, {"etc/crypttab": "a /dev/a /etc/k[1]*.key -\n", "etc/k[1]*.key": "own"})
    chosen = Selection(rules_for(own_files(paths)))
    assert chosen.decide("etc/k[1]*.key").action is Action.PROTECT
    assert chosen.decide("etc/k1x.key").rule is None
    assert chosen.decide("etc/k[1]*.key").rule == disk_rules(paths)[0]


def test_keys_are_not_carried_and_credentials_of_shares_are(tmp_path: Path) -> None:
    paths = write(tmp_path, {
        "etc/crypttab": "a /dev/a /root/a.key -\n", "root/a.key": "key",
        "etc/fstab": "//n/x /x cifs credentials=/etc/x.cred\n/srv/swap none swap sw\n", "etc/x.cred": "c",
        "srv/swap": "memory",
    })  # fmt: skip
    assert {rule.pattern for rule in disk_rules(paths)} == {"/root/a.key", "/srv/swap"}
    assert {rule.pattern for rule in rules_for(own_files(paths))} == {"/root/a.key", "/srv/swap", "/etc/x.cred"}


def test_shares_are_told_that_mount_by_themselves_by_which_table(tmp_path: Path) -> None:
    paths = write(tmp_path, {
        "etc/fstab": "nas:/a /a/ nfs rw\nnas:/b /b nfs noauto\nnas:/c /c nfs noauto,x-systemd.automount\n"
                     "/dev/sda1 / ext4 x\n",
        f"{UNITS}/mnt-x.mount": "[Mount]\nWhat=nas:/x\nWhere=/mnt/x\nType=nfs4\n",
        f"{UNITS}/mnt-y.mount": "[Mount]\nWhat=nas:/y\nWhere=/mnt/y\nType=nfs4\n",
        f"{UNITS}/mnt-z.mount": "[Mount]\nWhat=/srv/z\nWhere=/mnt/z\nOptions=bind\n",
        f"{UNITS}/mnt-d.mount": "[Mount]\nWhat=/dev/sdb1\nWhere=/mnt/d\nType=ext4\n",
    })  # fmt: skip
    for link in ("remote-fs.target.wants/mnt-x.automount", "x.service.requires/mnt-z.mount", "a.wants/mnt-d.mount"):
        (tmp_path / UNITS / link).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / UNITS / link).symlink_to("/nowhere")
    assert read_shares(paths) == (
        ShareFact("/a", "nas:/a", "nfs", "/etc/fstab"),
        ShareFact("/c", "nas:/c", "nfs", "/etc/fstab"),
        ShareFact("/mnt/x", "nas:/x", "nfs4", f"/{UNITS}/mnt-x.mount"),
        ShareFact("/mnt/z", "/srv/z", "bind", f"/{UNITS}/mnt-z.mount"),
    )


def test_every_form_of_a_unit_that_mounts_has_its_pattern() -> None:
    assert len(set(OWN_UNITS)) == 12
    assert "/etc/systemd/system/*.requires/*.automount" in OWN_UNITS
