"""The hourly look at packages with the real apt and dpkg: once all is well it runs no program; a broken one is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hotsync.backends.mute import Mute
from hotsync.backends.packages.apt import Apt
from hotsync.engine.slave.package_facts import REFRESH_AFTER, Standing, read_package_checks, read_package_facts
from hotsync.engine.slave.packages import SlavePackages
from hotsync.model.facts import PackageFact
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.report import Verdict
from hotsync.model.slave import SlaveFacts, SlaveOutcome, broken_of, missing_of
from hotsync.planning.slave import plan_slave
from hotsync.state.slave_run import MissingPackage, SlaveRun
from hotsync.system import command
from tests.contract.backends.apt_root import AptRoot

pytestmark = pytest.mark.contract
FACTS = SlaveFacts(RoleRecord(Role.SLAVE), generation=1)
NEVER = SlaveRun(0.0, 0)
NOW = 1_000_000.0


class Hourly:
    """A SLAVE over a throw-away root whose MASTER has these packages; counts the programs that a run starts."""

    def __init__(self, world: AptRoot, monkeypatch: pytest.MonkeyPatch, *master: PackageFact) -> None:
        self.world = world
        self.apt = Apt(world.paths)
        self.master = master
        self.last = NEVER
        self.programs: list[str] = []
        self.applications: dict[str, set[str]] = {}
        real = command.run

        def run(argv: Sequence[str], **more: object) -> object:
            self.programs.append(" ".join(argv))
            return real(argv, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(command, "run", run)

    def run(self, now: float) -> SlaveRun:
        """Do what the hourly run does with packages."""
        self.programs.clear()
        outcome = SlaveOutcome()
        standing = Standing(self.world.paths, self.apt, self.master, self.last)
        facts = read_package_facts(standing, FACTS)
        packages = SlavePackages(standing, Mute(self.world.paths, lambda _: ""), facts.wanted, outcome)
        for step in plan_slave(facts):
            if step.key == "packages.finish":
                packages.finish_install()
            if step.key == "packages.install":
                packages.install([each.name for each in facts.wanted])
            if step.key == "packages.marks":
                packages.take_marks()
        checks = tuple(read_package_checks(standing, facts, outcome, now, applications=self.applications))
        self.last = SlaveRun(
            now, 1, tuple(MissingPackage(*each) for each in missing_of(facts, outcome).items()), checks=checks,
            digest="" if outcome.retry or broken_of(facts, outcome) else standing.digest(),
            refreshed_at=now if outcome.refreshed else self.last.refreshed_at,
        )  # fmt: skip
        return self.last

    def check(self, name: str) -> tuple[Verdict, str]:
        """Return verdict and detail of a check of the last run."""
        found = next(each for each in self.last.checks if each.name == name)
        return found.verdict, found.detail


@pytest.fixture
def world(tmp_path: Path) -> AptRoot:
    return AptRoot(tmp_path)


def test_an_hour_in_which_nothing_changed_starts_no_program(world: AptRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    world.offer("app")
    world.install("lib", "1.0")
    world.offer("lib", "1.2")
    slave = Hourly(world, monkeypatch, PackageFact("app", "1.0", "all"), PackageFact("lib", "1.0", "all", True))
    first = slave.run(NOW)
    assert slave.check("packages.updates") == (Verdict.GREEN, "1 waits here (lib); 1 waits on the MASTER (lib)")
    second = slave.run(NOW + 3600)
    assert slave.programs == []
    assert {check.name: check for check in second.checks} == {check.name: check for check in first.checks}
    slave.run(NOW + REFRESH_AFTER)
    assert [line.split()[0] for line in slave.programs] == ["apt-get"], "the lists, to tell which updates wait"
    slave.run(NOW + REFRESH_AFTER + 3600)
    assert slave.programs == []


@pytest.mark.parametrize("what", ["master", "here", "lists"])
def test_what_changed_is_seen_at_once_and_then_it_is_quiet_again(
    world: AptRoot, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    world.offer("app")
    slave = Hourly(world, monkeypatch, PackageFact("app", "1.0", "all"))
    slave.run(NOW)
    if what == "master":
        world.offer("new")
        slave.master += (PackageFact("new", "1.0", "all"),)
    elif what == "here":
        command.run(["dpkg", f"--root={world.root}", "--purge", "app"])
    else:
        world.offer("app", "2.0")
        assert slave.apt.refresh() == ""  # as an administrator does
    slave.run(NOW + 60)
    assert slave.programs != []
    assert set(slave.apt.installed()) == {each.name for each in slave.master}
    waiting = "1 waits here (app); 1 waits on the MASTER (app)" if what == "lists" else ""
    assert slave.check("packages.updates")[1] == waiting
    slave.run(NOW + 120)
    assert slave.programs == []


def test_a_half_configured_package_is_reported_every_time_and_nothing_is_done(
    world: AptRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.install("half")
    status = world.root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("install ok installed", "install ok half-configured"))
    world.offer("app")
    slave = Hourly(world, monkeypatch, PackageFact("app", "1.0", "all"))
    before = status.read_bytes()
    for hour in range(2):
        slave.run(NOW + hour * 3600)
        verdict, detail = slave.check("packages.database")
        assert verdict is Verdict.AMBER
        assert "half" in detail
        assert slave.check("packages.missing") == (Verdict.AMBER, "app (the package database must be repaired first)")
    assert status.read_bytes() == before


def test_a_database_that_cannot_be_read_ends_no_run_and_hides_nothing_that_was_missing(
    world: AptRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.install("lib")
    slave = Hourly(world, monkeypatch, PackageFact("lib", "1.0", "all", True), PackageFact("postfix", "3", "all", True))
    slave.applications = {"Postfix mail server": {"postfix"}}
    slave.run(NOW)
    assert slave.check("packages.missing")[0] is Verdict.RED
    status = world.root / "var/lib/dpkg/status"
    good = status.read_text()
    status.write_text(f"garbage\n{good}")
    for hour in range(1, 3):
        slave.run(NOW + hour * 3600)
        verdict, detail = slave.check("packages.database")
        assert verdict is Verdict.AMBER
        assert "parsing file" in detail
        verdict, detail = slave.check("packages.missing")
        assert verdict is Verdict.RED
        assert "postfix (the package database must be repaired first)" in detail
        assert "what is installed here cannot be read" in detail
    status.write_text(good)
    world.offer("postfix", "3")
    slave.run(NOW + 4 * 3600)
    assert slave.check("packages.missing")[0] is Verdict.GREEN


def test_a_package_whose_script_fails_is_named_every_hour_and_what_comes_later_comes(
    world: AptRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.offer("bad", failing="postinst")
    world.offer("good")
    slave = Hourly(world, monkeypatch, PackageFact("bad", "1.0", "all", True), PackageFact("good", "1.0", "all", True))
    for hour in range(2):
        slave.run(NOW + hour * 3600)
        assert "bad" in slave.check("packages.database")[1]
        assert slave.check("packages.missing")[1].startswith("bad (installed bad package post-installation script")
    assert sum("--configure" in line for line in slave.programs) == 1, "tried once an hour"
    world.offer("new")
    slave.master += (PackageFact("new", "1.0", "all", True),)
    slave.run(NOW + 7200)
    assert set(slave.apt.installed()) == {"good", "new"}


def test_a_repository_that_does_not_answer_is_asked_again_every_hour_and_told(
    world: AptRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.install("app")
    slave = Hourly(world, monkeypatch, PackageFact("app", "1.0", "all", True))
    (world.root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/nowhere/at/all ./\n")
    for hour in range(2):
        slave.run(NOW + hour * 3600)
        assert slave.check("packages.lists")[0] is Verdict.AMBER
    (world.root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{world.repository} ./\n")
    slave.run(NOW + 7200)
    assert slave.check("packages.lists")[0] is Verdict.GREEN
    assert slave.check("packages.missing")[0] is Verdict.GREEN


def test_a_package_that_is_held_here_and_newer_there_is_told(world: AptRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    world.install("app")
    world.hold("app")
    world.offer("app", "1.1")
    slave = Hourly(world, monkeypatch, PackageFact("app", "1.1", "all", True))
    slave.run(NOW)
    assert slave.check("packages.behind") == (
        Verdict.AMBER, "app (1.0 is held on this server, the MASTER has 1.1)",
    )  # fmt: skip
    assert slave.apt.installed()["app"].version == "1.0"


def test_a_master_of_the_other_family_is_no_master_for_this_server(world: AptRoot) -> None:
    told = (PackageFact("bash", "5.1-1.el9", "x86_64"), PackageFact("tzdata", "2024-1.el9", "noarch"))
    facts = read_package_facts(Standing(world.paths, Apt(world.paths), told, NEVER), FACTS)
    assert facts.other_family == "the MASTER's packages are Red Hat's (RPM), this server's are Debian's"
