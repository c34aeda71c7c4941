"""Which servers are MySQL's, by what lies in their data directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.sources.mariadb.kind import is_mysql
from hotsync.sources.source import Dataset
from hotsync.system.paths import Paths


@pytest.mark.parametrize(
    ("files", "is_one"),
    [
        (["mysql.ibd", "ibdata1", "auto.cnf"], True),
        (["aria_log_control", "ibdata1"], False),
        (["mysql.ibd", "aria_log_control", "ibdata1"], False),  # what MariaDB took over is MariaDB's
        ([], False),
    ],
)
def test_mysql_is_known_by_its_dictionary_and_mariadb_by_arias_log(
    tmp_path: Path, files: list[str], is_one: bool
) -> None:
    usual, other = tmp_path / "var/lib/mysql", tmp_path / "srv/data"
    for folder in (usual, other):
        folder.mkdir(parents=True)
    for name in files:
        (other / name).touch()
    told = Dataset("mariadb", "default", directories=(str(other),))
    assert is_mysql(Paths(tmp_path), told) is is_one
    # one that does not run does not say where its files are
    assert not is_mysql(Paths(tmp_path), Dataset("mariadb", "default"))
    for name in files:
        (usual / name).touch()
    assert is_mysql(Paths(tmp_path), Dataset("mariadb", "default")) is is_one
