"""Whom a fence would call, as ssh itself and the kernel say it: it must never be this very server."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hotsync.engine.fence import switched_off, tiers
from hotsync.engine.fence.tiers import leads_here
from hotsync.model.fence import FenceResult, Tier
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from hotsync.transport.addresses import is_own
from tests.contract.agent.pair import own_network, until
from tests.contract.other_computer import Computer, other_computer

pytestmark = pytest.mark.contract


@pytest.fixture
def own_address() -> Iterator[None]:
    """An interface of this host has an address, beside its own, as a promoted server has the MASTER's."""
    command.run(["ip", "link", "add", "fence0", "type", "veth", "peer", "name", "fence1"])
    try:
        command.run(["ip", "link", "set", "fence1", "up"])
        command.run(["ip", "link", "set", "fence0", "up"])
        for number in (20, 10):  # the first one is the source of all that is sent into that network
            command.run(["ip", "address", "add", f"192.0.2.{number}/24", "dev", "fence0"])
            command.run(["ip", "address", "add", f"2001:db8:77::{number}/64", "dev", "fence0", "nodad"])
        yield
    finally:
        command.run(["ip", "link", "del", "fence0"])


@pytest.mark.usefixtures("own_address")
@pytest.mark.parametrize("network", ["192.0.2.", "2001:db8:77::"])
def test_every_address_of_this_server_is_its_own_and_no_neighbours_is(network: str) -> None:
    assert is_own(f"{network}20")
    assert is_own(f"{network}10")
    assert not is_own(f"{network}11")


@pytest.mark.parametrize("address", ["", "master", "203.0.113.5", "2001:db8:99::5", "fe80::1%nosuch0"])
def test_what_is_no_address_or_reached_by_no_route_is_not_its_own(address: str) -> None:
    with own_network():
        assert not is_own(address)


def test_a_link_local_address_is_its_own_on_its_own_wire_only() -> None:
    with own_network(), other_computer("fe80::1/64", ours=("fe80::2/64",)):
        command.run(["ip", "link", "add", "eth8", "type", "veth", "peer", "name", "far8"])
        command.run(["ip", "link", "set", "eth8", "up"])
        command.run(["ip", "address", "add", "fe80::1/64", "dev", "eth8", "nodad"])
        assert is_own("fe80::2%eth7")
        assert is_own("fe80::1%eth8")
        assert not is_own("fe80::1%eth7")


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """A SLAVE whose promotion goes on, with the MASTER's address beside its own already, and its agent listening."""
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    store.save_role(paths, RoleRecord(Role.SLAVE, 0, claim=1))
    document.save_promotion(paths, Promotion(1, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    monkeypatch.setattr(tiers, "load_identity", lambda _: None)
    ours = ("192.0.2.20/24", "192.0.2.10/24")
    with (
        own_network(),
        other_computer("192.0.2.9/24", "fe80::1/64", ours=ours) as master,
        socket.create_server(("::", 273), family=socket.AF_INET6, dualstack_ipv6=True),
        listening(master),
    ):
        yield paths


@contextmanager
def listening(computer: Computer) -> Iterator[None]:
    """Somebody answers HotSync's port there."""
    words = "import socket, time; s = socket.create_server(('::', 273), family=socket.AF_INET6); time.sleep(600)"
    there = subprocess.Popen(["nsenter", "-t", str(computer.process.pid), "-n", sys.executable, "-c", words])
    try:
        until(lambda: ":273" in computer.run("ss", "-Hltn"), "it listens")
        yield
    finally:
        there.kill()
        there.wait()


def test_a_master_whose_address_is_here_by_now_is_called_at_its_link_local_one(taken: Paths) -> None:
    store.save_peer(taken, Peer("master", "192.0.2.10", "f" * 64, "", "fe80::1%eth7"))
    assert [callee.address for callee in tiers.callees(taken, 1)] == ["fe80::1%eth7"]


def test_whether_it_is_off_is_looked_at_there_too(taken: Paths) -> None:
    """Else every program of the site that ends well would count as a fence."""
    promotion = document.load_promotion(taken)
    assert promotion is not None
    look = switched_off.asking(taken, Peer("master", "192.0.2.10", "f" * 64, "", "fe80::1%eth7"), promotion)
    assert "HotSync answers at fe80::1%eth7 port 273" in look()


HERE = "192.0.2.10 is this server's own address by now"


@pytest.mark.parametrize(
    ("link_local", "said"),
    [
        ("", f"The MASTER port 273 does not answer: it was not asked, {HERE}"),
        ("fe80::2%eth7", f"fe80::2%eth7 port 273 does not answer: nobody is there, and {HERE}"),
    ],
)
def test_where_it_cannot_be_called_the_fence_says_so_and_does_not_call_this_server(
    taken: Paths, link_local: str, said: str
) -> None:
    store.save_peer(taken, Peer("master", "192.0.2.10", "f" * 64, "", link_local))
    tiers.fence(taken, SystemClock())
    promotion = document.load_promotion(taken)
    assert promotion is not None
    assert promotion.fences == (FenceResult(Tier.AGENT, False, said),)


@pytest.mark.usefixtures("own_address")
def test_an_address_that_this_server_has_taken_leads_here_and_its_neighbours_does_not() -> None:
    assert leads_here("192.0.2.10")
    assert leads_here("root@192.0.2.10")
    assert leads_here("2001:db8:77::10")
    assert not leads_here("192.0.2.11")
    assert not leads_here("2001:db8:77::11")


def test_a_name_that_the_masters_hosts_file_gives_to_the_server_itself_leads_here() -> None:
    """Debian's /etc/hosts says 127.0.1.1 of a host's own name."""
    assert leads_here("127.0.1.1")
    assert leads_here("localhost")
    assert not leads_here("nobody-has-this-name.invalid")


@pytest.mark.usefixtures("own_address")
def test_an_alias_of_ssh_is_followed() -> None:
    config = Path("/etc/ssh/ssh_config.d/hotsync-fence-test.conf")
    config.write_text("Host old-master\n    HostName 192.0.2.10\nHost other-master\n    HostName 192.0.2.11\n")
    try:
        assert leads_here("old-master")
        assert not leads_here("other-master")
    finally:
        config.unlink()
