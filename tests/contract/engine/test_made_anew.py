"""What is made from carried files is made by real programs, and one that fails stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.engine import made_anew

pytestmark = pytest.mark.contract


def test_each_program_that_is_here_is_run_and_a_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = str(tmp_path / "made")
    programs = (("/bin/false", ("false",)), ("/nowhere", ("nowhere",)), ("/usr/bin/touch", ("touch", made)))
    monkeypatch.setattr(made_anew, "MADE_ANEW", programs)
    said: list[str] = []
    made_anew.make_anew(said.append)
    assert Path(made).exists()
    assert len(said) == 1
    assert "false failed" in said[0]


def test_the_cache_of_libraries_is_among_them_where_this_system_has_one() -> None:
    assert Path(made_anew.MADE_ANEW[0][0]).exists()
    assert made_anew.MADE_ANEW[0][1] == ("ldconfig",)
