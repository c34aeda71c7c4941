"""MariaDB: a database that cannot be dumped keeps its last copy, by name; all others are dumped as of one moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from hotsync.errors import SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.report import Check, Notice, Verdict
from hotsync.sources import documents, proofs
from hotsync.sources.documents import INSTANCE, MariadbInstance
from hotsync.sources.mariadb import bad, source
from hotsync.sources.registry import collect_all
from hotsync.sources.source import Context, Dataset
from hotsync.sources.stream import output_of
from tests.contract.sources.observe import changed, seen
from tests.contract.sources.servers import Mariadb
from tests.contract.sources.servers import mariadb as start

pytestmark = pytest.mark.contract

NAME = "mariadb/default"
WORLD = """
CREATE DATABASE alpha; CREATE DATABASE inno; CREATE DATABASE isam; CREATE DATABASE omega; USE alpha;
CREATE TABLE alpha.n (a int PRIMARY KEY AUTO_INCREMENT); INSERT INTO alpha.n VALUES (1);
CREATE TABLE alpha.much (a int PRIMARY KEY, b mediumtext);
INSERT INTO alpha.much SELECT seq, REPEAT('x', 100000) FROM seq_1_to_40;
CREATE TABLE omega.n (a int PRIMARY KEY AUTO_INCREMENT); INSERT INTO omega.n VALUES (1);
CREATE TABLE inno.before (a int); INSERT INTO inno.before VALUES (1);
CREATE TABLE inno.t (a int PRIMARY KEY); INSERT INTO inno.t VALUES (1), (2);
CREATE TABLE isam.before (a int) ENGINE=MyISAM; INSERT INTO isam.before VALUES (1);
CREATE TABLE isam.t (a int PRIMARY KEY, b text) ENGINE=MyISAM;
INSERT INTO isam.t SELECT seq, REPEAT('y', 1000) FROM seq_1_to_100;
"""


@dataclass
class One:
    """The source, of one server; `told` are its points after each run, by the name below the server's."""

    server: Mariadb
    context: Context
    NAME: str = "mariadb"
    IS_DATABASE: bool = True
    failures: list[str] = field(default_factory=list)

    def inspect(self, context: Context) -> tuple[Dataset, ...]:
        return (replace(self.server.dataset(), directories=("/nowhere",)),)

    def collect(self, context: Context, dataset: Dataset) -> list[DatasetPoint]:
        return source.collect(context, dataset)

    def restore(self, folder: Path, dataset: Dataset) -> str:
        return source.restore(folder, dataset)

    def verify(self, folder: Path) -> list[Check]:
        return source.verify(folder)

    @property
    def folder(self) -> Path:
        return self.context.paths.spool / NAME

    @property
    def document(self) -> MariadbInstance:
        return documents.load(self.folder / INSTANCE, MariadbInstance)

    def rows(self) -> dict[str, dict[str, int]]:
        """The rows of each table in the dumps, as they were counted while these were made."""
        return {database.name: dict(database.tables) for database in self.document.databases}

    def run(self) -> dict[str, DatasetPoint]:
        done = collect_all(self.context, sources=(self,))
        self.failures = [error.sentence for error in done.failures]
        return {point.name.removeprefix(NAME).strip("/"): point for point in done.points}


@contextmanager
def world(template: Path, context: Context) -> Iterator[One]:
    """A server with four databases, collected once."""
    with start(template) as server:
        server.sql(WORLD)
        one = One(server, context)
        assert set(one.run()) == {""}
        yield one


