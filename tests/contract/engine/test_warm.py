"""Databases loaded beforehand on a waiting SLAVE: real servers on the real command lines, without a service manager."""

from __future__ import annotations

import os
import pwd
import random
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends import waiting_servers
from hotsync.backends.waiting_servers import WaitingServer
from hotsync.engine.promotion.room import free_at
from hotsync.engine.standby import warm, warm_load, warm_room
from hotsync.errors import CommandFailed, HotSyncError, RestoreFailed
from hotsync.model.generation import Generation
from hotsync.model.promotion import DatabaseDump
from hotsync.model.warm import Budget, WarmLoad
from hotsync.sources.documents import digests
from hotsync.sources.mariadb import databases as mariadb_databases
from hotsync.sources.mariadb import load as mariadb_load
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb.client import ask
from hotsync.sources.postgresql import cluster as postgresql_cluster
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.postgresql import waiting as postgresql_waiting
from hotsync.sources.postgresql.cluster import login_of
from hotsync.sources.postgresql.form import read_form
from hotsync.sources.registry import loadables
from hotsync.sources.source import Context, Dataset
from hotsync.state.warm import load_warm, note_warm
from hotsync.system import command, trees
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.sources import servers
from tests.contract.sources.engines import in_a_child
from tests.contract.sources.servers import Mariadb, Postgresql

ALL = Budget(minutes=60, largest=2**40)
PLACES = {"mariadb": "var/lib/mysql", "postgresql": "var/lib/postgresql/15/main"}


class Direct:
    """Starts waiting servers as their users, with nobody between."""

    def __init__(self) -> None:
        self.running: dict[str, command.Process] = {}
        self.started: list[str] = []

    def start(self, paths: Paths, server: WaitingServer) -> None:
        self.stop(paths, server.name)
        sockets = waiting_servers.prepare(paths, server)
        account = pwd.getpwnam(server.user)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            place = sockets / "ready"
            ready.bind(str(place))
            os.chown(place, account.pw_uid, account.pw_gid)
            argv = [*server.argv, "--innodb-use-native-aio=0"] if "mariadb" in server.name else list(server.argv)
            process = command.Process(
                argv, stdin=command.DEVNULL, stdout=command.DEVNULL, stderr=command.DEVNULL, start_new_session=True,
                user=server.user, group=account.pw_gid, extra_groups=[], cwd="/",
                env=command.environment({"NOTIFY_SOCKET": str(place)}),
            )  # fmt: skip
            self.running[server.name] = process
            self.started.append(server.name)
            ready.settimeout(0.1)
            while True:
                with suppress(TimeoutError):
                    if b"READY=1" in ready.recv(4096):
                        return
                if process.poll() is not None:
                    raise CommandFailed(program=argv[0], status="failed", detail=f"{server.name} ended", line=argv[0])

    def stop(self, paths: Paths, name: str) -> None:
        process = self.running.pop(name, None)
        file = waiting_servers.folder_of(paths, name) / "socket/pid"
        if process is None and file.exists():
            _end(int(file.read_text()))  # of a run that died
        elif process is not None:
            process.send_signal(2 if name.startswith("postgresql") else 15)
            process.wait()
        trees.remove(waiting_servers.folder_of(paths, name))

    def kill(self) -> None:
        for process in self.running.values():
            command.kill_group(process)
            process.wait()
        self.running.clear()


def _end(pid: int) -> None:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, signal.SIGTERM)
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> Iterator[Direct]:
    starter = Direct()
    monkeypatch.setattr(waiting_servers, "start", starter.start)
    monkeypatch.setattr(waiting_servers, "stop", starter.stop)

    def words(_name: str, user: str, _reads: Path, _environment: object) -> tuple[str, ...]:
        capability = "+dac_read_search"
        return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                f"--inh-caps={capability}", f"--ambient-caps={capability}")  # fmt: skip

    monkeypatch.setattr(postgresql_waiting, "client_words", words)
    yield starter
    starter.kill()


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    with servers.open_folder() as folder:
        yield {
            "mariadb": servers.prepare_mariadb(folder / "mariadb"),
            "postgresql": servers.prepare_postgresql(folder / "postgresql"),
            "checksums": servers.prepare_postgresql(folder / "checksums", "--data-checksums", "--wal-segsize=1"),
            "pages": servers.prepare_mariadb(folder / "pages", "--innodb-page-size=8192"),
        }


