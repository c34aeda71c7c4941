"""The benchmark beside the original's way, scaled down: its table is complete, its copies are equal, nothing stays.

No figure is judged here: that is for a machine of one's own (docs/bench.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from bench.sync import NOTHING

pytestmark = pytest.mark.contract

PROJECT = Path(__file__).resolve().parents[3]
FILES = 3000


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the benchmark once and return where it wrote. It fails by itself where a copy differs from the tree."""
    folder = tmp_path_factory.mktemp("bench")
    words = ["--files", str(FILES), "--rounds", "1", "--folder", str(folder / "work"), "--out", str(folder / "out")]
    line = [sys.executable, "-m", "bench.sync", *words]
    done = subprocess.run(line, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert os.listdir(folder / "work") == []
    return folder / "out"


def rows(out: Path) -> list[dict[str, Any]]:
    document: dict[str, Any] = json.loads((out / "sync.json").read_text())
    found: list[dict[str, Any]] = document["rows"]
    return found


def test_every_case_is_measured_by_both_ways(out: Path) -> None:
    cases = ["first copy", NOTHING, "10 files changed", "mv of a folder with 1,000 files", "chmod -R of it"]
    assert [(row["case"], row["way"]) for row in rows(out)] == [
        (case, way) for case in cases for way in ("original", "HotSync")
    ]


def test_every_figure_is_there(out: Path) -> None:
    for row in rows(out):
        best = row["best"]
        figures = [best[name] for name in ("wall", "cpu_master", "cpu_slave", "wire", "memory")]
        assert all(figure > 0 for figure in figures), row
    first = {row["way"]: row["best"]["wire"] for row in rows(out) if row["case"] == "first copy"}
    quiet = {row["way"]: row["best"]["wire"] for row in rows(out) if row["case"] == NOTHING}
    assert all(first[way] > quiet[way] for way in first)


def test_nothing_changed_costs_few_bytes(out: Path) -> None:
    (ours,) = [row for row in rows(out) if row["case"] == NOTHING and row["way"] == "HotSync"]
    assert ours["best"]["wire"] < 100_000


def test_table_and_plot_tell_all_of_it(out: Path) -> None:
    table = (out / "sync.md").read_text()
    plot = ElementTree.parse(out / "sync.svg")
    texts = [element.text for element in plot.iter() if element.text and element.text.strip()]
    for row in rows(out):
        assert row["case"] in table
        assert row["case"] in texts
    assert table.count("original / HotSync") == len(rows(out)) // 2