def take_out(server: Mariadb, *words: str) -> None:
    """Let the server close a table's files, and cut those short, or remove them."""
    server.sql("FLUSH TABLES")
    for word in words:
        path = server.folder / "data" / word
        if path.suffix == ".ibd":
            path.unlink()
        else:
            os.truncate(path, min(path.stat().st_size // 2, 100))


@contextmanager
def started_again(one: One, *words: str) -> Iterator[One]:
    """Stop the server in good order, damage files, start it on what is left."""
    one.server.sql("SHUTDOWN")
    one.server.process.wait()
    for word in words:
        (one.server.folder / "data" / word).unlink()
    with start(one.server.folder / "data") as server:
        yield One(server, one.context)


@pytest.mark.parametrize("file", ["isam/t.MYD", "isam/t.MYI"])
def test_a_table_that_is_cut_short_leaves_its_database_at_its_last_copy_and_no_other(
    mariadb_template: Path, other_mariadb: Mariadb, context: Context, file: str
) -> None:
    with world(mariadb_template, context) as one:
        before = seen(one.folder)
        first = one.document.collected_at
        one.server.sql("INSERT INTO isam.before VALUES (2); INSERT INTO omega.n VALUES (2), (3)")
        take_out(one.server, file)
        points = one.run()
        assert set(points) == {"", "isam"}
        assert (points[""].stale_since, points["isam"].stale_since) == (0.0, points["isam"].taken_at)
        assert first <= points["isam"].taken_at < points[""].taken_at
        assert points["isam"].note.startswith("database isam: mariadb-dump: ")
        assert "`t`" in points["isam"].note
        assert "Warning" not in points["isam"].note
        assert [sentence.partition(":")[0] for sentence in one.failures] == [f"{NAME}/isam could not be collected"]
        assert changed(before, seen(one.folder)) == {".", "omega.sql", INSTANCE}
        assert one.document.older == ("isam",)
        assert [check.verdict for check in source.verify(one.folder)] == [Verdict.GREEN]
        again = one.run()
        assert (again["isam"], again[""].stale_since) == (points["isam"], 0.0), "it does not get younger"
        source.restore(one.folder, other_mariadb.dataset())
        assert other_mariadb.sql("SELECT COUNT(*) FROM omega.n; SELECT COUNT(*) FROM isam.t").split() == ["3", "100"]
        assert other_mariadb.sql("SELECT COUNT(*) FROM isam.before").strip() == "1"
        one.server.sql("DROP TABLE isam.t")
        points = one.run()
        assert (set(points), points[""].stale_since) == ({""}, 0.0)
        assert list(one.document.older) == []
        assert one.rows()["isam"] == {"before": 2}
        assert one.failures == []


def test_two_bad_databases_are_left_out_and_the_others_are_of_one_moment(
    mariadb_template: Path, context: Context
) -> None:
    with world(mariadb_template, context) as before, started_again(before, "inno/t.ibd") as one:
        take_out(one.server, "isam/t.MYD")

        def write(dataset: str, count: int) -> None:
            one.server.sql("BEGIN; INSERT INTO alpha.n VALUES (NULL); INSERT INTO omega.n VALUES (NULL); COMMIT")

        old = one.document
        one.context = replace(context, progress=write)
        points = one.run()
        assert set(points) == {"", "inno", "isam"}
        assert ["`t`" in points["inno"].note, "engine" in points["inno"].note] == [True, True]
        assert "isam" in points["isam"].note
        rows = one.rows()
        assert rows["alpha"]["n"] == rows["omega"]["n"]
        assert rows["inno"] == {"before": 1, "t": 2}
        kept = {each.name: each for each in old.databases}
        assert [each for each in one.document.databases if each.name in ("inno", "isam")] == [
            kept["inno"], kept["isam"],
        ]  # fmt: skip
        assert one.document.older == ("inno", "isam")
        assert one.document.not_transactional == ()


def test_a_table_of_which_a_dump_reads_only_the_beginning_without_a_word_is_bad(
    mariadb_template: Path, context: Context
) -> None:
    with world(mariadb_template, context) as one:
        one.server.sql("CREATE TABLE isam.short (a int) ENGINE=MyISAM; INSERT INTO isam.short VALUES (1), (2)")
        one.server.sql("CREATE TABLE isam.aria (a int) ENGINE=Aria; INSERT INTO isam.aria VALUES (1), (2)")
        assert set(one.run()) == {""}
        assert (one.rows()["isam"]["short"], one.rows()["isam"]["aria"]) == (2, 2)
        before = seen(one.folder)
        take_out(one.server, "isam/short.MYD")
        points = one.run()
        assert set(points) == {"", "isam"}
        assert points["isam"].note == "database isam: table short has 2 rows, of which 1 can be read"
        assert changed(before, seen(one.folder)) == {".", INSTANCE}
        assert one.rows()["isam"]["short"] == 2


def test_what_is_known_to_be_bad_does_not_end_another_dump_of_all(
    mariadb_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped: list[list[str]] = []

    def note(argv: list[str], *, stall_seconds: float) -> Iterator[bytes]:
        dumped.append(argv[argv.index("--") + 1 :])
        return output_of(argv, stall_seconds=stall_seconds)

    monkeypatch.setattr(source, "output_of", note)
    monkeypatch.setattr(bad, "output_of", note)
    with world(mariadb_template, context) as one:
        take_out(one.server, "isam/t.MYD")
        dumped.clear()
        one.run()
        every, rest = ["isam", "alpha", "inno", "omega"], ["alpha", "inno", "omega"]
        assert dumped == [every, ["isam"], ["alpha"], rest]
        dumped.clear()
        one.run()
        assert dumped == [["isam"], rest]


def test_a_database_that_never_was_dumped_has_no_copy_and_views_and_grants_on_it_do_not_stop_a_load(
    mariadb_template: Path, other_mariadb: Mariadb, context: Context
) -> None:
    with world(mariadb_template, context) as one:
        one.server.sql(
            "CREATE DATABASE young; CREATE TABLE young.t ENGINE=MyISAM SELECT * FROM isam.t;"
            "CREATE TABLE young.whole (a int); CREATE VIEW omega.over AS SELECT a FROM young.whole;"
            "CREATE VIEW omega.upon AS SELECT a FROM omega.over; CREATE VIEW omega.own AS SELECT a FROM omega.n;"
            "GRANT SELECT ON young.whole TO guest@localhost IDENTIFIED BY 'x';"
            "GRANT SELECT ON omega.n TO guest@localhost"
        )
        take_out(one.server, "young/t.MYD")
        points = one.run()
        assert (points["young"].taken_at, points["young"].stale_since > 0) == (0.0, True)
        assert "young" not in one.rows()
        assert not (one.folder / "young.sql").exists()
        source.restore(one.folder, other_mariadb.dataset())
        assert other_mariadb.sql("SHOW TABLES IN omega").split() == ["n", "own"]
        assert "`omega`.`n`" in other_mariadb.sql("SHOW GRANTS FOR guest@localhost")


def test_where_every_database_is_bad_the_whole_server_is_stale(mariadb_template: Path, context: Context) -> None:
    with start(mariadb_template) as server:
        server.sql("CREATE DATABASE isam; CREATE TABLE isam.t (b text) ENGINE=MyISAM;")
        server.sql("INSERT INTO isam.t VALUES (REPEAT('y', 1000)), (REPEAT('z', 1000))")
        one = One(server, context)
        taken_at = one.run()[""].taken_at
        before = seen(context.paths.spool)
        take_out(server, "isam/t.MYD")
        points = one.run()
        assert (set(points), points[""].stale_since) == ({""}, taken_at)
        assert "database isam: mariadb-dump: " in points[""].note
        assert changed(before, seen(context.paths.spool)) == set()


def test_a_server_that_dies_while_the_bad_one_is_looked_for_is_stale_as_a_whole(
    mariadb_template: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(mariadb_template, context) as one:
        before = seen(context.paths.spool)
        one.server.sql("INSERT INTO omega.n VALUES (2)")
        take_out(one.server, "isam/t.MYD")

        def die(argv: list[str], *, stall_seconds: float) -> Iterator[bytes]:
            one.server.kill()
            return output_of(argv, stall_seconds=stall_seconds)

        monkeypatch.setattr(bad, "output_of", die)
        with pytest.raises(SourceError) as caught:
            source.collect(context, one.server.dataset())
        assert "Start the server" in caught.value.hint
        assert changed(before, seen(context.paths.spool)) == set()
        assert not list(context.paths.collecting.rglob("*.sql"))


def test_nothing_is_proven_of_a_server_with_a_bad_database(mariadb_template: Path, context: Context) -> None:
    with start(mariadb_template) as first:
        first.sql(
            "CREATE DATABASE inno; CREATE TABLE inno.t (a int); CREATE DATABASE omega; CREATE TABLE omega.n (a int)"
        )
        before = One(first, context)
        before.run()
        with started_again(before, "inno/t.ibd") as one:
            for _ in range(3):
                assert set(one.run()) == {"", "inno"}
                assert proofs.find(context.paths, NAME, context.clock.now()) is None
            one.server.sql("SET GLOBAL innodb_fast_shutdown = 1; DROP TABLE inno.t")
            assert set(one.run()) == {""}
            assert one.rows()["inno"] == {}


def test_a_view_without_its_definer_is_carried_and_one_without_its_table_is_named(
    mariadb_template: Path, other_mariadb: Mariadb, context: Context
) -> None:
    notices: list[Notice] = []
    with world(mariadb_template, replace(context, notice=notices.append)) as before:
        before.server.sql(
            "CREATE USER who@localhost; GRANT ALL ON *.* TO who@localhost;"
            "CREATE DEFINER=who@localhost VIEW omega.w AS SELECT a FROM omega.n; DROP USER who@localhost;"
            "CREATE VIEW omega.lost AS SELECT a FROM inno.t"
        )
        with started_again(before, "inno/t.ibd") as one:
            assert set(one.run()) == {"", "inno"}
            assert ["view lost of omega" in notice.sentence for notice in notices] == [True]
            assert one.document.broken_views == ("omega.lost",)
            source.restore(one.folder, other_mariadb.dataset())
            assert other_mariadb.sql("SHOW TABLES IN omega").split() == ["n", "w"]
