"""MariaDB: of a server that holds databases already only what changed is loaded, and all is as on the MASTER then."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hotsync.errors import CommandFailed, RestoreFailed
from hotsync.sources import documents
from hotsync.sources.documents import MariadbInstance
from hotsync.sources.mariadb import databases as mariadb_databases
from hotsync.sources.mariadb import source
from hotsync.sources.mariadb.gone import feed_what_can_be
from hotsync.sources.mariadb.make import make_server
from hotsync.sources.source import Context, LoadPaused
from hotsync.system import command
from tests.contract.sources.engines import in_a_child
from tests.contract.sources.observe import seen
from tests.contract.sources.records import Records
from tests.contract.sources.servers import Mariadb, open_folder
from tests.contract.sources.servers import mariadb as start

pytestmark = pytest.mark.contract


@pytest.fixture
def master(mariadb: Mariadb) -> Mariadb:
    """A shop and its stock, which refer to each other, and a third database beside them."""
    mariadb.empty()
    mariadb.sql(
        "CREATE DATABASE stock; CREATE DATABASE shop; CREATE DATABASE apart;"
        "CREATE TABLE stock.article (id int PRIMARY KEY, name varchar(50)); INSERT INTO stock.article VALUES (1, 'a');"
        "CREATE TABLE shop.sold (id int PRIMARY KEY, article int,"
        " FOREIGN KEY (article) REFERENCES stock.article (id) ON DELETE CASCADE); INSERT INTO shop.sold VALUES (7, 1);"
        "CREATE VIEW shop.names AS SELECT s.id, a.name FROM shop.sold s JOIN stock.article a ON a.id = s.article;"
        "CREATE VIEW stock.gone AS SELECT article FROM shop.sold;"
        "CREATE FUNCTION apart.f() RETURNS int DETERMINISTIC RETURN 4; CREATE TABLE apart.t (a int);"
        "INSERT INTO apart.t VALUES (3); GRANT SELECT ON shop.names TO reader@localhost IDENTIFIED BY 'x'"
    )
    return mariadb


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "records.json")


def collected(context: Context, server: Mariadb) -> Path:
    source.collect(context, server.dataset())
    return context.paths.spool / "mariadb/default"


def test_what_a_server_holds_already_is_neither_read_nor_touched(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert sorted(records.told) == sorted(f"{word} {name}" for word in ("begin", "done") for name in records.databases)
    assert records.databases == documents.digests(documents.load(folder / "instance.json", MariadbInstance))
    master.sql("INSERT INTO stock.article VALUES (2, 'b'); CREATE USER late@localhost IDENTIFIED BY 'x'")
    folder = collected(context, master)
    other_mariadb.sql("INSERT INTO apart.t VALUES (44)")
    for name in ("apart", "shop"):
        (folder / f"{name}.sql").write_text("NONSENSE")
    digest = source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert digest == documents.load(folder / "instance.json", MariadbInstance).digest
    assert records.told == ["begin stock", "done stock"]
    assert other_mariadb.sql("SELECT a FROM apart.t").split() == ["3", "44"]
    assert other_mariadb.sql("SELECT name FROM stock.article").split() == ["a", "b"]
    assert "late" in other_mariadb.sql("SELECT User FROM mysql.user")
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert records.told == []
    other_mariadb.sql("DELETE FROM apart.t WHERE a = 44")
    assert other_mariadb.dump() == master.dump()
    master.sql("DROP USER late@localhost")


def test_views_and_foreign_keys_across_databases_live_on(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    master.sql("INSERT INTO stock.article VALUES (2, 'b'), (3, 'c')")
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert records.told == ["begin stock", "done stock"]
    assert other_mariadb.dump() == master.dump()
    assert other_mariadb.sql("SELECT * FROM shop.names; SELECT * FROM stock.gone").split() == ["7", "a", "1"]
    argv = [
        "mariadb",
        f"--socket={other_mariadb.socket}",
        "--user=reader",
        "-sN",
        "--execute=SELECT id FROM shop.names",
    ]
    assert command.run(argv, env={"MYSQL_PWD": "x"}).text.strip() == "7"
    with pytest.raises(CommandFailed, match="1452"):
        other_mariadb.sql("INSERT INTO shop.sold VALUES (8, 99)")
    other_mariadb.sql("INSERT INTO shop.sold VALUES (8, 3); DELETE FROM stock.article WHERE id = 1")
    assert other_mariadb.sql("SELECT id FROM shop.sold").split() == ["8"]


def test_both_sides_of_a_foreign_key_may_change_their_type(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    master.sql(
        "ALTER TABLE shop.sold DROP FOREIGN KEY sold_ibfk_1; ALTER TABLE shop.sold MODIFY article bigint;"
        "ALTER TABLE stock.article MODIFY id bigint;"
        "ALTER TABLE shop.sold ADD FOREIGN KEY (article) REFERENCES stock.article (id) ON DELETE CASCADE"
    )
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert other_mariadb.dump() == master.dump()
    assert records.told[:2] == ["begin shop", "begin stock"]
    with pytest.raises(CommandFailed, match="1452"):
        other_mariadb.sql("INSERT INTO shop.sold VALUES (8, 99)")
    other_mariadb.sql("DELETE FROM stock.article")
    assert other_mariadb.sql("SELECT * FROM shop.sold") == ""


def test_what_somebody_dropped_and_what_nobody_knows_is_loaded(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    other_mariadb.sql("DROP DATABASE apart; DELETE FROM shop.sold")
    records.forget("shop")
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert sorted(records.told) == ["begin apart", "begin shop", "done apart", "done shop"]
    assert other_mariadb.dump() == master.dump()


def test_what_the_master_dropped_is_dropped_and_the_servers_own_stays(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    master.sql("CREATE DATABASE `half``way`")
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    other_mariadb.sql("CREATE DATABASE own")
    records.forget("half`way")
    records.forget("mysql")
    master.sql("DROP DATABASE apart; DROP DATABASE `half``way`")
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert records.told == ["begin apart", "begin half`way"]
    assert other_mariadb.databases() == ["own", "shop", "stock"]


def test_a_load_that_pauses_goes_on_where_it_was(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    before = other_mariadb.dump()
    master.sql("UPDATE apart.t SET a = 5; UPDATE stock.article SET name = 'z'; INSERT INTO shop.sold VALUES (9, 1)")
    folder = collected(context, master)
    with pytest.raises(LoadPaused, match="3 databases of mariadb/default"):
        source.restore(folder, other_mariadb.dataset(), records.loaded(folder, lambda: False))
    assert (other_mariadb.dump(), records.told) == (before, [])
    once = iter([True, False])
    with pytest.raises(LoadPaused, match="2 databases"):
        source.restore(folder, other_mariadb.dataset(), records.loaded(folder, lambda: next(once)))
    assert [word for word in records.told if word.startswith("done")] == ["done apart"]
    assert other_mariadb.databases() == ["apart"]
    # the views of one need the other: to end after the first of them would be to begin with it again for ever
    once = iter([True, False])
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder, lambda: next(once)))
    assert sorted(records.told) == ["begin shop", "begin stock", "done shop", "done stock"]
    assert other_mariadb.dump() == master.dump()


def test_a_dump_that_cannot_be_loaded_costs_only_its_own_database(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    good = (folder / "stock.sql").read_bytes()
    (folder / "stock.sql").write_bytes(good.replace(b"CREATE TABLE", b"CREATE NONSENSE", 1))
    with pytest.raises(RestoreFailed, match="database stock: mariadb: ERROR 1064"):
        source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert {name for name, digest in records.databases.items() if digest} == {"apart"}
    (folder / "stock.sql").write_bytes(good)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert "begin apart" not in records.told
    assert other_mariadb.dump() == master.dump()


def test_one_that_cannot_be_loaded_keeps_no_other_from_it_and_all_of_them_are_named(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    master.sql("CREATE DATABASE zoo; CREATE TABLE zoo.t (a int); INSERT INTO zoo.t VALUES (1)")
    folder = collected(context, master)
    good = {name: (folder / f"{name}.sql").read_bytes() for name in ("apart", "stock")}
    for name, text in good.items():
        (folder / f"{name}.sql").write_bytes(text.replace(b"CREATE TABLE", b"CREATE NONSENSE", 1))
    over = iter([True, False, False, False, False])
    with pytest.raises(RestoreFailed, match="database apart: mariadb: ERROR 1064"):
        source.restore(folder, other_mariadb.dataset(), records.loaded(folder, lambda: next(over)))
    assert "done zoo" in records.told, "a run whose time is over comes to the next one, too"
    with pytest.raises(RestoreFailed, match=r"database apart: .*1064.*; database stock: .*1064") as failed:
        source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert failed.value.facts["dataset"] == "mariadb/default"
    assert other_mariadb.sql("SELECT a FROM zoo.t; SELECT id FROM shop.sold").split() == ["1", "7"]
    assert {name for name, digest in records.databases.items() if digest} == {"zoo"}, "shop lacks a view on stock"
    for name, text in good.items():
        (folder / f"{name}.sql").write_bytes(text)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert other_mariadb.dump() == master.dump()
    master.sql("DROP DATABASE zoo")


def test_without_one_that_cannot_be_loaded_all_others_are_whole_and_nothing_half_is_left_of_it(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    master.sql("GRANT SELECT ON stock.article TO reader@localhost; GRANT SELECT ON apart.t TO reader@localhost")
    folder = collected(context, master)
    good = (folder / "stock.sql").read_bytes()
    (folder / "stock.sql").write_bytes(good.replace(b"INSERT INTO", b"INSERT NONSENSE", 1))
    with pytest.raises(RestoreFailed, match="database stock: ") as failed:
        source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert failed.value.databases == ("stock",)
    assert other_mariadb.sql("SHOW TABLES IN stock").split() == ["article"], "half of it is there"
    document = documents.load(folder / documents.INSTANCE, MariadbInstance)
    left = replace(records.loaded(folder), without=frozenset({"stock"}))
    assert source.restore(folder, other_mariadb.dataset(), left) == document.digest
    assert other_mariadb.sql("SHOW DATABASES LIKE 'stock'") == ""
    assert other_mariadb.sql("SELECT id, article FROM shop.sold; SELECT a, apart.f() FROM apart.t").split() == [
        "7", "1", "3", "4",
    ]  # fmt: skip
    grants = other_mariadb.sql("SHOW GRANTS FOR reader@localhost")
    assert "`apart`.`t`" in grants
    assert "`stock`" not in grants
    # what is known to be whole stays, though it is older
    (folder / "stock.sql").write_bytes(good)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    master.sql("INSERT INTO stock.article VALUES (2, 'b')")
    folder = collected(context, master)
    left = replace(records.loaded(folder), without=frozenset({"stock"}))
    source.restore(folder, other_mariadb.dataset(), left)
    assert other_mariadb.sql("SELECT id FROM stock.article").split() == ["1"]


def test_a_server_that_is_gone_is_said_once(
    master: Mariadb, mariadb_template: Path, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    with start(mariadb_template) as server:

        def more() -> bool:
            server.kill()
            return True

        loaded = records.loaded(folder, more)
        with pytest.raises(RestoreFailed, match="ERROR 20") as failed:
            source.restore(folder, server.dataset(), loaded)
    assert ";" not in failed.value.sentence


LAX = """
CREATE TABLE apart.packed (id int PRIMARY KEY, b longblob); INSERT INTO apart.packed VALUES (1, REPEAT('a', 15000000));
SET innodb_strict_mode = 0, check_constraint_checks = 0;
CREATE TABLE apart.fixed (id int PRIMARY KEY) ENGINE=InnoDB ROW_FORMAT=FIXED; INSERT INTO apart.fixed VALUES (4);
CREATE TABLE apart.checked (id int PRIMARY KEY, CHECK (id > 5)); INSERT INTO apart.checked VALUES (1);
CREATE TABLE apart.many (id int PRIMARY KEY); INSERT INTO apart.many SELECT seq FROM apart.seq_1_to_300000;
"""


def test_what_came_about_with_other_limits_and_without_checks_is_loaded(
    master: Mariadb, other_mariadb: Mariadb, context: Context
) -> None:
    master.sql(LAX)
    limits = "SELECT @@GLOBAL.max_allowed_packet, @@GLOBAL.max_statement_time, @@GLOBAL.innodb_strict_mode"
    for each in (master, other_mariadb):
        each.sql("SET GLOBAL max_statement_time = 0.003, innodb_strict_mode = 1")
    before = other_mariadb.sql(limits)
    folder = collected(context, master)
    assert (folder / "apart.sql").stat().st_size > 2 * 15000000 > int(before.split()[0])
    source.restore(folder, other_mariadb.dataset())
    assert other_mariadb.sql(limits) == before, "it has its own limits again"
    for each in (master, other_mariadb):
        each.sql("SET GLOBAL max_statement_time = 0")
    asked = "CHECKSUM TABLE apart.packed, apart.fixed, apart.checked, apart.many; SHOW CREATE TABLE apart.fixed"
    assert other_mariadb.sql(asked) == master.sql(asked)
    (folder / "apart.sql").write_text("NONSENSE")
    with pytest.raises(RestoreFailed, match="NONSENSE"):
        source.restore(folder, other_mariadb.dataset())
    assert other_mariadb.sql("SELECT @@GLOBAL.max_allowed_packet") == before.split()[0] + "\n", "also after a failure"


def test_what_is_gone_is_left_out_and_nothing_else(
    other_mariadb: Mariadb, mariadb_template: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load = partial(feed_what_can_be, other_mariadb.dataset())
    made = b"CREATE DATABASE made;"
    load([b"SELECT * FROM made.t;\n" * 400, made], "rights")
    assert other_mariadb.databases() == ["made"], "what follows is loaded"
    assert "rights are left out: " in caplog.text
    with pytest.raises(CommandFailed, match="1396"):
        load([b"DROP USER nobody@nowhere;\n", b"SELECT * FROM made.t;\n" * 400], "rights")
    with pytest.raises(CommandFailed, match="1064"):
        load([b"SELECT 1 FROM;\n"], "rights")
    with pytest.raises(CommandFailed, match="1396"):
        load([b"SELECT * FROM made.t;\n", b"DROP USER nobody@nowhere;\n", b"SELECT 1;\n"], "rights")
    with start(mariadb_template) as server:

        def dying() -> Iterator[bytes]:
            yield b"SELECT 1;\n"
            server.kill()
            yield b"SELECT 1;\n"

        with pytest.raises(CommandFailed, match="20"):
            feed_what_can_be(server.dataset(), dying(), "rights")

    def killed() -> Iterator[bytes]:
        yield b"SELECT * FROM made.t;\n"
        # the client that this process has just started; the kernel's list may lack some while another child ends
        clients: list[int] = []
        while len(clients) != 1:
            children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            clients = [int(each) for each in children if Path(f"/proc/{each}/comm").read_text().strip() == "mariadb"]
        os.kill(clients[0], signal.SIGKILL)
        yield b"SELECT 1;\n"

    with pytest.raises(CommandFailed, match="killed by SIGKILL"):
        load(killed(), "rights")


@pytest.mark.parametrize("accounts", [True, False])
def test_views_that_stand_on_views_and_functions_of_an_application_are_made(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records, accounts: bool
) -> None:
    for account in ("app@localhost", "app@'%'"):
        master.sql(f"CREATE USER {account} IDENTIFIED BY 'x'; GRANT SELECT, EXECUTE ON apart.* TO {account}")
    master.sql(
        "CREATE ROLE maker; GRANT SELECT ON apart.* TO maker; USE apart;"
        "CREATE DEFINER=app@localhost FUNCTION g() RETURNS int DETERMINISTIC RETURN 1;"
        "CREATE DEFINER=app@localhost VIEW v1 AS SELECT a, g() FROM t;"
        "CREATE DEFINER=app@'%' VIEW v2 AS SELECT a FROM v1;"
        "CREATE DEFINER=maker VIEW v3 AS SELECT a FROM v2; CREATE DEFINER=app@'%' VIEW v4 AS SELECT a FROM v3"
    )
    asked = "SELECT user, host FROM mysql.user ORDER BY 1, 2; SHOW GRANTS"
    other_mariadb.sql("DROP USER IF EXISTS app@localhost, app@'%'; DROP ROLE IF EXISTS maker")
    before = other_mariadb.sql(asked)
    folder = collected(context, master)
    try:
        loaded = replace(records.loaded(folder), accounts=accounts)
        source.restore(folder, other_mariadb.dataset(), loaded)
        assert records.databases.keys() == {"apart", "shop", "stock"}
        if not accounts:
            assert other_mariadb.sql(asked) == before
            source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
            assert records.told == []
        for account in ("app@localhost", "app@'%'", "maker", "root@localhost"):
            granted = f"SHOW GRANTS FOR {account}"
            assert set(other_mariadb.sql(granted).splitlines()) == set(master.sql(granted).splitlines())
        assert other_mariadb.sql("SELECT a FROM apart.v4").split() == ["3"]
        assert other_mariadb.dump() == master.dump()
    finally:
        master.sql("DROP USER app@localhost, app@'%'; DROP ROLE maker")


def test_a_place_of_views_that_no_file_has_is_refused(
    master: Mariadb, other_mariadb: Mariadb, context: Context, records: Records
) -> None:
    folder = collected(context, master)
    path = folder / "instance.json"
    good = path.read_text()
    document = json.loads(good)
    for place in (-7, 2**70):
        document["databases"][0]["views_at"] = place
        path.write_text(json.dumps(document))
        if place < 0:
            with pytest.raises(RestoreFailed, match="apart"):
                source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
        else:
            source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    assert other_mariadb.dump() == master.dump()


def test_a_load_that_died_anywhere_goes_on_and_ends_right(
    master: Mariadb,
    other_mariadb: Mariadb,
    context: Context,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mariadb_databases, "DURABLE_EVERY", 0)
    # only this process dies, no server and no power: nothing has to be on disk
    monkeypatch.setattr(mariadb_databases, "sync_filesystem", lambda path: None)
    master.sql("CREATE DATABASE lost")
    folder = collected(context, master)
    source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
    old = records.file.read_text()
    master.sql("DROP DATABASE lost; CREATE DATABASE later; UPDATE apart.t SET a = 5; DELETE FROM stock.article")
    folder = collected(context, master)
    calls: list[tuple[object, str]] = [(mariadb_databases, "feed"), (mariadb_databases, "make_durable")]
    calls += [(records, "begin"), (records, "done")]
    number, died, wholes = 0, True, set[frozenset[str]]()
    while died:
        number += 1
        other_mariadb.sql("CREATE DATABASE IF NOT EXISTS lost; UPDATE apart.t SET a = 3; DELETE FROM shop.sold")
        records.file.write_text(old)
        work = partial(source.restore, folder, other_mariadb.dataset(), records.loaded(folder))
        died = in_a_child(work, calls, number)
        whole = {name for name, digest in records.databases.items() if digest and digest == records.known.get(name)}
        source.restore(folder, other_mariadb.dataset(), records.loaded(folder))
        assert not whole & {line.split()[1] for line in records.told}, number
        assert other_mariadb.dump() == master.dump(), number
        wholes.add(frozenset(whole))
    assert number > 10
    assert {frozenset({"apart", "later"}), frozenset({"apart", "later", "shop", "stock"})} <= wholes


@contextmanager
def small_pages(*options: str) -> Iterator[Path]:
    """The data directory of a server with smaller pages than usual."""
    with open_folder() as folder:
        argv = ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={folder}/data", "--skip-test-db",
                "--auth-root-authentication-method=socket", *options]  # fmt: skip
        command.run(argv)
        yield folder / "data"


def test_a_server_is_made_with_files_of_the_same_form(context: Context) -> None:
    form = (
        "--innodb-page-size=8192",
        "--innodb-data-file-path=one:12M;two:4M:autoextend",
        "--innodb-undo-tablespaces=2",
        "--lower-case-table-names=1",
    )
    others = ("--character-set-server=latin1", "--collation-server=latin1_german1_ci", "--innodb-log-file-size=8388608")
    with small_pages(*form) as data, start(data, *form, *others) as server:
        server.sql("CREATE DATABASE d; CREATE TABLE d.T (a int); INSERT INTO d.t VALUES (1)")
        folder = collected(context, server)
        before = seen(folder)
        collected(context, server)
        assert seen(folder) == before
    document = documents.load(folder / "instance.json", MariadbInstance)
    assert document.settings == (
        ("character_set_server", "latin1"),
        ("collation_server", "latin1_german1_ci"),
        ("innodb_data_file_path", "one:12M;two:4M:autoextend"),
        ("innodb_log_file_size", "8388608"),
        ("innodb_page_size", "8192"),
        ("innodb_undo_tablespaces", "2"),
        ("lower_case_table_names", "1"),
    )
    with open_folder() as place:
        make_server(replace(document, directory=str(place / "data"), user="root"), "default")
        with start(place / "data", *form) as made:
            source.restore(folder, made.dataset())
            assert made.sql("SELECT @@innodb_page_size; SELECT a FROM d.T").split() == ["8192", "1"]
        hostile = replace(
            document, settings=(("innodb_page_size", "1 --init-file=/x"),), directory=str(place / "other")
        )
        with pytest.raises(RestoreFailed, match="innodb_page_size of the MASTER's server"):
            make_server(hostile, "default")
        assert not (place / "other").exists()
