"""hotsyncd as a program: says when it is ready, follows its settings, ends when told, survives bad ones."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.agent import daemon, rounds
from hotsync.errors import HotSyncError
from hotsync.model.changeset import EMPTY_DIGEST
from hotsync.model.identity import Role
from hotsync.system import command
from tests.contract.agent.pair import MASTER_ADDRESS, PORT, SLAVE_ADDRESS, Host, Pair, own_network, until

pytestmark = pytest.mark.contract


@pytest.fixture
def slave(tmp_path: Path) -> Iterator[Host]:
    with own_network():
        yield Host(tmp_path / "slave", Role.SLAVE, SLAVE_ADDRESS)


@contextmanager
def running(host: Host) -> Iterator[tuple[command.Process, socket.socket]]:
    """Run hotsyncd as systemd does: with a socket that it says READY to."""
    address = host.paths.root / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(address))
        told.settimeout(30)
        env = {
            "HOTSYNC_ROOT": str(host.paths.root),
            "NOTIFY_SOCKET": str(address),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        with command.spawn([sys.executable, "-m", daemon.__name__], env=env, stderr=command.DEVNULL) as process:
            yield process, told


def listens(port: int) -> bool:
    try:
        socket.create_connection((SLAVE_ADDRESS, port), timeout=5).close()
    except OSError:
        return False
    return True


def test_it_says_ready_once_it_listens_and_ends_when_told(slave: Host) -> None:
    with running(slave) as (process, told):
        assert told.recv(100) == b"READY=1"
        assert listens(PORT)
        assert (slave.paths.replica / "staging").is_dir()
        process.send_signal(signal.SIGTERM)
        assert told.recv(100) == b"STOPPING=1"
        assert process.wait(30) == 0


def test_a_reload_moves_it_to_another_port(slave: Host) -> None:
    with running(slave) as (process, told):
        told.recv(100)
        slave.set("hotsync", SlavePort="10273")
        process.send_signal(signal.SIGHUP)
        until(lambda: listens(10273) and not listens(PORT), "it listens on the other port")


def test_settings_that_cannot_be_read_leave_it_as_it_was(slave: Host) -> None:
    with running(slave) as (process, told):
        told.recv(100)
        slave.set("hotsync", SlavePort="many")
        process.send_signal(signal.SIGHUP)
        slave.paths.role_file.write_text("{")
        process.send_signal(signal.SIGHUP)
        assert process.poll() is None
        assert listens(PORT)


def test_a_damaged_identity_ends_it_with_one_sentence(slave: Host) -> None:
    file = slave.around.identity.file
    file.write_text("damaged")
    with running(slave) as (process, _):
        assert process.wait(30) == 2


def test_a_port_that_is_taken_is_taken_over_once_it_is_free(slave: Host) -> None:
    with socket.create_server(("", PORT)) as taken, running(slave) as (process, told):
        assert told.recv(100) == b"READY=1"
        taken.close()
        until(lambda: listens(PORT), "it listens after all")
        assert process.poll() is None


def peak(process: command.Process) -> int:
    """Return the most memory that a program has had so far, in bytes."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def test_a_huge_changeset_goes_to_disk_and_not_into_memory(slave: Host, tmp_path: Path) -> None:
    master = Host(tmp_path / "master", Role.MASTER, MASTER_ADDRESS)
    hosts = Pair(master, slave)
    planned = tmp_path / "planned"
    planned.write_bytes((b"x" * 99 + b"\n") * 1_500_000)
    with running(slave) as (process, told):
        told.recv(100)
        hosts.pair()
        with hosts.link(stall=60) as link:
            link.alive()
            before = peak(process)
            with pytest.raises(HotSyncError):
                link.begin(1, EMPTY_DIGEST, planned, 0, 0)
        assert peak(process) - before < 30_000_000


def test_nothing_is_told_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    rounds.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/socket")
    rounds.notify("READY=1")
