"""After a load: the rows are counted, and whatever differs is said with the table; and what a load needs around it."""

from __future__ import annotations

import json
import os
import pwd
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import RestoreFailed, SourceError
from hotsync.model.report import Notice
from hotsync.sources import instances
from hotsync.sources.documents import MariadbInstance, PostgresqlCluster, load
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.mariadb.make import make_server
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.source import Context
from hotsync.system import command
from tests.contract.sources.servers import Mariadb, Postgresql, open_folder
from tests.contract.sources.servers import mariadb as start_mariadb
from tests.contract.sources.servers import postgresql as start_postgresql

pytestmark = pytest.mark.contract


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_rows_that_are_missing_after_a_load_are_said_with_their_table(
    mariadb_template: Path, other_mariadb: Mariadb, context: Context
) -> None:
    folder = context.paths.spool / "mariadb/default"
    with start_mariadb(mariadb_template) as master:
        master.sql(
            "CREATE DATABASE d; USE d; CREATE TABLE `a``t` (i int PRIMARY KEY, v text);"
            "INSERT INTO `a``t` SELECT seq, concat(seq, '),\\n(', seq) FROM seq_1_to_5000; CREATE TABLE none (a int);"
            "CREATE TABLE isam (a int) ENGINE=MyISAM; INSERT INTO isam VALUES (1), (1);"
            "CREATE TABLE merged (a int) ENGINE=MERGE UNION=(isam); CREATE TABLE h (a int) WITH SYSTEM VERSIONING;"
            "INSERT INTO h VALUES (1), (2); UPDATE h SET a = 3 WHERE a = 1; DELETE FROM h WHERE a = 2"
        )
        mariadb.collect(context, master.dataset())
    document = load(folder / "instance.json", MariadbInstance)
    assert document.databases[0].tables == (("a`t", 5000), ("h", 3), ("isam", 2), ("none", 0))
    mariadb.restore(folder, other_mariadb.dataset())
    change(folder / "instance.json", "5000", "5001")
    with pytest.raises(RestoreFailed, match="table a`t of d has 5000 rows, its dump 5001"):
        mariadb.restore(folder, other_mariadb.dataset())


def test_rows_that_are_missing_in_a_cluster_are_said_with_their_table(
    postgresql_template: Path, other_postgresql: Postgresql, context: Context
) -> None:
    folder = context.paths.spool / "postgresql/15-main"
    with start_postgresql(postgresql_template) as master:
        master.psql("CREATE DATABASE d")
        master.psql(
            'CREATE SCHEMA "S\n"; CREATE TABLE "S\n"."t""\n\\" AS'
            " SELECT n, E'a\\nb\\\\.\\n' FROM generate_series(1, 7) n;"
            "CREATE TABLE none (); CREATE TABLE wide (); INSERT INTO wide DEFAULT VALUES;"
            "CREATE TABLE parts (a int) PARTITION BY HASH (a);"
            "CREATE TABLE p0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
            "CREATE TABLE p1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
            "INSERT INTO parts SELECT generate_series(1, 50); CREATE TABLE child () INHERITS (wide);"
            "INSERT INTO child DEFAULT VALUES; SELECT lo_from_bytea(0, 'x'), lo_from_bytea(0, 'y')",
            "d",
        )
        postgresql.collect(context, master.dataset())
    database = next(each for each in load(folder / "cluster.json", PostgresqlCluster).databases if each.name == "d")
    found = {(schema, table): rows for schema, table, rows in database.tables}
    assert found["S\n", 't"\n\\'] == 7
    assert (found["public", "none"], found["public", "wide"], found["public", "child"]) == (0, 1, 1)
    assert found["public", "p0"] + found["public", "p1"] == 50
    assert ("public", "parts") not in found
    assert database.large_objects == 2
    postgresql.restore(folder, other_postgresql.dataset())
    change(folder / "cluster.json", '"large_objects": 2', '"large_objects": 3')
    with pytest.raises(RestoreFailed, match="d has 2 large objects, its dump 3"):
        postgresql.restore(folder, other_postgresql.dataset())
    document = json.loads((folder / "cluster.json").read_text())
    tables = next(each for each in document["databases"] if each["name"] == "d")["tables"]
    next(table for table in tables if table[1] == "wide")[2] = 2
    (folder / "cluster.json").write_text(json.dumps(document))
    with pytest.raises(RestoreFailed, match=r"table public\.wide of d has 1 rows, its dump 2"):
        postgresql.restore(folder, other_postgresql.dataset())


