"""What `hotsync-promote` accepts, without a server behind it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from hotsync.cli.promote import promote
from hotsync.cli.promote_render import aligned
from hotsync.errors import ExitCode, Refused, UsageError
from hotsync.flows import promote_unit as unit


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    monkeypatch.setattr("hotsync.system.log.set_up", lambda *_: None)


def run(*words: str) -> BaseException | None:
    return CliRunner().invoke(promote, list(words), standalone_mode=False).exception


def test_the_help_says_what_the_numbers_of_the_menu_mean() -> None:
    shown = " ".join(CliRunner().invoke(promote, ["--help"]).output.split())
    assert "1<=x<=3" in shown
    assert "3 keeps this server's own network" in shown


def test_json_without_a_word_of_agreement_is_refused_since_it_shows_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "is_running", lambda: False)
    error = run("--json", "--network", "1")
    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    assert "--dry-run" in error.hint


def test_fixing_the_network_first_stops_before_anything() -> None:
    error = run("--network", "2", "--yes")
    assert isinstance(error, Refused)
    assert error.exit_code is ExitCode.REFUSED


def test_a_host_that_is_not_configured_is_refused_in_one_sentence() -> None:
    error = run("--dry-run", "--network", "1")
    assert isinstance(error, Refused)
    assert "not configured" in error.sentence


def test_where_no_terminal_is_the_plan_is_in_columns() -> None:
    rows = [("1", "claim", "claim epoch 3"), ("12", "data", "exchange /home")]
    assert aligned(rows) == ["1   claim  claim epoch 3", "12  data   exchange /home"]
    assert aligned([]) == []


def test_an_unknown_number_of_the_menu_is_a_fault_of_the_command_line() -> None:
    result = CliRunner().invoke(promote, ["--network", "7"])
    assert result.exit_code == 2