class World:
    """A MASTER's servers, and a SLAVE that holds what was collected of them."""

    def __init__(self, templates: dict[str, Path], master: Paths, slave: Paths, mysql: Mariadb, pg: Postgresql) -> None:
        self.templates, self.master, self.slave, self.mysql, self.pg = templates, master, slave, mysql, pg

    def generation(self) -> tuple[DatabaseDump, ...]:
        """Collect on the MASTER, and make it the SLAVE's tree."""
        context = Context(self.master)
        mariadb.collect(context, self.mysql.dataset())
        postgresql.collect(context, self.pg.dataset())
        tree = self.slave.replica / "tree/var/lib/hotsync/spool"
        trees.remove(tree)
        tree.parent.mkdir(parents=True, exist_ok=True)
        command.run(["cp", "-a", str(self.master.spool), str(tree)])
        return tuple(
            DatabaseDump(each.engine, each.instance, "x.service", each.digest, each.size, each.version)
            for each in loadables(tree)
        )

    def directory(self, engine: str) -> Path:
        return self.slave.root / PLACES[engine]

    def wanted(self, dumps: tuple[DatabaseDump, ...], budget: Budget = ALL) -> dict[str, WarmLoad]:
        return {load.name: load for load in warm.wanted_loads(self.slave, dumps, budget)}

    def load_all(self, dumps: tuple[DatabaseDump, ...], minutes: float = 60) -> list[bool]:
        clock = SystemClock()
        work = warm_load.WarmDatabases(self.slave, clock, clock.now() + 60 * minutes)
        return [work.load(wanted) for wanted in self.wanted(dumps).values() if not wanted.hindrance]


@pytest.fixture
def world(templates: dict[str, Path], direct: Direct) -> Iterator[World]:
    del direct
    with ExitStack() as stack:
        root = stack.enter_context(servers.open_folder())
        mysql = stack.enter_context(servers.mariadb(templates["mariadb"]))
        pg = stack.enter_context(servers.postgresql(templates["postgresql"]))
        slave = Paths(root / "slave")
        for engine, place in PLACES.items():
            (slave.root / place).parent.mkdir(parents=True)
            command.run(["cp", "-a", str(templates[engine]), str(slave.root / place)])
        command.run(["chown", "-R", "mysql:mysql", str(slave.root / PLACES["mariadb"])])
        slave.replica.mkdir(parents=True, mode=0o700)
        made = World(templates, Paths(root / "master"), slave, mysql, pg)
        made.master.state.mkdir(parents=True)
        mysql.sql(
            "CREATE DATABASE shop; CREATE TABLE shop.fruit (id int PRIMARY KEY, name text); INSERT INTO shop.fruit"
            " VALUES (1, 'apple'), (2, 'pear'); CREATE DATABASE log; CREATE TABLE log.line (id int PRIMARY KEY);"
            " CREATE USER web@localhost IDENTIFIED BY 'x'; GRANT ALL ON shop.* TO web@localhost;"
        )
        pg.psql("CREATE ROLE app LOGIN")
        pg.psql("CREATE DATABASE bank OWNER app")
        pg.psql("CREATE TABLE t (i int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100)", "bank")
        yield made


@contextmanager
def production(world: World, direct: Direct, engine: str, *more: str) -> Iterator[Dataset]:
    """Run a server of production on a data directory."""
    name = f"{engine}@production"
    folder = waiting_servers.folder_of(world.slave, name)
    directory = world.directory(engine)
    if engine == "mariadb":
        argv = (
            "mariadbd",
            "--no-defaults",
            f"--datadir={directory}",
            f"--socket={folder}/socket/s",
            "--skip-networking",
            *more,
        )
        server = WaitingServer(name, "mysql", argv, (directory,), {})
        dataset = Dataset(engine, "default", socket=f"{folder}/socket/s", own_login=True, directories=(str(directory),))
    else:
        server = replace(postgresql_waiting.server_of("15-main", directory, "postgres", folder), name=name)
        dataset = Dataset(
            engine, "15-main", socket=f"{folder}/socket", port=5432, user="postgres", version="15",
            directories=(str(directory),),
        )  # fmt: skip
    direct.start(world.slave, server)
    try:
        yield dataset
    finally:
        direct.stop(world.slave, name)


