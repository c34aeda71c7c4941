"""The client of a drill asks real services over a sandbox's cable by both families: where they listen, and what a URL
makes of an address."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hotsync.backends.sandbox_network import as_client, client_seat, lay_cables
from hotsync.engine.drill.client import open_ports
from hotsync.model.drill_room import Card
from hotsync.model.network.values import Address
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

ADDRESS, ADDRESS_6 = "10.88.9.1", "2001:db8:88::1"
CLIENT = (Address("eth7", "10.88.9.254", 24), Address("eth7", "2001:db8:88::fff", 64))
PACKAGE = "Package: {}\nStatus: install ok installed\nVersion: 1\n\n"
EVERYWHERE = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
ASK = """
import json, sys
from pathlib import Path
from hotsync.engine.drill.client import ask_as_client
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
found = ask_as_client(Paths(Path(sys.argv[1])), sys.argv[2], frozenset(json.loads(sys.argv[3])), SystemClock())
print(json.dumps({check.name: [check.verdict.value, check.detail] for check in found}))
"""


class Page(BaseHTTPRequestHandler):
    """A web server's answer."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """It has nobody to tell."""


class Web(HTTPServer):
    """A web server of one family."""

    def __init__(self, family: socket.AddressFamily) -> None:
        self.address_family = family
        super().__init__((EVERYWHERE[family], 80), Page)


@contextmanager
def served(family: socket.AddressFamily) -> Iterator[None]:
    """Serve web and FTP by one family."""
    with ExitStack() as stack:
        web = stack.enter_context(Web(family))
        threading.Thread(target=web.serve_forever, daemon=True).start()
        stack.callback(web.shutdown)
        ftp = stack.enter_context(socket.create_server((EVERYWHERE[family], 21), family=family))

        def greet() -> None:
            while True:
                try:
                    connection, _ = ftp.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"220 ready\r\n")

        threading.Thread(target=greet, daemon=True).start()
        stack.callback(ftp.shutdown, socket.SHUT_RDWR)
        yield


@dataclass
class Sandbox:
    """This thread's network, with production's addresses on its card, and the client's seat at the other end."""

    paths: Paths
    seat: int

    def ask(self, address: str) -> dict[str, list[str]]:
        """Let the client ask at an address; return verdict and answer by the name of each check."""
        tables = [Path(f"/proc/thread-self/net/{name}").read_text() for name in ("tcp", "tcp6")]
        ports = json.dumps(sorted(open_ports(tables, address)))
        words = [sys.executable, "-c", ASK, os.fspath(self.paths.root), address, ports]
        env = {"PYTHONPATH": os.pathsep.join(sys.path)}
        found: dict[str, list[str]] = json.loads(command.run(as_client(self.seat, words), env=env).stdout)
        return found


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    paths = Paths(tmp_path)
    status = paths.at("/var/lib/dpkg/status")
    status.parent.mkdir(parents=True)
    status.write_text("".join(map(PACKAGE.format, ("nginx", "vsftpd"))))
    with own_network(), client_seat() as seat:
        lay_cables(seat, [Card("eth7", "02:00:00:00:00:07", CLIENT)])
        command.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", "eth7"])
        command.run(["ip", "address", "add", f"{ADDRESS_6}/64", "dev", "eth7", "nodad"])
        command.run(["ip", "link", "set", "eth7", "up"])
        yield Sandbox(paths, seat)


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, ADDRESS), (socket.AF_INET6, ADDRESS_6)], ids=["IPv4", "IPv6"]
)
def test_services_are_asked_by_the_family_of_the_address(
    sandbox: Sandbox, family: socket.AddressFamily, address: str
) -> None:
    with served(family):
        found = sandbox.ask(address)
    assert set(found) == {f"client.reach.{address}", "client.nginx.http.1", "client.vsftpd.port.1"}
    assert {verdict for verdict, _ in found.values()} == {"green"}, found


def test_a_service_that_listens_by_ipv4_alone_is_none_for_a_client_of_ipv6(sandbox: Sandbox) -> None:
    with served(socket.AF_INET):
        assert sandbox.ask(ADDRESS_6) == {f"client.reach.{ADDRESS_6}": ["green", f"{ADDRESS_6} answers"]}


@pytest.mark.parametrize("address", ["10.88.9.77", "2001:db8:88::77"])
def test_an_address_that_is_not_there_is_red(sandbox: Sandbox, address: str) -> None:
    assert sandbox.ask(address)[f"client.reach.{address}"][0] == "red"
