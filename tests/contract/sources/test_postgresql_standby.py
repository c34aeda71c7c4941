"""A MASTER's PostgreSQL cluster that is a hot standby itself: dumped as any other, and what its slot keeps is known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.model.generation import DatasetPoint
from hotsync.sources.documents import PostgresqlCluster, load
from hotsync.sources.postgresql import slot, source
from hotsync.sources.postgresql.cluster import login_of
from hotsync.sources.postgresql.proof import read_position
from hotsync.sources.source import Context
from hotsync.system import command
from tests.contract.sources.servers import PG_BIN, Postgresql, open_folder
from tests.contract.sources.servers import postgresql as start

pytestmark = pytest.mark.contract


@contextmanager
def following(primary: Postgresql) -> Iterator[Postgresql]:
    """Start a hot standby of a server."""
    with open_folder() as copy:
        command.run(["chown", "postgres:", str(copy)])
        words = ["pg_basebackup", f"--host={primary.folder}", f"--pgdata={copy}/data", "--checkpoint=fast", "-R"]
        command.run([str(PG_BIN / words[0]), *words[1:]], user="postgres", cwd="/")
        with start(copy / "data") as standby:
            yield standby


@pytest.fixture(scope="module")
def primary(postgresql_template: Path) -> Iterator[Postgresql]:
    with start(postgresql_template) as server:
        server.psql("CREATE ROLE shop LOGIN")
        server.psql("CREATE DATABASE shop OWNER shop")
        server.psql("CREATE TABLE goods (id serial PRIMARY KEY, name text)", "shop")
        server.psql("INSERT INTO goods (name) SELECT 'apple' FROM generate_series(1, 40)", "shop")
        server.psql("CREATE UNLOGGED TABLE cache AS SELECT 1 AS a; SELECT lo_from_bytea(0, 'large')", "shop")
        yield server


@pytest.fixture(scope="module")
def standby(primary: Postgresql) -> Iterator[Postgresql]:
    with following(primary) as server:
        assert server.psql("SELECT pg_is_in_recovery()").strip() == "t"
        yield server


def caught_up(primary: Postgresql, standby: Postgresql) -> str:
    """Wait until a standby has applied everything; return where that is."""
    end = primary.psql("SELECT pg_current_wal_lsn()").strip()
    while standby.psql(f"SELECT pg_last_wal_replay_lsn() >= '{end}'").strip() != "t":
        time.sleep(0.05)
    return end


def collected(context: Context, server: Postgresql) -> tuple[list[DatasetPoint], Path, PostgresqlCluster]:
    points = source.collect(context, server.dataset())
    folder = context.paths.spool / "postgresql/15-main"
    return points, folder, load(folder / "cluster.json", PostgresqlCluster)


def test_a_hot_standby_is_dumped_and_its_dump_loaded(
    primary: Postgresql, standby: Postgresql, other_postgresql: Postgresql, context: Context
) -> None:
    caught_up(primary, standby)
    points, folder, document = collected(context, standby)
    assert not [point for point in points if point.stale_since]
    assert document.position.split()[0] == primary.psql("SELECT system_identifier FROM pg_control_system()").strip()
    assert read_position(login_of(standby.dataset())) is None, "nothing is proven of it: it is always dumped"
    primary.psql("INSERT INTO goods (name) VALUES ('pear')", "shop")
    end = caught_up(primary, standby)
    _, folder, document = collected(context, standby)
    reached = document.position.split()[1]
    assert primary.psql(f"SELECT '{reached}'::pg_lsn >= '{end}'::pg_lsn").strip() == "t"
    assert source.restore(folder, other_postgresql.dataset()) == document.digest
    assert other_postgresql.psql("SELECT count(*), max(name) FROM goods", "shop").strip() == "41|pear"
    # a standby's sequence is where its primary may go on from after a crash
    assert int(other_postgresql.psql("SELECT nextval('goods_id_seq')", "shop")) > 41
    assert other_postgresql.psql("SELECT count(*) FROM cache", "shop").strip() == "0"
    assert "GRANT" not in other_postgresql.globals()
    assert "CREATE ROLE shop" in other_postgresql.globals()


def test_what_a_hot_standbys_slot_keeps_is_known_and_given_up(primary: Postgresql, standby: Postgresql) -> None:
    login = login_of(standby.dataset())
    standby.psql("SELECT pg_create_physical_replication_slot('hotsync', true)")
    primary.psql("CREATE TABLE much AS SELECT generate_series(1, 20000) AS a", "shop")
    caught_up(primary, standby)
    found = slot.look(login)
    assert found is not None
    assert found.kept > 1_000_000
    assert not slot.is_followed(standby.dataset())
    assert "is not streamed any more" in slot.tend(standby.dataset(), 0)
    assert slot.look(login) is None