def promote(world: World, direct: Direct, dumps: Iterable[DatabaseDump], epoch: int = 7) -> list[str]:
    """Start production on the data directories, load what lacks, and return which databases were loaded."""
    loaded: list[str] = []
    for dump in dumps:
        warm.hand_over(world.slave, dump.engine, dump.instance, epoch)
        with production(world, direct, dump.engine) as server:
            folder = folder_of(world, dump)
            holds = warm.handed_over(world.slave, server, epoch, digests(warm.document_of(folder, dump.engine)))
            source = mariadb if dump.engine == "mariadb" else postgresql
            assert source.restore(folder, server, replace(holds, begin=told(holds.begin, loaded))) == dump.digest
    return sorted(loaded)


def folder_of(world: World, dump: DatabaseDump) -> Path:
    return world.slave.replica / "tree/var/lib/hotsync/spool" / dump.engine / dump.instance


def told(begin: Callable[[str], None], names: list[str]) -> Callable[[str], None]:
    def tell(name: str) -> None:
        names.append(name)
        begin(name)

    return tell


def fruits(server: Dataset) -> list[str]:
    return [row[0] for row in ask(server, "SELECT name FROM shop.fruit ORDER BY id;")]


def test_what_was_loaded_beforehand_is_not_loaded_again_and_what_is_newer_is(world: World, direct: Direct) -> None:
    dumps = world.generation()
    assert sorted(world.wanted(dumps)) == ["mariadb/default", "postgresql/15-main"]
    assert world.load_all(dumps) == [True, True]
    assert direct.running == {}, "a server runs only while it loads"
    assert world.wanted(dumps) == {}
    assert [warm.bytes_left(world.slave, dump) for dump in dumps] == [0, 0]
    assert list((world.slave.replica / "pins").iterdir()) == []
    assert not waiting_servers.folder_of(world.slave, "mariadb@default").exists()

    world.mysql.sql("INSERT INTO shop.fruit VALUES (3, 'quince')")
    dumps = world.generation()
    assert list(world.wanted(dumps)) == ["mariadb/default"]
    assert 0 < warm.bytes_left(world.slave, dumps[0]) < dumps[0].size
    assert promote(world, direct, dumps) == ["shop"]
    with production(world, direct, "mariadb") as server:
        assert fruits(server) == ["apple", "pear", "quince"]
        assert ask(server, "SHOW GRANTS FOR web@localhost;"), "accounts are loaded at the promotion"
    with production(world, direct, "postgresql") as server:
        assert postgresql_cluster.ask(login_of(server), "SELECT count(*), min(i), max(i) FROM t", "bank") == "100|1|100"


def test_the_next_run_loads_only_the_database_that_changed(world: World, direct: Direct) -> None:
    world.load_all(world.generation())
    before = load_warm(world.slave)["mariadb/default"]
    world.mysql.sql("INSERT INTO log.line VALUES (1)")
    dumps = world.generation()
    assert world.load_all(dumps) == [True]
    after = load_warm(world.slave)["mariadb/default"]
    assert after.databases["shop"] == before.databases["shop"]
    assert after.databases["log"] != before.databases["log"]
    assert direct.started.count("mariadb@default") == 2
    assert promote(world, direct, dumps) == []


def test_a_server_that_somebody_started_by_hand_is_not_believed(world: World, direct: Direct) -> None:
    dumps = world.generation()
    world.load_all(dumps)
    with production(world, direct, "mariadb") as server:
        ask(server, "DELETE FROM shop.fruit;")
    assert list(world.wanted(dumps)) == ["mariadb/default"]
    assert world.wanted(dumps)["mariadb/default"].bytes_left == dumps[0].size, (
        "all of it is to be loaded, and needs room"
    )
    assert promote(world, direct, dumps) == ["log", "shop"]
    with production(world, direct, "mariadb") as server:
        assert fruits(server) == ["apple", "pear"]


