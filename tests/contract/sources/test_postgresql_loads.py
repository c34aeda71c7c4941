"""PostgreSQL: of a cluster that holds databases already only what changed is loaded, and all is as on the MASTER."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hotsync.errors import RestoreFailed
from hotsync.sources import documents
from hotsync.sources.documents import PostgresqlCluster
from hotsync.sources.postgresql import database as pgdatabase
from hotsync.sources.postgresql import load as postgresql_load
from hotsync.sources.postgresql import source
from hotsync.sources.postgresql.cluster import make_cluster
from hotsync.sources.source import OTHER_DUMPS, Context, LoadPaused
from hotsync.sources.spool import Digest, digest_of
from hotsync.system import command
from tests.contract.sources.engines import in_a_child
from tests.contract.sources.observe import seen
from tests.contract.sources.records import Records
from tests.contract.sources.servers import PG_BIN, Postgresql, open_folder
from tests.contract.sources.servers import postgresql as start

pytestmark = pytest.mark.contract


@pytest.fixture
def master(postgresql: Postgresql) -> Iterator[Postgresql]:
    """Two databases beside the cluster's own."""
    for name in ("one", "two"):
        postgresql.psql(f"CREATE DATABASE {name}")
        postgresql.psql("CREATE TABLE t AS SELECT 1 AS a", name)
    yield postgresql
    for name in ("one", "two", "three"):
        postgresql.psql(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def server(other_postgresql: Postgresql) -> Iterator[Postgresql]:
    yield other_postgresql
    for name in ("one", "two", "three", "own"):
        other_postgresql.psql(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "records.json")


def collected(context: Context, cluster: Postgresql) -> Path:
    source.collect(context, cluster.dataset())
    return context.paths.spool / "postgresql/15-main"


def rows_of(folder: Path, database: str) -> Path:
    """Return the file with the rows of a database's table `t`."""
    return next(path for path in (folder / f"{database}.dump").glob("*.dat") if path.read_bytes().startswith(b"1\n"))


def dumped(folder: Path, file: Path, content: bytes) -> None:
    """Change a file of a dump as if the MASTER had sent it so."""
    file.write_bytes(content)
    document = json.loads((folder / "cluster.json").read_bytes())
    for database in document["databases"]:
        for record in database["content"]:
            if record["file"] == str(file.relative_to(folder)):
                record |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "cluster.json").write_text(json.dumps(document))


def names(server: Postgresql) -> list[str]:
    return server.psql("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1").split()


