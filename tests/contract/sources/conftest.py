"""Servers for the tests of this room: an empty one of each kind is made once and copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.sources.source import Context
from hotsync.system.paths import Paths
from tests.contract.sources import servers


@pytest.fixture(scope="session")
def mariadb_template() -> Iterator[Path]:
    with servers.open_folder() as folder:
        yield servers.prepare_mariadb(folder / "data")


@pytest.fixture(scope="session")
def postgresql_template() -> Iterator[Path]:
    with servers.open_folder() as folder:
        yield servers.prepare_postgresql(folder / "data")


@pytest.fixture(scope="module")
def mariadb(mariadb_template: Path) -> Iterator[servers.Mariadb]:
    with servers.mariadb(mariadb_template) as server:
        yield server


@pytest.fixture(scope="module")
def _other_mariadb(mariadb_template: Path) -> Iterator[servers.Mariadb]:
    with servers.mariadb(mariadb_template) as server:
        yield server


@pytest.fixture
def other_mariadb(_other_mariadb: servers.Mariadb) -> servers.Mariadb:
    """The server to load into: without databases, whatever the last test left there."""
    _other_mariadb.empty()
    return _other_mariadb


@pytest.fixture(scope="module")
def postgresql(postgresql_template: Path) -> Iterator[servers.Postgresql]:
    with servers.postgresql(postgresql_template) as server:
        yield server


@pytest.fixture(scope="module")
def other_postgresql(postgresql_template: Path) -> Iterator[servers.Postgresql]:
    with servers.postgresql(postgresql_template) as server:
        yield server


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "var/lib/hotsync").mkdir(parents=True)
    return Context(Paths(tmp_path))
