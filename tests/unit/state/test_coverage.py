"""What was found last is there for the status, whatever names are in it; a damaged record is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.model.coverage.findings import Application, Coverage, Finding, Kind
from hotsync.state.coverage import load_coverage, save_coverage
from hotsync.system.paths import Paths

FOUND = Coverage(
    1.5,
    7,
    (Finding(Kind.DATA, "/data/\udcff", "no rule names it", ("app",), 1, 2, 3, 4.0),),
    (Application("base", "Base", ("carried",)),),
    ("fault",),
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    return paths


def test_what_was_kept_is_what_comes_back(paths: Paths) -> None:
    assert load_coverage(paths) is None
    save_coverage(paths, FOUND)
    assert load_coverage(paths) == FOUND
    assert paths.coverage.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 2}', '{"schema": 1, "looked_at": "x"}'])
def test_a_document_of_no_use_is_none(paths: Paths, text: str) -> None:
    paths.coverage.write_text(text)
    assert load_coverage(paths) is None
