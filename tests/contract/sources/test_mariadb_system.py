"""MariaDB: what the schema `mysql` says besides accounts comes along: plugins, functions, servers, time zones."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.engine.promotion import loads as promotion_loads
from hotsync.errors import RestoreFailed
from hotsync.sources import documents
from hotsync.sources.documents import MariadbInstance
from hotsync.sources.mariadb import source, zones
from hotsync.sources.mariadb.system_tables import libraries_of
from hotsync.sources.source import NOTHING_LOADED, Context
from hotsync.system import command
from tests.contract.sources import servers
from tests.contract.sources.servers import Mariadb

pytestmark = pytest.mark.contract

PLUGINS = Path("/usr/lib/mysql/plugin")
FUNCTION = """
typedef struct { int dummy; } UDF;
int hotsync_seven_init(UDF *a, UDF *b, char *c) { return 0; }
long long hotsync_seven(UDF *a, UDF *b, char *c, char *d) { return 7; }
"""


@pytest.fixture(scope="module")
def libraries() -> Iterator[Path]:
    """A folder of plugins: those of the package, and a function that somebody compiled."""
    with servers.open_folder() as folder:
        shutil.copytree(PLUGINS, folder / "plugin", symlinks=True)
        (folder / "f.c").write_text(FUNCTION)
        command.run(["gcc", "-shared", "-fPIC", "-o", str(folder / "plugin/seven.so"), str(folder / "f.c")])
        yield folder / "plugin"


@pytest.fixture
def master(mariadb_template: Path, libraries: Path) -> Iterator[Mariadb]:
    with servers.mariadb(mariadb_template, f"--plugin-dir={libraries}") as server:
        yield server


def restored(context: Context, server: Mariadb, *, accounts: bool = True) -> list[str]:
    """Load what was collected; return what a person is told."""
    told: list[str] = []
    source.restore(folder_of(context), server.dataset(), replace(NOTHING_LOADED, tell=told.append, accounts=accounts))
    return told


def folder_of(context: Context) -> Path:
    return context.paths.spool / "mariadb/default"


def system_of(context: Context) -> dict[str, object]:
    found = json.loads((folder_of(context) / "instance.json").read_text())["system"]
    assert isinstance(found, dict)
    return found


def filled(server: Mariadb) -> None:
    server.sql(
        "INSTALL SONAME 'auth_ed25519'; INSTALL SONAME 'ha_archive';"
        "CREATE USER eddy@localhost IDENTIFIED VIA ed25519 USING PASSWORD('x'); CREATE USER bare@localhost;"
        "CREATE FUNCTION hotsync_seven RETURNS INTEGER SONAME 'seven.so';"
        "CREATE SERVER far FOREIGN DATA WRAPPER mysql OPTIONS (HOST '192.0.2.7', USER 'u', PASSWORD 'it''s \\\\ one',"
        " PORT 3307, DATABASE 'd');"
        "CREATE DATABASE shop; CREATE TABLE shop.old (a int) ENGINE=ARCHIVE; INSERT INTO shop.old VALUES (1), (2);"
        "CREATE VIEW shop.seven AS SELECT hotsync_seven() AS n;"
        # accounts without a password, or with one of which the server knows the hash only, are older than it
        "INSTALL SONAME 'simple_password_check';"
    )
    zones.fill(server.dataset())


def test_plugins_functions_servers_and_time_zones_are_those_of_the_master(
    master: Mariadb, mariadb_template: Path, libraries: Path, context: Context
) -> None:
    filled(master)
    source.collect(context, master.dataset())
    with servers.mariadb(mariadb_template, f"--plugin-dir={libraries}") as other:
        assert restored(context, other) == []
        assert restored(context, other) == [], "also of a promotion that was cut and goes on"
        for asked in (
            "SELECT * FROM mysql.plugin ORDER BY name", "SELECT * FROM mysql.func", "SELECT * FROM mysql.servers",
            "SELECT n FROM shop.seven", "SELECT CONVERT_TZ('2026-07-01 12:00:00', 'UTC', 'Europe/Berlin')",
            "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_NAME = 'old'", "SELECT COUNT(*) FROM shop.old",
            "SHOW CREATE USER eddy@localhost", "SHOW CREATE USER bare@localhost",
        ):  # fmt: skip
            assert other.sql(asked) == master.sql(asked)
            assert other.sql(asked)
        assert other.sql("SELECT @@strict_password_validation") == "1\n", "as it was before"


def test_a_plugin_or_a_server_that_came_is_collected_though_no_row_changed(master: Mariadb, context: Context) -> None:
    master.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a int)")
    source.collect(context, master.dataset())
    assert system_of(context) == {"plugins": [], "functions": [], "servers": [], "has_zones": False}
    master.sql("CREATE SERVER far FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'h'); INSTALL SONAME 'sql_errlog'")
    assert not source.is_as_told(context, master.dataset())
    source.collect(context, master.dataset())
    assert [plugin["library"] for plugin in system_of(context)["plugins"]] == ["sql_errlog.so"]  # type: ignore[attr-defined]
    assert len(system_of(context)["servers"]) == 1  # type: ignore[arg-type]


def test_before_a_promotion_only_what_tables_and_views_need_is_loaded(
    master: Mariadb, mariadb_template: Path, libraries: Path, context: Context
) -> None:
    filled(master)
    source.collect(context, master.dataset())
    with servers.mariadb(mariadb_template, f"--plugin-dir={libraries}") as other:
        assert restored(context, other, accounts=False) == []
        assert other.sql("SELECT name FROM mysql.plugin").split() == ["ARCHIVE"]
        assert other.sql("SELECT n FROM shop.seven") == "7\n"


def test_an_engine_that_is_missing_here_is_an_error_with_the_table(
    master: Mariadb, other_mariadb: Mariadb, context: Context
) -> None:
    master.sql(
        "INSTALL SONAME 'ha_archive'; CREATE DATABASE shop; CREATE TABLE shop.old (a int) ENGINE=ARCHIVE;"
        "CREATE DATABASE other; CREATE TABLE other.t (a int) ENGINE=MyISAM"
    )
    source.collect(context, master.dataset())
    path = folder_of(context) / "instance.json"
    # as of a MASTER whose settings name it
    path.write_text(path.read_text().replace('"installed": true', '"installed": false'))
    with pytest.raises(
        RestoreFailed, match=r"table old of shop is of ARCHIVE in its dump; this server lacks"
    ) as caught:
        restored(context, other_mariadb)
    assert caught.value.databases == ("shop",)
    assert other_mariadb.sql("SHOW TABLES FROM other") == "t\n"


def test_a_library_that_is_missing_or_not_only_roots_or_elsewhere_is_told_and_never_loaded(
    master: Mariadb, mariadb_template: Path, libraries: Path, context: Context
) -> None:
    master.sql("INSTALL SONAME 'sql_errlog'; CREATE FUNCTION hotsync_seven RETURNS INTEGER SONAME 'seven.so'")
    source.collect(context, master.dataset())
    path = folder_of(context) / "instance.json"
    text = path.read_text()
    document = documents.load(path, MariadbInstance)
    assert libraries_of(document.system) == {"sql_errlog.so": False, "seven.so": True}
    with servers.open_folder() as folder:
        shutil.copytree(libraries, folder / "plugin", symlinks=True)
        (folder / "plugin/sql_errlog.so").unlink()
        os.chown(folder / "plugin/seven.so", 1, 1)
        with servers.mariadb(mariadb_template, f"--plugin-dir={folder}/plugin") as other:
            told = restored(context, other)
            assert [bool(re.search("is missing, or not only root's", said)) for said in told] == [True, True]
            for odd in ("../seven.so", "/tmp/seven.so", ".seven.so", "x';DROP DATABASE mysql;--"):
                path.write_text(text.replace("sql_errlog.so", odd))
                assert "is odd" in restored(context, other)[0]
            assert other.sql("SELECT * FROM mysql.plugin") + other.sql("SELECT * FROM mysql.func") == ""
    path.write_text(text.replace("sql_errlog.so", "../seven.so"))
    assert set(libraries_of(documents.load(path, MariadbInstance).system)) == {"seven.so"}


def test_an_account_whose_plugin_is_missing_is_an_error_that_says_where_to_look(
    master: Mariadb, mariadb_template: Path, context: Context
) -> None:
    master.sql("INSTALL SONAME 'auth_ed25519'; CREATE USER eddy@localhost IDENTIFIED VIA ed25519 USING PASSWORD('x')")
    source.collect(context, master.dataset())
    with servers.open_folder() as folder, servers.mariadb(mariadb_template, f"--plugin-dir={folder}") as other:
        with pytest.raises(RestoreFailed, match="1524") as caught:
            restored(context, other)
        assert "data.plugins" in caught.value.hint


def test_a_server_whose_settings_name_a_time_zone_starts_on_a_directory_that_had_none(
    master: Mariadb, mariadb_template: Path, context: Context
) -> None:
    zones.fill(master.dataset())
    source.collect(context, master.dataset())
    document = documents.load(folder_of(context) / "instance.json", MariadbInstance)
    with servers.open_folder() as folder:
        data = folder / "data"
        shutil.copytree(mariadb_template, data)
        assert zones.fill_at_rest(replace(document, system=documents.MariadbSystem()), "default", data) == ""
        assert (data / "mysql/time_zone_name.MAD").stat().st_size == 8192, "the MASTER knows none"
        assert zones.fill_at_rest(document, "default", data) == ""
        before = (data / "mysql/time_zone_name.MAD").stat()
        assert zones.fill_at_rest(document, "default", data) == ""
        assert (data / "mysql/time_zone_name.MAD").stat() == before, "what is there stays"
        with servers.mariadb(data, "--default-time-zone=Europe/Berlin") as server:
            assert server.sql("SELECT @@time_zone") == "Europe/Berlin\n"


def test_the_server_that_is_installed_here_says_where_it_looks_for_plugins() -> None:
    assert Path(promotion_loads._plugin_folder() or "") == PLUGINS


def test_what_an_older_hotsync_collected_is_loaded(master: Mariadb, other_mariadb: Mariadb, context: Context) -> None:
    master.sql("CREATE DATABASE shop; CREATE TABLE shop.t (a int) ENGINE=Aria; INSERT INTO shop.t VALUES (4)")
    source.collect(context, master.dataset())
    path = folder_of(context) / "instance.json"
    told = json.loads(path.read_text())
    del told["system"]
    for database in told["databases"]:
        del database["engines"]
    path.write_text(json.dumps(told))
    assert restored(context, other_mariadb) == []
    assert other_mariadb.sql("SELECT a FROM shop.t") == "4\n"
