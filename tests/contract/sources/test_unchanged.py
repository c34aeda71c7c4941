"""A server that provably did not change is not dumped again; whatever a dump shows makes it be dumped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotsync.sources import proofs
from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.source import Context
from hotsync.sources.stream import output_of, run_watched
from hotsync.system import command
from tests.contract.sources.observe import changed, seen
from tests.contract.sources.servers import Mariadb, Postgresql
from tests.contract.sources.servers import mariadb as start_mariadb
from tests.contract.sources.servers import postgresql as start_postgresql

pytestmark = pytest.mark.contract

SHOP = """
CREATE DATABASE shop; USE shop;
CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, a varchar(20)); INSERT INTO t (a) VALUES ('x'), ('y');
CREATE TABLE old (x int PRIMARY KEY) WITH SYSTEM VERSIONING; INSERT INTO old VALUES (1);
CREATE SEQUENCE numbers; CREATE VIEW v AS SELECT a FROM t; CREATE PROCEDURE p() SELECT 1;
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = NEW.a;
CREATE USER u@localhost IDENTIFIED BY 'x';
"""


class Counted:
    """A source that counts its dumps."""

    def __init__(self, collect: Callable[[], object]) -> None:
        self.collect, self.dumps = collect, 0

    def dumped(self) -> bool:
        """Collect once; return whether that dumped."""
        before = self.dumps
        self.collect()
        return self.dumps > before

    def settle(self) -> None:
        """Collect until nothing is dumped: what the server does by itself after a change comes to its end."""
        for _ in range(10):
            if not self.dumped():
                return
        raise AssertionError("the server never came to rest")


@pytest.fixture
def shop(
    mariadb_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Mariadb, Counted]]:
    with start_mariadb(mariadb_template) as server:
        server.sql(SHOP)
        counted = Counted(lambda: mariadb.collect(context, server.dataset()))

        def count(argv: list[str], *, stall_seconds: float) -> Iterator[bytes]:
            counted.dumps += 1
            return output_of(argv, stall_seconds=stall_seconds)

        monkeypatch.setattr("hotsync.sources.mariadb.source.output_of", count)
        yield server, counted


MARIADB_CHANGES = {
    "a row": "INSERT INTO shop.t (a) VALUES ('z')",
    "a row and back": "UPDATE shop.t SET a = 'q' WHERE id = 1; UPDATE shop.t SET a = 'x' WHERE id = 1",
    "the next number": "ALTER TABLE shop.t AUTO_INCREMENT = 50",
    "a number taken": "SELECT nextval(shop.numbers)",
    "a view": "CREATE OR REPLACE VIEW shop.v AS SELECT id FROM shop.t",
    "a routine": "DROP PROCEDURE shop.p; CREATE PROCEDURE shop.p() SELECT 2",
    "an event": "ALTER EVENT shop.e ON SCHEDULE EVERY 2 DAY",
    "a trigger": "DROP TRIGGER shop.tr",
    "a comment": "ALTER TABLE shop.t COMMENT = 'new'",
    "a database": "CREATE DATABASE other",
    "a character set": "ALTER DATABASE shop CHARACTER SET latin2",
    "an account": "ALTER USER u@localhost IDENTIFIED BY 'y'",
    "a grant": "GRANT SELECT ON shop.* TO u@localhost",
    "a table that has no log": "CREATE TABLE shop.isam (a int) ENGINE=MyISAM",
}


def test_whatever_a_dump_of_mariadb_shows_makes_it_be_dumped(shop: tuple[Mariadb, Counted], context: Context) -> None:
    server, source = shop
    assert source.dumped()
    for what, sql in MARIADB_CHANGES.items():
        source.settle()
        before = seen(context.paths.spool)
        source.settle()  # a late checkpoint of its own may make one more dump, which is equal
        assert changed(before, seen(context.paths.spool)) == set(), what
        server.sql(sql)
        assert source.dumped(), what
    assert source.dumped(), "nothing proves that a MyISAM table did not change"


def test_a_transaction_that_is_open_proves_nothing(shop: tuple[Mariadb, Counted]) -> None:
    server, source = shop
    source.settle()
    argv = ["mariadb", f"--socket={server.socket}", "--unbuffered", "-sN"]
    with command.spawn(argv, stdin=command.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(b"BEGIN; INSERT INTO shop.t (a) VALUES ('open'); SELECT 1;\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"1\n"
        assert source.dumped()
        assert source.dumped()
    source.settle()


def test_a_dump_that_is_gone_damaged_or_old_is_made_again(
    shop: tuple[Mariadb, Counted], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, source = shop
    source.settle()
    folder = context.paths.spool / "mariadb/default"
    (folder / "shop.sql").unlink()
    assert source.dumped()
    source.settle()
    (folder / "instance.json").write_bytes(b"{}")
    assert source.dumped()
    source.settle()
    context.paths.proofs.write_bytes(b"[")
    assert source.dumped()
    source.settle()
    monkeypatch.setattr(proofs, "LONGEST", 0.0)
    assert source.dumped()


def test_another_run_of_the_server_proves_nothing(shop: tuple[Mariadb, Counted], context: Context) -> None:
    _, source = shop
    source.settle()
    known = json.loads(context.paths.proofs.read_bytes())
    state = known["proofs"]["mariadb/default"]["state"]
    known["proofs"]["mariadb/default"]["state"] = state.replace("started ", "started 1")
    context.paths.proofs.write_text(json.dumps(known))
    assert source.dumped()


@pytest.fixture
def cluster(
    postgresql_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Postgresql, Counted]]:
    # what autovacuum does is no checkpoint, and comes when it likes
    with start_postgresql(postgresql_template, "-c autovacuum=off") as server:
        server.psql("CREATE DATABASE d")
        server.psql(
            "CREATE TABLE t (id serial PRIMARY KEY, a text); INSERT INTO t (a) VALUES ('x'); CREATE SEQUENCE s;"
            "CREATE UNLOGGED TABLE u (a int); CREATE ROLE r; SELECT nextval('s')",
            "d",
        )
        counted = Counted(lambda: postgresql.collect(context, server.dataset()))

        def count(argv: list[str], **more: object) -> None:
            counted.dumps += "--format=directory" in argv
            run_watched(argv, **more)  # type: ignore[arg-type]

        monkeypatch.setattr("hotsync.sources.postgresql.source.run_watched", count)
        yield server, counted


POSTGRESQL_CHANGES = {
    "a row": "INSERT INTO t (a) VALUES ('z')",
    "a number taken, which the log does not tell": "SELECT nextval('s')",
    "an unlogged row": "INSERT INTO u VALUES (1)",
    "a comment": "COMMENT ON TABLE t IS 'x'",
    "a role": "ALTER ROLE r LOGIN",
    "a setting": "ALTER DATABASE d SET work_mem = '5MB'",
    "a privilege": "GRANT SELECT ON t TO r",
    "a large object": "SELECT lo_from_bytea(0, '\\x01')",
}


def test_whatever_a_dump_of_postgresql_shows_makes_it_be_dumped(
    cluster: tuple[Postgresql, Counted], context: Context
) -> None:
    server, source = cluster
    assert source.dumped()
    for what, sql in POSTGRESQL_CHANGES.items():
        source.settle()
        server.psql("CHECKPOINT")
        before = seen(context.paths.spool)
        assert not source.dumped(), f"a checkpoint changes nothing (before: {what})"
        assert changed(before, seen(context.paths.spool)) == set()
        server.psql(sql, "d")
        assert source.dumped(), what
    server.psql("CREATE DATABASE other")
    assert source.dumped()
    server.psql("CREATE UNLOGGED SEQUENCE nowhere", "d")
    assert source.dumped()
    assert source.dumped(), "nothing proves that an unlogged sequence did not go on"


def test_a_transaction_that_is_open_in_a_cluster_proves_nothing(cluster: tuple[Postgresql, Counted]) -> None:
    server, source = cluster
    source.settle()
    argv = ["psql", "-XAtq", f"--host={server.folder}", "d"]
    with command.spawn(argv, stdin=command.PIPE, user="postgres", cwd="/") as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(b"BEGIN; INSERT INTO t (a) VALUES ('open'); SELECT 1;\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"1\n"
        assert source.dumped()
        assert source.dumped()
    source.settle()


def test_every_database_has_its_moment_also_when_nothing_was_dumped(
    cluster: tuple[Postgresql, Counted], context: Context
) -> None:
    server, source = cluster
    first = postgresql.collect(context, server.dataset())
    source.settle()
    again = postgresql.collect(context, server.dataset())
    assert [point.name for point in again] == [point.name for point in first]
    assert all(new.taken_at > old.taken_at for new, old in zip(again, first, strict=True))
