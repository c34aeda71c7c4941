"""Drills on disk: the last one whole, and a bounded trend that outlives a damaged line."""

from __future__ import annotations

from pathlib import Path

from hotsync.model.drill import DrillReport, Stage
from hotsync.model.report import Check, Verdict
from hotsync.state import drills
from hotsync.system.paths import Paths


def report(number: int) -> DrillReport:
    check = Check("a", "it holds", Verdict.GREEN, "yes")
    stages = (Stage("boot", "it boots", 4.5), Stage("role.claim", "claim", 0.1, of_promotion=True))
    return DrillReport(float(number), number + 60.0, number, (check,), stages, ("hardware",), ("a note",), 20.0, 600.0)


def test_the_last_drill_is_read_back_as_it_was(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    assert drills.load_drill(paths) is None
    assert drills.load_trend(paths) == ()
    drills.save_drill(paths, report(1))
    drills.save_drill(paths, report(2))
    assert drills.load_drill(paths) == report(2)
    assert [point.generation for point in drills.load_trend(paths)] == [1, 2]


def test_the_trend_is_bounded_and_a_line_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    drills.save_drill(paths, report(0))
    line = paths.drills.read_text()
    paths.drills.write_text(line * drills.MOST + "{broken\n")
    drills.save_drill(paths, report(7))
    trend = drills.load_trend(paths)
    assert len(trend) == len(paths.drills.read_text().splitlines()) == drills.MOST
    assert trend[-1].generation == 7


def test_a_document_of_another_form_counts_as_none(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    for text in ("", "[]", '{"schema": 2}', '{"schema": 1, "started_at": "x"}'):
        paths.drill.write_text(text)
        assert drills.load_drill(paths) is None