def test_a_promotion_that_was_cut_goes_on_with_what_was_handed_over(world: World, direct: Direct) -> None:
    dumps = world.generation()
    world.load_all(dumps)
    warm.hand_over(world.slave, "mariadb", "default", 7)
    with production(world, direct, "mariadb"):
        pass  # the machine died here
    assert promote(world, direct, dumps, epoch=7) == []
    assert {"bank", "log", "shop"} < set(promote(world, direct, dumps, epoch=8)), "another promotion cannot know"


def test_a_run_that_dies_anywhere_leaves_nothing_that_is_believed(world: World, direct: Direct) -> None:
    dumps = world.generation()
    work = warm_load.WarmDatabases(world.slave, SystemClock(), SystemClock().now() + 3600)
    calls: list[tuple[object, str]] = [(warm_load, "note_warm"), (mariadb_load, "feed"), (mariadb_load, "ask")]
    number, died = 0, True
    while died:
        number += random.randint(1, 6)
        wanted = world.wanted(dumps)["mariadb/default"]

        def load(wanted: WarmLoad = wanted) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            work.load(wanted)

        died = in_a_child(load, calls, number)
        direct.stop(world.slave, "mariadb@default")  # as the next run does
        if died:
            assert "mariadb/default" in world.wanted(dumps)
    assert "mariadb/default" not in world.wanted(dumps)
    assert promote(world, direct, [dump for dump in dumps if dump.engine == "mariadb"]) == []


def test_time_that_is_over_ends_a_load_between_two_databases_and_the_next_goes_on(world: World, direct: Direct) -> None:
    dumps = world.generation()
    assert world.load_all(dumps, minutes=-1) == [False, False]
    assert sorted(world.wanted(dumps)) == ["mariadb/default", "postgresql/15-main"]
    assert world.load_all(dumps) == [True, True]
    assert promote(world, direct, dumps) == []


def test_what_hinders_a_load_is_said(world: World) -> None:
    dumps = world.generation()
    assert world.wanted(dumps, Budget(0, 2**40)) == {}
    small = world.wanted(dumps, Budget(60, 10))
    assert {load.hindrance for load in small.values()} == {"its dumps are larger than WarmGigabytes (0)"}
    trees.remove(world.directory("mariadb"))
    assert "is not here yet" in world.wanted(dumps)["mariadb/default"].hindrance
    odd = tuple(replace(dump, instance="a b") for dump in dumps)
    assert {load.hindrance for load in world.wanted(odd).values()} == {"its name is no name of a unit"}


def test_a_tablespace_of_a_generation_that_came_meanwhile_is_left_to_the_promotion(
    world: World, direct: Direct
) -> None:
    wanted = world.wanted(world.generation())["postgresql/15-main"]
    with servers.open_folder() as folder:
        place = folder / "fast"
        place.mkdir()
        os.chown(place, pwd.getpwnam("postgres").pw_uid, -1)
        world.pg.psql(f"CREATE TABLESPACE fast LOCATION '{place}'")
        dumps = world.generation()
        world.pg.psql("DROP TABLESPACE fast")
        place.rmdir()
        clock = SystemClock()
        with pytest.raises(RestoreFailed, match="it has tablespaces"):
            warm_load.WarmDatabases(world.slave, clock, clock.now() + 3600).load(wanted)
        assert not place.exists(), "root made no folder that the MASTER named"
    assert direct.started == []
    assert load_warm(world.slave) == {}
    assert world.wanted(dumps)["postgresql/15-main"].hindrance == "it has tablespaces"


@pytest.mark.parametrize(
    "setting",
    [
        "innodb_log_group_home_dir",
        pytest.param("innodb_data_home_dir", marks=pytest.mark.full),
        pytest.param("innodb_undo_directory", marks=pytest.mark.full),
    ],
)
def test_a_master_that_keeps_files_elsewhere_is_left_to_the_promotion(
    world: World, direct: Direct, setting: str
) -> None:
    with servers.open_folder() as folder:
        # the files in its template are where nobody looks then
        template = servers.prepare_mariadb(folder / "data", f"--{setting.replace('_', '-')}={folder}")
        with servers.mariadb(template, f"--{setting.replace('_', '-')}={folder}") as mysql:
            world.mysql = mysql
            mysql.sql("CREATE DATABASE shop; CREATE TABLE shop.t (n int); INSERT INTO shop.t VALUES (1)")
            wanted = world.wanted(world.generation())["mariadb/default"]
    assert wanted.hindrance.startswith("it keeps files outside of its data directory (")
    assert f"{setting} is {folder}" in wanted.hindrance
    assert f"{folder} holds nothing here" in wanted.hindrance
    assert direct.started == []


