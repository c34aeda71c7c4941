"""Streams of modules on a SLAVE of Red Hat's family, with the real dnf against a repository with modules made here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hotsync.backends.mute import Mute
from hotsync.backends.packages.detect import streams_of
from hotsync.backends.packages.dnf import Dnf
from hotsync.backends.packages.module_streams import read_streams
from hotsync.engine.slave.package_facts import Standing, read_package_checks, read_package_facts
from hotsync.engine.slave.packages import SlavePackages
from hotsync.model.facts import PackageFact, StreamFact
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.packages.module_streams import Modular
from hotsync.model.packages.values import NotCarried
from hotsync.model.slave import SlaveFacts, SlaveOutcome
from hotsync.state.slave_run import MissingPackage, SlaveRun
from hotsync.system import command
from tests.contract.backends.dnf_root import DnfRoot

pytestmark = pytest.mark.contract
FACTS = SlaveFacts(RoleRecord(Role.SLAVE), generation=1)
NEVER = SlaveRun(0.0, 0)
PG13, PG15, OFF = StreamFact("postgresql", "13"), StreamFact("postgresql", "15"), StreamFact("postgresql")
NOWHERE = "no repository of this server has that stream"


@pytest.fixture
def world(tmp_path: Path) -> DnfRoot:
    """A repository with two streams of a module, and none of them enabled."""
    world = DnfRoot(tmp_path)
    world.install("tzdata", "1-1")
    world.offer_module("postgresql", "13", ("postgresql-server", "13.1-1"), ("postgresql", "13.1-1"))
    world.offer_module("postgresql", "15", ("postgresql-server", "15.4-1"), ("postgresql", "15.4-1"))
    return world


class Slave:
    """A SLAVE's run over a throw-away root, as far as packages go."""

    def __init__(self, world: DnfRoot, *streams: StreamFact, packages: Sequence[PackageFact] = ()) -> None:
        self.world = world
        self.master = (PackageFact("tzdata", "1-1", "noarch"), *packages)
        self.streams = streams
        self.dnf = Dnf(world.paths)
        self.outcome = SlaveOutcome()
        self.last = NEVER

    @property
    def standing(self) -> Standing:
        return Standing(self.world.paths, self.dnf, self.master, self.last, (), self.streams)

    def run(self) -> SlaveFacts:
        self.outcome = SlaveOutcome()
        standing, mute = self.standing, Mute(self.world.paths, lambda _: "")
        facts = read_package_facts(standing, FACTS)
        packages = SlavePackages(standing, mute, facts.wanted, self.outcome)
        if facts.streams:
            packages.take_streams(facts.streams)
        if facts.wanted:
            packages.install([each.name for each in facts.wanted])
        missing = tuple(MissingPackage(*each) for each in self.outcome.missing.items())
        self.last = SlaveRun(1.0, 1, missing=missing, digest=self.standing.digest())
        return facts

    @property
    def versions(self) -> dict[str, str]:
        found = {name: package.version for name, package in self.dnf.installed().items()}
        found.pop("tzdata")
        return found


def already(world: DnfRoot, *streams: StreamFact) -> None:
    """Let modules be set as if they had always been so."""
    assert Dnf(world.paths).refresh() == ""
    assert streams_of(world.paths).take(streams) == {}


def server(version: str) -> PackageFact:
    return PackageFact("postgresql-server", version, "noarch", manual=True)


def test_without_the_masters_stream_its_version_cannot_be_had_and_with_it_it_can(world: DnfRoot) -> None:
    without = Slave(world, packages=[server("15.4-1")])
    without.run()
    assert without.versions == {}
    assert without.outcome.missing == {"postgresql-server": "no repository of this server has it"}
    slave = Slave(world, PG15, packages=[server("15.4-1")])
    assert slave.run().streams == (PG15,)
    assert slave.outcome.missing == {}
    assert slave.versions == {"postgresql-server": "15.4-1"}
    assert read_streams(world.paths) == (PG15,)
    labelled = streams_of(world.paths).packages()
    assert labelled == (Modular("postgresql-server", "postgresql", "15"),)
    assert slave.run().streams == (), "it is done once"


