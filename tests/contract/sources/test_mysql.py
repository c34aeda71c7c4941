"""A server that is MySQL is found and refused by name, and its files are not copied; here a MariaDB that says it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.errors import SourceError
from hotsync.sources.mariadb import source
from hotsync.sources.mariadb.kind import greeted_version
from hotsync.sources.registry import collect_all
from hotsync.sources.source import Context, Dataset
from tests.contract.sources.servers import Mariadb
from tests.contract.sources.servers import mariadb as start

pytestmark = pytest.mark.contract

VERSION = "8.0.36-28"


@pytest.fixture(scope="module")
def mysql(mariadb_template: Path) -> Iterator[Mariadb]:
    with start(mariadb_template, f"--version={VERSION}") as server:
        server.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a int)")
        yield server


def found(server: Mariadb, context: Context) -> Dataset:
    (dataset,) = (each for each in source.inspect(context) if each.socket == server.socket)
    return dataset


def test_it_is_found_and_named_nothing_of_it_is_dumped_and_its_files_are_protected(
    mysql: Mariadb, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = found(mysql, context)
    monkeypatch.setattr(source, "inspect", lambda _: (dataset,))
    done = collect_all(context, sources=(source,))
    (point,) = done.points
    assert (point.name, point.taken_at, point.stale_since > 0) == (dataset.name, 0.0, True)
    assert point.note == f"it is MySQL {VERSION}, which HotSync cannot carry"
    (failure,) = done.failures
    assert f"DumpedByPlugin {dataset.name}" in failure.hint
    assert str(mysql.folder / "data") in {rule.pattern for rule in done.rules}
    assert not list(context.paths.spool.rglob("*.sql"))
    monkeypatch.undo()


def test_a_plugin_that_dumps_it_is_told_by_the_name_that_the_run_gave(
    mysql: Mariadb, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = found(mysql, context)
    monkeypatch.setattr(source, "inspect", lambda _: (dataset,))
    done = collect_all(context, elsewhere={dataset.name}, sources=(source,))
    assert (done.points, done.failures) == ((), ())
    assert str(mysql.folder / "data") in {rule.pattern for rule in done.rules}


def test_where_root_cannot_log_in_it_is_named_all_the_same(mysql: Mariadb, context: Context) -> None:
    mysql.sql("ALTER USER root@localhost IDENTIFIED BY 'unknown to us'")
    with pytest.raises(SourceError, match=f"it is MySQL {VERSION}, which HotSync cannot carry"):
        source.collect(context, mysql.dataset())


def test_what_greets_is_told_without_a_login_and_where_nobody_does_nothing_is(
    mariadb: Mariadb, mysql: Mariadb, tmp_path: Path
) -> None:
    assert "MariaDB" in greeted_version(mariadb.dataset())
    assert greeted_version(mysql.dataset()) == VERSION
    assert greeted_version(Dataset("mariadb", "default", socket=str(tmp_path / "nobody"))) == ""
