"""What of a MASTER still answers, asked over the real network stack."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hotsync.engine.one_master import silence
from hotsync.engine.one_master.silence import internet_answers, signs_of_life
from hotsync.engine.promotion.ground import Ground
from hotsync.flows import promote_look
from hotsync.flows.promote_look import life_of_master
from hotsync.model.facts import AddressFact, InterfaceFact, NetworkFacts
from hotsync.model.identity import Peer
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan
from hotsync.planning.addresses import plan_network
from hotsync.state import store
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network
from tests.contract.other_computer import other_computer

THERE = "127.0.0.77"
"""A place of the loopback that no interface is given: what a test needs of another server."""


def listener() -> socket.socket:
    made = socket.create_server((THERE, 0))
    made.settimeout(0)
    return made


def test_a_service_that_answers_is_a_sign_of_life_and_a_closed_port_is_none() -> None:
    with closing(listener()) as service, closing(listener()) as gone:
        port, closed = service.getsockname()[1], gone.getsockname()[1]
        gone.close()
        signs = signs_of_life(THERE, closed, (), (port, closed))
        assert f"a service answers at {THERE} port {port}" in signs
        assert f"{THERE} refuses connections to port {closed}, so it is on" in signs
        assert not any(f"a service answers at {THERE} port {closed}" in sign for sign in signs)


def test_a_server_that_does_not_exist_gives_no_sign() -> None:
    assert signs_of_life("", 1, ()) == ()


def test_however_much_is_asked_silence_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = range(2, 202)
    all_ask = threading.Barrier(len(ports))

    def silent(*_: object) -> str:
        all_ask.wait(timeout=60)  # whoever comes one after the other never gets by here
        return "nobody else was waited for"

    monkeypatch.setattr(silence, "_service", silent)
    assert "nobody else was waited for" in signs_of_life(THERE, 1, (), ports)


def test_the_master_is_asked_while_other_things_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, have_read = threading.Event(), threading.Event()

    def life(address: str, *_: object) -> tuple[str, ...]:
        asked.set()
        assert have_read.wait(timeout=60)
        return (f"{address} answers",)

    monkeypatch.setattr(promote_look, "signs_of_life", life)
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    store.save_peer(paths, Peer("master", "192.0.2.10", "f" * 64, ""))
    alive = life_of_master(paths, cast("Ground", SimpleNamespace(checks={})), NetworkPlan())
    assert asked.wait(timeout=60)
    have_read.set()
    assert alive() == ("192.0.2.10 answers",)


@pytest.mark.parametrize("card", ["eth7", "eth0"])
def test_a_master_that_is_known_by_a_cable_that_is_out_and_serves_on_is_not_silent(tmp_path: Path, card: str) -> None:
    """Also where this server is to keep its own network, and has no card of the name that the MASTER's has."""
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    store.save_peer(paths, Peer("master", "198.51.100.1", "f" * 64, ""))
    told = NetworkFacts(
        "master", (InterfaceFact(card, "02:00:00:00:00:01", addresses=(AddressFact("192.0.2.1", 24),)),)
    )
    plan = plan_network(NetworkChoice.KEEP, None, told, ())
    ground = cast("Ground", SimpleNamespace(checks={}))
    with own_network(), other_computer("192.0.2.1/24", ours=("192.0.2.2/24",)) as master:
        assert "192.0.2.1 refuses connections to port 273, so it is on" in life_of_master(paths, ground, plan)()
        master.falls_silent()
        assert life_of_master(paths, ground, plan)() == ()


def test_a_master_that_answers_nothing_but_its_neighbours_is_not_silent() -> None:
    """With IPv6 only, without ping, and with every port closed by its firewall."""
    address = Address("eth7", "2001:db8:77::1", 64)
    with own_network(), other_computer(str(address), ours=("2001:db8:77::2/64",)) as master:
        rules = "add table inet f; add chain inet f i { type filter hook input priority 0; policy drop; }"
        master.run(
            "nft", f"{rules}; add rule inet f i icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept"
        )
        assert signs_of_life(address.address, 273, [address]) == (f"{master.mac()} holds {address.address}",)
        master.falls_silent()
        assert signs_of_life(address.address, 273, [address]) == ()


def test_a_gateway_of_ipv6_stands_for_the_internet_too() -> None:
    with own_network(), other_computer("fe80::1/64") as router:
        assert not internet_answers("")
        command.run(["ip", "route", "add", "default", "via", "fe80::1", "dev", "eth7"])
        assert internet_answers("")
        router.falls_silent()
        assert not internet_answers("", seconds=0.5)
