"""The proof of the mute, on real processes and sockets of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotsync.backends.intruders import Intruder, find_intruders, find_listeners, is_listening
from hotsync.model.mute import Kept
from hotsync.system import command
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

LISTEN = (
    "import socket,sys; s=socket.create_server((sys.argv[1], 0)); "
    "print(s.getsockname()[1], flush=True); sys.stdin.read()"
)

UDP = (
    "import socket,sys; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 0)); "
    "s.connect(('127.0.0.1', 53)) if sys.argv[1:] else None; print(s.getsockname()[1], flush=True); sys.stdin.read()"
)


NOTHING = Kept()


def at_once() -> None:
    """Wait not at all."""


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
    assert (is_listening("tcp", port), is_listening("udp", port)) == (True, False)


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
    found = [each for each in find_listeners([], Kept(), wait=at_once) if each.pid == pid]
    assert [(each.name, each.listens, each.program) for each in found] == [
        ("mydaemon", (f"tcp 0.0.0.0:{port}",), str(program))
    ]
    assert not [each for each in find_listeners(found, Kept(), wait=at_once) if each.pid == pid], "it is told once"


def test_what_listens_in_a_session_to_this_machine_alone_serves_nobody(listening: tuple[Path, int, int]) -> None:
    _, pid, _ = listening
    assert pid not in [each.pid for each in find_listeners([], Kept(), wait=at_once)]


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
    assert (pid in [each.pid for each in find_listeners([], kept, tmp_path / "proc", wait=at_once)]) is named


class Udp:
    """A process with a UDP socket on a port that the kernel gave it, and a /proc that knows it alone."""

    def __init__(self, place: Path, *words: str) -> None:
        argv = [sys.executable, "-I", "-c", UDP, *words]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.proc = place / "proc"
        folder = self.proc / str(self.process.pid)
        folder.mkdir(parents=True)
        (folder / "cgroup").write_text("0::/user.slice/user-7.slice/session-3.scope\n")
        (folder / "comm").write_text("game\n")
        (folder / "exe").symlink_to("/opt/game/server")
        (self.proc / "sys/net/ipv4").mkdir(parents=True)
        self.give_away(self.port, self.port)

    def give_away(self, first: int, last: int) -> None:
        """Let the kernel say that it gives these ports away."""
        (self.proc / "sys/net/ipv4/ip_local_port_range").write_text(f"{first}\t{last}\n")

    def end(self) -> None:
        """Close the socket."""
        self.process.communicate("")

    def found(self, wait: Callable[[], None], *certain: int, kept: Kept = NOTHING) -> list[str]:
        """Return who listens that should not."""
        return [str(each) for each in find_listeners([], kept, self.proc, certain=frozenset(certain), wait=wait)]


@pytest.fixture
def udp(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Udp]:
    with own_network():
        udp = Udp(tmp_path, *getattr(request, "param", ()))
        yield udp
        udp.end()


def unexpected() -> None:
    pytest.fail("there was nothing to wait for")


def test_a_udp_port_that_a_program_still_holds_after_the_wait_serves_somebody(udp: Udp) -> None:
    (said,) = udp.found(at_once)
    assert said.startswith("game (process ")
    assert f"listening on udp 0.0.0.0:{udp.port}" in said


def test_a_udp_port_that_is_gone_after_the_wait_was_a_clients(udp: Udp) -> None:
    assert udp.found(udp.end) == []


@pytest.mark.parametrize("udp", [["connected"]], indirect=True)
def test_a_udp_socket_with_one_partner_is_a_clients(udp: Udp) -> None:
    assert udp.found(unexpected) == []


def test_which_ports_are_given_away_the_kernel_says_and_a_certain_one_needs_no_second_look(udp: Udp) -> None:
    assert len(udp.found(unexpected, udp.port)) == 1
    udp.give_away(udp.port + 1, udp.port + 9)
    assert len(udp.found(unexpected)) == 1


def test_the_administrators_way_in_is_no_service(udp: Udp) -> None:
    link = udp.proc / str(udp.process.pid) / "exe"
    link.unlink()
    link.symlink_to("/usr/bin/mosh-server")
    assert udp.found(unexpected) == []


def test_a_tunnels_socket_is_the_kernels_and_told_where_the_masters_tunnel_listens(udp: Udp) -> None:
    udp.end()
    command.run(["ip", "link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", str(udp.port), "dev", "lo"])
    command.run(["ip", "link", "set", "vx0", "up"])
    assert udp.found(unexpected) == [], "one that only calls has a port that the kernel gave it"
    (said,) = udp.found(unexpected, udp.port)
    assert said == f"the kernel, listening on udp 0.0.0.0:{udp.port}"
    assert udp.found(unexpected, udp.port, kept=Kept(tunnels=("wg-quick*",))) == []


def test_the_kernels_own_listeners_are_said_as_such() -> None:
    assert str(Intruder("", 0, "", ("tcp 0.0.0.0:2049",))) == "the kernel, listening on tcp 0.0.0.0:2049"
