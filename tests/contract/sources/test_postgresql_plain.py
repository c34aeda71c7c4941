"""PostgreSQL servers that pg_createcluster did not make, real ones: collected, made anew where they were, loaded."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hotsync.backends.checks import PostgresqlServer, check_postgresql
from hotsync.engine.promotion.served import server_of
from hotsync.errors import CommandFailed, RestoreFailed, SourceError
from hotsync.model.promotion import DatabaseDump
from hotsync.model.report import Verdict
from hotsync.model.selection import Action
from hotsync.sources.documents import PostgresqlCluster, load
from hotsync.sources.postgresql import plain as postgresql_plain
from hotsync.sources.postgresql import source
from hotsync.sources.postgresql.cluster import Login, ask
from hotsync.sources.postgresql.make import make_server, serves
from hotsync.sources.postgresql.plain import Collected, name_them, servers, without_running
from hotsync.sources.processes import Process, running
from hotsync.sources.registry import collect_all, loadables
from hotsync.sources.source import Context, Dataset
from hotsync.system import command
from hotsync.system.clock import SystemClock
from tests.contract.sources.observe import changed, seen
from tests.contract.sources.servers import PG_BIN, Postgresql
from tests.contract.sources.servers import postgresql as start

pytestmark = pytest.mark.contract

UNIT = "pg-shop.service"
HBA = "local all all peer\nhost @readers all 127.0.0.1/32 scram-sha-256\n"
SETTINGS = {
    "more.conf": "work_mem = '5MB'\n", "conf.d/own.conf": "log_min_messages = 'error'\n", "conf.d/not.txt": "",
    "readers": "anna\n", "pg_hba.conf": HBA, "pg_ident.conf": "# nobody\n",
    "server.crt": "a certificate\n", "server.key": "a key\n",
}  # fmt: skip


def in_units(units: dict[str, str]) -> Callable[..., tuple[Process, ...]]:
    """Return what finds the processes as if each ran in the unit that is said for the folder it works in."""

    def found(*words: object) -> tuple[Process, ...]:
        return tuple(replace(each, unit=units.get(_works_in(each), "")) for each in running(postgresql_plain.PROGRAMS))

    return found


def _works_in(process: Process) -> str:
    try:
        return os.readlink(f"/proc/{process.pid}/cwd")
    except OSError:
        return ""


def data_of(server: Postgresql) -> str:
    return str(server.folder / "data")


def plain(server: Postgresql, unit: str = UNIT) -> Dataset:
    """Return a server as it is found on a host where it has a unit."""
    (dataset,) = [
        each for each in servers(in_units({data_of(server): unit})()) if each.place == data_of(server)
    ]  # fmt: skip
    return dataset


def write_settings(server: Postgresql, outside: Path) -> None:
    """Give a server settings in many files, as its own user would."""
    data = server.folder / "data"
    for name, text in SETTINGS.items():
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_text(text)
    outside.write_text("max_connections = 40\n")
    (data / "linked.conf").symlink_to(outside)
    with (data / "postgresql.conf").open("a") as conf:
        conf.write("include_dir = 'conf.d'\ninclude 'more.conf' # more\ninclude_if_exists 'none.conf'\n")
        conf.write("include 'linked.conf'\nssl_key_file = 'server.key'\n")
    command.run(["chown", "--recursive", "--no-dereference", "postgres:postgres", str(data)])


@pytest.fixture
def master(postgresql_template: Path) -> Iterator[Postgresql]:
    with start(postgresql_template) as server:
        outside = server.folder / "outside.conf"
        write_settings(server, outside)
        server.psql("SELECT pg_reload_conf()")
        server.psql("CREATE ROLE shop LOGIN PASSWORD 'x'; CREATE DATABASE shop OWNER shop")
        server.psql("CREATE TABLE goods (id int PRIMARY KEY, name text); INSERT INTO goods VALUES (1, 'apple')", "shop")
        server.psql("ALTER SYSTEM SET log_connections = on")
        yield server


def again(server: Postgresql) -> None:
    """Start a server as its unit does."""
    options = f"-c listen_addresses= -c unix_socket_directories={server.folder} -c fsync=off"
    words = [str(PG_BIN / "pg_ctl"), "-D", data_of(server), "-o", options, "-w", "-l", f"{server.folder}/log", "start"]
    command.run(words, user="postgres", cwd="/")


def is_shut(server: Postgresql) -> bool:
    try:
        server.psql("SELECT 1")
    except CommandFailed:
        return True
    return False


def spooled(context: Context, dataset: Dataset) -> tuple[Path, PostgresqlCluster]:
    folder = context.paths.spool / dataset.name
    return folder, load(folder / "cluster.json", PostgresqlCluster)


def test_a_server_comes_back_where_it_was_with_its_settings(master: Postgresql, context: Context) -> None:
    dataset = plain(master)
    assert (dataset.instance, dataset.user, dataset.port, dataset.fault) == ("15-pg-shop", "postgres", 5432, "")
    assert dataset.programs == str(PG_BIN)
    source.collect(context, dataset)
    folder, document = spooled(context, dataset)
    (found,) = loadables(context.paths.spool)
    assert (found.instance, found.unit, found.directory) == ("15-pg-shop", UNIT, data_of(master))
    assert not [check for check in source.verify(folder) if check.verdict is not Verdict.GREEN]
    carried = {"postgresql.conf", "postgresql.auto.conf", *SETTINGS} - {"conf.d/not.txt"}
    assert {record.file.removeprefix("settings/") for record in document.configuration} == carried
    assert document.links == (("linked.conf", str(master.folder / "outside.conf")),)
    before, roles = master.dump("shop"), master.globals()
    texts = {name: (master.folder / "data" / name).read_text() for name in carried}
    master.stop()
    shutil.rmtree(data_of(master))

    make_server(folder, document, dataset.instance)
    data, owner = master.folder / "data", pwd.getpwnam("postgres").pw_uid
    assert {name: (data / name).read_text() for name in carried} == texts
    for name in (*carried, "."):
        status = (data / name).stat()
        mode = 0o700 if name == "." else 0o600
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (mode, owner), name
    assert os.readlink(data / "linked.conf") == str(master.folder / "outside.conf")
    assert not [*master.folder.glob("*hotsync*"), *data.rglob("*hotsync*")]
    again(master)
    now = plain(master)
    assert serves(now, "another-name", document.place)
    assert source.restore(folder, now) == document.digest
    assert master.dump("shop") == before
    assert master.globals() == roles
    assert master.psql("SHOW work_mem").strip() == "5MB"
    assert master.psql("SHOW max_connections").strip() == "40"


def test_where_nothing_changed_nothing_is_touched_and_a_setting_alone_is_seen(
    master: Postgresql, context: Context
) -> None:
    dataset = plain(master)
    source.collect(context, dataset)
    source.collect(context, dataset)
    before = seen(context.paths.spool)
    source.collect(context, dataset)
    assert changed(before, seen(context.paths.spool)) == set()
    (master.folder / "data/more.conf").write_text("work_mem = '6MB'\n")
    source.collect(context, dataset)
    name = dataset.name
    different = changed(before, seen(context.paths.spool)) - {name, f"{name}/settings"}
    assert different == {f"{name}/cluster.json", f"{name}/settings/more.conf"}


def test_a_data_directory_that_is_there_is_used_and_its_own_settings_stay_beside(
    master: Postgresql, context: Context
) -> None:
    dataset = plain(master)
    source.collect(context, dataset)
    folder, document = spooled(context, dataset)
    master.psql("CREATE DATABASE own")
    data = master.folder / "data"
    (data / "more.conf").write_text("work_mem = '7MB'\n")
    for _ in range(2):
        make_server(folder, document, dataset.instance)
        assert (data / "more.conf").read_text() == SETTINGS["more.conf"]
        assert (data / "more.conf.hotsync-before").read_text() == "work_mem = '7MB'\n"
    assert [path.name for path in data.glob("*.hotsync-*")] == ["more.conf.hotsync-before"]
    source.restore(folder, dataset)
    assert master.psql("SELECT count(*) FROM pg_database WHERE datname = 'own'").strip() == "1"


def test_what_is_no_place_for_it_is_refused_by_name_and_left_alone(
    master: Postgresql, context: Context, tmp_path: Path
) -> None:
    dataset = plain(master)
    source.collect(context, dataset)
    folder, document = spooled(context, dataset)
    other = master.folder / "other"
    other.mkdir()
    (other / "letter").write_text("mine")
    (master.folder / "etc").symlink_to("/etc")
    old = master.folder / "old"
    old.mkdir()
    (old / "PG_VERSION").write_text("13\n")
    refused = {
        "holds something here": replace(document, place=str(other)),
        "leads elsewhere": replace(document, place=str(master.folder / "etc/pgdata")),
        "is a folder of the system": replace(document, place="/etc/pgdata"),
        "PostgreSQL 13 here": replace(document, place=str(old)),
        "there is no user": replace(document, user="nobody-has-this"),
        "is no unit": replace(document, unit="../x.service"),
        "is not installed": replace(document, version="990001", place=str(master.folder / "new")),
    }
    for said, hostile in refused.items():
        instance = "99-pg-shop" if hostile.version == "990001" else dataset.instance
        with pytest.raises(RestoreFailed, match=said):
            make_server(folder, hostile, instance)
    assert os.listdir(other) == ["letter"]
    assert not Path("/etc/pgdata").exists()
    assert not (master.folder / "new").exists()
    (folder / "settings/more.conf").write_text("work_mem = '9MB'\n")
    with pytest.raises(RestoreFailed, match=r"settings/more\.conf is not what was collected"):
        make_server(folder, document, dataset.instance)


def test_one_that_lets_its_own_user_not_in_keeps_its_last_copy_and_is_named(
    master: Postgresql, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_plain, "running", in_units({data_of(master): UNIT}))
    good = collect_all(context, sources=(source,))
    assert not [each for each in good.failures if "15-pg-shop" in each.sentence]
    before = seen(context.paths.spool)
    (master.folder / "data/pg_hba.conf").write_text("local all all reject\n")
    master.psql("SELECT pg_reload_conf()")
    while not is_shut(master):
        pass  # the server reads it in a moment
    done = collect_all(context, sources=(source,))
    (failure,) = [each for each in done.failures if "15-pg-shop" in each.sentence]
    assert "pg_hba.conf" in failure.sentence
    assert changed(before, seen(context.paths.spool)) == set()
    assert {point.name for point in done.points if point.stale_since} >= {"postgresql/15-pg-shop"}


def test_one_that_was_killed_is_named_and_its_last_copy_stays(
    master: Postgresql, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_plain, "running", in_units({data_of(master): UNIT}))
    done = collect_all(context, sources=(source,))
    (rule,) = [rule for rule in done.rules if rule.pattern == data_of(master)]
    assert rule.action is Action.PROTECT
    before = seen(context.paths.spool)
    master.stop()
    done = collect_all(context, sources=(source,))
    (failure,) = [each for each in done.failures if "15-pg-shop" in each.sentence]
    assert "does not run" in failure.sentence
    assert changed(before, seen(context.paths.spool)) == set()
    assert data_of(master) in {rule.pattern for rule in done.rules}


def test_one_that_a_plugin_dumps_is_neither_collected_nor_named(
    master: Postgresql, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_plain, "running", in_units({data_of(master): UNIT}))
    done = collect_all(context, sources=(source,), elsewhere=("postgresql/15-pg-shop",))
    assert not [each for each in done.failures if "15-pg-shop" in each.sentence]
    assert not (context.paths.spool / "postgresql/15-pg-shop").exists()
    assert data_of(master) in {rule.pattern for rule in done.rules}


def test_one_in_no_unit_or_with_tools_of_another_version_is_a_fault(master: Postgresql, context: Context) -> None:
    for unit in ("", "cron.service", "user@1000.service"):
        dataset = plain(master, unit)
        assert "runs in no unit of its own" in dataset.fault
        with pytest.raises(SourceError, match="no promotion could start it"):
            source.collect(context, dataset)
    with pytest.raises(SourceError, match=r"pg_dump is of PostgreSQL 15, and the server of 14"):
        source.collect(context, replace(plain(master), version="14"))


def test_two_in_one_unit_and_one_beside_a_cluster_of_its_name_have_names_of_their_own(
    postgresql_template: Path, context: Context
) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(start(postgresql_template)) for _ in range(2))
        second.psql("CREATE DATABASE second")
        both = [plain(first, "many.service"), plain(second, "many.service")]
        named = name_them(both, (), {})
        assert {each.instance.partition("--")[0] for each in named} == {"15-many"}
        assert len({each.instance for each in named}) == 2
        for each in named:
            source.collect(context, each)
        names = [{database.name for database in spooled(context, each)[1].databases} for each in named]
        assert [("second" in each) for each in names] == [False, True]
        collected = {each.instance: Collected(each.unit, each.place) for each in named}
        (alone,) = name_them([both[1]], (), collected)
        assert alone.instance == named[1].instance
        assert list(without_running(collected, [alone], ())) == [named[0].instance]
        (shadowed,) = name_them([both[0]], [Dataset("postgresql", "15-many")], {})
        assert shadowed.instance == named[0].instance
        # its name was another one's, whose files lie elsewhere
        (other,) = name_them([both[0]], (), {"15-many": Collected("many.service", "/srv/elsewhere")})
        assert other.instance == named[0].instance


class Unit(SystemClock):
    """A clock in whose first second the server's unit has started it."""

    def __init__(self, server: Postgresql) -> None:
        self._server, self.looks = server, 0

    def sleep(self, seconds: float) -> None:
        self.looks += 1
        if self.looks == 1:
            again(self._server)