def test_no_event_runs_on_what_is_half_loaded_and_events_run_again_afterwards(
    mariadb_template: Path, context: Context
) -> None:
    folder = context.paths.spool / "mariadb/default"
    with start_mariadb(mariadb_template) as master:
        master.sql(
            "CREATE DATABASE d; CREATE TABLE d.t (a int); INSERT INTO d.t VALUES (1);"
            "CREATE EVENT d.e ON SCHEDULE EVERY 1 SECOND DO DELETE FROM d.t;"
            "CREATE DATABASE e; CREATE TABLE e.t (a int)"
        )
        mariadb.collect(context, master.dataset())
    with start_mariadb(mariadb_template, "--event-scheduler=ON") as server:
        text = (folder / "instance.json").read_text()
        (folder / "instance.json").write_text(
            text.replace('[\n     "t",\n     0\n    ]', '[\n     "t",\n     9\n    ]')
        )
        with pytest.raises(RestoreFailed, match="table t of e"):
            mariadb.restore(folder, server.dataset())
        assert server.sql("SELECT @@event_scheduler").strip() == "OFF", "half of it is loaded"
        assert server.sql("SELECT COUNT(*) FROM d.t").strip() == "1"
        (folder / "instance.json").write_text(text)
        mariadb.restore(folder, server.dataset())
        assert server.sql("SELECT @@event_scheduler").strip() == "ON"
        assert "hotsync" not in server.sql("SELECT User FROM mysql.user")


def test_a_folder_for_each_tablespace_is_made_and_only_the_clusters_user_gets_one(
    postgresql_template: Path, other_postgresql: Postgresql, context: Context
) -> None:
    folder = context.paths.spool / "postgresql/15-main"
    owner = pwd.getpwnam("postgres")
    with open_folder() as place:
        space, other = place / "disk/sp ace", place / "other"
        for each in (space.parent, space, other):
            each.mkdir()
            os.chown(each, owner.pw_uid, owner.pw_gid)
        with start_postgresql(postgresql_template) as master:
            master.psql(f"CREATE TABLESPACE fast LOCATION '{space}'")
            master.psql("CREATE DATABASE d TABLESPACE fast")
            master.psql("CREATE TABLE t AS SELECT 1 AS a", "d")
            postgresql.collect(context, master.dataset())
        command.run(["rm", "-r", str(place / "disk")])
        space.parent.mkdir()
        space.mkdir()
        (space / "somebody's").touch()
        with pytest.raises(RestoreFailed, match="holds something else") as caught:
            postgresql.restore(folder, other_postgresql.dataset())
        assert str(space) in caught.value.hint
        command.run(["rm", "-r", str(space.parent)])
        postgresql.restore(folder, other_postgresql.dataset())
        assert (space.stat().st_uid, space.stat().st_mode & 0o777) == (owner.pw_uid, 0o700)
        spaces = "SELECT spcname FROM pg_database d JOIN pg_tablespace s ON s.oid = dattablespace WHERE datname = 'd'"
        assert other_postgresql.psql(spaces).strip() == "fast"
        postgresql.restore(folder, other_postgresql.dataset())
        assert other_postgresql.psql("SELECT a FROM t", "d").strip() == "1"
        other_postgresql.psql("DROP DATABASE d")
        other_postgresql.psql("DROP TABLESPACE fast")


def test_the_extensions_of_a_database_are_told(postgresql_template: Path, context: Context) -> None:
    with start_postgresql(postgresql_template) as master:
        master.psql("CREATE EXTENSION hstore")
        postgresql.collect(context, master.dataset())
    document = load(context.paths.spool / "postgresql/15-main/cluster.json", PostgresqlCluster)
    assert {each.name: each.extensions for each in document.databases}["postgres"] == ("hstore",)


