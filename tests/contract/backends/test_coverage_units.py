"""Who listens, and which package his program came with, by the real ss and dpkg's real lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hotsync.backends.coverage_units import read_listeners
from hotsync.backends.passing_ports import passing_ports
from hotsync.system import command

pytestmark = pytest.mark.contract
_PROGRAM = """
import signal, socket
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
signal.pause()
"""


def test_a_listening_program_is_found_with_its_package() -> None:
    program = Path(sys.executable).resolve()
    process = subprocess.Popen([program, "-I", "-c", _PROGRAM], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        (found,) = [each for each in read_listeners(Path("/")) if each.address == f"tcp 127.0.0.1:{port}"]
    finally:
        process.kill()
        process.communicate()
    assert found.runner is not None
    assert (found.runner.pid, found.runner.program) == (process.pid, str(program))
    owner = command.run(["dpkg-query", "--search", str(program)], ok=(0, 1)).text
    assert found.package == owner.partition(":")[0]


def test_the_kernel_says_which_ports_it_gives_away() -> None:
    ports = passing_ports()
    assert 1024 <= ports.start < ports.stop <= 65536
