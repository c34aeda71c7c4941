"""Databases of a promotion that is undone: dumped whole and anew into what is kept, and loaded anew afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hotsync.engine.undo import databases as undo_databases
from hotsync.errors import SourceError
from hotsync.model.generation import DatasetPoint
from hotsync.model.warm import WarmServer
from hotsync.sources.source import Context, Dataset
from hotsync.state.streamed import note_taken_over, taken_over_at
from hotsync.state.warm import load_warm, note_warm
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock


@dataclass
class Engine:
    """A source that collects what its servers hold."""

    NAME: str
    instances: Sequence[str]
    broken: str = ""
    parked: str = ""
    IS_DATABASE: bool = True
    asked: list[str] = field(default_factory=list[str])

    def inspect(self, context: Context) -> tuple[Dataset, ...]:
        del context
        return tuple(
            Dataset(self.NAME, name, unit=f"{self.NAME}@{name}.service", parked=name == self.parked)
            for name in self.instances
        )

    def collect(self, context: Context, dataset: Dataset) -> list[DatasetPoint]:
        self.asked.append(dataset.name)
        assert not (context.paths.spool / dataset.name).exists(), "an older dump must not be taken for that of now"
        assert not context.paths.proofs.exists()
        if dataset.instance == self.broken:
            raise SourceError(dataset=dataset.name, reason="it does not answer")
        folder = context.paths.spool / dataset.name
        folder.mkdir(parents=True)
        (folder / "dump").write_text(f"rows of {dataset.name}")
        return [DatasetPoint(dataset.name, 1.0)]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    (paths.spool / "mariadb/default").mkdir(parents=True)
    (paths.spool / "mariadb/default/dump").write_text("rows of last year")
    paths.proofs.write_text("{}")
    return paths


def with_engines(monkeypatch: pytest.MonkeyPatch, *engines: Engine) -> None:
    monkeypatch.setattr(undo_databases, "SOURCES", engines)


def test_every_server_is_dumped_anew_into_what_is_kept(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Engine("facts", [""], IS_DATABASE=False)
    with_engines(
        monkeypatch, Engine("mariadb", ["default", "off"], parked="off"), Engine("postgresql", ["15-main"]), files
    )
    kept, notes = paths.undone / "4", list[str]()
    for _ in range(2):  # doing it again is fine
        names = undo_databases.dump(paths, TickingClock(), kept, notes.append, force=False)
    assert names == ("mariadb/default", "postgresql/15-main")
    assert (kept / "databases/mariadb/default/dump").read_text() == "rows of mariadb/default"
    assert (kept / "databases/list.txt").read_text().splitlines() == [
        "mariadb/default  0 KiB", "postgresql/15-main  0 KiB",
    ]  # fmt: skip
    assert not (paths.spool / "mariadb/default").exists()
    assert (files.asked, notes) == ([], [])


def test_one_that_cannot_be_dumped_stops_the_undo_unless_it_is_forced(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_engines(monkeypatch, Engine("mariadb", ["default"], broken="default"), Engine("postgresql", ["15-main"]))
    kept, notes = paths.undone / "4", list[str]()
    with pytest.raises(SourceError, match="does not answer") as raised:
        undo_databases.dump(paths, TickingClock(), kept, notes.append, force=False)
    assert "--force" in raised.value.hint
    names = undo_databases.dump(paths, TickingClock(), kept, notes.append, force=True)
    assert names == ("postgresql/15-main",)
    assert [note for note in notes if "mariadb/default could not be dumped" in note]


def test_the_units_that_run_on_are_those_of_the_servers_and_what_starts_them(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_engines(monkeypatch, Engine("postgresql", ["15-main"]), Engine("mariadb", ["default"]))
    assert {"postgresql@15-main.service", "postgresql@.service", "postgresql.service", "mariadb.service"} <= (
        undo_databases.units(paths, TickingClock())
    )


def test_what_was_loaded_beforehand_or_followed_has_been_in_production_and_is_not_relied_upon(paths: Paths) -> None:
    note_warm(paths, "mariadb/default", WarmServer("/d", "f" * 64, (), {"shop": "a"}, "d", ("own",), handed_over=4))
    note_warm(paths, "mariadb/other", WarmServer("/e", own=("mine",)))
    note_taken_over(paths, "postgresql/15-main", 4)
    undo_databases.forget_loads(paths)
    undo_databases.forget_loads(paths)
    assert load_warm(paths) == {
        "mariadb/default": WarmServer("/d", own=("own",)), "mariadb/other": WarmServer("/e", own=("mine",)),
    }  # fmt: skip
    assert taken_over_at(paths, "postgresql/15-main") == 0