def test_a_system_tablespace_with_odd_parts_is_left_to_the_promotion(world: World, direct: Direct) -> None:
    with servers.open_folder() as folder:
        words = ("--innodb-data-home-dir=", f"--innodb-data-file-path={folder}/one:12M:autoextend")
        template = servers.prepare_mariadb(folder / "data", *words)
        with servers.mariadb(template, *words) as mysql:
            world.mysql = mysql
            wanted = world.wanted(world.generation())["mariadb/default"]
    assert wanted.hindrance == f"innodb_data_file_path of the MASTER's server is '{folder}/one:12M:autoextend'"
    assert direct.started == []


def test_parts_of_this_servers_data_directory_that_lie_elsewhere_are_never_touched(
    world: World, direct: Direct, tmp_path: Path
) -> None:
    dumps = world.generation()
    for engine, part in (("mariadb", "performance_schema"), ("postgresql", "pg_wal")):
        place = world.directory(engine) / part
        place.rename(tmp_path / part)
        place.symlink_to(tmp_path / part)
        wanted = next(load for load in world.wanted(dumps).values() if load.engine == engine)
        assert wanted.hindrance == f"{place} leads out of the data directory of this server"
    assert direct.started == []


def test_a_server_of_production_that_keeps_files_elsewhere_is_loaded_whole(world: World, direct: Direct) -> None:
    dumps = world.generation()
    assert world.load_all(dumps) == [True, True]
    warm.hand_over(world.slave, "mariadb", "default", 1)
    with servers.open_folder() as folder:
        command.run(["chown", "mysql:mysql", str(folder)])
        log, moved = world.directory("mariadb") / "ib_logfile0", folder / "ib_logfile0"
        log.rename(moved)
        with production(world, direct, "mariadb", f"--innodb-log-group-home-dir={folder}") as dataset:
            assert warm.handed_over(world.slave, dataset, 1, {}).databases == {}
        moved.rename(log)
        with production(world, direct, "mariadb") as dataset:
            assert set(warm.handed_over(world.slave, dataset, 1, {}).databases) == {"log", "shop"}


@pytest.mark.parametrize("beforehand", [False, True])
def test_a_promotion_that_one_database_has_stopped_loads_only_that_one_when_it_goes_on(
    world: World, direct: Direct, beforehand: bool
) -> None:
    dumps = tuple(dump for dump in world.generation() if dump.engine == "mariadb")
    if beforehand:
        world.load_all(dumps)
        world.mysql.sql("INSERT INTO log.line VALUES (1); INSERT INTO shop.fruit VALUES (3, 'quince')")
        dumps = tuple(dump for dump in world.generation() if dump.engine == "mariadb")
    bad = folder_of(world, dumps[0]) / "shop.sql"
    good = bad.read_bytes()
    bad.write_bytes(good.replace(b"CREATE TABLE", b"CREATE NONSENSE", 1))
    with pytest.raises(RestoreFailed, match="database shop"):
        promote(world, direct, dumps)
    bad.write_bytes(good)
    assert promote(world, direct, dumps) == ["shop"]
    assert promote(world, direct, dumps) == [], "a promotion that is cut after that loads nothing again"


def test_dumps_that_are_damaged_are_an_error_and_what_was_good_stays(world: World, direct: Direct) -> None:
    world.load_all(world.generation())
    world.mysql.sql("INSERT INTO shop.fruit VALUES (3, 'quince')")
    dumps = world.generation()
    file = world.slave.replica / "tree/var/lib/hotsync/spool/mariadb/default/shop.sql"
    file.write_bytes(file.read_bytes().replace(b"quince", b"quinze"))
    with pytest.raises(RestoreFailed, match="not what was collected"):
        world.load_all(dumps)
    assert direct.running == {}
    held = load_warm(world.slave)["mariadb/default"]
    assert (held.digest, held.databases.get("shop")) == ("", None)
    assert not (world.directory("mariadb") / "shop").exists(), "nothing half stays"
    assert held.databases["log"] != ""


