"""The proof of the mute, on real processes and sockets of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends.intruders import Intruder, find_intruders, find_listeners
from hotsync.model.mute import Kept

pytestmark = pytest.mark.contract

LISTEN = (
    "import socket,sys; s=socket.create_server((sys.argv[1], 0)); "
    "print(s.getsockname()[1], flush=True); sys.stdin.read()"
)


@pytest.fixture
def listening(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, int, int]]:
    """A program of its own that listens: its path, its process, its port."""
    program = tmp_path / "mydaemon"
    shutil.copy(os.path.realpath(sys.executable), program)
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    address = getattr(request, "param", "127.0.0.1")
    argv = [str(program), "-c", LISTEN, address]
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
    assert f"run by {pwd.getpwuid(os.getuid()).pw_name}, {program}" in str(found[0])
    assert "sys.stdin" not in str(found[0]), "an argument may be a secret"


def test_it_is_found_even_if_its_file_was_replaced_by_an_update(listening: tuple[Path, int, int]) -> None:
    program, pid, _ = listening
    program.unlink()
    assert [each.pid for each in find_intruders(frozenset(), frozenset((str(program),)))] == [pid]


def test_where_nothing_of_it_runs_nothing_is_found(tmp_path: Path) -> None:
    assert find_intruders(frozenset(("mail.service",)), frozenset((str(tmp_path / "mydaemon"),))) == []


@pytest.mark.parametrize("listening", ["0.0.0.0"], indirect=True)
def test_who_listens_to_the_network_and_belongs_to_nothing_is_named_though_no_list_knows_the_program(
    listening: tuple[Path, int, int],
) -> None:
    program, pid, port = listening
    found = [each for each in find_listeners([], Kept()) if each.pid == pid]
    assert [(each.name, each.listens, each.program) for each in found] == [
        ("mydaemon", (f"tcp 0.0.0.0:{port}",), str(program))
    ]
    assert not [each for each in find_listeners(found, Kept()) if each.pid == pid], "it is told once"


def test_what_listens_in_a_session_to_this_machine_alone_serves_nobody(listening: tuple[Path, int, int]) -> None:
    _, pid, _ = listening
    assert pid not in [each.pid for each in find_listeners([], Kept())]


@pytest.mark.parametrize(
    ("cgroup", "named"),
    [
        ("/system.slice/ledger.service", True),
        ("/system.slice/ssh.service", False),
        ("/system.slice/hotsyncd.service", False),
        ("/system.slice/snmpd.service", False),
        ("/system.slice/unbound.service", False),
        ("/user.slice/user-7.slice/user@7.service/app.slice/ssh.service", True),
        ("/user.slice/user-7.slice/session-3.scope", True),
    ],
)
@pytest.mark.parametrize("listening", ["0.0.0.0"], indirect=True)
def test_what_is_the_machines_hotsyncs_or_kept_may_listen_whatever_its_program(
    listening: tuple[Path, int, int], tmp_path: Path, cgroup: str, named: bool
) -> None:
    program, pid, _ = listening
    folder = tmp_path / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "cgroup").write_text(f"0::{cgroup}\n")
    (folder / "comm").write_text("mydaemon\n")
    (folder / "exe").symlink_to(program)
    kept = Kept(frozenset(("unbound.service",)))
    assert (pid in [each.pid for each in find_listeners([], kept, tmp_path / "proc")]) is named


def test_the_kernels_own_listeners_are_said_as_such() -> None:
    assert str(Intruder("", 0, "", ("tcp 0.0.0.0:2049",))) == "the kernel, listening on tcp 0.0.0.0:2049"