def test_the_slave_follows_the_master_to_another_stream_with_what_came_for_it(world: DnfRoot) -> None:
    Slave(world, PG13, packages=[server("13.1-1")]).run()
    slave = Slave(world, PG15, packages=[server("15.4-1")])
    assert slave.versions == {"postgresql-server": "13.1-1"}
    slave.run()
    assert (slave.outcome.missing, slave.outcome.behind) == ({}, {})
    assert slave.versions == {"postgresql-server": "15.4-1"}
    assert read_streams(world.paths) == (PG15,)


def test_a_stream_stays_where_this_servers_own_package_stands_on_another_one(world: DnfRoot) -> None:
    already(world, PG13)
    argv = ["rpm", "--root", str(world.root), "-i", str(world.repository / "postgresql-13.1-1.noarch.rpm")]
    command.run(argv)
    slave = Slave(world, PG15, packages=[server("15.4-1")])
    facts = slave.run()
    reason = "this server's own postgresql came with postgresql:13"
    assert (facts.streams, facts.streams_stay) == ((), (NotCarried("module postgresql:15", reason),))
    assert read_streams(world.paths) == (PG13,)
    missing = next(iter(read_package_checks(slave.standing, facts, slave.outcome, 1.0)))
    assert f"module postgresql:15 ({reason})" in missing.detail
    both = Slave(world, PG15, packages=[server("15.4-1"), PackageFact("postgresql", "15.4-1", "noarch")])
    both.run()
    newer = {"postgresql": "15.4-1", "postgresql-server": "15.4-1"}
    assert both.versions == newer, "what the MASTER has newer follows"


def test_a_stream_that_no_repository_has_is_named_and_what_was_set_stays_and_nothing_is_asked_twice(
    world: DnfRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    already(world, PG13)
    slave = Slave(world, StreamFact("postgresql", "99"), StreamFact("nodejs", "18"))
    slave.run()
    assert slave.outcome.missing == {"module postgresql:99": NOWHERE, "module nodejs:18": NOWHERE}
    assert read_streams(world.paths) == (PG13,)
    real, asked = command.run, list[Sequence[str]]()

    def run(argv: Sequence[str], **more: object) -> object:
        asked.append(argv)
        return real(argv, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "run", run)
    slave.run()
    assert slave.outcome.missing == {"module postgresql:99": NOWHERE, "module nodejs:18": NOWHERE}
    assert not [argv for argv in asked if "enable" in argv or "reset" in argv]


def test_a_module_that_the_master_switched_off_lets_the_packages_of_other_repositories_through(world: DnfRoot) -> None:
    world.offer("postgresql-server", "14.9-1")
    already(world, PG13)
    hidden = Slave(world, packages=[server("14.9-1")])
    hidden.run()
    assert hidden.versions == {"postgresql-server": "13.1-1"}, "the stream hides the MASTER's"
    slave = Slave(world, OFF, packages=[server("14.9-1")])
    slave.run()
    assert slave.outcome.missing == {}
    assert slave.versions == {"postgresql-server": "14.9-1"}
    assert read_streams(world.paths) == (OFF,)


def test_one_that_needs_another_ones_stream_waits_for_it(world: DnfRoot) -> None:
    world.offer_module("perl", "5.30", ("perl", "5.30-1"))
    world.offer_module("perl", "5.26", ("perl", "5.26-1"))
    world.offer_module("a-driver", "1", ("a-driver", "1-1"), requires="perl: ['5.30']")
    already(world, StreamFact("perl", "5.26"))
    slave = Slave(world, StreamFact("a-driver", "1"), StreamFact("perl", "5.30"))
    slave.run()
    assert slave.outcome.missing == {}
    assert read_streams(world.paths) == (StreamFact("a-driver", "1"), StreamFact("perl", "5.30"))
    world.withdraw_module("perl", "5.30")
    lost = Slave(world, StreamFact("perl", "5.26"))
    lost.run()
    assert "module perl:5.26" in lost.outcome.missing, "the driver's need is not broken"
    assert StreamFact("perl", "5.30") in read_streams(world.paths)