def test_what_a_cluster_holds_already_is_neither_read_nor_touched(
    master: Postgresql, server: Postgresql, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    source.restore(folder, server.dataset(), records.loaded(folder))
    assert records.databases == documents.digests(documents.load(folder / "cluster.json", PostgresqlCluster))
    assert records.databases.keys() == {"one", "two", "postgres", "template1"}
    master.psql("INSERT INTO t VALUES (2)", "two")
    master.psql("CREATE ROLE late")
    folder = collected(context, master)
    server.psql("INSERT INTO t VALUES (44)", "one")
    for file in (folder / "one.dump").iterdir():
        file.write_text("NONSENSE")
    digest = source.restore(folder, server.dataset(), records.loaded(folder))
    assert digest == documents.load(folder / "cluster.json", PostgresqlCluster).digest
    assert records.told == ["begin two", "done two"]
    assert server.psql("SELECT a FROM t", "one").split() == ["1", "44"]
    assert server.dump("two") == master.dump("two")
    master.psql("ALTER DATABASE one OWNER TO late")
    shutil.rmtree(folder)
    folder = collected(context, master)
    source.restore(folder, server.dataset(), records.loaded(folder))
    assert "begin one" in records.told, "its rows are the same, its owner is not"
    assert (server.dump("one"), server.globals()) == (master.dump("one"), master.globals())
    master.psql("ALTER DATABASE one OWNER TO postgres")
    master.psql("DROP ROLE late")


def test_what_somebody_dropped_and_what_nobody_knows_is_loaded_and_what_the_master_dropped_goes(
    master: Postgresql, server: Postgresql, context: Context, records: Records
) -> None:
    master.psql("CREATE DATABASE three IS_TEMPLATE true")
    folder = collected(context, master)
    source.restore(folder, server.dataset(), records.loaded(folder))
    server.psql("DROP DATABASE one")
    server.psql("DELETE FROM t", "two")
    server.psql("CREATE DATABASE own")
    records.forget("two")
    records.forget("three")
    master.psql("ALTER DATABASE three IS_TEMPLATE false")
    master.psql("DROP DATABASE three")
    folder = collected(context, master)
    source.restore(folder, server.dataset(), records.loaded(folder))
    assert records.told == ["begin three", "begin one", "begin two", "done one", "done two"]
    assert (server.dump("one"), server.dump("two")) == (master.dump("one"), master.dump("two"))
    assert names(server) == ["one", "own", "postgres", "two"]


def test_a_load_that_pauses_goes_on_where_it_was(
    master: Postgresql, server: Postgresql, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    with pytest.raises(LoadPaused, match=r"4 databases of postgresql/15-main"):
        source.restore(folder, server.dataset(), records.loaded(folder, lambda: False))
    assert (records.told, names(server)) == ([], ["postgres"])
    twice = iter([True, True, False])
    with pytest.raises(LoadPaused, match="2 databases"):
        source.restore(folder, server.dataset(), records.loaded(folder, lambda: next(twice)))
    assert records.told == ["begin one", "begin postgres", "done one", "done postgres"]
    source.restore(folder, server.dataset(), records.loaded(folder))
    assert records.told == ["begin template1", "begin two", "done template1", "done two"]
    assert server.dump("two") == master.dump("two")


def test_a_load_that_died_anywhere_goes_on_and_ends_right(
    master: Postgresql,
    server: Postgresql,
    context: Context,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgresql_load, "DURABLE_EVERY", 0)
    # only this process dies, no server and no power: nothing has to be on disk
    monkeypatch.setattr(postgresql_load, "sync_filesystem", lambda path: None)
    folder = collected(context, master)
    source.restore(folder, server.dataset(), records.loaded(folder))
    old = records.file.read_text()
    master.psql("UPDATE t SET a = 5", "one")
    master.psql("DROP DATABASE two")
    master.psql("CREATE DATABASE three")
    folder = collected(context, master)
    calls: list[tuple[object, str]] = [(pgdatabase, "drop_database"), (pgdatabase, "check_rows")]
    calls += [(postgresql_load, "_make_durable"), (records, "begin"), (records, "done")]
    number, died, wholes = 0, True, set[frozenset[str]]()
    while died:
        number += 1
        records.file.write_text(old)
        work = partial(source.restore, folder, server.dataset(), records.loaded(folder))
        died = in_a_child(work, calls, number)
        whole = {name for name, digest in records.databases.items() if digest and digest == records.known.get(name)}
        source.restore(folder, server.dataset(), records.loaded(folder))
        assert not whole & {line.split()[1] for line in records.told if line.startswith("begin")}, number
        assert names(server) == ["one", "postgres", "three"], number
        assert server.psql("SELECT a FROM t", "one").split() == ["5"], number
        wholes.add(frozenset(whole & {"one", "three"}))
        server.psql("UPDATE t SET a = 1", "one")
        server.psql("DROP DATABASE three")
        server.psql("CREATE DATABASE two")
    assert number > 10
    assert {frozenset[str](), frozenset({"one"}), frozenset({"one", "three"})} == wholes


def test_a_database_that_subscribes_to_another_server_is_made_anew(
    master: Postgresql, server: Postgresql, context: Context, records: Records
) -> None:
    made = "WITH (connect = false, slot_name = s)"
    master.psql(f"CREATE SUBSCRIPTION \"from 'there\" CONNECTION 'host=/nowhere' PUBLICATION p {made}", "one")
    folder = collected(context, master)
    source.restore(folder, server.dataset(), records.loaded(folder))
    master.psql("INSERT INTO t VALUES (2)", "one")
    folder = collected(context, master)
    source.restore(folder, server.dataset(), records.loaded(folder))
    assert records.told == ["begin one", "done one"]
    assert server.dump("one") == master.dump("one")
    for each in (master, server):
        each.psql('ALTER SUBSCRIPTION "from \'there" SET (slot_name = NONE)', "one")
        each.psql('DROP SUBSCRIPTION "from \'there"', "one")


def test_a_dump_that_cannot_be_loaded_costs_only_its_own_database(
    master: Postgresql, server: Postgresql, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    rows = rows_of(folder, "two")
    dumped(folder, rows, rows.read_bytes().replace(b"1", b"x"))
    with pytest.raises(RestoreFailed, match="database two: pg_restore: "):
        source.restore(folder, server.dataset(), records.loaded(folder))
    assert {name for name, digest in records.databases.items() if not digest} == {"two"}
    dumped(folder, rows, rows.read_bytes().replace(b"x", b"1"))
    source.restore(folder, server.dataset(), records.loaded(folder))
    assert records.told == ["begin two", "done two"]
    assert server.dump("two") == master.dump("two")


def test_a_dump_of_which_one_byte_is_another_is_not_loaded_and_the_database_stays_as_it_was(
    master: Postgresql, server: Postgresql, context: Context, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = collected(context, master)
    source.restore(folder, server.dataset(), records.loaded(folder))
    for name in ("one", "two"):
        master.psql("INSERT INTO t VALUES (1000)", name)
    folder = collected(context, master)
    rows = rows_of(folder, "one")
    good = rows.read_bytes()
    rows.write_bytes(good.replace(b"1000", b"9000"))
    with pytest.raises(
        RestoreFailed, match=rf"database one: one\.dump/{rows.name} is not what was collected"
    ) as failed:
        source.restore(folder, server.dataset(), records.loaded(folder))
    assert failed.value.databases == ("one",)
    assert failed.value.hint == OTHER_DUMPS
    assert records.told == ["begin two", "done two"], "nothing was done to it"
    assert server.psql("SELECT a FROM t", "one").split() == ["1"]
    assert server.psql("SELECT a FROM t", "two").split() == ["1", "1000"]
    rows.write_bytes(good)
    read: list[str] = []

    def noted(path: Path) -> Digest:
        read.append(path.parent.name)
        return digest_of(path)

    monkeypatch.setattr(postgresql_load, "digest_of", noted)
    source.restore(folder, server.dataset(), records.loaded(folder))
    assert server.dump("one") == master.dump("one")
    assert sorted(read) == ["15-main", *["one.dump"] * len(list(rows.parent.iterdir()))], "each file once"
    assert server.psql("SELECT a FROM t", "one").split() == ["1", "1000"]


def test_one_that_cannot_be_loaded_keeps_no_other_from_it_and_all_of_them_are_named(
    master: Postgresql, server: Postgresql, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    rows = rows_of(folder, "one")
    dumped(folder, rows, rows.read_bytes().replace(b"1", b"x"))
    with pytest.raises(RestoreFailed, match="database one: pg_restore: "):
        source.restore(folder, server.dataset(), records.loaded(folder))
    assert "done two" in records.told, "what comes after it is loaded"
    over = iter([True, False, True, False])
    rows_two = rows_of(folder, "two")
    dumped(folder, rows_two, rows_two.read_bytes().replace(b"1", b"x"))
    for name in ("two", "postgres"):
        records.forget(name)
    with pytest.raises(RestoreFailed, match="database one: pg_restore: "):
        source.restore(folder, server.dataset(), records.loaded(folder, lambda: next(over)))
    assert "done postgres" in records.told, "a run whose time is over comes to the next one, too"
    with pytest.raises(RestoreFailed, match=r"database one: pg_restore: .*; database two: pg_restore: "):
        source.restore(folder, server.dataset(), records.loaded(folder))


def test_without_one_that_cannot_be_loaded_all_others_are_whole_and_nothing_half_is_left_of_it(
    master: Postgresql, server: Postgresql, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    rows = rows_of(folder, "two")
    good = rows.read_bytes()
    dumped(folder, rows, good.replace(b"1", b"x"))
    with pytest.raises(RestoreFailed, match="database two: pg_restore: ") as failed:
        source.restore(folder, server.dataset(), records.loaded(folder))
    assert failed.value.databases == ("two",)
    assert "two" in names(server), "half of it is there"
    rows.write_bytes(b"cut short")  # nobody reads it
    left = replace(records.loaded(folder), without=frozenset({"two"}))
    document = documents.load(folder / documents.CLUSTER, PostgresqlCluster)
    assert source.restore(folder, server.dataset(), left) == document.digest
    assert "two" not in names(server)
    assert server.dump("one") == master.dump("one")
    # what is known to be whole stays, though it is older
    dumped(folder, rows, good)
    source.restore(folder, server.dataset(), records.loaded(folder))
    master.psql("UPDATE t SET a = 9", "two")
    folder = collected(context, master)
    source.restore(folder, server.dataset(), replace(records.loaded(folder), without=frozenset({"two"})))
    assert server.psql("SELECT a FROM t", "two").split() == ["1"]


LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout")


def unlimited(server: Postgresql, text: str, database: str = "postgres") -> str:
    """Ask, whatever limits the server has for its applications."""
    options = " ".join(f"-c {name}=off" for name in ("default_transaction_read_only",))
    options += "".join(f" -c {limit}=0" for limit in LIMITS)
    argv = [str(PG_BIN / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", f"--host={server.folder}", "-d", database]
    return command.run(argv, input=text.encode(), user="postgres", env={"PGOPTIONS": options}, cwd="/").text


@pytest.fixture
def limited(master: Postgresql, server: Postgresql) -> Iterator[Postgresql]:
    """A MASTER with limits for its applications: of databases, and of the account that HotSync has, in all of them."""
    master.psql("CREATE TABLE slow AS SELECT generate_series(1, 1000000) AS a", "two")
    for limit in LIMITS:
        for who in ("DATABASE one", "DATABASE two", "ROLE postgres"):
            unlimited(master, f"ALTER {who} SET {limit} = '3ms'")
    unlimited(master, "ALTER DATABASE one SET default_transaction_read_only = on")
    yield master
    for each in (master, server):
        unlimited(each, "ALTER ROLE postgres RESET ALL")


def test_limits_that_are_meant_for_applications_end_no_load(
    limited: Postgresql, server: Postgresql, context: Context
) -> None:
    folder = collected(context, limited)
    for _ in range(2):  # onto nothing, and onto what has these limits already
        source.restore(folder, server.dataset())
    assert unlimited(server, "SELECT count(*) FROM slow", "two").strip() == "1000000"
    settings = (
        "SELECT datname, rolname, unnest(setconfig) FROM pg_db_role_setting"
        " LEFT JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole ORDER BY 1, 2, 3"
    )
    found = unlimited(server, settings)
    assert found == unlimited(limited, settings), "the applications have their limits"
    assert "one||default_transaction_read_only=on" in found


@pytest.fixture
def told() -> list[str]:
    return []


MATVIEWS = """
CREATE SCHEMA app;
CREATE TABLE app.rate (r int); INSERT INTO app.rate VALUES (7);
SET search_path = app;
CREATE FUNCTION app.rate() RETURNS int LANGUAGE sql AS 'SELECT r FROM rate';
CREATE MATERIALIZED VIEW app.plain AS SELECT r + 1 AS v FROM app.rate;
CREATE UNIQUE INDEX ON app.plain (v);
CREATE MATERIALIZED VIEW app.priced AS SELECT app.rate() AS v;
CREATE MATERIALIZED VIEW app.above AS SELECT v * 2 AS v FROM app.priced;
CREATE MATERIALIZED VIEW app.never AS SELECT 1 AS v WITH NO DATA;
CREATE FUNCTION app.late() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(v) FROM app.z_late); END';
CREATE MATERIALIZED VIEW app.z_late AS SELECT 5 AS v;
CREATE MATERIALIZED VIEW app."a late" AS SELECT app.late() AS v;
"""


def test_a_materialized_view_is_filled_with_the_search_path_of_its_database(
    master: Postgresql, server: Postgresql, context: Context, records: Records, told: list[str]
) -> None:
    master.psql("ALTER DATABASE one SET search_path = app, public")
    master.psql(MATVIEWS, "one")
    folder = collected(context, master)
    source.restore(folder, server.dataset(), replace(records.loaded(folder), tell=told.append))
    assert told == []
    assert server.dump("one") == master.dump("one"), "also which of them hold something"
    asked = 'SELECT v FROM plain UNION ALL SELECT v FROM priced UNION ALL SELECT v FROM above UNION ALL TABLE "a late"'
    assert server.psql(asked, "one").split() == ["8", "7", "14", "5"]


def test_a_materialized_view_that_cannot_be_filled_costs_nothing_else_and_is_told(
    master: Postgresql, server: Postgresql, context: Context, records: Records, told: list[str]
) -> None:
    master.psql(MATVIEWS, "one")  # only the session that made it had this search_path
    folder = collected(context, master)
    source.restore(folder, server.dataset(), replace(records.loaded(folder), tell=told.append))
    assert [sentence.split(" holds")[0] for sentence in told] == [
        "The materialized view app.priced of the database one (postgresql/15-main)",
        "The materialized view app.above of the database one (postgresql/15-main)",
    ]
    assert 'relation "rate" does not exist' in told[0]
    assert server.psql("SELECT v FROM app.plain", "one").strip() == "8"
    assert "done one" in records.told
    told.clear()
    server.psql("ALTER DATABASE one SET search_path = app")  # what hindered the load beforehand is gone by now
    source.restore(folder, server.dataset(), replace(records.loaded(folder), tell=told.append))
    assert (records.told, told) == ([], [])
    assert server.psql("SELECT v FROM app.above", "one").strip() == "14"


def test_a_cluster_is_made_with_files_of_the_same_form(
    postgresql_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(postgresql_template) as cluster:
        folder = collected(context, cluster)
        before = seen(folder)
        collected(context, cluster)
        assert seen(folder) == before
    document = documents.load(folder / "cluster.json", PostgresqlCluster)
    assert document.settings == (("data_checksums", "off"), ("wal_segment_size", "16777216"))
    document = replace(document, settings=(("data_checksums", "on"), ("wal_segment_size", "1048576")))
    with open_folder() as place:
        monkeypatch.setenv("PG_CLUSTER_CONF_ROOT", str(place / "conf"))
        configuration = place / "conf/15/hotsynctest"
        configuration.mkdir(parents=True)
        (configuration / "postgresql.conf").write_text(f"data_directory = '{place}/data'\nport = 5999\n")
        command.run(["chown", "-R", "postgres:", str(place)])
        hostile = replace(document, settings=(("wal_segment_size", "16777216 --pwfile=/x"),))
        with pytest.raises(RestoreFailed, match="wal_segment_size of the MASTER's server"):
            make_cluster(hostile, "15-hotsynctest")
        assert not (place / "data").exists()
        make_cluster(document, "15-hotsynctest")
        told = command.run([str(PG_BIN / "pg_controldata"), f"{place}/data"], user="postgres", cwd="/").text
        assert dict(line.split(":", 1) for line in told.splitlines())["Bytes per WAL segment"].strip() == "1048576"
        assert dict(line.split(":", 1) for line in told.splitlines())["Data page checksum version"].strip() == "1"