def test_a_server_that_does_not_start_is_an_error_with_its_unit(
    world: World, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    del direct
    dumps = world.generation()

    def fail(*_: object) -> None:
        raise CommandFailed(program="systemd-run", status="exit 1", detail="Job failed", line="systemd-run x")

    monkeypatch.setattr(waiting_servers, "start", fail)
    with pytest.raises(HotSyncError, match="Job failed"):
        world.load_all(dumps)
    assert set(world.wanted(dumps)) == {"mariadb/default", "postgresql/15-main"}


def test_a_directory_that_the_masters_settings_do_not_fit_is_made_anew_unless_it_holds_something_of_this_server(
    world: World, direct: Direct
) -> None:
    with servers.mariadb(world.templates["pages"], "--innodb-page-size=8192") as other:
        other.sql(
            "CREATE DATABASE shop; CREATE TABLE shop.fruit (id int, name text);"
            " INSERT INTO shop.fruit VALUES (1, 'fig')"
        )
        world.mysql = other
        dumps = world.generation()
        assert world.load_all(dumps) == [True, True]
    assert [path.name for path in world.directory("mariadb").parent.glob("mysql*")] == ["mysql"]
    with production(world, direct, "mariadb", "--innodb-page-size=8192") as server:
        assert fruits(server) == ["fig"]


def test_what_alter_system_left_in_a_data_directory_keeps_no_server_from_being_loaded_beforehand(
    world: World, direct: Direct
) -> None:
    del direct
    auto = world.directory("postgresql") / "postgresql.auto.conf"
    auto.write_text(
        "port = 5433\nlisten_addresses = '*'\nunix_socket_directories = '/nowhere'\nhba_file = '/nowhere'\n"
        "shared_buffers = '4TB'\nhuge_pages = on\nshared_preload_libraries = 'nobody_has_this'\n"
        "max_connections = 200000\nwal_level = logical\nmax_wal_senders = 5\narchive_mode = on\n"
        "ssl = on\nsynchronous_standby_names = '*'\nsynchronous_commit = on\nlogging_collector = on\n"
    )
    said = auto.read_text()
    dumps = world.generation()
    assert world.load_all(dumps) == [True, True]
    assert auto.read_text() == said
    assert world.wanted(dumps) == {}


def form_of(world: World) -> dict[str, str]:
    return read_form(world.directory("postgresql"), "postgres", "15")


def test_a_cluster_of_another_form_that_somebody_has_started_meanwhile_is_asked_what_it_holds(
    world: World, direct: Direct
) -> None:
    world.load_all(world.generation())
    assert load_warm(world.slave)["postgresql/15-main"].own == ()
    with production(world, direct, "postgresql") as server:
        postgresql_cluster.ask(login_of(server), "CREATE DATABASE mine")
    with servers.postgresql(world.templates["checksums"]) as world.pg:
        world.load_all(world.generation())
    assert "mine" in (load_warm(world.slave)["postgresql/15-main"].own or ())
    assert form_of(world)["data_checksums"] == "off"


@pytest.mark.parametrize("loaded", [False, True])
def test_a_cluster_whose_files_have_another_form_is_made_anew_once_nothing_of_this_server_is_lost(
    world: World, direct: Direct, loaded: bool
) -> None:
    if loaded:
        world.load_all(world.generation())
    with servers.postgresql(world.templates["checksums"]) as world.pg:
        world.pg.psql("CREATE DATABASE bank")
        world.pg.psql("CREATE TABLE t AS SELECT 1 AS a", "bank")
        dumps = world.generation()
        said = "data_checksums is off here and on on the MASTER, wal_segment_size is 16777216 here and 1048576 on the"
        assert said in warm.other_forms(world.slave, dumps)["postgresql/15-main"]
        world.load_all(dumps)
    assert form_of(world) == {"data_checksums": "on", "wal_segment_size": "1048576"}
    assert warm.other_forms(world.slave, dumps) == {}
    assert world.wanted(dumps) == {}
    with production(world, direct, "postgresql") as server:
        assert postgresql_cluster.ask(login_of(server), "SELECT a FROM t", "bank") == "1"


def test_a_cluster_of_another_form_with_databases_of_this_server_is_loaded_as_it_is_and_told(
    world: World, direct: Direct
) -> None:
    with production(world, direct, "postgresql") as server:
        postgresql_cluster.ask(login_of(server), "CREATE DATABASE mine")
    with servers.postgresql(world.templates["checksums"]) as world.pg:
        dumps = world.generation()
        for _ in range(2):
            world.load_all(dumps)
            assert list(warm.other_forms(world.slave, dumps)) == ["postgresql/15-main"]
    with production(world, direct, "postgresql") as server:
        names = postgresql_cluster.ask(login_of(server), "SELECT datname FROM pg_database WHERE datname = 'mine'")
        assert names == "mine"


def test_databases_of_this_server_are_never_lost_to_settings(world: World, direct: Direct) -> None:
    with production(world, direct, "mariadb") as server:
        ask(server, "CREATE DATABASE mine; CREATE TABLE mine.t (i int);")
    with servers.mariadb(world.templates["pages"], "--innodb-page-size=8192") as other:
        other.sql("CREATE DATABASE shop; CREATE TABLE shop.fruit (id int, name text)")
        world.mysql = other
        with pytest.raises(CommandFailed, match="mariadb@default ended"):
            world.load_all(world.generation())
    with production(world, direct, "mariadb") as server:
        assert ask(server, "SHOW TABLES FROM mine;") == [["t"]]


def test_databases_of_this_server_are_not_lost_either_where_the_run_before_died(world: World, direct: Direct) -> None:
    with production(world, direct, "mariadb") as server:
        ask(server, "CREATE DATABASE mine; CREATE TABLE mine.t (i int);")
    dumps = world.generation()
    wanted = world.wanted(dumps)["mariadb/default"]
    for number in range(1, 5):
        work = warm_load.WarmDatabases(world.slave, SystemClock(), SystemClock().now() + 3600)
        calls: list[tuple[object, str]] = [(warm_load, "note_warm"), (mariadb_databases, "feed")]

        def load(work: warm_load.WarmDatabases = work) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            work.load(wanted)

        assert in_a_child(load, calls, number)
        direct.stop(world.slave, "mariadb@default")
    assert load_warm(world.slave)["mariadb/default"].own == ("mine",)
    with servers.mariadb(world.templates["pages"], "--innodb-page-size=8192") as other:
        other.sql("CREATE DATABASE shop; CREATE TABLE shop.fruit (id int, name text)")
        world.mysql = other
        for _ in range(2):  # what was known before is known after a start that failed
            with pytest.raises(CommandFailed, match="mariadb@default ended"):
                world.load_all(world.generation())
    with production(world, direct, "mariadb") as server:
        assert ask(server, "SHOW TABLES FROM mine;") == [["t"]]


def test_a_dump_that_the_server_refuses_is_told_from_a_server_that_waits_with_less(
    world: World, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    del direct
    work = warm_load.WarmDatabases(world.slave, SystemClock(), SystemClock().now() + 3600)
    spool = world.slave.replica / "tree/var/lib/hotsync/spool/mariadb/default"

    def failing(old: bytes, new: bytes) -> tuple[WarmLoad, HotSyncError]:
        dumps = world.generation()
        (spool / "shop.sql").write_bytes((spool / "shop.sql").read_bytes().replace(old, new))
        wanted = world.wanted(dumps)["mariadb/default"]
        with pytest.raises(HotSyncError) as caught:
            work.load(wanted)
        return wanted, caught.value

    assert work.refuses(*failing(b"CREATE TABLE", b"CREATE NONSENSE"))
    assert set(load_warm(world.slave)["mariadb/default"].databases) == {"log"}, "nothing half stays"
    lacking = b"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'x must be preloaded';CREATE TABLE"
    assert not work.refuses(*failing(b"CREATE TABLE", lacking)), "production may have it"

    def fail(*_: object) -> None:
        raise CommandFailed(program="systemd-run", status="exit 1", detail="Job failed", line="systemd-run x")

    monkeypatch.setattr(waiting_servers, "start", fail)
    assert not work.refuses(*failing(b"", b""))


def test_a_load_that_would_fill_the_disk_is_ended_and_leaves_nothing_half(
    world: World, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = world.directory("mariadb")
    kept = place.with_name("kept")
    place.rename(kept)
    place.mkdir()
    with mounted(place, 360):
        command.run(["cp", "-a", f"{kept}/.", str(place)])
        monkeypatch.setattr(warm_room, "GROWTH", 0.1)  # as a database with many indexes makes it
        monkeypatch.setattr(warm_room, "_SHARE", 0.2)
        monkeypatch.setattr(warm_room, "_SECONDS", 0.05)
        world.mysql.sql(
            "CREATE DATABASE aaa; CREATE TABLE aaa.small (i int); USE shop;"
            "CREATE TABLE shop.large (id int PRIMARY KEY, content mediumtext);"
            "INSERT INTO shop.large SELECT seq, REPEAT('hotsync ', 12500) FROM seq_1_to_3000;"
        )
        dumps = tuple(dump for dump in world.generation() if dump.engine == "mariadb")
        wanted, clock = world.wanted(dumps)["mariadb/default"], SystemClock()
        assert wanted.hindrance == ""
        work = warm_load.WarmDatabases(world.slave, clock, clock.now() + 3600)
        with pytest.raises(RestoreFailed, match="lacks room: the load was ended") as caught:
            work.load(wanted)
        assert not work.refuses(wanted, caught.value), "nothing is wrong with the dump"
        assert direct.running == {}
        assert not (place / "shop").exists()
        assert free_at(place) > warm_room.reserve_at(world.slave, place)
        assert "shop" not in load_warm(world.slave)["mariadb/default"].databases
        assert "lacks room" in world.wanted(dumps)["mariadb/default"].hindrance, "it would end as before"
        command.run(["mount", "-o", "remount,size=1500m", str(place)])
        assert world.load_all(dumps) == [True]
        assert world.wanted(dumps) == {}


def test_what_is_half_loaded_goes_where_there_is_no_room_to_load_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps = world.generation()
    assert world.load_all(dumps) == [True, True]
    halves = {"mariadb/default": "shop", "postgresql/15-main": "bank"}
    for name, database in halves.items():
        server = load_warm(world.slave)[name]
        note_warm(world.slave, name, replace(server, digest="", databases={**server.databases, database: ""}))
    monkeypatch.setattr(warm_room, "free_at", lambda _: 10)
    for name, wanted in world.wanted(dumps).items():
        clock = SystemClock()
        with pytest.raises(RestoreFailed, match="lacks room"):
            warm_load.WarmDatabases(world.slave, clock, clock.now() + 3600).load(wanted)
        assert halves[name] not in load_warm(world.slave)[name].databases
    assert not (world.directory("mariadb") / "shop").exists()
    assert (world.directory("mariadb") / "log").exists(), "what is whole stays"
    assert ["lacks room" in wanted.hindrance for wanted in world.wanted(dumps).values()] == [True, True]
    monkeypatch.undo()
    assert {load.bytes_left > 0 for load in world.wanted(dumps).values()} == {True}


def test_room_for_a_generation_like_the_last_one_stays_free(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    place = world.directory("mariadb")
    monkeypatch.setattr(warm_room, "_SHARE", 0.0)
    world.slave.manifest.parent.mkdir(parents=True, exist_ok=True)
    world.slave.manifest.touch()
    held = [Generation(number, "", 1, 0.0, 0.0, 0.0, 10, 0, 10**9 // number) for number in (1, 2)]
    monkeypatch.setattr(warm_room, "read_generations", lambda _: held)
    assert 5 * 10**8 < warm_room.reserve_at(world.slave, place) < 6 * 10**8
    monkeypatch.setattr(warm_room, "read_generations", lambda _: held[:1])
    assert warm_room.reserve_at(world.slave, place) < 10**8, "the first one brought everything"
    with mounted(place, 64):
        assert warm_room.reserve_at(world.slave, place) == 0, "the replica lies on another disk"


@contextmanager
def mounted(place: Path, megabytes: int) -> Iterator[None]:
    """A small disk of its own."""
    command.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(place)])
    account = pwd.getpwnam("mysql")
    os.chown(place, account.pw_uid, account.pw_gid)
    try:
        yield
    finally:
        command.run(["umount", "--lazy", str(place)])
