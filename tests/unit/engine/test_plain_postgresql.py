"""PostgreSQL servers that pg_createcluster did not make: what is read of them before a promotion."""

from __future__ import annotations

import json
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.engine.promotion import plain_postgresql
from hotsync.engine.promotion.loads import extensions_lacking, loads, locales_of_databases, servers_lacking
from hotsync.engine.promotion.master_facts import read_told, spool_of_tree
from hotsync.engine.promotion.plain_postgresql import plain_extensions_lacking, plain_lacking
from hotsync.engine.standby import streaming
from hotsync.engine.standby.standbys import follower_of, is_standby
from hotsync.engine.standby.warm import wanted_loads
from hotsync.model.promotion import DatabaseDump
from hotsync.model.warm import Budget
from hotsync.sources.followed import is_followed
from hotsync.sources.source import Dataset
from hotsync.system.paths import Paths

NAME = "15-pg-shop"
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A SLAVE with PostgreSQL 15's programs."""
    programs_in(monkeypatch, "/usr/pgsql-15/bin")
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "pg-shop.service").touch()
    return Paths(tmp_path)


def programs_in(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Let PostgreSQL 15 be installed in a folder ("": nowhere)."""
    monkeypatch.setattr(plain_postgresql, "programs_of", lambda major, told, user: folder if major == "15" else "")


def collect(paths: Paths, **fields: object) -> DatabaseDump:
    """Put a collected server into the replica; return its dump as a promotion plans with it."""
    database = {
        "name": "shop", "owner": "o", "encoding": "UTF8", "collate": "it_IT.UTF-8", "ctype": "C", "provider": "c",
        "icu_locale": "", "tablespace": "", "is_template": False, "extensions": ["hstore", "postgis"],
        "content": [{"file": "shop.dump/toc.dat", "size": 100, "sha256": "d" * 64}],
    }  # fmt: skip
    document = {
        "schema": 1, "version": "150018", "digest": "b" * 64, "collected_at": 1.0, "databases": [database], "roles": [],
        "globals": {"file": "globals.sql", "size": 0, "sha256": ""}, "place": "/srv/shop/data", "user": "nobody",
        "unit": "pg-shop.service", "programs": "/opt/pg/bin",
        "configuration": [{"file": "settings/postgresql.conf", "size": 1, "sha256": "e" * 64}], **fields,
    }  # fmt: skip
    folder = spool_of_tree(paths) / "postgresql" / NAME
    (folder / "settings").mkdir(parents=True, exist_ok=True)
    (folder / "cluster.json").write_text(json.dumps(document))
    (folder / "settings/postgresql.conf").write_text("lc_messages = 'de_DE.UTF-8'\n")
    (dump,) = read_told(paths).dumps
    return dump


def lacking(paths: Paths, dump: DatabaseDump) -> tuple[str, ...]:
    return plain_lacking(paths, paths.replica / "tree", spool_of_tree(paths), (dump,))


def test_a_dump_says_where_it_goes_and_which_unit_runs_it(paths: Paths) -> None:
    dump = collect(paths)
    assert (dump.instance, dump.served_by) == (NAME, NAME)
    assert (dump.unit, dump.directory) == ("pg-shop.service", "/srv/shop/data")
    tree, spool = paths.replica / "tree", spool_of_tree(paths)
    assert loads(tree, (dump,), lambda each: each.size) == [("srv/shop/data", int(dump.size * 1.5))]
    assert locales_of_databases(tree, spool, (dump,)) == {"it_IT.UTF-8", "C", "de_DE.UTF-8"}
    assert servers_lacking((dump,)) == ()
    assert extensions_lacking(spool, (dump,)) == ()
    assert lacking(paths, dump) == ()


def test_of_a_cluster_a_unit_that_the_master_tells_is_not_believed(paths: Paths) -> None:
    dump = collect(paths, place="", unit="sshd.service")
    assert (dump.unit, dump.directory) == (f"postgresql@{NAME}.service", "")
    assert lacking(paths, dump) == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"place": "/etc/pg"}, "is a folder of the system"),
        ({"place": "/var/lib/hotsync/x"}, "is a folder of the system"),
        ({"place": "/srv/../etc"}, "is no path"),
        ({"unit": "../../x"}, "no unit that starts it"),
        ({"user": "root"}, "no user that it may run as"),
        ({"user": "not-here"}, "there is no user not-here here"),
        ({"version": "140001"}, "does not begin with its version"),
    ],
)
def test_what_cannot_be_put_in_place_is_said_before(paths: Paths, fields: dict[str, str], said: str) -> None:
    (sentence,) = lacking(paths, collect(paths, **fields))
    assert sentence.startswith(f"postgresql/{NAME}: ")
    assert said in sentence


def test_a_user_and_programs_may_come_with_the_master(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = paths.replica / "tree"
    (tree / "etc").mkdir(parents=True, exist_ok=True)
    accounts = "root:x:0:0::/root:/bin/sh\npgshop:x:990:990::/:/bin/false\ntoor:x:0:0::/:/bin/sh\n"
    (tree / "etc/passwd").write_text(accounts)
    assert lacking(paths, collect(paths, user="pgshop")) == ()
    assert "no user toor" in lacking(paths, collect(paths, user="toor"))[0]
    programs_in(monkeypatch, "")
    dump = collect(paths)
    assert "PostgreSQL 15 is not installed here" in lacking(paths, dump)[0]
    (tree / "opt/pg/bin").mkdir(parents=True)
    (tree / "opt/pg/bin/initdb").write_bytes(b"a program")
    assert lacking(paths, dump) == ()
    assert plain_extensions_lacking(spool_of_tree(paths), (dump,)) == ()


def test_what_lies_in_its_place_must_be_its_own(paths: Paths) -> None:
    dump, data = collect(paths), paths.at("/srv/shop/data")
    data.mkdir(parents=True)
    assert lacking(paths, dump) == ()
    (data / "letter").write_text("mine")
    assert "holds something here that is no PostgreSQL server's" in lacking(paths, dump)[0]
    (data / "PG_VERSION").write_text("13\n")
    assert "PostgreSQL 13 here, not of 15" in lacking(paths, dump)[0]
    (data / "PG_VERSION").write_text("15\n")
    assert ("another user" in "".join(lacking(paths, dump))) is (data.stat().st_uid != NOBODY.pw_uid)


def test_its_unit_must_be_here_or_come_along(paths: Paths) -> None:
    dump = collect(paths, unit="db@shop.service")
    (sentence,) = lacking(paths, dump)
    assert "db@shop.service is not here, and the MASTER's /etc does not bring it" in sentence
    carried = paths.replica / "tree/etc/systemd/system"
    carried.mkdir(parents=True)
    (carried / "db@.service").touch()
    assert lacking(paths, dump) == ()
    dump = collect(paths, unit="old.service")
    (paths.replica / "tree/etc/init.d").mkdir()
    (paths.replica / "tree/etc/init.d/old").touch()
    assert lacking(paths, dump) == ()


def test_debians_unit_of_all_clusters_starts_no_such_server(paths: Paths) -> None:
    dump = collect(paths, unit="postgresql.service")
    (paths.at("/etc/systemd/system") / "postgresql.service").touch()
    assert lacking(paths, dump) == ()
    paths.at("/usr/bin").mkdir(parents=True)
    paths.at("/usr/bin/pg_lsclusters").touch()
    (sentence,) = lacking(paths, dump)
    assert "postgresql.service starts the clusters of pg_createcluster here" in sentence
    carried = paths.replica / "tree/etc/systemd/system"
    carried.mkdir(parents=True)
    (carried / "postgresql.service").touch()
    assert lacking(paths, dump) == ()


def test_extensions_are_looked_for_beside_the_programs(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, dump = spool_of_tree(paths), collect(paths)
    programs_in(monkeypatch, str(tmp_path / "pg/bin"))
    assert plain_extensions_lacking(spool, (dump,)) == ()
    (tmp_path / "pg/share/extension").mkdir(parents=True)
    (tmp_path / "pg/share/extension/hstore.control").touch()
    assert plain_extensions_lacking(spool, (dump,)) == (f"postgis (postgresql/{NAME}/shop)",)


def test_it_is_neither_streamed_nor_loaded_beforehand_and_that_is_said(paths: Paths) -> None:
    dump = collect(paths)
    assert follower_of(paths, dump) is None
    assert not is_standby(paths, dump)
    (load,) = wanted_loads(paths, (dump,), Budget(10, 1 << 40))
    assert (load.name, load.hindrance) == (dump.name, "pg_createcluster did not make it; it is dumped only")
    server = Dataset("postgresql", NAME, place="/srv/shop/data", socket="/run/shop", port=5432, user="nobody")
    assert not is_followed(server)
    found = (server, replace(server, instance="15-down", fault="it is down"))
    sentence = f"postgresql/{NAME} is not streamed: pg_createcluster did not make it. Its dumps go on."
    assert streaming.announce(paths, lambda _: found) == [sentence]
    assert streaming.set_up(paths, lambda _: found) == [sentence]
