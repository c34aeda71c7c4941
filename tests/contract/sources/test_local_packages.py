"""The MASTER takes packages of no repository along, with the real dpkg, apt, dpkg-repack and rpm."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from hotsync.backends.packages.deb_files import DebFiles
from hotsync.errors import SourceError
from hotsync.model.packages.local import FAILED, NO_FILE, NO_ROOM, NO_TOOL, TOO_LARGE, TOO_MANY, LocalPackage
from hotsync.model.packages.values import Package
from hotsync.model.report import Verdict
from hotsync.sources import local_packages as source
from hotsync.sources.source import Context
from hotsync.state.local_packages import load_local, load_seen
from hotsync.system import command
from hotsync.system.clock import SystemClock
from tests.contract.backends.apt_root import AptRoot
from tests.contract.backends.dnf_root import DnfRoot

pytestmark = pytest.mark.contract


class Clock(SystemClock):
    """A clock that stands until it is moved on."""

    def __init__(self) -> None:
        self._now = 1_000_000.0

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class Master:
    """A MASTER over a throw-away root; counts the programs that a run starts."""

    def __init__(self, world: AptRoot | DnfRoot, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.clock = Clock()
        self.programs: list[str] = []
        real = command.run

        def run(argv: Sequence[str], **more: object) -> object:
            self.programs.append(argv[0])
            return real(argv, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(command, "run", run)

    @property
    def place(self) -> Path:
        return self.world.paths.spool / source.NAME

    def collect(self) -> dict[str, LocalPackage]:
        """Do what a run does; return what is told."""
        self.programs.clear()
        context = Context(self.world.paths, self.clock)
        (dataset,) = source.inspect(context)
        assert [point.name for point in source.collect(context, dataset)] == [source.NAME]
        assert {check.verdict for check in source.verify(self.place)} == {Verdict.GREEN}
        told = load_local(self.world.paths.spool)
        files = {path.name for path in self.place.iterdir()}
        ending = ".rpm" if isinstance(self.world, DnfRoot) else ".deb"
        assert files == {"local-packages.json"} | {each.sha256 + ending for each in told if each.sha256}
        return {each.name: each for each in told}


@pytest.fixture
def world(tmp_path: Path) -> AptRoot:
    """Return a host with a repository, and one package of no repository that was installed from a file."""
    world = AptRoot(tmp_path)
    world.install("offered")
    world.install("mine", "2:1.0-1")
    world.withdraw("mine")
    _refresh(world)
    return world


def _refresh(world: AptRoot) -> None:
    options = [f"-oDir={world.root}", f"-oDir::State::status={world.root}/var/lib/dpkg/status"]
    argv = ["apt-get", *options, "-oAPT::Sandbox::User=root", "-q", "update"]
    subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture
def master(world: AptRoot, monkeypatch: pytest.MonkeyPatch) -> Master:
    return Master(world, monkeypatch)


def test_a_package_of_no_repository_is_built_anew_and_stays_the_same_file_and_an_hour_later_no_program_runs(
    master: Master,
) -> None:
    told = master.collect()["mine"]
    assert (told.version, told.architecture, told.rebuilt, told.lack) == ("2:1.0-1", "all", True, "")
    file = master.place / f"{told.sha256}.deb"
    assert subprocess.check_output(["dpkg-deb", "--fsys-tarfile", file])
    shown = subprocess.check_output(["dpkg-deb", "-f", file, "Package", "Version"], text=True)
    assert shown == "Package: mine\nVersion: 2:1.0-1\n"
    before = {path: path.stat().st_ino for path in (file, master.place / "local-packages.json")}
    assert master.collect()["mine"] == told
    assert master.programs == []
    master.world.offer("another")
    assert isinstance(master.world, AptRoot)
    _refresh(master.world)
    assert master.collect()["mine"] == told, "lists changed, the package did not"
    assert "dpkg-repack" not in master.programs
    assert before == {path: path.stat().st_ino for path in before}


def test_the_file_that_it_was_installed_from_is_taken_if_it_is_there(master: Master, world: AptRoot) -> None:
    file = world.root.parent / "builds/mine_2:1.0-1"
    kept = world.paths.package_files
    kept.mkdir()
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", file, kept / "mine_2%3a1.0-1_all.deb"], check=True,
        capture_output=True,
    )  # fmt: skip
    told = master.collect()["mine"]
    assert not told.rebuilt
    assert (master.place / f"{told.sha256}.deb").read_bytes() == (kept / "mine_2%3a1.0-1_all.deb").read_bytes()


@pytest.mark.parametrize("what", ["half", "other content"])
def test_a_file_that_only_looks_like_it_is_not_taken(master: Master, world: AptRoot, what: str) -> None:
    archives = world.root / "var/cache/apt/archives/mine_2%3a1.0-1_all.deb"
    build = world.root.parent / "builds/mine_2:1.0-1"
    (build / "usr/share/mine/more").write_text("more")
    (build / "DEBIAN/md5sums").write_text("0cc175b9c0f1b6a831c399e269772661  usr/share/mine/more\n")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", build, archives], check=True, capture_output=True)
    if what == "half":
        os.truncate(archives, archives.stat().st_size // 2)
    assert master.collect()["mine"].rebuilt


def test_what_a_repository_has_newer_is_none_of_them_unless_it_is_held(master: Master, world: AptRoot) -> None:
    for name in ("old", "held"):
        world.install(name, "1.0")
        world.withdraw(name)
        world.offer(name, "1.1")
    world.hold("held")
    world.install("offered-too", "1.0")
    world.install("newer", "1.0+local")
    world.withdraw("newer")
    world.offer("newer", "1.0")
    world.install("linux-image-9", "1.0")
    world.withdraw("linux-image-9")
    _refresh(world)
    assert master.collect().keys() == {"held", "mine", "newer"}


def test_installed_again_it_is_built_again_and_removed_its_file_goes(master: Master, world: AptRoot) -> None:
    first = master.collect()["mine"]
    shutil.rmtree(world.root.parent / "builds/mine_2:1.0-1")
    world.install("mine", "2:1.0-1")
    world.withdraw("mine")
    again = master.collect()["mine"]
    assert "dpkg-repack" in master.programs
    assert again.seen != first.seen
    subprocess.run(["dpkg", f"--root={world.root}", "--purge", "mine"], check=True, capture_output=True)
    assert master.collect() == {}


def test_without_lists_nothing_is_known_and_what_was_carried_stays(master: Master, world: AptRoot) -> None:
    told = master.collect()
    shutil.rmtree(world.root / "var/lib/apt/lists")
    (world.root / "var/lib/apt/lists/partial").mkdir(parents=True)
    (world.root / "etc/apt/sources.list").write_text("")
    assert master.collect() == told
    assert not load_seen(world.paths).whole


def test_so_many_that_lists_must_be_incomplete_are_told_and_only_what_was_carried_before_is(
    master: Master, world: AptRoot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = master.collect()["mine"]
    world.install("another", "1.0")
    world.withdraw("another")
    monkeypatch.setattr(source, "are_too_many", lambda found, installed: (found, installed) == (2, 3))
    found = master.collect()
    assert found["mine"] == told
    assert (found["another"].sha256, found["another"].lack) == ("", TOO_MANY)
    assert "dpkg-repack" not in master.programs
    assert [record.message.split(":")[0] for record in caplog.records] == ["2 packages are of no repository"]


def test_what_cannot_be_built_is_told_and_not_tried_in_every_run(
    master: Master, world: AptRoot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    told = master.collect()["mine"]
    assert (told.sha256, told.lack) == ("", NO_TOOL)
    assert "install dpkg-repack" in told.reason
    master.collect()
    assert master.programs == []
    monkeypatch.undo()
    master.clock.advance(source.AGAIN_AFTER)
    assert master.collect()["mine"].rebuilt


def test_no_room_too_large_and_a_failing_build_are_told_each(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as limited:
        limited.setattr(source, "LARGEST_FILE", 100)
        assert master.collect()["mine"].lack == TOO_LARGE
    assert not list(master.world.paths.collecting.glob("*"))
    with monkeypatch.context() as full:
        full.setattr(source, "lacks_room", lambda *_: "there is no room")
        master.clock.advance(source.AGAIN_AFTER)
        assert master.collect()["mine"].lack == NO_ROOM
    (master.world.root / "usr/share/mine/version").write_bytes(os.urandom(64 * 1024))
    real = DebFiles.rebuild

    def short_of_space(files: DebFiles, package: Package, folder: Path) -> Path:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, hard))
        try:
            return real(files, package, folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with monkeypatch.context() as short:
        short.setattr(DebFiles, "rebuild", short_of_space)
        master.clock.advance(source.AGAIN_AFTER)
        assert master.collect()["mine"].lack == FAILED
    assert not list(master.world.paths.collecting.glob("*"))
    master.clock.advance(source.AGAIN_AFTER)
    assert master.collect()["mine"].size > 64 * 1024


def test_a_full_disk_leaves_the_last_good_copy(master: Master, world: AptRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    told = master.collect()
    world.install("second", "1.0")
    world.withdraw("second")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("hotsync.sources.spool.Candidate.write", full)
        with pytest.raises(SourceError, match="full"):
            master.collect()
    assert {each.name: each for each in load_local(world.paths.spool)} == told
    assert master.collect().keys() == {"mine", "second"}


def test_a_run_that_dies_while_it_builds_leaves_the_last_copy_and_the_next_builds_it(
    master: Master, world: AptRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = master.collect()
    world.install("second", "1.0")
    world.withdraw("second")
    child = os.fork()
    if child == 0:
        monkeypatch.setattr("hotsync.sources.spool.Collection.publish", lambda _: os._exit(77))
        master.collect()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77
    assert {each.name: each for each in load_local(world.paths.spool)} == told
    assert master.collect().keys() == {"mine", "second"}
    assert not list(world.paths.collecting.glob("*"))


def test_a_file_that_is_gone_from_the_spool_comes_again(master: Master) -> None:
    told = master.collect()["mine"]
    (master.place / f"{told.sha256}.deb").unlink()
    assert master.collect()["mine"].sha256


def test_an_rpm_of_no_repository_is_taken_from_where_its_file_lies_and_told_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = DnfRoot(tmp_path)
    world.install("offered")
    world.install("mine", "1:1.0-1")
    file = world.repository / "mine-1.0-1.noarch.rpm"
    away = tmp_path / file.name
    file.rename(away)
    world.publish()
    options = [f"--installroot={world.root}", f"--setopt=reposdir={world.root}/etc/yum.repos.d", "--releasever=/"]
    subprocess.run(["dnf", *options, "-q", "makecache"], check=True, capture_output=True)
    master = Master(world, monkeypatch)
    assert master.collect()["mine"].lack == NO_FILE
    master.collect()
    assert master.programs == []
    world.paths.package_files.mkdir(parents=True)
    away.rename(world.paths.package_files / away.name)
    told = master.collect()["mine"]
    assert (told.version, told.lack, told.rebuilt) == ("1:1.0-1", "", False)
    assert (master.place / f"{told.sha256}.rpm").read_bytes() == (world.paths.package_files / away.name).read_bytes()
