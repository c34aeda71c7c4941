"""Callers that say nothing, as many as they like: the paired server gets in beside them, and they end each other."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from hotsync.agent.places import MAX_CONNECTIONS, MAX_OF_A_STRANGER, MAX_STRANGERS, MAX_UNPROVEN
from hotsync.errors import HotSyncError
from hotsync.model.identity import Role, RoleRecord
from hotsync.state.hold import held
from hotsync.state.store import save_role
from hotsync.system import command
from hotsync.transport.dial import Callee, hail
from hotsync.transport.presence import load_presence
from tests.contract.agent.pair import MASTER_ADDRESS, PORT, SLAVE_ADDRESS, Pair, until

pytestmark = pytest.mark.contract

NEIGHBOURS = [f"fe80::bad:{number:x}" for number in range(1, 25)]
OWN, CARD = "fe80::2", "lo"
OTHER_CARD, PAIRED_WITH = "fe80::cafe", "fe80::abcd"
SILENT = 60


@pytest.fixture
def link_local(hosts: Pair) -> Pair:
    """The SLAVE listens at a link-local address, too; neighbours have many, and the MASTER one that nobody knows."""
    for address in (OWN, OTHER_CARD, *NEIGHBOURS, PAIRED_WITH):  # the last one is told while they pair
        command.run(["ip", "address", "add", f"{address}/64", "dev", CARD, "nodad"])
    hosts.pair()
    hosts.slave.stop()
    hosts.slave.address = ""
    hosts.slave.start()
    return hosts


def call(source: str, target: str) -> socket.socket:
    """Connect and say nothing."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    scope = socket.if_nametoindex(CARD)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.bind((source, 0, 0, scope) if ":" in source else (source, 0))
    sock.connect((target, PORT, 0, scope) if ":" in target else (target, PORT))
    return sock


def open_still(callers: list[socket.socket]) -> list[socket.socket]:
    """Return those that were not cut off."""
    found: list[socket.socket] = []
    for sock in callers:
        sock.setblocking(False)
        try:
            sock.recv(1)
        except BlockingIOError:
            found.append(sock)
        except OSError:
            pass
    return found


@contextmanager
def flood(sources: list[str], target: str) -> Iterator[list[socket.socket]]:
    """Have silent callers call all the time, as fast as they can; gives those that called so far."""
    done = threading.Event()
    callers: list[socket.socket] = []

    def go_on() -> None:
        number = 0
        while not done.is_set():
            with suppress(OSError):
                callers.append(call(sources[number % len(sources)], target))
            number += 1
            if len(callers) > SILENT:
                callers.pop(0).close()
            done.wait(0.01)

    thread = threading.Thread(target=go_on)  # it inherits the network of the pair
    thread.start()
    try:
        until(lambda: len(callers) >= SILENT, "there are many")
        yield callers
    finally:
        done.set()
        thread.join()
        for sock in callers:
            sock.close()


def test_the_paired_server_gets_in_beside_a_flood_from_neighbours(
    link_local: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), flood(NEIGHBOURS, OWN):
        for _ in range(5):
            with link_local.link() as link:
                assert link.alive().type == "alive"
        before = load_presence(link_local.slave.paths).refusal
    lines = [record.getMessage() for record in caplog.records if "neighbour" in record.getMessage()]
    assert len(lines) == 1
    assert len([record for record in caplog.records if "fe80::bad" in record.getMessage()]) <= 2
    assert before is None or before.code == "peer.silent"


def test_also_with_another_card_of_its_own_beside_them(link_local: Pair) -> None:
    """What a MASTER does that boots with a new mainboard."""
    here, ours = link_local.master.here, link_local.master.around.identity
    assert here.peer is not None
    callee = Callee(f"{OWN}%{CARD}", PORT, here.ours, ours, here.peer.fingerprint)
    route = ["local", OWN, "dev", CARD, "table", "local", "src", OTHER_CARD, "metric", "1"]
    command.run(["ip", "-6", "route", "add", *route])
    answers: list[str] = []
    with flood(NEIGHBOURS, OWN):
        for _ in range(10):  # among neighbours it may be cut off itself; it asks again
            with suppress(HotSyncError):
                answers.append(hail(callee, link_local.master.clock, 5).role)
    assert answers
    assert set(answers) == {"slave"}


def test_and_beside_a_flood_from_its_own_address(paired: Pair) -> None:
    """An ordinary user of that server can make one."""
    with flood([MASTER_ADDRESS], SLAVE_ADDRESS):
        for _ in range(5):
            with paired.link() as link:
                assert link.alive().type == "alive"


def test_a_master_hears_beside_a_flood_that_it_was_superseded(paired: Pair) -> None:
    paired.master.start()
    save_role(paired.slave.paths, RoleRecord(Role.SLAVE, epoch=0, claim=1))
    there = paired.slave.here
    assert there.peer is not None
    callee = Callee(MASTER_ADDRESS, PORT, there.ours, paired.slave.around.identity, there.peer.fingerprint)
    with flood([SLAVE_ADDRESS], MASTER_ADDRESS):
        hail(callee, paired.slave.clock, 5)
    hold = held(paired.master.paths)
    assert hold is not None
    assert hold.epoch == 1


def test_one_neighbour_has_two_places_and_all_of_them_have_few(link_local: Pair) -> None:
    with ExitStack() as stack:
        own = [stack.enter_context(call(NEIGHBOURS[0], OWN)) for _ in range(10)]
        until(lambda: len(open_still(own)) == MAX_OF_A_STRANGER, "the older ones are cut off")
        assert open_still(own) == own[-MAX_OF_A_STRANGER:]
        others = [stack.enter_context(call(address, OWN)) for address in NEIGHBOURS]
        until(lambda: len(open_still(own + others)) == MAX_STRANGERS, "the older ones are cut off")
        assert open_still(own + others) == others[-MAX_STRANGERS:]


def test_silent_callers_from_the_peers_address_take_none_of_its_own_places(paired: Pair) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(call(MASTER_ADDRESS, SLAVE_ADDRESS)) for _ in range(MAX_UNPROVEN)]
        links = [stack.enter_context(paired.link(heartbeat=False)) for _ in range(MAX_CONNECTIONS)]
        assert all(link.alive().type == "alive" for link in links)
        assert len(open_still(silent)) < MAX_UNPROVEN
