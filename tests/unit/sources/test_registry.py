"""A run over all sources: what fails is stale with its age and reason, and the others go on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hotsync.errors import RestoreFailed, SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check, Notice
from hotsync.model.selection import Action, Voice
from hotsync.sources.documents import (
    Document,
    FileRecord,
    MariadbAccounts,
    MariadbInstance,
    digest_of_files,
    load,
    render,
)
from hotsync.sources.ejabberd.documents import EjabberdServer
from hotsync.sources.followed import Pace, is_followed
from hotsync.sources.openldap.documents import OpenldapDatabase, OpenldapServer
from hotsync.sources.redis.documents import RedisServer
from hotsync.sources.registry import LOADED_AT_REST, Loadable, collect_all, known_rules, loadables, source_named
from hotsync.sources.source import Context, Dataset
from hotsync.system.paths import Paths


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def now_ns(self) -> int:
        return int(self.time * 1e9)

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class Fake:
    """A source in memory."""

    NAME: str
    IS_DATABASE: bool
    clock: Clock
    datasets: list[Dataset] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    partly: list[DatasetPoint] = field(default_factory=list)

    def inspect(self, context: Context) -> tuple[Dataset, ...]:
        if "inspect" in self.failing:
            raise SourceError(dataset=self.NAME, reason=self.failing["inspect"])
        return tuple(self.datasets)

    def collect(self, context: Context, dataset: Dataset) -> list[DatasetPoint]:
        if self.failing.get(dataset.name) == "the disk says no":
            raise OSError(5, "Input/output error", "/x")
        if dataset.name in self.failing:
            raise SourceError(dataset=dataset.name, reason=self.failing[dataset.name])
        folder = context.paths.spool / dataset.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dump").write_text("x")
        return [DatasetPoint(dataset.name, self.clock.now()), *(self.partly if dataset.instance == "a" else [])]

    def restore(self, folder: Path, dataset: Dataset) -> str:
        return ""

    def verify(self, folder: Path) -> list[Check]:
        return []


@dataclass
class World:
    context: Context
    clock: Clock
    engine: Fake
    other: Fake
    notices: list[Notice]

    def run(
        self, *, databases: bool = True, elsewhere: Collection[str] = (), pace: Pace | None = None
    ) -> tuple[dict[str, DatasetPoint], list[str]]:
        done = collect_all(
            self.context, databases=databases, elsewhere=elsewhere, pace=pace, sources=(self.engine, self.other)
        )
        return {point.name: point for point in done.points}, [error.sentence for error in done.failures]


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "var/lib/hotsync").mkdir(parents=True)
    clock, notices = Clock(), list[Notice]()
    engine = Fake("engine", True, clock, [Dataset("engine", "a"), Dataset("engine", "b")])
    other = Fake("other", False, clock, [Dataset("other")])
    return World(Context(Paths(tmp_path), clock, notice=notices.append), clock, engine, other, notices)


def test_a_dataset_that_fails_is_as_old_as_its_last_good_copy_and_the_others_go_on(world: World) -> None:
    world.run()
    world.clock.time = 2000
    world.engine.failing["engine/a"] = "the server is down"
    points, failures = world.run()
    assert points["engine/a"] == DatasetPoint("engine/a", 1000, 1000, "the server is down")
    assert points["engine/b"] == DatasetPoint("engine/b", 2000)
    assert points["other"] == DatasetPoint("other", 2000)
    assert failures == ["engine/a could not be collected: the server is down"]
    world.clock.time = 3000
    assert world.run()[0]["engine/a"].stale_since == 1000, "it does not get younger while it fails"
    del world.engine.failing["engine/a"]
    assert world.run()[0]["engine/a"] == DatasetPoint("engine/a", 3000)


def test_one_that_never_was_collected_says_so(world: World) -> None:
    world.engine.failing["engine/a"] = "no login"
    points, _ = world.run()
    assert (points["engine/a"].taken_at, points["engine/a"].stale_since) == (0.0, 1000.0)


def test_a_part_of_a_dataset_can_be_stale_alone(world: World) -> None:
    world.engine.partly = [DatasetPoint("engine/a/shop", 1000)]
    world.run()
    world.clock.time = 2000
    world.engine.partly = [DatasetPoint("engine/a/shop", 0.0, 2000, "database shop: bad page")]
    points, failures = world.run()
    assert points["engine/a/shop"] == DatasetPoint("engine/a/shop", 1000, 1000, "database shop: bad page")
    assert points["engine/a"].stale_since == 0
    assert "bad page" in failures[0]


def test_a_part_that_is_told_only_while_it_is_stale_has_the_moment_that_its_source_gives(world: World) -> None:
    world.run()
    world.clock.time = 2000
    world.engine.partly = [DatasetPoint("engine/a/shop", 1000, 1000, "database shop: bad page")]
    points, failures = world.run()
    assert points["engine/a/shop"] == DatasetPoint("engine/a/shop", 1000, 1000, "database shop: bad page")
    assert failures == ["engine/a/shop could not be collected: database shop: bad page"]
    world.engine.partly = []
    assert "engine/a/shop" not in world.run()[0]


def test_all_parts_of_a_dead_server_are_stale(world: World) -> None:
    world.engine.partly = [DatasetPoint("engine/a/shop", 1000)]
    world.run()
    world.engine.failing["engine/a"] = "dead"
    points, _ = world.run()
    assert points["engine/a"].stale_since
    assert points["engine/a/shop"].stale_since


def test_where_servers_cannot_even_be_looked_for_all_known_ones_are_stale(world: World) -> None:
    world.run()
    world.engine.failing["inspect"] = "no list of sockets"
    points, failures = world.run()
    assert points["engine/a"].stale_since == points["engine/b"].stale_since == 1000
    assert len(failures) == 1
    assert (world.context.paths.spool / "engine/a/dump").exists()


def test_a_server_that_was_removed_leaves_the_spool_with_a_word(world: World) -> None:
    world.run()
    del world.engine.datasets[1]
    points, failures = world.run()
    assert "engine/b" not in points
    assert not (world.context.paths.spool / "engine/b").exists()
    assert ["engine/b" in notice.sentence for notice in world.notices] == [True]
    assert failures == []


def test_a_server_that_has_another_name_now_keeps_its_last_good_copy_and_its_age(world: World) -> None:
    world.engine.datasets[0] = Dataset("engine", "a", directories=("/data/db",))
    world.engine.partly = [DatasetPoint("engine/a/shop", 1000)]
    world.run()
    world.clock.time = 2000
    world.engine.datasets[0] = Dataset("engine", "a--run_s.sock", directories=("/data/db/",))
    world.engine.failing["engine/a--run_s.sock"] = "it is down"
    points, _ = world.run()
    assert points["engine/a--run_s.sock"] == DatasetPoint("engine/a--run_s.sock", 1000, 1000, "it is down")
    assert points["engine/a--run_s.sock/shop"].taken_at == 1000
    assert (world.context.paths.spool / "engine/a--run_s.sock/dump").exists()
    assert not (world.context.paths.spool / "engine/a").exists()
    assert [notice.sentence for notice in world.notices] == ["engine/a is engine/a--run_s.sock now"]


def test_a_server_that_was_stopped_on_purpose_keeps_its_copy_without_alarm(world: World) -> None:
    world.run()
    world.clock.time = 2000
    world.engine.datasets[1] = Dataset("engine", "b", parked=True)
    points, failures = world.run()
    assert (points["engine/b"].taken_at, points["engine/b"].stale_since) == (1000, 0)
    assert "on purpose" in points["engine/b"].note
    assert failures == []
    assert (world.context.paths.spool / "engine/b/dump").exists()


def test_databases_that_are_switched_off_leave_the_spool_and_the_rest_stays(world: World) -> None:
    world.run()
    points, failures = world.run(databases=False)
    assert set(points) == {"other"}
    assert failures == []
    assert not (world.context.paths.spool / "engine/a").exists()
    assert (world.context.paths.spool / "other/dump").exists()


def test_lost_times_make_a_stale_dataset_old_not_young(world: World) -> None:
    folder = world.context.paths.spool / "mariadb/default"
    folder.mkdir(parents=True)
    (folder / "instance.json").write_bytes(render(INSTANCE))
    source = Fake("mariadb", True, world.clock, [Dataset("mariadb", "default")], {"mariadb/default": "down"})
    done = collect_all(world.context, sources=(source,))
    assert done.points == (DatasetPoint("mariadb/default", 500.0, 500.0, "down"),)


INSTANCE = MariadbInstance(
    1, "10.11.19-MariaDB", digest_of_files([FileRecord("accounts.sql", 3, "ab" * 32)]), 500.0, (),
    MariadbAccounts(FileRecord("accounts.sql", 3, "ab" * 32), 1, (), ()),
)  # fmt: skip


def test_what_a_slave_can_load_is_listed_with_its_digest(tmp_path: Path) -> None:
    (tmp_path / "mariadb/default").mkdir(parents=True)
    (tmp_path / "mariadb/default/instance.json").write_bytes(render(INSTANCE))
    (tmp_path / "mariadb/half").mkdir()
    assert loadables(tmp_path) == (Loadable("mariadb", "default", INSTANCE.digest, "10.11.19-MariaDB", 3),)
    assert loadables(tmp_path / "nowhere") == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", "malformed at schema"),
        ('{"schema": 9}', "newer"),
        ("", "malformed"),
        ('{"schema": 1}', "malformed at version"),
    ],
)
def test_a_document_that_cannot_be_read_says_why(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "instance.json").write_text(content)
    with pytest.raises(RestoreFailed, match=reason):
        load(tmp_path / "instance.json", MariadbInstance)


def test_sources_are_found_by_their_names() -> None:
    for name in ("mariadb", "postgresql", "backup-config", "facts"):
        assert name == source_named(name).NAME


def test_a_bad_disk_is_an_error_of_its_dataset_only(world: World) -> None:
    world.engine.failing["engine/a"] = "the disk says no"
    points, failures = world.run()
    assert "Input/output error" in points["engine/a"].note
    assert points["engine/b"].stale_since == 0
    assert len(failures) == 1


def protected(world: World, *, databases: bool = True) -> set[str]:
    done = collect_all(world.context, databases=databases, sources=(world.engine, world.other))
    assert set(done.rules) == set(known_rules(world.context.paths)), "a dry run knows the same"
    assert all((rule.action, rule.voice) == (Action.PROTECT, Voice.PROFILE) for rule in done.rules)
    return {f"{rule.pattern} {rule.origin}" for rule in done.rules}


def test_the_files_of_a_database_server_are_protected_wherever_they_lie(world: World) -> None:
    world.engine.datasets[0] = Dataset("engine", "a", directories=("/data/db/", "/data/db", ".", "/", "", "/log"))
    assert protected(world) == {"/data/db files of engine/a", "/log files of engine/a"}
    assert protected(world, databases=False) == {"/data/db files of engine/a", "/log files of engine/a"}


def test_where_a_server_keeps_its_files_is_remembered_while_it_cannot_be_asked(world: World) -> None:
    world.engine.datasets[0] = Dataset("engine", "a", directories=("/data/db",))
    known = protected(world)
    world.engine.datasets[0] = Dataset("engine", "a", fault="it is down")
    assert protected(world) == known
    world.engine.datasets[0] = Dataset("engine", "a", parked=True)
    assert protected(world, databases=False) == known
    world.engine.failing["inspect"] = "no list of sockets"
    assert protected(world) == protected(world, databases=False) == known
    del world.engine.failing["inspect"]
    world.engine.datasets[0] = Dataset("engine", "a", directories=("/new",))
    assert protected(world) == {"/new files of engine/a"}
    del world.engine.datasets[0]
    assert protected(world) == set()


def test_what_is_put_in_place_at_rest_is_found_with_its_place(tmp_path: Path) -> None:
    record = FileRecord("x", 5, "0" * 64)
    database = OpenldapDatabase(1, "dc=org", "/var/lib/ldap", 3, "", record)
    servers: dict[str, Document] = {
        "openldap/slapd": OpenldapServer(1, "2.5.13", "a", 1.0, "/etc/ldap/slapd.d", record, (database,)),
        "openldap/empty": OpenldapServer(1, "2.5.13", "a", 1.0, "/etc/openldap/slapd.d", record, ()),
        "redis/redis-server": RedisServer(
            1, "7.0.15", "b", 1.0, "/var/lib/redis", "dump.rdb", False, "appendonlydir", "appendonly.aof", "redis",
            "redis", "run 1", record,
        ),
        "ejabberd/ejabberd": EjabberdServer(
            1, "23.01", "c", 1.0, "ejabberd@localhost", "/var/lib/ejabberd", "sum", {"passwd": 1}, "run 1", record
        ),
    }  # fmt: skip
    for name, document in servers.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "server.json").write_bytes(render(document))
    found = {f"{each.engine}/{each.instance}": (each.directory, each.size) for each in loadables(tmp_path)}
    assert found == {
        "openldap/slapd": ("/var/lib/ldap", 10), "openldap/empty": ("/etc/openldap/slapd.d", 5),
        "redis/redis-server": ("/var/lib/redis", 5), "ejabberd/ejabberd": ("/var/lib/ejabberd", 5),
    }  # fmt: skip
    assert {each.engine for each in loadables(tmp_path)} == LOADED_AT_REST
    (tmp_path / "redis/redis-server/server.json").write_text('{"schema": 1, "version": 7}')
    with pytest.raises(RestoreFailed, match="malformed"):
        loadables(tmp_path)


@pytest.fixture
def streamed(world: World) -> World:
    """A server whose dumps have a document, as those that can be streamed have."""
    world.engine.NAME = "mariadb"
    world.engine.datasets[:] = [Dataset("mariadb", "a")]
    folder = world.context.paths.spool / "mariadb/a"
    folder.mkdir(parents=True)
    (folder / "instance.json").write_bytes(render(INSTANCE))
    (folder / "accounts.sql").write_text("abc")
    return world


HOURLY = Pace(3600.0, lambda _: True, lambda *_: True)


def dumped(world: World, time: float, pace: Pace | None = HOURLY) -> bool:
    """Run at a time, and return whether the server was dumped."""
    world.clock.time = time
    points, _ = world.run(pace=pace)
    assert points["other"].taken_at == time
    assert not points["mariadb/a"].stale_since
    assert points["mariadb/a"].streamed is (pace is not None and pace.is_followed(Dataset("mariadb", "a")))
    return points["mariadb/a"].taken_at == time


def test_a_server_that_is_followed_keeps_its_dump_for_a_while_and_shows_how_old_it_is(streamed: World) -> None:
    streamed.engine.partly = [DatasetPoint("mariadb/a/shop", 1000)]
    assert dumped(streamed, 1000)
    assert not dumped(streamed, 1900)
    points, failures = streamed.run(pace=HOURLY)
    assert points["mariadb/a"] == DatasetPoint("mariadb/a", 1000, streamed=True)
    assert points["mariadb/a/shop"] == DatasetPoint("mariadb/a/shop", 1000, streamed=True)
    assert failures == []
    assert not dumped(streamed, 3700)
    streamed.engine.partly = [DatasetPoint("mariadb/a/shop", 4600)]
    assert dumped(streamed, 4600)
    assert not dumped(streamed, 5500)


def test_as_soon_as_it_is_not_followed_every_run_dumps_it(streamed: World) -> None:
    assert dumped(streamed, 1000)
    assert dumped(streamed, 1900, Pace(3600.0, lambda _: False, lambda *_: True))
    assert not dumped(streamed, 2800)
    assert dumped(streamed, 2900, None)
    # it brings not all, so what lacks comes with a dump
    assert dumped(streamed, 2950, Pace(3600.0, lambda _: True, lambda *_: False))
    assert dumped(streamed, 3000, Pace(0.0, lambda _: True, lambda *_: True))
    assert dumped(streamed, 500), "a clock that was set back proves nothing"


def test_what_failed_in_the_last_dump_is_dumped_again_however_young_it_is(streamed: World) -> None:
    streamed.engine.partly = [DatasetPoint("mariadb/a/shop", 0.0, 1000, "database shop: bad page")]
    assert dumped(streamed, 1000)
    assert dumped(streamed, 1100)
    streamed.engine.failing["mariadb/a"] = "the server is down"
    points, _ = streamed.run(pace=HOURLY)
    assert points["mariadb/a"] == DatasetPoint("mariadb/a", 1100, 1100, "the server is down")
    del streamed.engine.failing["mariadb/a"]
    streamed.engine.partly = []
    assert dumped(streamed, 1200)
    assert not dumped(streamed, 1300)


@pytest.mark.parametrize("lost", ["collected.json", "spool/mariadb/a/accounts.sql", "spool/mariadb/a/instance.json"])
def test_a_dump_that_is_not_there_in_full_is_made_again(streamed: World, lost: str) -> None:
    assert dumped(streamed, 1000)
    (streamed.context.paths.state / lost).unlink()
    assert dumped(streamed, 1100)


def test_what_cannot_be_streamed_is_never_followed() -> None:
    for dataset in (
        Dataset("redis", "redis-server"),
        Dataset("postgresql", "15-main", fault="it does not run"),
        Dataset("postgresql", "15-main", parked=True),
    ):
        assert not is_followed(dataset)


def test_one_that_a_plugin_dumps_is_neither_collected_nor_a_fault_and_its_files_stay_protected(world: World) -> None:
    world.engine.datasets[0] = replace(world.engine.datasets[0], directories=("/srv/own",))
    world.run()
    assert (world.context.paths.spool / "engine/a").exists()
    world.engine.failing["engine/a"] = "nobody here can dump it"
    assert world.run()[1] != []
    done = collect_all(world.context, elsewhere=("engine/a",), sources=(world.engine, world.other))
    assert [point.name for point in done.points] == ["engine/b", "other"]
    assert done.failures == ()
    assert [rule.pattern for rule in done.rules] == ["/srv/own"]
    assert not (world.context.paths.spool / "engine/a").exists()
    assert "DumpedByPlugin" in world.notices[-1].sentence
