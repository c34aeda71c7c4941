"""A promoted MariaDB server whose settings name a time zone finds it before it is started for the first time."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hotsync.backends.production_units import ProductionUnits
from hotsync.engine.promotion import databases
from hotsync.engine.promotion.databases import PromotionDatabases
from hotsync.model.promotion import DatabaseDump
from hotsync.state import promotion as document
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.sources import servers
from tests.fakes.host import World

pytestmark = pytest.mark.contract

UNIT = "mariadb.service"


class Units:
    """Starts nothing, and notes how large the table of time zones was then."""

    def __init__(self, table: Path) -> None:
        self.table, self.sizes = table, list[int]()

    def start(self, unit: str) -> None:
        assert unit == UNIT
        self.sizes.append(self.table.stat().st_size)


@pytest.fixture
def slave() -> Iterator[Paths]:
    with servers.open_folder() as folder:
        paths = Paths(folder)
        data = folder / "var/lib/mysql"
        data.parent.mkdir(parents=True)
        paths.state.mkdir(parents=True)
        servers.prepare_mariadb(data)
        account = pwd.getpwnam("mysql")
        command.run(["chown", "-R", f"{account.pw_uid}:{account.pw_gid}", str(data)])
        yield paths


@pytest.mark.parametrize(("has_zones", "elsewhere"), [(True, False), (False, False), (True, True)])
def test_time_zones_are_there_before_the_server_starts(
    slave: Paths, monkeypatch: pytest.MonkeyPatch, *, has_zones: bool, elsewhere: bool
) -> None:
    told = {
        "schema": 1, "version": "10.11.6-MariaDB", "digest": "b", "collected_at": 1.0, "databases": [],
        "accounts": {"content": {"file": "accounts.sql", "size": 0, "sha256": ""}, "grants_at": 0, "users": [],
                     "roles": []},
        "directory": "/var/lib/mysql", "system": {"has_zones": has_zones},
        "settings": [["innodb_log_group_home_dir", "/srv/log"]] if elsewhere else [],
    }  # fmt: skip
    folder = slave.replica / "tree/var/lib/hotsync/spool/mariadb/default"
    folder.mkdir(parents=True)
    (folder / "instance.json").write_text(json.dumps(told))
    document.save_promotion(slave, World().offered())
    dump = DatabaseDump("mariadb", "default", UNIT, "b", 1, "10.11.6-MariaDB")
    monkeypatch.setattr(databases, "read_told", lambda _: SimpleNamespace(dumps=(dump,)))
    monkeypatch.setattr(databases, "take_over", lambda *_: False)
    monkeypatch.setattr(databases, "hand_over", lambda *_: None)
    monkeypatch.setattr(databases, "active_units", frozenset)
    monkeypatch.setattr("hotsync.engine.promotion.databases.mariadb_make.make_server", lambda *_: None)
    table = slave.root / "var/lib/mysql/mysql/time_zone_name.MAD"
    units = Units(table)
    PromotionDatabases(slave, cast(ProductionUnits, units)).start("mariadb", "default", UNIT)
    assert [size > 8192 for size in units.sizes] == [has_zones and not elsewhere]
    assert table.stat().st_uid == pwd.getpwnam("mysql").pw_uid
    saved = document.load_promotion(slave)
    assert saved is not None
    assert not saved.notes
    assert {os.stat(path).st_uid for path in table.parent.iterdir()} == {table.stat().st_uid}
