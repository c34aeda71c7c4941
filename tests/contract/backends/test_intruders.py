"""The proof of the mute, on real processes and sockets of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends.intruders import find_intruders

pytestmark = pytest.mark.contract

LISTEN = (
    "import socket,sys; s=socket.create_server(('127.0.0.1', 0)); "
    "print(s.getsockname()[1], flush=True); sys.stdin.read()"
)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[Path, int, int]]:
    """A program of its own that listens: its path, its process, its port."""
    program = tmp_path / "mydaemon"
    shutil.copy(os.path.realpath(sys.executable), program)
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    argv = [str(program), "-c", LISTEN]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield program, process.pid, int(process.stdout.readline())
        process.communicate("")


def test_a_program_of_production_is_found_by_what_it_is_with_the_port_it_listens_on(
    listening: tuple[Path, int, int],
) -> None:
    program, pid, port = listening
    found = find_intruders(frozenset(), frozenset((str(program),)))
    assert [(each.pid, each.name) for each in found] == [(pid, "mydaemon")]
    assert found[0].listens == (f"tcp 127.0.0.1:{port}",)
    assert str(port) in str(found[0])


def test_it_is_found_even_if_its_file_was_replaced_by_an_update(listening: tuple[Path, int, int]) -> None:
    program, pid, _ = listening
    program.unlink()
    assert [each.pid for each in find_intruders(frozenset(), frozenset((str(program),)))] == [pid]


def test_where_nothing_of_it_runs_nothing_is_found(tmp_path: Path) -> None:
    assert find_intruders(frozenset(("mail.service",)), frozenset((str(tmp_path / "mydaemon"),))) == []
