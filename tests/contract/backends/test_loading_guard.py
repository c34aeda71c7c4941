"""Clients and a server that loads its databases: the real nftables, between two networks."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from hotsync.backends import loading_guard
from hotsync.errors import CommandFailed
from hotsync.system import command
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

SERVER, CLIENT = "10.99.7.1", "10.99.7.2"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=0.5)"


@pytest.fixture
def client() -> Iterator[str]:
    """A client's network, joined to our own by a cable; its name."""
    name = f"hotsync-client-{os.getpid()}"
    command.run(["ip", "netns", "add", name])
    try:
        with own_network():
            command.run(["ip", "link", "add", "server0", "type", "veth", "peer", "name", "client0", "netns", name])
            command.run(["ip", "address", "add", f"{SERVER}/24", "dev", "server0"])
            command.run(["ip", "link", "set", "server0", "up"])
            command.run(["ip", "-n", name, "address", "add", f"{CLIENT}/24", "dev", "client0"])
            command.run(["ip", "-n", name, "link", "set", "client0", "up"])
            yield name
    finally:
        command.run(["ip", "netns", "delete", name])


def gets_in(client: str, port: int) -> bool:
    try:
        command.run(["ip", "netns", "exec", client, sys.executable, "-c", CONNECT, SERVER, str(port)])
    except CommandFailed:
        return False
    return True


def test_what_begins_to_listen_while_clients_are_held_off_is_reached_only_afterwards(client: str) -> None:
    with socket.create_server((SERVER, 0)) as before:
        way_in = int(before.getsockname()[1])
        loading_guard.hold()
        assert loading_guard.is_held()
        with socket.create_server((SERVER, 0)) as database:
            port = int(database.getsockname()[1])
            assert gets_in(client, way_in)
            assert not gets_in(client, port)
            socket.create_connection((SERVER, port), timeout=5).close()  # from this host itself
            loading_guard.admit()
            assert gets_in(client, port)
    assert not loading_guard.is_held()
    loading_guard.admit()