def test_the_server_of_a_dump_is_found_by_its_place_and_waited_for(
    master: Postgresql, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_CLUSTER_CONF_ROOT", str(context.paths.root / "no-clusters"))
    monkeypatch.setattr(postgresql_plain, "running", in_units({data_of(master): "another.service"}))
    dump = DatabaseDump("postgresql", "15-pg-shop", UNIT, "d" * 64, directory=data_of(master))
    clock = Unit(master)
    assert server_of(context.paths, dump, clock).instance == "15-another"
    assert clock.looks == 0
    master.stop()
    found = server_of(context.paths, dump, clock)
    assert (found.socket, found.port, clock.looks) == (str(master.folder), 5432, 1)
    for other in (replace(dump, directory="/srv/elsewhere"), replace(dump, directory="", instance="15-another")):
        with pytest.raises(RestoreFailed, match="no such server runs here"):
            server_of(context.paths, other, clock)


def test_the_check_enters_every_database_as_the_servers_user(master: Postgresql) -> None:
    master.psql('CREATE DATABASE "a=b \'c"')
    here = PostgresqlServer("15-pg-shop", partial(ask, Login("postgres", str(master.folder), 5432, "15")))
    check = check_postgresql("p", "it answers", lambda: [here])
    assert (check.verdict, check.detail) == (Verdict.GREEN, "4 databases can be entered")
    down = replace(here, fault="pg-shop.service is enabled and does not run")
    check = check_postgresql("p", "it answers", lambda: [here, down])
    assert (check.verdict, "pg-shop.service" in check.detail) == (Verdict.RED, True)
