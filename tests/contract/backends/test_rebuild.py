"""What profiles ask to be made anew, with a program in place of the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotsync.backends import rebuild
from hotsync.system import command

pytestmark = pytest.mark.contract


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs are found, and none of the machine's but those of /bin."""
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", f"{tmp_path}:/bin")
    return tmp_path


def install(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def test_only_the_tables_that_are_there_are_made_anew(programs: Path) -> None:
    install(programs, "postmap", f'echo "$@" >>{programs}/called')
    table = programs / "virtual"
    table.write_text("a b\n")
    assert rebuild.make("postmap", [str(table), str(programs / "gone")]) == ""
    assert rebuild.make("postmap", [str(programs / "gone")]) == ""
    assert (programs / "called").read_text() == f"{table}\n"


def test_what_is_not_installed_is_not_missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", str(tmp_path))
    assert rebuild.make("newaliases", []) == ""


def test_a_failure_is_told(programs: Path) -> None:
    install(programs, "newaliases", "echo 'fatal: /etc/aliases, line 3' >&2; exit 1")
    assert "line 3" in rebuild.make("newaliases", [])
