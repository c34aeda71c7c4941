"""What a server's own disks need stays with it: through a run, a promotion, its undo, a rejoin and a drill, really."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from hotsync.changes.walk import Walk
from hotsync.engine.drill.room import take_mounts
from hotsync.engine.promotion.ground import Ground
from hotsync.engine.promotion.prepared_etc import OwnEtc, PreparedEtc
from hotsync.engine.sync.collect import last_rules
from hotsync.engine.sync.select import build_selection
from hotsync.flows.rejoin_live import live_parts
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.planning.exchange import Surroundings, exchange_layout
from hotsync.state import promotion as document
from hotsync.state.configdb import ensure_records
from hotsync.system.paths import Paths
from tests.contract.engine.test_promotion_files import content, write
from tests.contract.engine.test_undo_files import Promoted
from tests.support.replica_world import World

pytestmark = pytest.mark.contract

UNITS = "etc/systemd/system"
PASSWD = {"etc/passwd": "root:x:0:0::/root:/bin/sh\n", "etc/group": "root:x:0:\n", "etc/shadow": "root:!:1::::::\n"}
OWN = {
    "etc/crypttab": "data UUID=1 /etc/private/data.key luks\nmore UUID=2 /root/more.key luks\ns UUID=3 /srv/keys/k -\n",
    "etc/fstab": "//nas/own /mnt/own cifs credentials=/etc/samba/own.cred 0 0\n/srv/swap none swap sw 0 0\n",
    "etc/private/data.key": "SLAVE's key\n",
    "etc/samba/own.cred": "SLAVE's password\n",
    "etc/luks/x": "SLAVE's header\n",
    f"{UNITS}/data.mount": "[Mount]\nWhat=/dev/own\nWhere=/data\n",
    f"{UNITS}/data.mount.d/own.conf": "[Mount]\nOptions=noatime\n",
    f"{UNITS}/own.swap": "[Swap]\nWhat=/dev/own2\n",
    "root/more.key": "SLAVE's other key\n",
    "srv/keys/k": "SLAVE's third key\n",
    "srv/swap": "SLAVE's memory\n",
}
"""What stays of the SLAVE's, outside of the MASTER's files."""
CARRIED = {
    **PASSWD,
    "etc/samba/smb.conf": "MASTER's\n",
    "etc/samba/own.cred": "MASTER's password of that name\n",
    f"{UNITS}/app.service": "[Service]\nExecStart=/app\n",
    "root/notes": "MASTER's\n",
    "srv/share/x": "MASTER's\n",
}
ELSE = {
    f"{UNITS}/theirs.mount": "[Mount]\nWhat=/dev/theirs\nWhere=/theirs\n",
    f"{UNITS}/remote-fs.target.wants/theirs.mount": "",
    "etc/luks/theirs": "MASTER's header\n",
    "etc/fstab": "MASTER's\n",
}
"""What the replica has of an older generation, made before these belonged to one machine."""


class Machines(Promoted):
    """A SLAVE with disks of its own, and the replica of a MASTER."""

    def __init__(self, root: Path, theirs: dict[str, str]) -> None:
        self.paths, self.mounts = Paths(root), frozenset()
        self.tree = self.paths.replica / "tree"
        write(root, {**PASSWD, **OWN, "etc/gone.conf": "SLAVE's\n", "srv/old": "SLAVE's\n"})
        (root / "etc/private").chmod(0o700)
        (root / "etc/private/data.key").chmod(0o400)
        wants = root / UNITS / "local-fs.target.requires"
        wants.mkdir()
        (wants / "data.mount").symlink_to("../data.mount")
        for folder in (self.paths.state, self.paths.run):
            folder.mkdir(parents=True, exist_ok=True)
        self.world = World(root.with_name(f"{root.name}-master"), random.Random(1), disk=self.paths.state)
        write(self.world.master, theirs)
        self.world.generation()
        self.own = self.live()
        ground = Ground(self.paths)
        around = Surroundings(ground.selection, ground.kept, self.mounts, ground.device)
        self.layout = exchange_layout(*ground.listings, around)
        self.found = ground.own_disks.found({unit.path for unit in self.layout.units})
        self.noted = list(ground.own_disks.notes(self.found))
        document.save_promotion(
            self.paths,
            Promotion(3, 1, "d", time.time(), 1.0, 1.0, NetworkPlan(), self.layout.units, self.layout.folders),
        )

    def etc(self) -> PreparedEtc:
        return PreparedEtc(self.paths, Ground(self.paths).own_etc, lambda _etc, _promotion: {})


def test_a_promotion_keeps_what_this_servers_tables_name_and_an_undo_brings_all_back(tmp_path: Path) -> None:
    stage = Machines(tmp_path / "host", {**CARRIED, **ELSE})
    stage.promote()
    root = stage.paths.root
    live = {f"{top}/{path}": text for top in ("etc", "root", "srv") for path, text in content(root / top).items()}
    assert live == {**CARRIED, **OWN}
    assert (root / "etc/private").stat().st_mode & 0o777 == 0o700
    assert (root / "etc/private/data.key").stat().st_mode & 0o777 == 0o400
    assert os.readlink(root / UNITS / "local-fs.target.requires/data.mount") == "../data.mount"
    write(root, {"srv/share/new": "of production\n", "root/notes": "changed\n"})
    stage.begin()
    stage.go_back()
    stage.check_own()
    assert content(stage.paths.undone / "3/files") == {"srv/share/new": "of production\n", "root/notes": "changed\n"}


def test_it_is_told_what_stays_and_where_the_master_has_another_or_is_in_its_way(tmp_path: Path) -> None:
    stage = Machines(tmp_path / "host", {**CARRIED, "srv/keys/k/a": "MASTER's folder\n"})
    assert [each.path for each in stage.found.differing] == ["/etc/samba/own.cred"]
    assert [str(each) for each in stage.found.gone] == ["/srv/keys/k (/etc/crypttab)"]
    assert {each.path for each in stage.found.kept} == {
        "/etc/samba/own.cred", "/etc/private/data.key", "/root/more.key", "/srv/swap",
    }  # fmt: skip
    (note,) = stage.noted
    assert note.startswith("/etc/samba/own.cred is still this server's own")
    assert note.endswith("tree/etc/samba/own.cred.")
    stage.promote()
    assert (stage.paths.root / "srv/keys/k/a").read_text() == "MASTER's folder\n"


def test_a_file_that_is_a_disk_and_is_not_the_masters_too_is_named(tmp_path: Path) -> None:
    theirs = {**CARRIED, "srv/both.img": "MASTER's image\n"}
    root = tmp_path / "host"
    write(root, {"srv/both.img": "SLAVE's\n", "srv/own.img": "SLAVE's\n", "opt/own.img": "SLAVE's\n"})
    stage = Machines(root, theirs)
    lines = "".join(f"/{path} /mnt ext4 loop\n" for path in ("srv/both.img", "srv/own.img", "opt/own.img"))
    (root / "etc/fstab").write_text(lines)
    found = Ground(stage.paths).own_disks.found({unit.path for unit in stage.layout.units})
    gone = {each.path for each in found.gone}
    assert "/srv/own.img" in gone
    assert "/srv/both.img" not in gone


def test_a_key_below_what_is_a_link_of_the_masters_keeps_nothing_of_the_master_from_its_place(tmp_path: Path) -> None:
    theirs = {path: text for path, text in CARRIED.items() if not path.startswith("etc/samba")}
    root = tmp_path / "host"
    world = Machines(root, theirs).world
    (world.master / "etc/samba").symlink_to("/srv/samba")
    world.generation()
    paths = Paths(root)
    found = Ground(paths).own_disks.found(set())
    assert [each.path for each in found.gone] == ["/etc/samba/own.cred"]
    etc = PreparedEtc(paths, Ground(paths).own_etc, lambda _etc, _promotion: {})
    promotion = document.load_promotion(paths)
    assert promotion is not None
    etc.prepare(promotion)
    assert os.readlink(root / ".hotsync-etc/samba") == "/srv/samba"


def test_nothing_that_lies_behind_a_link_of_the_masters_is_removed(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    tree = paths.replica / "tree"
    live = tmp_path / UNITS / "own.service.d"
    write(tmp_path, {**PASSWD, f"{UNITS}/own.service.d/zz-hotsync-mute.conf": "muted\n", "other/x.mount": "other\n"})
    write(tree, {**PASSWD, f"{UNITS}/x": ""})
    (tree / UNITS / "own.service.d").symlink_to(live)
    (tree / UNITS / "x.wants").symlink_to(tmp_path / "other")
    document.save_promotion(paths, Promotion(1, 1, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    promotion = document.load_promotion(paths)
    assert promotion is not None
    own = OwnEtc(frozenset(), frozenset(), frozenset({f"{UNITS}/x.wants/x.mount"}))
    PreparedEtc(paths, lambda: own, lambda _etc, _promotion: {}).prepare(promotion)
    assert (live / "zz-hotsync-mute.conf").read_text() == "muted\n"
    assert (tmp_path / "other/x.mount").read_text() == "other\n"
    taken = tmp_path / ".hotsync-etc/systemd/system/own.service.d"
    assert not taken.is_symlink()
    assert (taken / "zz-hotsync-mute.conf").read_text() == "muted\n"


@pytest.fixture
def master(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.databases.mkdir(parents=True)
    ensure_records(paths)
    write(tmp_path, {**PASSWD, **OWN, "srv/share/x": "data\n"})
    return paths


def test_a_run_of_the_master_carries_no_key_of_its_disks_nor_its_memory_but_the_credentials(master: Paths) -> None:
    rules = build_selection(master, last_rules(master, mail_queue=False).rules).rules
    walk = Walk(master.root, rules, frozenset(), {}, lambda _remark: None)
    met = {stamp[0].replace(b"\0", b"/").decode() for stamp in walk if isinstance(stamp, tuple)}
    assert met & OWN.keys() == {"etc/samba/own.cred"}
    assert "srv/share/x" in met


def test_a_rejoin_leaves_in_place_what_the_next_boot_needs(master: Paths) -> None:
    write(master.root, {"etc/fstab": "//nas/own /mnt cifs credentials=/srv/secret/link 0 0\n", "srv/secret/real": "x"})
    (master.root / "srv/secret/link").symlink_to("real")
    moved = {part.path for part in live_parts(master).parts}
    assert "srv/share" in moved
    assert not moved & {"srv", "srv/keys", "srv/keys/k", "srv/secret", "srv/secret/real", "srv/secret/link"}


def test_the_sandbox_of_a_drill_mounts_nothing(tmp_path: Path) -> None:
    write(tmp_path, {**OWN, **ELSE, "etc/veritytab": "x\n", f"{UNITS}/app.service": "app\n"})
    take_mounts(Paths(tmp_path))
    left = {
        path: text for path, text in content(tmp_path).items() if path.startswith(("etc/f", "etc/c", "etc/v", UNITS))
    }
    empty = "# empty: this is the sandbox of a drill\n"
    assert left == {
        "etc/fstab": empty, "etc/crypttab": empty, "etc/veritytab": empty, f"{UNITS}/app.service": "app\n",
    }  # fmt: skip
