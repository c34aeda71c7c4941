"""Packages of no repository on a SLAVE, with the real apt, dpkg, dnf and rpm: only accepted files are installed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from hotsync.backends.mute import Mute
from hotsync.backends.packages.detect import manager_of
from hotsync.engine.slave.local_packages import NOT_ACCEPTED, accept_local, read_local_offer
from hotsync.engine.slave.package_facts import Standing, read_package_facts
from hotsync.engine.slave.packages import SlavePackages
from hotsync.errors import ReplicaError
from hotsync.model.facts import PackageFact
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.packages.local import NO_TOOL, LocalPackage
from hotsync.model.packages.values import Wanted
from hotsync.model.slave import SlaveFacts, SlaveOutcome
from hotsync.state.facts import SPOOL_IN_TREE
from hotsync.state.local_packages import DATASET, load_local, render_local
from hotsync.state.slave_run import SlaveRun
from tests.contract.backends.apt_root import AptRoot
from tests.contract.backends.dnf_root import DnfRoot

pytestmark = pytest.mark.contract
NEVER = SlaveRun(0.0, 0)
FACTS = SlaveFacts(RoleRecord(Role.SLAVE), generation=1)


class Slave:
    """A SLAVE over a throw-away root, whose replica holds what the MASTER told."""

    def __init__(self, world: AptRoot | DnfRoot) -> None:
        self.world, self.paths = world, world.paths
        self.manager = manager_of(world.paths)
        self.mute = Mute(world.paths, lambda _: "")
        self.outcome = SlaveOutcome()
        self.place = self.paths.replica / "tree" / SPOOL_IN_TREE / DATASET
        self.place.mkdir(parents=True)
        self.told: list[LocalPackage] = []

    def carry(self, file: Path, name: str, version: str, architecture: str = "all", lack: str = "") -> LocalPackage:
        """Let the MASTER have sent a file, which is then in no repository."""
        data = file.read_bytes()
        digest = "" if lack else hashlib.sha256(data).hexdigest()
        if not lack:
            (self.place / f"{digest}{file.suffix}").write_bytes(data)
        file.unlink()
        self.world.publish()
        told = LocalPackage(name, version, architecture, digest, len(data), lack=lack)
        self.told.append(told)
        self.tell()
        return told

    def tell(self) -> None:
        (self.place / f"{DATASET}.json").write_bytes(render_local(self.told))

    def accept(self) -> list[str]:
        offer = read_local_offer(self.paths, self.manager)
        accept_local(self.paths, offer, 1.0)
        return [each.name for each in offer.packages]

    def standing(self, *master: PackageFact, last: SlaveRun = NEVER) -> Standing:
        return Standing(self.paths, self.manager, master, last, load_local(self.paths.replica / "tree"))

    def install(self, *wanted: Wanted) -> Sequence[str]:
        self.outcome = SlaveOutcome()
        packages = SlavePackages(self.standing(), self.mute, wanted, self.outcome)
        return packages.install([each.name for each in wanted])

    @property
    def versions(self) -> dict[str, str]:
        return {name: package.version for name, package in self.manager.installed().items()}

    @property
    def kept(self) -> set[str]:
        place = self.paths.package_files
        return {path.name for path in place.iterdir()} if place.is_dir() else set()


def want(name: str, version: str = "1.0", here: str = "") -> Wanted:
    return Wanted(name, version, True, here)


@pytest.fixture
def world(tmp_path: Path) -> AptRoot:
    return AptRoot(tmp_path)


@pytest.fixture
def slave(world: AptRoot) -> Slave:
    return Slave(world)


def test_nothing_is_installed_before_it_is_accepted_and_then_it_comes_with_what_it_needs_and_is_muted(
    slave: Slave, world: AptRoot
) -> None:
    world.offer("lib")
    slave.carry(world.offer("mine", "2:1.0-1", units=("mine.service",), Depends="lib"), "mine", "2:1.0-1")
    world.offer("other")
    assert slave.install(want("mine", "2:1.0-1"), want("other")) == ("mine",)
    assert slave.outcome.missing == {"mine": NOT_ACCEPTED}
    assert (slave.versions, slave.kept) == ({"other": "1.0"}, {"other_1.0_all.deb"})
    assert slave.accept() == ["mine"]
    assert slave.install(want("mine", "2:1.0-1")) == ()
    assert slave.versions == {"lib": "1.0", "mine": "2:1.0-1", "other": "1.0"}
    assert slave.kept == {"lib_1.0_all.deb", "mine_2%3a1.0-1_all.deb", "other_1.0_all.deb"}
    assert slave.mute.muted() == {"mine.service"}
    assert slave.accept() == []


def test_what_was_not_there_when_it_was_accepted_is_asked_for_again(slave: Slave, world: AptRoot) -> None:
    slave.carry(world.offer("mine", "1.0"), "mine", "1.0")
    assert slave.accept() == ["mine"]
    assert slave.install(want("mine")) == ()
    slave.told.clear()
    slave.carry(world.offer("mine", "1.1"), "mine", "1.1")
    assert slave.install(want("mine", "1.1", "1.0")) == ("mine",)
    assert slave.outcome.behind == {"mine": f"1.0 is here; {NOT_ACCEPTED}"}
    assert slave.accept() == ["mine"]
    assert slave.install(want("mine", "1.1", "1.0")) == ()
    assert slave.versions == {"mine": "1.1"}


@pytest.mark.parametrize("what", ["other bytes", "half", "link", "pipe", "gone"])
def test_a_file_that_is_not_the_accepted_one_is_not_taken(
    slave: Slave, world: AptRoot, tmp_path: Path, what: str
) -> None:
    told = slave.carry(world.offer("mine"), "mine", "1.0")
    slave.accept()
    file = slave.place / f"{told.sha256}.deb"
    good = file.read_bytes()
    file.unlink()
    if what == "other bytes":
        file.write_bytes(good[:-1] + b"x")
    elif what == "half":
        file.write_bytes(good[: len(good) // 2])
    elif what == "link":
        (tmp_path / "elsewhere").write_bytes(good)
        file.symlink_to(tmp_path / "elsewhere")
    elif what == "pipe":
        os.mkfifo(file)
    assert slave.install(want("mine")) == ("mine",)
    assert slave.outcome.missing["mine"]
    assert (slave.versions, slave.kept) == ({}, set())


def test_a_file_of_another_package_than_told_is_not_taken(slave: Slave, world: AptRoot) -> None:
    slave.carry(world.offer("grub-pc"), "mine", "1.0")
    slave.accept()
    assert slave.install(want("mine")) == ("mine",)
    assert slave.outcome.missing == {"mine": "its file is one of another package"}
    assert (slave.versions, slave.kept) == ({}, set())


def test_this_machines_own_packages_stay_and_are_never_offered(slave: Slave, world: AptRoot) -> None:
    world.install("grub-pc", "2.06")
    slave.carry(world.offer("grub-pc", "2.12"), "grub-pc", "2.12")
    slave.carry(world.offer("loader", Conflicts="grub-pc"), "loader", "1.0")
    slave.told.append(LocalPackage("--evil", "1.0", "all", "0" * 64))
    slave.told.append(LocalPackage("odd", "$(x)", "all", "1" * 64))
    slave.tell()
    assert slave.accept() == ["loader"]
    assert slave.install(want("loader")) == ("loader",)
    assert "it would remove grub-pc" in slave.outcome.missing["loader"]
    assert slave.versions == {"grub-pc": "2.06"}


def test_why_the_master_could_not_carry_it_is_told(slave: Slave, world: AptRoot) -> None:
    slave.carry(world.offer("mine"), "mine", "1.0", lack=NO_TOOL)
    assert slave.accept() == []
    assert slave.install(want("mine")) == ("mine",)
    assert "install dpkg-repack" in slave.outcome.missing["mine"]


def test_a_repository_of_this_server_that_has_the_version_is_asked_first(slave: Slave, world: AptRoot) -> None:
    slave.carry(world.offer("mine"), "mine", "1.0")
    shutil.rmtree(world.root.parent / "builds")
    world.offer("mine")
    assert slave.install(want("mine")) == ()
    assert slave.versions == {"mine": "1.0"}


def test_until_it_is_accepted_an_older_one_of_a_repository_does_and_is_told_as_older(
    slave: Slave, world: AptRoot
) -> None:
    slave.carry(world.offer("mine", "1.0+local"), "mine", "1.0+local")
    world.offer("mine", "1.0")
    assert slave.install(want("mine", "1.0+local")) == ("mine",)
    assert slave.versions == {"mine": "1.0"}
    assert slave.outcome.behind == {"mine": NOT_ACCEPTED}
    slave.accept()
    assert slave.install(want("mine", "1.0+local", "1.0")) == ()
    assert slave.versions == {"mine": "1.0+local"}


def test_a_disk_that_is_nearly_full_gets_no_file(slave: Slave, world: AptRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    slave.carry(world.offer("mine"), "mine", "1.0")
    slave.accept()
    usage = shutil.disk_usage("/")._replace(total=100 * 2**20, used=99 * 2**20, free=2**20)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert slave.install(want("mine")) == ("mine",)
    assert "there is no room" in slave.outcome.missing["mine"]
    assert slave.kept == set()


def test_what_is_unpacked_of_it_counts_before_it_is_begun(slave: Slave, world: AptRoot) -> None:
    slave.carry(world.offer("mine", Installed_Size="3072"), "mine", "1.0")
    slave.accept()
    slave.install(want("mine"))
    assert slave.manager.space([("mine", "1.0")]).unpacked == 3 * 2**20


def test_accepting_wakes_an_hourly_run_that_had_nothing_to_do(slave: Slave, world: AptRoot) -> None:
    slave.carry(world.offer("mine"), "mine", "1.0")
    fact = PackageFact("mine", "1.0", "all", True)
    before = slave.standing(fact).digest()
    slave.accept()
    assert slave.standing(fact).digest() != before
    slave.install(want("mine"))
    last = SlaveRun(1.0, 1, digest=slave.standing(fact).digest())
    assert read_package_facts(slave.standing(fact, last=last), FACTS).settled


def test_a_document_that_is_damaged_or_lies_is_refused(slave: Slave) -> None:
    for text in (b"{", b'{"schema": 2, "packages": []}', render_local([LocalPackage("a", "1", "all", "../../etc/x")])):
        (slave.place / f"{DATASET}.json").write_bytes(text)
        with pytest.raises(ReplicaError):
            load_local(slave.paths.replica / "tree")


def test_an_rpm_of_no_repository_is_installed_once_it_is_accepted(tmp_path: Path) -> None:
    world = DnfRoot(tmp_path)
    slave = Slave(world)
    world.offer("lib")
    file = world.offer("mine", "1:1.0-1", units=("mine.service",), Requires="lib")
    slave.carry(file, "mine", "1:1.0-1", "noarch")
    assert slave.install(want("mine", "1:1.0-1")) == ("mine",)
    assert slave.outcome.missing == {"mine": NOT_ACCEPTED}
    assert slave.accept() == ["mine"]
    assert slave.install(want("mine", "1:1.0-1")) == ()
    assert slave.versions == {"lib": "1.0-1", "mine": "1:1.0-1"}
    assert slave.mute.muted() == {"mine.service"}
    assert slave.kept == {"lib-1.0-1.noarch.rpm", "mine-1.0-1.noarch.rpm"}
    assert slave.manager.broken() == ""
