"""The MASTER's packages on a SLAVE of Red Hat's family, with the real dnf and rpm against a repository made here."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.backends.mute import Mute
from hotsync.backends.packages.apt import Apt
from hotsync.backends.packages.detect import manager_of
from hotsync.backends.packages.dnf import Dnf
from hotsync.engine.doctor import package_faults
from hotsync.engine.slave.package_facts import Standing, read_package_checks, read_package_facts
from hotsync.engine.slave.packages import SlavePackages
from hotsync.model.facts import PackageFact
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.packages.values import Request, Transaction, Wanted
from hotsync.model.packages.wants import Marks
from hotsync.model.report import Verdict
from hotsync.model.slave import SlaveFacts, SlaveOutcome
from hotsync.state.slave_packages import load_brought
from hotsync.state.slave_run import SlaveRun
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.backends.dnf_root import DnfRoot

pytestmark = pytest.mark.contract
FACTS = SlaveFacts(RoleRecord(Role.SLAVE), generation=1)
NEVER = SlaveRun(0.0, 0)


@pytest.fixture
def world(tmp_path: Path) -> DnfRoot:
    return DnfRoot(tmp_path)


class Slave:
    """The room under test over a throw-away root, with a systemctl that only remembers."""

    def __init__(self, world: DnfRoot) -> None:
        self.world = world
        self.dnf = Dnf(world.paths)
        self.mute = Mute(world.paths, lambda _: "")
        self.outcome = SlaveOutcome()

    def install(self, *wanted: Wanted) -> Sequence[str]:
        self.outcome = SlaveOutcome()
        standing = Standing(self.world.paths, self.dnf, (), NEVER)
        packages = SlavePackages(standing, self.mute, wanted, self.outcome)
        return packages.install([each.name for each in wanted])

    @property
    def versions(self) -> dict[str, str]:
        return {name: package.version for name, package in self.dnf.installed().items()}


def want(name: str, version: str = "1.0-1", here: str = "") -> Wanted:
    return Wanted(name, version, True, here)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this host only; the address is dead afterwards."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_manager_is_the_one_whose_database_is_here(world: DnfRoot, tmp_path: Path) -> None:
    assert isinstance(manager_of(world.paths), Dnf)
    assert isinstance(manager_of(Paths(tmp_path / "nothing")), Apt)
    (world.root / "var/lib/dpkg").mkdir(parents=True)
    (world.root / "var/lib/dpkg/status").touch()
    assert isinstance(manager_of(world.paths), Apt), "a Debian on which somebody uses rpm"


def test_a_package_comes_with_what_it_needs_and_its_units_are_muted_before(
    world: DnfRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.offer("mail", "1:3.5-2.el9", units=("mail.service", "mail@.service", "mail.socket"), Requires="queue")
    world.offer("queue", units=("queue.timer",))
    slave = Slave(world)
    muted_at_install: list[frozenset[str]] = []
    real = command.run

    def run(argv: Sequence[str], **more: object) -> object:
        if "install" in argv and "--assumeno" not in argv and "--downloadonly" not in argv:
            muted_at_install.append(slave.mute.muted())
        return real(argv, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "run", run)
    assert slave.install(want("mail", "1:3.5-2.el9")) == ()
    assert slave.versions == {"mail": "1:3.5-2.el9", "queue": "1.0-1"}
    assert muted_at_install == [frozenset(("mail.service", "mail@.service", "mail.socket", "queue.timer"))]
    assert load_brought(world.paths) == {"mail", "queue"}
    assert not slave.dnf.was_cut


@pytest.mark.parametrize("script", ["%pre -p <lua>", "%pretrans -p <lua>"])
def test_a_script_that_fails_stops_its_own_package_and_what_needs_it_and_no_other_one(
    world: DnfRoot, script: str
) -> None:
    for name in ("aaa", "good"):
        world.offer(name)
    world.offer("bad", scripts=f"{script}\nerror('no')")
    world.offer("needy", Requires="bad")
    world.offer("needier", Requires="needy")
    slave = Slave(world)
    names = ("aaa", "bad", "good", "needier", "needy")
    assert slave.install(*map(want, names)) == ("bad", "needier", "needy")
    assert slave.versions.keys() == {"aaa", "good"}
    assert "failed" in slave.outcome.missing["bad"]
    assert slave.outcome.missing["needy"] == "it needs bad"
    assert "bad" in slave.outcome.missing["needier"]
    assert slave.dnf.broken() == "", "rpm leaves what needs it there, without it"
    assert slave.outcome.retry


def test_one_that_cannot_be_had_and_one_with_a_broken_need_do_not_block_the_others(world: DnfRoot) -> None:
    for name in ("good", "fine"):
        world.offer(name)
    world.offer("needy", Requires="nowhere >= 3")
    slave = Slave(world)
    assert set(slave.install(want("good"), want("gone"), want("needy"), want("fine"))) == {"gone", "needy"}
    assert slave.versions.keys() == {"good", "fine"}
    assert slave.outcome.missing["gone"] == "no repository of this server has it"
    assert "nowhere" in slave.outcome.missing["needy"]


def test_the_masters_version_is_taken_and_what_is_older_here_goes_to_it(world: DnfRoot) -> None:
    world.install("lib")
    for version in ("1.1-1", "2.0-1"):
        world.offer("lib", version)
        world.offer("app", version, Requires=f"lib >= {version.partition('-')[0]}")
    slave = Slave(world)
    assert slave.install(want("app", "1.1-1"), want("lib", "1.1-1", "1.0-1")) == ()
    assert slave.versions == {"app": "1.1-1", "lib": "1.1-1"}
    assert set(slave.dnf.updates()) == {"app", "lib"}


def test_a_transaction_that_would_remove_or_change_this_machines_own_is_refused(world: DnfRoot) -> None:
    world.install("grub2-pc", "2.06-1")
    world.offer("grub2-pc", "2.12-1")
    world.offer("loader", Obsoletes="grub2-pc")
    world.offer("newer", Requires="grub2-pc >= 2.12")
    world.offer("other")
    slave = Slave(world)
    assert set(slave.install(want("loader"), want("newer"), want("other"))) == {"loader", "newer"}
    assert slave.versions == {"grub2-pc": "2.06-1", "other": "1.0-1"}
    assert "it would remove grub2-pc (the boot loader" in slave.outcome.missing["loader"]
    assert "it would change grub2-pc from 2.06-1 to 2.12-1 (the boot loader" in slave.outcome.missing["newer"]


def test_a_simulation_says_everything_and_changes_nothing_also_with_long_names(world: DnfRoot) -> None:
    long = "a-package-with-a-name-that-is-longer-than-any-column-of-a-table-on-a-screen"
    world.install("lib")
    world.install("old-one")
    world.offer("lib", "2.0-1.very.long.release.of.some.maker.el9_4.1")
    world.offer(long, "7:10.20.30-40.module_el9+123+abcdef", Requires="lib >= 2.0", Obsoletes="old-one")
    slave = Slave(world)
    assert slave.dnf.refresh() == ""
    found = slave.dnf.simulate([Request(long, "7:10.20.30-40.module_el9+123+abcdef")])
    assert found == Transaction(
        ((long, "7:10.20.30-40.module_el9+123+abcdef"),),
        (("lib", "1.0-1", "2.0-1.very.long.release.of.some.maker.el9_4.1"),),
        ("old-one",),
    )
    assert slave.versions == {"lib": "1.0-1", "old-one": "1.0-1"}


def test_a_disk_that_is_nearly_full_is_told_and_nothing_is_unpacked(
    world: DnfRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.offer("app", scripts="dd if=/dev/zero of=%{buildroot}/usr/share/app/data bs=1M count=3")
    slave = Slave(world)
    assert slave.dnf.refresh() == ""
    space = slave.dnf.space([("app", "1.0-1")])
    assert space.unpacked == 3 * 2**20
    assert 0 < space.files < space.unpacked
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Usage(100 * 2**20, 99 * 2**20, 2**20))
    assert slave.install(want("app")) == ("app",)
    assert slave.outcome.missing["app"] == "there is no room: 3 MiB needed, 1 MiB free"
    assert slave.versions == {}


class _Usage(tuple[int, int, int]):
    def __new__(cls, total: int, used: int, free: int) -> _Usage:
        return super().__new__(cls, (total, used, free))

    total = property(lambda self: self[0])
    free = property(lambda self: self[2])


def test_a_repository_that_does_not_answer_is_told_and_kept_files_need_none(world: DnfRoot) -> None:
    world.offer("app", Requires="lib")
    world.offer("lib")
    slave = Slave(world)
    with served(world.repository) as address:
        world.serve_from(address)
        assert slave.install(want("app")) == ()
    kept = {file.name for file in world.paths.package_files.iterdir()}
    assert kept == {"app-1.0-1.noarch.rpm", "lib-1.0-1.noarch.rpm"}
    command.run(["rpm", "--root", str(world.root), "-e", "app", "lib"])
    assert slave.versions == {}
    assert slave.install(want("app")) == ()
    assert slave.outcome.lists_fault
    assert slave.versions == {"app": "1.0-1", "lib": "1.0-1"}


def test_files_of_versions_that_are_gone_are_not_kept(world: DnfRoot) -> None:
    world.offer("app", "2:1.0-1")
    slave = Slave(world)
    slave.install(want("app", "2:1.0-1"))
    world.offer("app", "2:1.1-1")
    slave.install(want("app", "2:1.1-1", "2:1.0-1"))
    assert [file.name for file in world.paths.package_files.iterdir()] == ["app-1.1-1.noarch.rpm"]


def test_a_package_whose_script_fails_is_told_and_the_database_stays_sound(world: DnfRoot) -> None:
    world.offer("bad", scripts="%pre -p <lua>\nerror('no')")
    world.offer("good")
    slave = Slave(world)
    assert "bad" in slave.install(want("bad"), want("good"))
    assert slave.outcome.missing["bad"]
    assert slave.outcome.retry
    assert slave.dnf.broken() == ""


def test_what_is_installed_without_what_it_needs_is_told_as_broken(world: DnfRoot) -> None:
    slave = Slave(world)
    world.install("fine")
    assert slave.dnf.broken() == ""
    file = world.offer("needy", Requires="nowhere")
    command.run(["rpm", "--root", str(world.root), "--nodeps", "-i", str(file)])
    assert "nowhere" in slave.dnf.broken()


def test_doctor_asks_rpm_for_hotsyncs_own_files(world: DnfRoot) -> None:
    assert package_faults(world.paths) == ("the package hotsync is not installed",)
    world.install("hotsync")
    assert package_faults(world.paths) == ()
    (world.root / "usr/share/hotsync").rmdir()
    assert package_faults(world.paths) == ("/usr/share/hotsync is not what the package brought",)


def test_marks_and_holds_are_taken_and_let_go_and_a_hold_of_ours_lets_the_masters_versions_in(world: DnfRoot) -> None:
    world.offer("app", "1:1.0-1", Requires="lib")
    world.offer("lib")
    slave = Slave(world)
    slave.install(want("app", "1:1.0-1"))
    found = {name: (each.manual, each.held) for name, each in slave.dnf.installed().items()}
    assert found == {"app": (True, False), "lib": (False, False)}
    slave.dnf.mark(Marks(("lib",), ("app",), ("app", "lib"), ()))
    found = {name: (each.manual, each.held) for name, each in slave.dnf.installed().items()}
    assert found == {"app": (False, True), "lib": (True, True)}
    slave.dnf.mark(Marks(release=("lib",)))
    locks = (world.root / "etc/dnf/plugins/versionlock.list").read_text()
    assert locks == "app-1:1.0-1.*\n"


def test_an_hour_in_which_nothing_changed_starts_no_program(world: DnfRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    world.offer("app", "2.0-1")
    world.offer("app")
    slave = Slave(world)
    slave.install(want("app"))
    told = (PackageFact("app", "1.0-1", "noarch", True),)
    facts = read_package_facts(Standing(world.paths, slave.dnf, told, NEVER), FACTS)
    assert (facts.wanted, facts.broken, facts.other_family) == ((), "", "")
    standing = Standing(world.paths, slave.dnf, told, NEVER)
    checks = tuple(read_package_checks(standing, facts, SlaveOutcome(), 1.0))
    assert all(check.verdict is Verdict.GREEN for check in checks), checks
    said = next(check.detail for check in checks if check.name == "packages.updates")
    assert said == "1 waits here (app); 1 waits on the MASTER (app)"
    last = SlaveRun(1.0, 1, checks=checks, digest=standing.digest(), refreshed_at=1.0)
    again = Standing(world.paths, slave.dnf, told, last)
    monkeypatch.setattr(command, "run", lambda argv, **_: pytest.fail(f"started {argv}"))
    settled = read_package_facts(again, FACTS)
    assert settled.settled
    found = tuple(read_package_checks(again, settled, SlaveOutcome(), 3601.0))
    assert {check.name: check for check in found} == {check.name: check for check in checks}


def test_a_debian_master_is_no_master_for_it(world: DnfRoot) -> None:
    told = (PackageFact("tzdata", "2024a-0+deb12u1", "all"),)
    facts = read_package_facts(Standing(world.paths, Dnf(world.paths), told, NEVER), FACTS)
    assert facts.other_family == "the MASTER's packages are Debian's, this server's are Red Hat's (RPM)"
