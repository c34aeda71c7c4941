"""What loading the databases of a generation needs of this host."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.engine.promotion.loads import (
    extensions_lacking,
    libraries_lacking,
    loads,
    locales_of_databases,
    not_older,
    older,
    servers_lacking,
    servers_newer,
)
from hotsync.engine.promotion.room import room_missing
from hotsync.manifest.store import Manifest
from hotsync.model.entry import Entry, Kind
from hotsync.model.promotion import DatabaseDump, ExchangeUnit, How, Promotion
from hotsync.system.paths import Paths
from tests.fakes.host import World

MARIADB = DatabaseDump("mariadb", "default", "mariadb.service", "a" * 64, 1000, "10.11.6-MariaDB-0+deb12u1")
POSTGRESQL = DatabaseDump("postgresql", "15-main", "postgresql@15-main.service", "b" * 64, 2000, "150018")
TOC = {"file": "shop.dump/toc.dat", "size": 1, "sha256": "d" * 64}


def whole(dump: DatabaseDump) -> int:
    """Nothing of it is loaded beforehand."""
    return dump.size


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_load_needs_more_room_than_its_dump_where_the_server_keeps_its_data(tmp_path: Path) -> None:
    usual = [("var/lib/mysql", 1500), ("var/lib/postgresql/15/main", 3000)]
    assert loads(tmp_path, (MARIADB, POSTGRESQL), whole) == usual
    write(tmp_path / "etc/mysql/mariadb.conf.d/60-big.cnf", "[mysqld]\ndatadir = /srv/mysql\n")
    write(tmp_path / "etc/postgresql/15/main/postgresql.conf", "data_directory = '/srv/pg'  # moved\n")
    assert loads(tmp_path, (MARIADB, POSTGRESQL), whole) == [("srv/mysql", 1500), ("srv/pg", 3000)]


def test_what_is_put_in_place_at_rest_needs_room_there_by_its_own_word(tmp_path: Path) -> None:
    redis = DatabaseDump("redis", "redis-server", "redis-server.service", "c" * 64, 1000, "7.0.15", "/srv/redis/", True)
    assert loads(tmp_path, (redis,), whole) == [("srv/redis", 1500)]
    assert loads(tmp_path, (replace(redis, directory="/srv/../../x"),), whole) == [("", 1500)]


@pytest.mark.parametrize(("version", "lacking"), [("2.4.57", False), ("2.5.99", False), ("2.6.1", True), ("3.0", True)])
def test_a_directory_server_that_is_older_than_the_masters_is_said_before(version: str, lacking: bool) -> None:
    dump = DatabaseDump("openldap", "slapd", "slapd.service", "c" * 64, 1, version, "/var/lib/ldap")
    assert bool(not_older(dump, "2.5.13")) is lacking


def test_a_place_that_leads_out_of_the_root_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path / "etc/my.cnf", "[mysqld]\ndatadir=/../../srv\n")
    assert loads(tmp_path, (MARIADB,), whole) == [("var/lib/mysql", 1500)]


def test_databases_that_do_not_fit_are_said_before_a_promotion_begins(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    with Manifest(paths.manifest):
        pass
    promotion: Promotion = World(units=()).offered()
    assert room_missing(paths, promotion, [("var/lib/mysql", 1000)]) == ""
    assert "lacks" in room_missing(paths, promotion, [("var/lib/mysql", 2**60)])


def test_holes_of_a_thin_image_need_no_room_where_it_is_copied_to(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    image = paths.replica / "tree/srv/images/thin"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"x" * 10000)
    promotion = replace(World(units=()).offered(), units=(ExchangeUnit("srv/images", How.COPY, Kind.DIRECTORY, 1, 1),))
    with Manifest(paths.manifest) as manifest:
        entry = Entry("srv/images/thin", Kind.FILE, 0o600, 0, 0, 2**60, 1, 1, 1, 1, 1)
        manifest.replace([entry], 1, "0" * 64)
    assert "lacks" in room_missing(paths, promotion)  # the tree has no such file: all of it may be content
    os.truncate(image, 2**43)
    with Manifest(paths.manifest) as manifest:
        manifest.replace([replace(entry, size=2**43)], 1, "0" * 64)
    assert room_missing(paths, promotion) == ""


def test_a_cluster_that_a_newer_server_will_hold_is_told_and_has_its_room_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotsync.engine.promotion.loads.has_server", lambda version: version == "17")
    newer = replace(POSTGRESQL, server="17-main", unit="postgresql@17-main.service")
    write(tmp_path / "etc/postgresql/15/main/postgresql.conf", "data_directory = '/srv/pg'\n")
    assert loads(tmp_path, (newer,), whole) == [("var/lib/postgresql/17/main", 3000)]
    assert servers_lacking((newer,)) == ()
    assert servers_lacking((POSTGRESQL,)) == ("postgresql/15-main: PostgreSQL 15 is not installed here",)
    (said,) = servers_newer((newer, POSTGRESQL, MARIADB))
    assert said.endswith("PostgreSQL 15 is not installed here; the databases will be loaded into PostgreSQL 17")


def test_an_older_server_is_told_apart_by_the_first_two_numbers() -> None:
    assert older(MARIADB, "mariadbd  Ver 10.11.2-MariaDB for debian-linux-gnu on x86_64") == ""
    assert older(MARIADB, "mariadbd  Ver 11.4.2-MariaDB for debian-linux-gnu on x86_64") == ""
    assert "10.5.23" in older(MARIADB, "mysqld  Ver 10.5.23-MariaDB-0+deb11u1 for debian-linux-gnu on x86_64")


def test_a_server_of_another_kind_is_no_newer_one() -> None:
    assert "MySQL 8.0.36" in older(MARIADB, "mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)")
    mysql = replace(MARIADB, version="8.0.36-28")
    assert "the MASTER's is MySQL" in older(mysql, "mariadbd  Ver 10.11.2-MariaDB for debian-linux-gnu on x86_64")


def test_the_data_of_a_second_server_goes_where_the_master_had_it(tmp_path: Path) -> None:
    second = replace(MARIADB, instance="second", directory="/srv/second/")
    assert loads(tmp_path, (second,), whole) == [("srv/second", 1500)]
    assert loads(tmp_path, (replace(second, directory="/srv/../etc"),), whole) == [("var/lib/mysql", 1500)]


def test_extensions_that_are_not_installed_here_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = {
        "name": "d", "owner": "o", "encoding": "UTF8", "collate": "C", "ctype": "C", "provider": "c", "icu_locale": "",
        "tablespace": "", "is_template": False, "content": [TOC], "extensions": ["hstore", "postgis", "../x"],
    }  # fmt: skip
    document = {
        "schema": 1, "version": "150018", "digest": "b", "collected_at": 1.0, "databases": [database],
        "globals": {"file": "globals.sql", "size": 0, "sha256": ""}, "roles": [], "tablespaces": [],
    }  # fmt: skip
    write(tmp_path / "postgresql/15-main/cluster.json", json.dumps(document))
    monkeypatch.setattr("hotsync.engine.promotion.loads.has_server", lambda version: version == "15")
    monkeypatch.setattr("hotsync.engine.promotion.loads.extensions_here", lambda version: frozenset({"hstore"}))
    said = extensions_lacking(tmp_path, (MARIADB, POSTGRESQL))
    assert said == ("postgis (postgresql/15-main/d)", "../x (postgresql/15-main/d)")


def test_files_of_plugins_that_are_neither_here_nor_brought_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("auth_ed25519.so", "server_audit.so", "ha_archive.so", "../x.so")
    kinds = ("AUTHENTICATION", "AUDIT", "STORAGE ENGINE", "STORAGE ENGINE")
    plugins = [
        {"name": f"P{number}", "library": name, "kind": kind, "installed": True}
        for number, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    brought = {"name": "f", "returns": 0, "library": "brought.so", "is_aggregate": False}
    lost = {"name": "g", "returns": 0, "library": "lost.so", "is_aggregate": False}
    document = {
        "schema": 1, "version": MARIADB.version, "digest": "b", "collected_at": 1.0, "databases": [],
        "accounts": {"content": {"file": "accounts.sql", "size": 0, "sha256": ""}, "grants_at": 0, "users": [],
                     "roles": []},
        "system": {"plugins": plugins, "functions": [brought, lost]},
    }  # fmt: skip
    paths, module = Paths(tmp_path), "hotsync.engine.promotion.loads"
    spool = paths.replica / "tree/var/lib/hotsync/spool"
    write(spool / "mariadb/default/instance.json", json.dumps(document))
    write(tmp_path / "usr/lib/mysql/plugin/ha_archive.so", "")
    write(paths.replica / "tree/usr/lib/mysql/plugin/brought.so", "")
    monkeypatch.setattr(f"{module}.is_library", Path.is_file)
    monkeypatch.setattr(f"{module}._plugin_folder", lambda: "/usr/lib/mysql/plugin/")
    assert libraries_lacking(paths, spool, (MARIADB, POSTGRESQL)) == (
        ["/usr/lib/mysql/plugin/auth_ed25519.so (mariadb/default)", "/usr/lib/mysql/plugin/lost.so (mariadb/default)"],
        ["/usr/lib/mysql/plugin/server_audit.so (mariadb/default)"],
    )
    monkeypatch.setattr(f"{module}._plugin_folder", lambda: None)
    assert libraries_lacking(paths, spool, (MARIADB,)) == ([], []), "that there is no server is said by itself"


def test_the_locales_of_databases_and_of_the_server_are_wanted(tmp_path: Path) -> None:
    database = {
        "name": "d", "owner": "o", "encoding": "UTF8", "collate": "it_IT.UTF-8",
        "ctype": "it_IT.UTF-8", "provider": "c", "icu_locale": "", "tablespace": "", "is_template": False,
        "content": [TOC],
    }  # fmt: skip
    document = {
        "schema": 1, "version": "150018", "digest": "b", "collected_at": 1.0, "databases": [database],
        "globals": {"file": "globals.sql", "size": 0, "sha256": ""}, "roles": [], "tablespaces": [],
    }  # fmt: skip
    write(tmp_path / "spool/postgresql/15-main/cluster.json", json.dumps(document))
    conf = "#lc_time = 'x'\nlc_messages = 'de_DE.UTF-8'\t\t# locale\nlc_numeric = C\n"
    write(tmp_path / "etc/postgresql/15/main/postgresql.conf", conf)
    wanted = locales_of_databases(tmp_path, tmp_path / "spool", (MARIADB, POSTGRESQL))
    assert wanted == {"it_IT.UTF-8", "de_DE.UTF-8", "C"}
