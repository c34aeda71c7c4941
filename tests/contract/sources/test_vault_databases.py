"""What database servers of a returning MASTER had and its successor never received: real ones, dumped and compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.engine.rejoin.vault_databases import DatabaseVault, Servers
from hotsync.errors import CommandFailed
from hotsync.manifest.store import Manifest
from hotsync.sources.mariadb import source as mariadb_source
from hotsync.sources.postgresql import source as postgresql_source
from hotsync.sources.source import Context, Dataset, Source
from hotsync.system.clock import Clock
from hotsync.system.paths import Paths
from tests.contract.sources.servers import Mariadb, Postgresql
from tests.support.replica_world import scan

pytestmark = pytest.mark.contract


class Running:
    """Servers that run already; some will not start."""

    def __init__(self, broken: tuple[str, ...] = ()) -> None:
        self.broken = broken
        self.calls: list[str] = []

    def start(self, unit: str) -> None:
        self.calls.append(f"start {unit}")
        if unit in self.broken:
            raise CommandFailed(program="systemctl", status="1", detail="its disk is broken", line="")

    def stop(self, unit: str) -> None:
        self.calls.append(f"stop {unit}")


class Stage:
    """A MASTER whose databases were sent, as far as the manifest says."""

    def __init__(self, context: Context, found: list[tuple[Source, Dataset]]) -> None:
        self.context, self.paths, self.found = context, context.paths, found
        self.part = self.paths.state / "vault/x.part"
        self.part.mkdir(parents=True)
        self.running = Running()
        self.copied: list[tuple[str, tuple[str, ...]]] = []
        for source, dataset in found:
            source.collect(context, dataset)

    def send(self) -> None:
        entries = scan(self.paths.spool)
        prefix = "var/lib/hotsync/spool"
        with Manifest(self.paths.manifest) as manifest:
            manifest.replace([replace(entry, path=f"{prefix}/{path}") for path, entry in entries.items()], 1, "1" * 64)

    @contextmanager
    def confine(self, paths: Paths) -> Iterator[Servers]:
        del paths
        yield self.running

    def find(self, paths: Paths, clock: Clock) -> Iterator[tuple[Source, Dataset]]:
        del paths, clock
        yield from self.found

    def vault(self) -> DatabaseVault:
        return DatabaseVault(self.paths, self.context.clock, self.part, self.confine, self.find)

    def copy(self, name: str, places: Iterable[str]) -> tuple[str, ...]:
        self.copied.append((name, tuple(places)))
        return ()


@pytest.fixture
def shop(mariadb: Mariadb, context: Context) -> Stage:
    mariadb.empty()
    mariadb.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, what TEXT);"
        "INSERT INTO shop.orders VALUES (1,'apples'),(2,'pears'),(3,'plums'); CREATE DATABASE quiet"
    )
    stage = Stage(context, [(mariadb_source, mariadb.dataset())])
    stage.send()
    return stage


def test_rows_that_only_one_side_has_are_shown_by_table(shop: Stage, mariadb: Mariadb) -> None:
    mariadb.sql("INSERT INTO shop.orders VALUES (4,'figs'); UPDATE shop.orders SET what='quinces' WHERE id=2")
    mariadb.sql("DELETE FROM shop.orders WHERE id=3")
    vault = shop.vault()
    assert [(one.name, one.only_here, one.only_there, one.note) for one in vault.keep(shop.copy)] == [
        ("mariadb/default", 2, 2, "")
    ]
    place = shop.part / "databases/mariadb/default"
    assert (place / "difference.txt").read_text().splitlines() == [
        "- orders\t(2,'pears')", "+ orders\t(2,'quinces')", "- orders\t(3,'plums')", "+ orders\t(4,'figs')",
    ]  # fmt: skip
    assert b"figs" in (place / "dump/shop.sql").read_bytes()
    assert sorted(path.name for path in place.iterdir()) == ["difference.txt", "dump"]
    assert shop.running.calls[0].startswith("start ")
    assert shop.running.calls[-1].startswith("stop ")
    vault.forget()
    assert not (shop.paths.state / "rejoin.spool").exists()


def test_what_was_received_whole_is_not_in_the_vault(shop: Stage) -> None:
    assert all(one.is_empty for one in shop.vault().keep(shop.copy))
    assert not (shop.part / "databases").exists()
    assert shop.copied == []


def test_a_second_attempt_compares_with_what_was_received(shop: Stage, mariadb: Mariadb) -> None:
    """The first one has dumped anew already: what it found there before lies apart."""
    mariadb.sql("INSERT INTO shop.orders VALUES (4,'figs')")
    shop.vault().keep(shop.copy)
    assert [one.only_here for one in shop.vault().keep(shop.copy)] == [1]


def test_a_dump_that_was_never_received_is_kept_whole(shop: Stage, mariadb: Mariadb, context: Context) -> None:
    mariadb.sql("INSERT INTO shop.orders VALUES (4,'figs')")
    mariadb_source.collect(context, mariadb.dataset())  # by a run that did not come to its end
    mariadb.sql("INSERT INTO shop.orders VALUES (5,'dates')")
    (found,) = shop.vault().keep(shop.copy)
    assert "not here to compare" in found.note
    assert b"dates" in (shop.part / "databases/mariadb/default/dump/shop.sql").read_bytes()


def test_a_server_that_does_not_start_keeps_its_files(shop: Stage) -> None:
    shop.running.broken = ("mariadb.service",)
    shop.found = []
    (found,) = shop.vault().keep(shop.copy)
    assert "could not be dumped" in found.note
    assert "its disk is broken" in found.note
    assert [name for name, _ in shop.copied] == ["mariadb/default"]


def test_rows_of_postgresql_are_shown_by_their_table(postgresql: Postgresql, context: Context) -> None:
    postgresql.psql("CREATE DATABASE app", "postgres")
    postgresql.psql("CREATE TABLE t (i int, what text); INSERT INTO t VALUES (1, 'one'), (2, 'two')", "app")
    stage = Stage(context, [(postgresql_source, postgresql.dataset())])
    stage.send()
    postgresql.psql("INSERT INTO t VALUES (3, 'three'); DELETE FROM t WHERE i = 1", "app")
    (found,) = stage.vault().keep(stage.copy)
    assert (found.only_here, found.only_there, found.note) == (1, 1, "")
    shown = (stage.part / "databases" / found.name / "difference.txt").read_text()
    assert shown.splitlines() == ["- public.t\t1\tone", "+ public.t\t3\tthree"]


def test_nothing_is_started_where_there_are_no_databases(context: Context) -> None:
    stage = Stage(context, [])
    assert stage.vault().keep(stage.copy) == ()
    assert stage.running.calls == []
    assert not Path(stage.paths.state / "rejoin.spool").exists()
