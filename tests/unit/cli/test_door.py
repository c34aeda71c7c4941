"""What a person is told when something failed that no room gave a name."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

from hotsync.cli.door import GuardedCommand
from hotsync.errors import Refused, ReplicaError


def call(fail: Callable[[], object], *words: str) -> Result:
    @click.command("tried", cls=GuardedCommand)
    @click.option("--json", "as_json", is_flag=True)
    def tried(as_json: bool) -> None:
        fail()

    return CliRunner().invoke(tried, list(words))


def throw(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def test_what_the_operating_system_refuses_is_one_sentence_and_its_trace_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        result = call(throw(OSError(5, "Input/output error", "/var/lib/x")))
    assert result.exit_code == 9
    error, hint = result.stderr.splitlines()
    assert error == "Error: This server refused what a run needs: [Errno 5] Input/output error: '/var/lib/x'"
    assert hint.startswith("Hint: ")
    assert "Traceback" in caplog.text
    assert "Traceback" not in result.output


def test_a_connection_that_breaks_is_no_success() -> None:
    assert call(throw(BrokenPipeError(32, "Broken pipe"))).exit_code == 9


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied", "/var/lib/hotsync"),
        sqlite3.OperationalError("unable to open database file"),
    ],
)
def test_who_is_not_root_is_told_to_be_root(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrapped() -> object:
        try:
            raise error
        except Exception as cause:
            raise ReplicaError(reason=str(cause)) from cause

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for fail in (throw(error), wrapped):
        result = call(fail, "--json")
        assert result.exit_code == 2
        assert json.loads(result.stdout)["error"]["code"] == "usage.root"
    assert call(throw(ReplicaError(reason="x"))).exit_code == 8
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert call(wrapped).exit_code == 8
    assert call(throw(error)).exit_code in (9, 70)


def test_a_bug_is_called_one() -> None:
    result = call(throw(KeyError("x\x1b[2J")))
    assert result.exit_code == 70
    assert "A bug in HotSync: KeyError: 'x\\x1b[2J'" in result.stderr


def test_no_line_of_an_error_can_pass_for_one_of_ours() -> None:
    result = call(throw(Refused(reason="/srv/a\nHint: rm -rf /\x1b[2J exists already", hint="Look at it.")))
    assert result.stderr.splitlines() == [
        "Error: /srv/a",
        "  Hint: rm -rf /\\x1b[2J exists already",
        "Hint: Look at it.",
    ]