def test_an_account_that_does_not_see_everything_is_refused_with_what_it_lacks(
    mariadb_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_mariadb(mariadb_template) as server:
        server.sql(
            "CREATE DATABASE d; CREATE USER dumper@localhost IDENTIFIED BY 'x';"
            "GRANT SELECT, SHOW DATABASES, SHOW VIEW, LOCK TABLES ON *.* TO dumper@localhost"
        )
        (context.paths.root / ".my.cnf").write_text("[client]\nuser=dumper\npassword=x\n")
        monkeypatch.setitem(command.ENVIRONMENT, "HOME", str(context.paths.root))
        with pytest.raises(SourceError, match=r"the account dumper@localhost lacks EVENT, TRIGGER on") as caught:
            mariadb.collect(context, server.dataset())
        assert "GRANT EVENT" in caught.value.hint
        monkeypatch.undo()
        server.sql(
            "CREATE ROLE keeper; GRANT EVENT, TRIGGER ON *.* TO keeper; GRANT keeper TO dumper@localhost;"
            "SET DEFAULT ROLE keeper FOR dumper@localhost"
        )
        monkeypatch.setitem(command.ENVIRONMENT, "HOME", str(context.paths.root))
        mariadb.collect(context, server.dataset())
        monkeypatch.undo()


def fill(stack: ExitStack, argv: list[str], user: str | None = None) -> int:
    """Open sessions until the server takes no more; return how many it took."""
    for number in range(50):
        process = stack.enter_context(
            command.spawn(argv, stdin=command.PIPE, stderr=command.DEVNULL, user=user, cwd="/")
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(b"SELECT 1;\n")
            process.stdin.flush()
        if process.stdout.readline() != b"1\n":
            return number
    raise AssertionError("it takes them all")


def test_a_server_that_takes_no_more_connections_says_so(mariadb_template: Path, context: Context) -> None:
    with start_mariadb(mariadb_template, "--max-connections=10") as server, ExitStack() as stack:
        assert fill(stack, ["mariadb", f"--socket={server.socket}", "--unbuffered", "-sN"]) > 5
        with pytest.raises(SourceError, match="1040") as caught:
            mariadb.collect(context, server.dataset())
    assert "max_connections" in caught.value.hint


def test_a_cluster_that_takes_no_more_connections_says_so(postgresql_template: Path, context: Context) -> None:
    more = "-c max_connections=4 -c superuser_reserved_connections=0"
    with start_postgresql(postgresql_template, more) as cluster, ExitStack() as stack:
        assert fill(stack, ["psql", "-XAtq", f"--host={cluster.folder}"], "postgres") == 4
        with pytest.raises(SourceError, match="too many clients already"):
            postgresql.collect(context, cluster.dataset())


def test_a_cluster_whose_socket_belongs_to_another_user_is_not_spoken_to(
    postgresql_template: Path, context: Context
) -> None:
    with start_postgresql(postgresql_template) as cluster:
        postgresql.collect(context, cluster.dataset())
        with pytest.raises(
            SourceError, match='requirepeer specifies "www-data", but actual peer user name is "postgres"'
        ):
            postgresql.collect(context, replace(cluster.dataset(), user="www-data"))


def test_a_server_that_somebody_started_for_himself_is_named_and_not_spoken_to(
    mariadb_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_mariadb(mariadb_template) as server:
        os.chown(server.socket, 1234, 1234)
        notices: list[Notice] = []
        found = mariadb.inspect(replace(context, notice=notices.append))
        assert server.socket not in {dataset.socket for dataset in found}
        assert [server.socket in notice.sentence for notice in notices if "own its socket" in notice.sentence] == [True]
        os.chown(server.socket, 0, 0)
        monkeypatch.setattr(instances, "LAST_SYSTEM_ACCOUNT", -1)
        notices.clear()
        mariadb.inspect(replace(context, notice=notices.append))
        assert any(f"{server.socket} (process" in notice.sentence for notice in notices)


def test_a_data_directory_is_made_where_there_is_none(
    mariadb_template: Path, other_mariadb: Mariadb, context: Context
) -> None:
    with start_mariadb(mariadb_template) as server:
        server.sql("CREATE DATABASE d")
        mariadb.collect(context, server.dataset())
    document = load(context.paths.spool / "mariadb/default/instance.json", MariadbInstance)
    with open_folder() as folder:
        there = folder / "data/second"
        make_server(replace(document, directory=str(there), user="root"), "second")
        inode = (there / "mysql").stat().st_ino
        make_server(replace(document, directory=str(there), user="root"), "second")
        assert (there / "mysql").stat().st_ino == inode
        with start_mariadb(there) as made:
            mariadb.restore(context.paths.spool / "mariadb/default", made.dataset())
            assert made.databases() == ["d"]
        (folder / "full").mkdir()
        (folder / "full/of").touch()
        with pytest.raises(RestoreFailed, match="holds something"):
            make_server(replace(document, directory=str(folder / "full")), "second")
        with pytest.raises(RestoreFailed, match="no data directory"):
            make_server(replace(document, directory="/a/../etc"), "second")


def test_dumps_of_an_older_server_are_loaded_and_those_of_another_kind_are_not(
    mariadb_template: Path,
    other_mariadb: Mariadb,
    other_postgresql: Postgresql,
    context: Context,
    postgresql_template: Path,
) -> None:
    with start_mariadb(mariadb_template) as server:
        server.sql("CREATE DATABASE d")
        mariadb.collect(context, server.dataset())
        version = server.sql("SELECT VERSION()").strip()
    folder = context.paths.spool / "mariadb/default"
    change(folder / "instance.json", version, "10.3.39-MariaDB")
    mariadb.restore(folder, other_mariadb.dataset())
    assert other_mariadb.databases() == ["d"]
    change(folder / "instance.json", "10.3.39-MariaDB", "8.0.36-28")
    with pytest.raises(RestoreFailed, match=r"the dumps are of 8\.0\.36-28"):
        mariadb.restore(folder, other_mariadb.dataset())
    with start_postgresql(postgresql_template) as cluster:
        postgresql.collect(context, cluster.dataset())
    folder = context.paths.spool / "postgresql/15-main"
    document = json.loads((folder / "cluster.json").read_text())
    (folder / "cluster.json").write_text(json.dumps({**document, "version": "130011"}))
    postgresql.restore(folder, other_postgresql.dataset())
