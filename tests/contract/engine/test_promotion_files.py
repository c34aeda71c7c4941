"""The tree moves into production with real renames, real mounts and real attributes, cut after every system call."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.engine.listing import DiskListing, kept_paths
from hotsync.engine.promotion.files import PromotionFiles, units_left
from hotsync.engine.promotion.prepared_etc import OwnEtc, PreparedEtc
from hotsync.errors import ReplicaError
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.model.selection import Action, Rule, Selection
from hotsync.planning.exchange import Surroundings, exchange_layout
from hotsync.state import promotion as document
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.support.dying import Cut, dying_before

pytestmark = pytest.mark.contract

INCLUDED = ("/etc", "/home", "/srv", "/var/lib", "/data/app")
PROTECTED = ("/etc/selinux", "/etc/fstab", "/etc/machine-id", "/var/lib/dpkg", "/var/lib/app/own.key")


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def content(root: Path) -> dict[str, str]:
    return {
        os.fspath(path.relative_to(root)): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


MASTER = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n",
    "etc/group": "root:x:0:\nanna:x:1000:\n",
    "etc/shadow": "root:master:1::::::\nanna:secret:1::::::\n",
    "etc/hostname": "master\n",
    "etc/app/app.conf": "master's\n",
    "home/anna/mail": "from the MASTER\n",
    "srv/share/file": "master's share\n",
    "srv/big/data": "master's big data\n",
    "var/lib/app/state": "master's state\n",
    "var/lib/master-only/x": "x\n",
    "data/app/x": "carried\n",
}
SLAVE = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nhelper:x:998:998::/:/bin/false\nboss:x:1001:1001::/:/bin/sh\n",
    "etc/group": "root:x:0:\nhelper:x:998:\nboss:x:1001:\n",
    "etc/shadow": "root:slave:1::::::\nhelper:!:1::::::\n",
    "etc/hostname": "slave\n",
    "etc/fstab": "slave's disks\n",
    "etc/machine-id": "slave's id\n",
    "etc/own-package.conf": "of a package that only the SLAVE has\n",
    "etc/forgotten.conf": "of nobody\n",
    "etc/systemd/system/dovecot.service.d/zz-hotsync-mute.conf": "muted\n",
    "home/boss/notes": "boss's\n",
    "srv/own": "slave's own\n",
    "var/lib/dpkg/status": "slave's packages\n",
    "var/lib/app/own.key": "slave's key\n",
    "var/lib/app/state": "slave's state\n",
    "var/lib/slave-only/y": "y\n",
    "data/other/z": "slave's\n",
}

GENERATED = {"generated": "by HotSync\n", "network.d/a/address.conf": "standby\n"}


class Stage:
    """A SLAVE in a folder: live root, replica, document."""

    def __init__(self, root: Path, mounts: tuple[str, ...] = ()) -> None:
        self.paths = Paths(root)
        self.tree = self.paths.replica / "tree"
        write(root, SLAVE)
        write(self.tree, MASTER)
        rules = [Rule(path, Action.INCLUDE, "test") for path in INCLUDED]
        rules += [Rule(path, Action.PROTECT, "test") for path in PROTECTED]
        self.kept = kept_paths(rules, root)
        around = Surroundings(Selection(rules), self.kept, frozenset(mounts), os.lstat(self.tree).st_dev)
        self.layout = exchange_layout(DiskListing(self.tree), DiskListing(root), around)
        document.save_promotion(
            self.paths,
            Promotion(1, 1, "d", 1.0, 1.0, 1.0, NetworkPlan(), self.layout.units, self.layout.folders),
        )

    def files(self) -> PromotionFiles:
        return PromotionFiles(self.paths, self.etc())

    def etc(self) -> PreparedEtc:
        own = OwnEtc(self.kept, frozenset({"/etc/own-package.conf"}))
        return PreparedEtc(self.paths, lambda: own, lambda _etc, _promotion: GENERATED)

    @property
    def promotion(self) -> Promotion:
        promotion = document.load_promotion(self.paths)
        assert promotion is not None
        return promotion

    def go_on(self) -> None:
        """What the plan does with files: everything that is left."""
        files = self.files()
        for unit in units_left(self.promotion, self.paths):
            files.exchange(unit.path)
        files.set_folders()
        if not self.etc().is_exchanged(self.promotion):
            files.prepare_etc()
            files.exchange_etc()

    def check(self) -> None:
        """Whatever happened on the way: this is how a promoted SLAVE looks."""
        live = {
            path: text
            for path, text in content(self.paths.root).items()
            if not path.startswith(("var/lib/hotsync/", "srv/big/.hotsync"))
        }
        expected = {
            path: text for path, text in MASTER.items() if path not in ("etc/passwd", "etc/group", "etc/shadow")
        }
        expected |= {
            "etc/passwd": MASTER["etc/passwd"] + "helper:x:998:998::/:/bin/false\n",
            "etc/group": MASTER["etc/group"] + "helper:x:998:\n",
            "etc/shadow": MASTER["etc/shadow"] + "helper:!:1::::::\n",
            **{f"etc/{path}": text for path, text in GENERATED.items()},
        }
        stay = (
            "etc/fstab", "etc/machine-id", "etc/own-package.conf", "var/lib/dpkg/status", "var/lib/app/own.key",
            "etc/systemd/system/dovecot.service.d/zz-hotsync-mute.conf", "var/lib/slave-only/y", "data/other/z",
        )  # fmt: skip
        expected |= {path: SLAVE[path] for path in stay}
        assert live == expected
        aside = content(self.paths.state / "aside")
        assert aside["home/boss/notes"] == SLAVE["home/boss/notes"]
        assert aside["etc/forgotten.conf"] == "of nobody\n"
        assert aside["etc/hostname"] == "slave\n"
        assert aside["var/lib/app/state"] == "slave's state\n"
        assert aside["srv/own"] == "slave's own\n"
        assert units_left(self.promotion, self.paths) == ()
        assert self.etc().is_exchanged(self.promotion)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_masters_files_are_live_the_slaves_own_stay_or_lie_aside(stage: Stage) -> None:
    stage.go_on()
    stage.check()


def test_doing_it_again_changes_nothing(stage: Stage) -> None:
    stage.go_on()
    before = content(stage.paths.root)
    stage.go_on()
    files = stage.files()
    for unit in stage.promotion.units:
        files.exchange(unit.path)
    files.prepare_etc()
    files.exchange_etc()
    assert content(stage.paths.root) == before


def dying_at(number: int, monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[list[int]]:
    """Let the process die right before its `number`-th system call that matters."""
    from hotsync.system import files as system_files

    calls: list[tuple[object, str]] = [(os, name) for name in ("rename", "mkdir", "fsync", "replace", "fchown")]
    calls += [(system_files, name) for name in ("rename_noreplace", "rename_exchange", "sync_filesystem")]
    return dying_before(number, [*calls, (command, "run")], monkeypatch)


def cut_until_done(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> int:
    """Go on and die, each time a call later, until an attempt gets to the end; return the number of attempts."""
    number = 0
    while True:
        number += 1
        with dying_at(number, monkeypatch):
            try:
                stage.go_on()
            except Cut:
                continue
        return number


def count_of_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    stage = Stage(tmp_path)
    with dying_at(0, monkeypatch) as count:
        stage.go_on()
    return count[0]


def test_cut_before_every_single_change_and_continued_it_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = count_of_calls(tmp_path / "dry", monkeypatch)
    assert total > 40
    for number in range(1, total + 1):
        stage = Stage(tmp_path / str(number))
        with pytest.raises(Cut), dying_at(number, monkeypatch):
            stage.go_on()
        stage.go_on()
        stage.check()
        shutil.rmtree(stage.paths.root)


@contextmanager
def mounted(place: Path, size: str = "4m") -> Iterator[None]:
    place.mkdir(parents=True)
    command.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "test", os.fspath(place)])
    try:
        yield
    finally:
        command.run(["umount", os.fspath(place)])


def test_what_lies_on_another_file_system_is_copied_there_and_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "srv/big"):
        write(tmp_path, {"srv/big/data": "slave's big data\n", "srv/big/old": "only here\n"})
        stage = Stage(tmp_path, mounts=("srv/big",))
        shown = {unit.path: unit.how.value for unit in stage.layout.units if unit.path.startswith("srv")}
        assert shown == {"srv/big/data": "copy", "srv/big/old": "aside", "srv/own": "aside", "srv/share": "exchange"}
        cut_until_done(stage, monkeypatch)
        stage.check()
        assert content(tmp_path / "srv/big/.hotsync-promotion.1/aside") == {
            "srv/big/data": "slave's big data\n",
            "srv/big/old": "only here\n",
        }


def test_with_var_on_a_file_system_of_its_own_it_ends_too_and_the_report_says_where_the_old_etc_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(tmp_path / "var"):
        stage = Stage(tmp_path, mounts=("var",))
        assert cut_until_done(stage, monkeypatch) > 15
        assert stage.etc().is_exchanged(stage.promotion)
        assert units_left(stage.promotion, stage.paths) == ()
        assert (tmp_path / "etc/hostname").read_text() == "master\n"
        aside = content(tmp_path / ".hotsync-promotion.1/aside")
        assert aside["etc/hostname"] == "slave\n"
        assert aside["home/boss/notes"] == SLAVE["home/boss/notes"]
        assert content(stage.paths.state / "aside") == {"var/lib/app/state": "slave's state\n"}
        assert [note for note in stage.promotion.notes if "/.hotsync-promotion.1/aside/etc" in note]


def test_a_folder_that_is_made_live_is_never_seen_without_the_masters_attributes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 0
    while True:
        number += 1
        stage = Stage(tmp_path / str(number))
        shutil.rmtree(stage.paths.root / "data")
        (stage.tree / "data").chmod(0o751)
        os.chown(stage.tree / "data", 5, 6)
        cut = False
        with dying_at(number, monkeypatch):
            try:
                stage.files().exchange("data/app")
            except Cut:
                cut = True
        for _ in range(2 if cut else 1):
            with suppress(FileNotFoundError):
                made = os.lstat(stage.paths.root / "data")
                assert (made.st_uid, made.st_gid, made.st_mode & 0o7777) == (5, 6, 0o751)
            if cut:
                stage.files().exchange("data/app")
        assert content(stage.paths.root / "data") == {"app/x": "carried\n"}
        assert not (stage.paths.root / ".hotsync-folder").exists()
        if not cut:
            break
    assert number > 3


def test_all_metadata_arrives_with_the_exchange_and_in_the_prepared_etc(stage: Stage) -> None:
    odd = stage.tree / "etc/app/app.conf"
    os.chown(odd, 1234, 4321)
    odd.chmod(0o4711)
    os.setxattr(odd, "user.note", b"kept")
    os.setxattr(odd, "trusted.note", b"kept, too")
    command.run(["setfacl", "-m", "u:77:r", os.fspath(odd)])
    os.utime(odd, ns=(1, 1_600_000_000_123_456_789))
    os.symlink("/nowhere", stage.tree / "etc/link")
    folder = stage.tree / "data"
    os.chown(folder, 5, 6)
    folder.chmod(0o711)
    shutil.rmtree(stage.paths.root / "data")
    before = os.lstat(odd)
    acl = os.getxattr(odd, "system.posix_acl_access")
    stage.files().prepare_etc()
    stage.files().exchange_etc()
    live = stage.paths.root / "etc/app/app.conf"
    after = os.lstat(live)
    for field in ("st_mode", "st_uid", "st_gid", "st_mtime_ns", "st_size"):
        assert getattr(after, field) == getattr(before, field), field
    assert os.getxattr(live, "user.note") == b"kept"
    assert os.getxattr(live, "trusted.note") == b"kept, too"
    assert os.getxattr(live, "system.posix_acl_access") == acl
    assert os.readlink(stage.paths.root / "etc/link") == "/nowhere"
    stage.files().exchange("data/app")
    made = os.lstat(stage.paths.root / "data")
    assert (made.st_uid, made.st_gid, made.st_mode & 0o7777) == (5, 6, 0o711)


def test_a_file_made_in_a_folder_of_its_own_can_be_read_by_programs_that_are_not_root(stage: Stage) -> None:
    # networkd runs as a user of its own: behind a closed folder it lost the standby address at the next boot
    before = os.umask(0o077)
    try:
        stage.go_on()
    finally:
        os.umask(before)
    assert (stage.paths.root / "etc/network.d/a/address.conf").read_text() == "standby\n"
    for folder in ("etc/network.d", "etc/network.d/a"):
        assert (stage.paths.root / folder).stat().st_mode & 0o777 == 0o755


def test_the_tree_keeps_its_etc_so_that_it_can_be_prepared_again(stage: Stage) -> None:
    before = content(stage.tree / "etc")
    stage.go_on()
    assert content(stage.tree / "etc") == before


def test_with_its_own_network_kept_the_prepared_etc_has_no_network_file_of_the_master(stage: Stage) -> None:
    write(stage.tree, {"etc/network/interfaces": "MASTER's\n", "etc/systemd/network/x.network": "MASTER's\n"})
    (stage.tree / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    os.symlink(
        "/lib/systemd/system/systemd-networkd.service",
        stage.tree / "etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
    )
    write(stage.paths.root, {"etc/network/interfaces": "SLAVE's\n"})
    for choice, wanted in ((NetworkChoice.MASTERS, "MASTER's\n"), (NetworkChoice.KEEP, "SLAVE's\n")):
        document.set_network(stage.paths, NetworkPlan(choice))
        stage.files().prepare_etc()
        prepared = stage.paths.root / ".hotsync-etc"
        assert (prepared / "network/interfaces").read_text() == wanted
        theirs = choice is NetworkChoice.MASTERS
        assert (prepared / "systemd/network/x.network").exists() == theirs
        assert (prepared / "systemd/system/multi-user.target.wants/systemd-networkd.service").is_symlink() == theirs
        assert (prepared / "app/app.conf").read_text() == "master's\n"


def test_something_else_in_the_tree_than_what_was_claimed_stops_before_anything_moves(stage: Stage) -> None:
    promotion = stage.promotion
    odd = tuple(replace(unit, inode=unit.inode + 1) if unit.path == "home" else unit for unit in promotion.units)
    document.save_promotion(stage.paths, replace(promotion, units=odd))
    with pytest.raises(ReplicaError, match="neither"):
        stage.files().exchange("home")
    assert content(stage.paths.root / "home") == {"boss/notes": "boss's\n"}
    assert content(stage.tree / "home") == {"anna/mail": "from the MASTER\n"}


def test_a_name_that_is_taken_aside_is_never_overwritten(stage: Stage) -> None:
    write(stage.paths.state / "aside", {"home/keep": "from before\n"})
    with pytest.raises(ReplicaError, match="is taken") as caught:
        stage.files().exchange("home")
    assert "Rename" in caught.value.hint
    assert content(stage.paths.root / "home") == {"anna/mail": "from the MASTER\n"}
    os.rename(stage.paths.state / "aside/home", stage.paths.state / "aside/home.before")
    stage.files().exchange("home")
    assert (stage.paths.state / "aside/home/boss/notes").exists()


def test_a_link_on_the_way_is_not_followed(stage: Stage) -> None:
    elsewhere = stage.paths.root / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(stage.paths.root / "data")
    (stage.paths.root / "data").symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"):
        stage.files().exchange("data/app")
    assert list(elsewhere.iterdir()) == []


POLICY = """\
/.*                          system_u:object_r:default_t:s0
/etc(/.*)?                   system_u:object_r:etc_t:s0
/etc/shadow             --   system_u:object_r:shadow_t:s0
/home/[^/]+/.+               unconfined_u:object_r:user_home_t:s0
"""


def type_of(path: Path) -> str:
    return os.getxattr(path, "security.selinux").decode().split(":")[2]


@pytest.fixture
def guarded(tmp_path: Path) -> Stage:
    """A SLAVE whose kernel asks a policy."""
    config = "SELINUX=enforcing\nSELINUXTYPE=own\n"
    write(tmp_path, {
        "sys/fs/selinux/enforce": "1", "etc/selinux/config": config,
        "etc/selinux/own/contexts/files/file_contexts": POLICY,
    })  # fmt: skip
    return Stage(tmp_path)


def test_what_moves_into_place_is_labelled_by_this_servers_policy_and_etc_before_it_is_live(guarded: Stage) -> None:
    stage = guarded
    os.setxattr(stage.tree / "home/anna/mail", "security.selinux", b"system_u:object_r:other_t:s0\0")
    stage.go_on()
    root = stage.paths.root
    assert (type_of(root / "etc/shadow"), type_of(root / "etc/app/app.conf")) == ("shadow_t", "etc_t")
    stage.files().restore_labels()
    assert (type_of(root / "home/anna/mail"), type_of(root / "srv/share/file")) == ("user_home_t", "default_t")
    assert stage.promotion.notes == ()


def test_a_policy_that_says_nothing_stops_no_promotion_and_is_told(guarded: Stage) -> None:
    stage = guarded
    (stage.paths.root / "etc/selinux/own/contexts/files/file_contexts").unlink()
    stage.go_on()
    stage.files().restore_labels()
    etc, rest = stage.promotion.notes
    assert etc.startswith("/etc could not be labelled for SELinux: ")
    assert rest.endswith("`restorecon -RF /` does it.")
