"""MariaDB, the real one: what is collected is loaded as it was, and equal means untouched."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.errors import OlderServer, RestoreFailed, SourceError
from hotsync.model.report import Notice, Verdict
from hotsync.sources.mariadb import find as mariadb_find
from hotsync.sources.mariadb import lock as mariadb_lock
from hotsync.sources.mariadb import source
from hotsync.sources.registry import collect_all
from hotsync.sources.source import Context
from hotsync.system import command
from tests.contract.sources.observe import changed, seen
from tests.contract.sources.servers import Mariadb
from tests.contract.sources.servers import mariadb as start

pytestmark = pytest.mark.contract

WORLD = (Path(__file__).parent / "world.mariadb.sql").read_text(encoding="utf-8")
ODD = "we`ird/na-me 'q\" ü"
LINES = "new\nline"


@pytest.fixture(scope="module")
def world(mariadb: Mariadb) -> Mariadb:
    mariadb.sql(WORLD)
    return mariadb


def folder_of(context: Context) -> Path:
    return context.paths.spool / "mariadb/default"


def test_everything_arrives_on_another_server_as_it_was(
    world: Mariadb, other_mariadb: Mariadb, context: Context
) -> None:
    points = source.collect(context, world.dataset())
    assert [(point.name, point.stale_since) for point in points] == [("mariadb/default", 0.0)]
    digest = source.restore(folder_of(context), other_mariadb.dataset())
    assert other_mariadb.dump() == world.dump()
    assert digest == json.loads((folder_of(context) / "instance.json").read_text())["digest"]
    rows = "SELECT id, marks FROM plain.odd ORDER BY id; SELECT HEX(b) FROM plain.bytes; SELECT * FROM second.over_all"
    assert other_mariadb.sql(rows) == world.sql(rows)
    assert other_mariadb.sql("SELECT plain.add_one(41)").strip() == "42"
    assert other_mariadb.sql("SELECT nextval(plain.numbers)").strip() == "1001"
    history = "SELECT count(*) FROM plain.history FOR SYSTEM_TIME ALL"
    assert other_mariadb.sql(history) == world.sql(history) == "2\n"


def test_loading_again_does_no_harm(world: Mariadb, other_mariadb: Mariadb, context: Context) -> None:
    source.collect(context, world.dataset())
    first = source.restore(folder_of(context), other_mariadb.dataset())
    other_mariadb.sql("DROP TABLE plain.odd; CREATE USER left_over@localhost")
    assert source.restore(folder_of(context), other_mariadb.dataset()) == first
    assert other_mariadb.dump() == world.dump()
    assert "left_over" not in other_mariadb.sql("SELECT user FROM mysql.user")


def test_what_was_loaded_is_collected_again_byte_for_byte(
    world: Mariadb, other_mariadb: Mariadb, context: Context
) -> None:
    source.collect(context, world.dataset())
    source.restore(folder_of(context), other_mariadb.dataset())
    before, told = seen(context.paths.spool), json.loads((folder_of(context) / "instance.json").read_text())
    source.collect(context, other_mariadb.dataset())
    assert changed(before, seen(context.paths.spool)) <= {"mariadb/default/instance.json", "mariadb/default"}
    again = json.loads((folder_of(context) / "instance.json").read_text())
    assert {key for key in told if told[key] != again[key]} <= {"collected_at", "directory"}


def test_where_nothing_changed_nothing_is_touched(world: Mariadb, context: Context) -> None:
    source.collect(context, world.dataset())
    before, state = seen(context.paths.spool), context.paths.state.lstat().st_mtime_ns
    source.collect(context, world.dataset())
    assert changed(before, seen(context.paths.spool)) == set()
    assert context.paths.state.lstat().st_mtime_ns == state
    assert list(context.paths.collecting.rglob("*")) in ([], [context.paths.collecting / "mariadb"])


def test_a_change_replaces_the_file_of_its_database_only(world: Mariadb, context: Context) -> None:
    source.collect(context, world.dataset())
    before = seen(folder_of(context))
    world.sql("INSERT INTO second.other VALUES (77)")
    source.collect(context, world.dataset())
    assert changed(before, seen(folder_of(context))) == {".", "second.sql", "instance.json"}
    world.sql("DELETE FROM second.other WHERE z = 77")


def test_the_file_of_a_dropped_database_goes(world: Mariadb, context: Context) -> None:
    world.sql("CREATE DATABASE passing")
    source.collect(context, world.dataset())
    assert (folder_of(context) / "passing.sql").exists()
    world.sql("DROP DATABASE passing")
    source.collect(context, world.dataset())
    assert not (folder_of(context) / "passing.sql").exists()


def test_names_that_collide_with_ours_and_names_too_long_for_a_file_are_told_apart(
    world: Mariadb, other_mariadb: Mariadb, context: Context
) -> None:
    long = "€" * 45
    world.sql(f"CREATE DATABASE accounts; CREATE TABLE accounts.t (a int); CREATE DATABASE `{long}`")
    source.collect(context, world.dataset())
    source.restore(folder_of(context), other_mariadb.dataset())
    assert other_mariadb.sql("SHOW TABLES IN accounts").strip() == "t"
    assert long in other_mariadb.sql("SHOW DATABASES")
    for server in (world, other_mariadb):
        server.sql(f"DROP DATABASE accounts; DROP DATABASE `{long}`")


def test_accounts_roles_and_grants_are_what_they_were(world: Mariadb, other_mariadb: Mariadb, context: Context) -> None:
    source.collect(context, world.dataset())
    source.restore(folder_of(context), other_mariadb.dataset())
    for account in ("shop@'%'", "reader", "`odd ``user`@localhost", "root@localhost", "public"):
        question = f"SHOW GRANTS FOR {account}"
        assert sorted(set(other_mariadb.sql(question).splitlines())) == sorted(set(world.sql(question).splitlines()))
    environment = {"MYSQL_PWD": "secret' \\ word"}
    argv = ["mariadb", f"--socket={other_mariadb.socket}", "--user=shop", "-sN", "--execute=SELECT CURRENT_ROLE()"]
    assert command.run(argv, env=environment).text.strip() == "reader"


def test_a_password_of_the_masters_root_never_locks_this_server_out(
    mariadb_template: Path, other_mariadb: Mariadb, context: Context
) -> None:
    with start(mariadb_template) as master:
        master.sql("ALTER USER root@localhost IDENTIFIED BY 'of the MASTER'; CREATE DATABASE d")
        home = context.paths.root / "home.cnf"
        home.write_text("[client]\npassword=of the MASTER\n")
        environment = command.ENVIRONMENT
        (context.paths.root / ".my.cnf").write_text("[client]\npassword=of the MASTER\n")
        before, environment["HOME"] = environment["HOME"], str(context.paths.root)
        try:
            source.collect(context, master.dataset())
        finally:
            environment["HOME"] = before
    assert "of the MASTER" not in (folder_of(context) / "accounts.sql").read_text()
    source.restore(folder_of(context), other_mariadb.dataset())
    shown = other_mariadb.sql("SHOW CREATE USER root@localhost")
    assert "OR unix_socket" in shown
    assert "mysql_native_password" in shown
    source.restore(folder_of(context), other_mariadb.dataset())
    environment = {"MYSQL_PWD": "of the MASTER"}
    argv = ["mariadb", f"--socket={other_mariadb.socket}", "--user=root", "-sN", "--execute=SELECT 1"]
    assert command.run(argv, env=environment).text.strip() == "1"


def test_an_option_file_of_the_master_that_names_an_unknown_account_does_not_stop_a_load(
    world: Mariadb, other_mariadb: Mariadb, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.collect(context, world.dataset())
    (context.paths.root / ".my.cnf").write_text("[client]\nuser=keeper_of_the_master\npassword=x\n")
    monkeypatch.setitem(command.ENVIRONMENT, "HOME", str(context.paths.root))
    source.restore(folder_of(context), other_mariadb.dataset())
    monkeypatch.undo()
    assert other_mariadb.dump() == world.dump()


def test_where_root_needs_the_password_of_the_option_file_a_load_uses_it(
    world: Mariadb, mariadb_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.collect(context, world.dataset())
    with start(mariadb_template) as server:
        server.sql("ALTER USER root@localhost IDENTIFIED BY 'x'")
        (context.paths.root / ".my.cnf").write_text("[client]\npassword=x\n")
        monkeypatch.setitem(command.ENVIRONMENT, "HOME", str(context.paths.root))
        source.restore(folder_of(context), server.dataset())
        monkeypatch.undo()
        assert "second" in server.databases()


def test_what_was_loaded_is_on_disk_before_the_load_says_so(
    world: Mariadb, mariadb_template: Path, context: Context, tmp_path: Path
) -> None:
    source.collect(context, world.dataset())
    # the log is written by this server once an hour only, and a table's keys when it is closed
    lazy = ("--innodb-flush-log-at-timeout=2700", "--delay-key-write=ALL")
    with start(mariadb_template, *lazy) as server:
        source.restore(folder_of(context), server.dataset())
        assert server.sql("SELECT @@innodb_flush_log_at_trx_commit").strip() == "0"
        server.kill()
        command.run(["cp", "--archive", f"{server.folder}/data", str(tmp_path / "data")])
    with start(tmp_path / "data") as server:
        assert server.dump() == world.dump()


def test_a_server_killed_in_the_middle_leaves_the_last_good_copy(mariadb_template: Path, context: Context) -> None:
    with start(mariadb_template) as server:
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a int primary key, b longtext)")
        source.collect(context, server.dataset())
        before = seen(context.paths.spool)
        server.sql("USE d; INSERT INTO t SELECT seq, repeat('x', 200000) FROM seq_1_to_200")

        def kill(dataset: str, count: int) -> None:
            if count > 2_000_000:
                server.kill()

        with pytest.raises(SourceError, match="mariadb/default could not be collected: mariadb-dump"):
            source.collect(replace(context, progress=kill), server.dataset())
        assert changed(before, seen(context.paths.spool)) == set()
        assert not list(context.paths.collecting.rglob("*.sql"))
        with pytest.raises(SourceError) as caught:
            source.collect(context, server.dataset())
    assert "Start the server" in caught.value.hint


def test_a_dump_that_ends_early_leaves_the_last_good_copy(world: Mariadb, context: Context) -> None:
    source.collect(context, world.dataset())
    before = seen(context.paths.spool)
    world.sql("CREATE TABLE second.much (a longtext); INSERT INTO second.much VALUES (repeat('x', 9000000))")
    killed: list[int] = []

    def kill_the_dump(dataset: str, count: int) -> None:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (folder / "stat").read_text().rpartition(")")
                if words[0].endswith("(mariadb-dump") and int(words[2].split()[1]) == os.getpid() and not killed:
                    killed.append(int(folder.name))
                    os.kill(killed[0], signal.SIGKILL)

    try:
        with pytest.raises(SourceError, match="mariadb/default could not be collected: mariadb-dump"):
            source.collect(replace(context, progress=kill_the_dump), world.dataset())
    finally:
        world.sql("DROP TABLE second.much")
    assert killed
    assert changed(before, seen(context.paths.spool)) == set()
    assert not list(context.paths.collecting.rglob("*.sql"))


def test_a_locked_table_ends_in_an_error_that_says_so(mariadb_template: Path, context: Context) -> None:
    with start(mariadb_template) as server:
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a int)")
        argv = ["mariadb", f"--socket={server.socket}", "--unbuffered", "-sN"]
        with command.spawn(argv, stdin=command.PIPE) as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            holder.stdin.write(b"LOCK TABLES d.t WRITE; SELECT 1;\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == b"1\n"
            with pytest.raises(SourceError, match="locked"):
                source.collect(replace(context, stall_seconds=0.3), server.dataset())
        source.collect(context, server.dataset())


def test_a_full_spool_is_an_error_with_its_name_and_the_last_copy_stays(world: Mariadb, context: Context) -> None:
    command.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(context.paths.state)])
    try:
        source.collect(context, world.dataset())
        before = seen(context.paths.spool)
        world.sql("CREATE TABLE second.large (a longtext); INSERT INTO second.large VALUES (repeat('x', 2000000))")
        with pytest.raises(SourceError, match=f"the spool {context.paths.spool} is full"):
            source.collect(context, world.dataset())
        assert changed(before, seen(context.paths.spool)) == set()
    finally:
        world.sql("DROP TABLE second.large")
        command.run(["umount", str(context.paths.state)])


def test_a_server_without_databases_is_collected_too(
    mariadb_template: Path, other_mariadb: Mariadb, context: Context
) -> None:
    with start(mariadb_template) as server:
        source.collect(context, server.dataset())
    assert sorted(path.name for path in folder_of(context).iterdir()) == ["accounts.sql", "instance.json"]
    source.restore(folder_of(context), other_mariadb.dataset())


def test_an_older_server_is_refused_before_anything_is_touched(
    world: Mariadb, other_mariadb: Mariadb, context: Context
) -> None:
    source.collect(context, world.dataset())
    path = folder_of(context) / "instance.json"
    path.write_text(path.read_text().replace('"version": "10.11.', '"version": "10.12.'))
    before = other_mariadb.dump()
    with pytest.raises(OlderServer, match=r"10\.12"):
        source.restore(folder_of(context), other_mariadb.dataset())
    assert other_mariadb.dump() == before


def test_a_file_that_was_changed_afterwards_is_found(world: Mariadb, other_mariadb: Mariadb, context: Context) -> None:
    source.collect(context, world.dataset())
    assert [check.verdict for check in source.verify(folder_of(context))] == [Verdict.GREEN]
    path = folder_of(context) / "second.sql"
    path.write_bytes(path.read_bytes().replace(b"INTO `other`", b"INTO  `other`"))
    assert [check.verdict for check in source.verify(folder_of(context))] == [Verdict.RED]
    with pytest.raises(RestoreFailed, match="not what was collected"):
        source.restore(folder_of(context), other_mariadb.dataset())


def test_a_dump_that_cannot_be_loaded_names_its_database(
    world: Mariadb, other_mariadb: Mariadb, context: Context
) -> None:
    source.collect(context, world.dataset())
    path = folder_of(context) / "second.sql"
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE", b"CREATE NONSENSE", 1))
    with pytest.raises(RestoreFailed, match="database second: mariadb: ERROR 1064"):
        source.restore(folder_of(context), other_mariadb.dataset())


def test_tables_that_nothing_holds_still_are_named(
    world: Mariadb, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.collect(context, world.dataset())
    document = json.loads((folder_of(context) / "instance.json").read_text())
    assert document["not_transactional"] == [], "it was locked until it was dumped"
    monkeypatch.setattr(mariadb_lock, "HOLD_SECONDS", 0.0)
    notices: list[Notice] = []
    source.collect(replace(context, notice=notices.append), world.dataset())
    document = json.loads((folder_of(context) / "instance.json").read_text())
    assert document["not_transactional"] == ["plain.no_transactions (MyISAM)"]
    told = [notice.sentence for notice in notices if notice.code == "source.mariadb.moving"]
    assert len(told) == 1
    assert "plain.no_transactions (MyISAM)" in told[0]


def test_a_client_command_in_a_dump_is_not_obeyed(
    world: Mariadb, other_mariadb: Mariadb, context: Context, tmp_path: Path
) -> None:
    source.collect(context, world.dataset())
    path = folder_of(context) / "second.sql"
    path.write_bytes(f"\\! touch {tmp_path}/hacked\nsystem touch {tmp_path}/hacked\n;\n".encode() + path.read_bytes())
    with pytest.raises(RestoreFailed):
        source.restore(folder_of(context), other_mariadb.dataset())
    assert not (tmp_path / "hacked").exists()


def test_a_running_server_is_found_by_its_socket_with_where_it_keeps_its_files(
    world: Mariadb, context: Context
) -> None:
    found = {dataset.socket: dataset for dataset in source.inspect(context)}
    directories = {Path(path).resolve() for path in found[world.socket].directories if path.startswith("/")}
    assert (world.folder / "data").resolve() in directories


def test_two_servers_in_one_unit_are_both_found_and_each_keeps_its_name_and_its_files(
    world: Mariadb, mariadb_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mariadb_find, "parse_unit", lambda cgroup: "multi.service")

    def found() -> dict[str, tuple[str, Path]]:
        own = (dataset for dataset in source.inspect(context) if dataset.socket in sockets)
        return {dataset.socket: (dataset.name, Path(dataset.directories[0])) for dataset in own}

    with start(mariadb_template) as other:
        sockets = {world.socket, other.socket}
        both = found()
        assert len({name for name, _ in both.values()}) == 2
        assert {directory for _, directory in both.values()} == {world.folder / "data", other.folder / "data"}
        for dataset in source.inspect(context):
            if dataset.socket in sockets:
                source.collect(context, dataset)
    assert found() == {world.socket: both[world.socket]}


def test_a_server_that_dies_in_no_unit_keeps_its_dumps_and_is_a_fault(mariadb_template: Path, context: Context) -> None:
    def run(names: set[str]) -> dict[str, str]:
        points = collect_all(context, sources=(source,)).points
        return {point.name: point.note for point in points if point.name in names}

    with start(mariadb_template) as server:
        server.sql("CREATE DATABASE shop")
        (name,) = (each.name for each in source.inspect(context) if each.socket == server.socket)
        assert run({name}) == {name: ""}
        server.kill()
        assert "its files are still in" in run({name})[name]
        assert (context.paths.spool / name / "shop.sql").exists()
    assert run({name}) == {}, "its files are gone: so is the server"
    assert not (context.paths.spool / name).exists()


def test_a_broken_view_is_named_and_left_out_and_everything_else_is_collected(
    world: Mariadb, other_mariadb: Mariadb, context: Context
) -> None:
    world.sql("CREATE TABLE second.base (a int); CREATE VIEW second.`bro.ken` AS SELECT a FROM second.base")
    world.sql("CREATE VIEW plain.also_broken AS SELECT a FROM second.`bro.ken`; DROP TABLE second.base")
    notices: list[Notice] = []
    try:
        source.collect(replace(context, notice=notices.append), world.dataset())
    finally:
        world.sql("DROP VIEW second.`bro.ken`; DROP VIEW plain.also_broken")
    assert ["also_broken" in notices[0].sentence, "bro.ken" in notices[1].sentence] == [True, True]
    document = json.loads((folder_of(context) / "instance.json").read_text())
    assert document["broken_views"] == ["plain.also_broken", "second.bro.ken"]
    source.restore(folder_of(context), other_mariadb.dataset())
    assert other_mariadb.dump() == world.dump()


def test_a_login_that_is_refused_says_what_is_needed(mariadb_template: Path, context: Context) -> None:
    with start(mariadb_template) as server:
        server.sql("ALTER USER root@localhost IDENTIFIED BY 'unknown to us'")
        with pytest.raises(SourceError, match="ERROR 1045") as caught:
            source.collect(context, server.dataset())
    assert "/root/.my.cnf" in caught.value.hint
