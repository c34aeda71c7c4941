"""Nobody reaches a database server of a MASTER that hands over, and none of its units starts: nftables, ss, files."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from socket import create_connection, create_server
from subprocess import PIPE

import pytest

from hotsync.backends.standstill import DROP_IN, Standstill, left_of, ports_of
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.backends.test_loading_guard import SERVER, gets_in
from tests.contract.backends.test_loading_guard import client as client

pytestmark = pytest.mark.contract
# a client that has asked, and waits for its answer for as long as the server lets it
WAIT = """
import socket, sys
line = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("asked", flush=True)
try:
    print("ended" if not line.recv(9) else "answered")
except ConnectionResetError:
    print("cut off")
"""


def proc_of(folder: Path, unit: str) -> Path:
    """A /proc in which this process, and the lowest of all, is of a unit."""
    for pid in (os.getpid(), 1):
        (folder / str(pid)).mkdir(parents=True)
        (folder / str(pid) / "cgroup").write_text(f"0::/system.slice/{unit}\n")
    return folder


def test_a_client_that_waits_for_its_answer_is_cut_off_and_no_other_gets_in_until_it_is_over(
    client: str, tmp_path: Path
) -> None:
    still = Standstill(Paths(tmp_path), lambda _: "")
    with create_server((SERVER, 0)) as server, create_server(("127.0.0.1", 0)):
        port = int(server.getsockname()[1])
        proc = proc_of(tmp_path / "proc", "mariadb.service")
        assert ports_of({"mariadb.service"}, proc) == {port}, "what only this host reaches is no way in"
        assert ports_of({"postfix.service"}, proc) == set()
        words = ["ip", "netns", "exec", client, sys.executable, "-c", WAIT, SERVER, str(port)]
        with command.spawn(words, stdout=PIPE) as waiting:
            assert waiting.stdout is not None
            assert waiting.stdout.readline() == b"asked\n"
            accepted, _ = server.accept()
            still.block(())
            still.cut_off({port})
            assert waiting.stdout.read() == b"cut off\n"
            accepted.close()
        assert not gets_in(client, port)
        create_connection((SERVER, port), timeout=5).close()  # the last run's own
        still.unblock()
        assert gets_in(client, port)


def test_units_are_kept_from_starting_by_what_the_next_boot_does_not_know(tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    def ask(words: Sequence[str]) -> str:
        asked.append(words)
        return ""

    paths = Paths(tmp_path)
    still = Standstill(paths, ask)
    still.unblock()
    assert asked == [], "there is nothing to take away"
    own = tmp_path / "run/systemd/system/shop.service.d/other.conf"
    own.parent.mkdir(parents=True)
    own.write_text("[Unit]\n")
    for _ in range(2):
        still.block(("dovecot.service", "shop.service", "../evil.service"))
    assert (paths.run / "handing-over").exists()
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob(DROP_IN))
    assert found == [f"run/systemd/system/{unit}.d/{DROP_IN}" for unit in ("dovecot.service", "shop.service")]
    for _ in range(2):
        still.unblock()
    assert list(tmp_path.rglob(DROP_IN)) == []
    assert own.exists()
    assert not own.parent.with_name("dovecot.service.d").exists()
    assert asked == [["daemon-reload"]] * 3


def test_a_process_that_a_stopped_unit_left_behind_is_found_and_our_own_is_none(tmp_path: Path) -> None:
    assert left_of({"cron.service"}, proc_of(tmp_path, "cron.service")) == {1: "cron.service"}
