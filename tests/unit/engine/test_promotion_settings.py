"""A promotion gives a PostgreSQL cluster the settings that lie in the MASTER's data directory: once, and in time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.engine.promotion import databases
from hotsync.engine.promotion.databases import PromotionDatabases
from hotsync.errors import CommandFailed
from hotsync.model.promotion import DatabaseDump
from hotsync.sources import documents
from hotsync.sources.documents import FileRecord, PostgresqlCluster
from hotsync.sources.postgresql import cluster as postgresql_cluster
from hotsync.sources.postgresql import make as postgresql_make
from hotsync.sources.postgresql import newer as postgresql_newer
from hotsync.state import promotion as document
from hotsync.system.paths import Paths
from tests.fakes.host import World

DUMP = DatabaseDump("postgresql", "15-main", "postgresql@15-main.service", "d" * 64)
AUTO = FileRecord("settings/postgresql.auto.conf", 0, "0" * 64)
COLLECTED = PostgresqlCluster(1, "150018", "d" * 64, 0.0, (), AUTO, (), configuration=(AUTO,))


class Units:
    """Units of production whose server does not start at first."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def start(self, unit: str) -> None:
        self._said.append(f"start {unit}")
        if self._said.count(f"start {unit}") == 1:
            raise CommandFailed(program="systemctl", status="exit 1", detail="out of memory", line="systemctl start")


def started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collected: PostgresqlCluster, dump: DatabaseDump = DUMP
) -> list[str]:
    """Start a cluster, which fails at first; return what was done."""
    paths, said = Paths(tmp_path), list[str]()
    paths.state.mkdir(parents=True)
    document.save_promotion(paths, World().offered())

    def note(word: str) -> object:
        return lambda *_: said.append(word)

    monkeypatch.setattr(databases, "take_over", lambda *_: False)
    monkeypatch.setattr(databases, "hand_over", note("hand over"))
    monkeypatch.setattr(documents, "load", lambda *_: collected)
    monkeypatch.setattr(postgresql_cluster, "make_cluster", note("make"))
    monkeypatch.setattr(postgresql_newer, "take_over", lambda *_: False)
    monkeypatch.setattr(postgresql_make, "put_settings", note("settings"))
    monkeypatch.setattr(PromotionDatabases, "_dump", lambda *_: dump)
    work = PromotionDatabases(paths, Units(said))  # type: ignore[arg-type]
    with pytest.raises(CommandFailed, match="out of memory"):
        work.start("postgresql", dump.instance, dump.unit)
    work.start("postgresql", dump.instance, dump.unit)
    return said


def test_they_come_once_after_the_hand_over_so_that_what_a_person_mends_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = f"start {DUMP.unit}"
    done = started(tmp_path, monkeypatch, COLLECTED)
    assert done == ["make", "hand over", "settings", start, "make", "hand over", start]


def test_a_newer_server_and_dumps_without_them_get_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "settings" not in started(tmp_path / "newer", monkeypatch, COLLECTED, replace(DUMP, server="17-main"))
    assert "settings" not in started(tmp_path / "old", monkeypatch, replace(COLLECTED, configuration=()))
