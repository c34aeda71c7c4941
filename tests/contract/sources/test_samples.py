"""Sample databases with everything that the engines know come back identical: a dump of the restored is a dump of the
source, line by line. What may differ is listed in docs/formats.md (The spool).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hotsync.sources.mariadb import source as mariadb
from hotsync.sources.postgresql import source as postgresql
from hotsync.sources.source import Context
from tests.contract.sources.servers import Mariadb, Postgresql
from tests.contract.sources.servers import mariadb as start_mariadb
from tests.contract.sources.servers import postgresql as start_postgresql

pytestmark = pytest.mark.contract

HERE = Path(__file__).parent
ACCOUNTS = ("'o''hara'@'10.%'", "nobody@localhost", "clerks", "chiefs")
# the values of an enum have other numbers after a load, so their hashes lead to other partitions
HASHED = "--exclude-table-data=hashed_*"
QUESTIONS = """
SELECT nextval(rental.tickets), rental.tax(10), rental.joined();
CALL rental.pay(1, @t, @s); SELECT @s;
SELECT id, HEX(title), rating, features, secret, doc, flags, uid, zero, days FROM rental.film ORDER BY id;
SELECT id, price, valid_to FROM rental.tariff FOR SYSTEM_TIME ALL ORDER BY 1, 2;
SELECT HEX(a) FROM rental.latin UNION ALL SELECT HEX(a) FROM rental.shift; SELECT * FROM `select`.total;
SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'rental' ORDER BY TABLE_NAME;
"""


def test_a_rich_mariadb_server_comes_back_identical(
    mariadb_template: Path, other_mariadb: Mariadb, context: Context
) -> None:
    folder = context.paths.spool / "mariadb/default"
    with start_mariadb(mariadb_template) as master:
        master.sql((HERE / "sample.mariadb.sql").read_text(encoding="utf-8"))
        mariadb.collect(context, master.dataset())
        mariadb.restore(folder, other_mariadb.dataset())
        assert other_mariadb.dump().decode("utf-8", "replace").splitlines() == (
            master.dump().decode("utf-8", "replace").splitlines()
        )
        for account in ACCOUNTS:
            asked = f"SHOW GRANTS FOR {account}"
            assert sorted(other_mariadb.sql(asked).splitlines()) == sorted(master.sql(asked).splitlines()), account
        users = "SELECT User, Host, is_role, default_role, plugin, authentication_string FROM mysql.user ORDER BY 1, 2"
        assert other_mariadb.sql(users).replace("unix_socket", "") == master.sql(users).replace("unix_socket", "")
        assert other_mariadb.sql(QUESTIONS) == master.sql(QUESTIONS)
    document = json.loads((folder / "instance.json").read_text())
    counted = {database["name"]: dict(database["tables"]) for database in document["databases"]}
    assert {name: counted["rental"][name] for name in ("film", "payment", "tariff", "held", "searched")} == {
        "film": 3, "payment": 60, "tariff": 3, "held": 2, "searched": 2,
    }  # fmt: skip
    assert document["not_transactional"] == []


def test_a_rich_cluster_comes_back_identical(
    postgresql_template: Path, other_postgresql: Postgresql, context: Context
) -> None:
    folder = context.paths.spool / "postgresql/15-main"
    with start_postgresql(postgresql_template) as master:
        master.psql((HERE / "sample.postgresql.sql").read_text(encoding="utf-8"))
        points = postgresql.collect(context, master.dataset())
        assert [point.note for point in points if point.stale_since] == []
        postgresql.restore(folder, other_postgresql.dataset())
        assert other_postgresql.globals().splitlines() == master.globals().splitlines()
        for database in ("rental", "icu", "bytes", "win"):
            found, wanted = (server.dump(database, HASHED).splitlines() for server in (other_postgresql, master))
            assert found == wanted, database
        hashed = "SELECT * FROM hashed ORDER BY n"
        assert other_postgresql.psql(hashed, "rental") == master.psql(hashed, "rental")
        large = "SELECT oid, md5(lo_get(oid)), lomacl FROM pg_largeobject_metadata ORDER BY 1"
        assert other_postgresql.psql(large, "rental") == master.psql(large, "rental")
        numbers = "SELECT nextval('films.tickets'), (SELECT array_agg(title ORDER BY id) FROM films.film)"
        assert other_postgresql.psql(numbers, "rental") == master.psql(numbers, "rental")
    database = next(
        each for each in json.loads((folder / "cluster.json").read_text())["databases"] if each["name"] == "rental"
    )
    rows = {(schema, table): count for schema, table, count in database["tables"]}
    assert rows["films", "film"] == 2
    assert rows["odd, schema", 'Таблица "x"'] == 1
    assert rows["public", "passing"] == 2
    assert database["extensions"] == ["citext", "pgcrypto", "postgres_fdw"]
    assert database["large_objects"] == 2
