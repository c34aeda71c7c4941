"""Production's addresses on a real interface, also where it does not take them; and the files that keep them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hotsync.backends.network import esmith, networkd
from hotsync.engine.network.rollback import Rollback
from hotsync.engine.promotion import host as promotion_host
from hotsync.engine.promotion.host import PromotionParts
from hotsync.engine.promotion.network import PromotionNetwork, network_files
from hotsync.engine.promotion.prepared_etc import PREPARED
from hotsync.errors import NotReady
from hotsync.flows import promote
from hotsync.flows.promote_answers import Answers
from hotsync.model.facts import MasterFacts, NetworkFacts
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state.facts import SPOOL_IN_TREE, render_facts
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

MASTER, SLAVE = Address("eth7", "10.77.0.1", 24), Address("eth7", "10.77.0.2", 24)
PLAN = NetworkPlan(NetworkChoice.MASTERS, "master", (MASTER,), (), (SLAVE,))
ETH_P_ARP = 0x0806
PROMOTION = Promotion(1, 1, "d", 1.0, 1.0, 1.0, PLAN, ())


@pytest.fixture
def card() -> Iterator[None]:
    with own_network():
        command.run(["ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far7"])
        command.run(["ip", "link", "set", "far7", "up"])
        command.run(["ip", "address", "add", str(SLAVE), "dev", "eth7"])
        command.run(["ip", "link", "set", "eth7", "up"])
        yield


def taken(tmp_path: Path, plan: NetworkPlan) -> list[str]:
    notes: list[str] = []
    guard = Rollback(Paths(tmp_path), SystemClock(), 0)
    PromotionNetwork(Paths(tmp_path), lambda: replace(PROMOTION, network=plan), notes.append, guard).take_addresses()
    return notes


def routes() -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", json.loads(command.run(["ip", "-j", "route", "show", "default"]).text))


@pytest.mark.usefixtures("card")
def test_a_gateway_outside_of_every_network_is_reached_on_the_wire(tmp_path: Path) -> None:
    gateway = Address("eth7", "192.0.2.1", 32)
    assert taken(tmp_path, replace(PLAN, gateways=(gateway,))) == []
    (route,) = routes()
    assert (route["gateway"], route["dev"], "onlink" in route["flags"]) == ("192.0.2.1", "eth7", True)


@pytest.mark.usefixtures("card")
def test_what_the_network_does_not_take_is_noted_and_the_rest_is_taken(tmp_path: Path) -> None:
    command.run(["sysctl", "-qw", "net.ipv6.conf.eth7.disable_ipv6=1"])
    six = Address("eth7", "2001:db8::1", 64)
    plan = replace(PLAN, addresses=(six, MASTER), gateways=(Address("eth7", "2001:db8::ff", 128), SLAVE))
    notes = taken(tmp_path, plan)
    assert [note for note in notes if "2001:db8::1/64 on eth7" in note]
    assert [note for note in notes if "gateway 2001:db8::ff on eth7" in note]
    shown = command.run(["ip", "-o", "address", "show", "dev", "eth7"]).text
    assert "10.77.0.1/24" in shown


@pytest.mark.usefixtures("card")
def test_where_the_network_is_kept_the_neighbours_hear_of_the_addresses_that_were_given_by_hand(tmp_path: Path) -> None:
    command.run(["ip", "address", "add", str(MASTER), "dev", "eth7"])
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ARP)) as neighbour:
        neighbour.bind(("far7", ETH_P_ARP))
        neighbour.settimeout(10)
        kept = replace(PROMOTION, network=NetworkPlan(NetworkChoice.KEEP))
        PromotionNetwork(Paths(tmp_path), lambda: kept, lambda note: pytest.fail(note)).activate()
        told: set[str] = set()
        while told < {MASTER.address, SLAVE.address}:  # each is told several times; a TimeoutError says who was not
            told.add(socket.inet_ntoa(neighbour.recv(64)[14:18]))


def put(etc: Path, texts: Mapping[str, str | None]) -> None:
    for path, text in texts.items():
        if text is None:
            (etc / path).unlink()
            continue
        (etc / path).parent.mkdir(parents=True, exist_ok=True)
        (etc / path).write_text(text)


def with_networkd(etc: Path) -> None:
    wants = etc / "systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    os.symlink("/lib/systemd/system/systemd-networkd.service", wants / "systemd-networkd.service")


def test_files_that_name_the_masters_hardware_address_name_the_interface_in_the_prepared_etc(tmp_path: Path) -> None:
    with_networkd(tmp_path)
    text = "[Match]\nMACAddress=02:00:00:00:00:01\n\n[Network]\nAddress=10.77.0.1/24\n"
    put(tmp_path, {"systemd/network/10-lan.network": text})
    plan = replace(PLAN, cards=(("02:00:00:00:00:01", "eth7"),))
    put(tmp_path, network_files(tmp_path, tmp_path, replace(PROMOTION, network=plan)))
    (card,) = networkd.read(tmp_path).interfaces
    assert (card.name, card.mac) == ("eth7", "")
    assert [str(address) for address in card.addresses] == ["10.77.0.1/24", "10.77.0.2/24"]


ODD = (
    {
        "netplan/a.yaml": "network:\n  ethernets:\n    eth7: {addresses: [10.77.0.1/24]}\n  vrfs:\n    v: {table: 5}\n",
    },
    {
        "NetworkManager/system-connections/README": "what lies here\n",
        "NetworkManager/system-connections/a": "[connection]\ntype=ethernet\nid=a\ninterface-name=eth7\n",
    },
    {
        "systemd/network/10-odd.network": "odd\n",
        "systemd/network/20-lan.network": "[Match]\nName=eth7\n[Network]\nAddress=10.77.0.1/24\n",
    },
)


@pytest.mark.parametrize("texts", ODD)
def test_files_that_are_not_understood_stop_no_promotion_that_takes_them_as_they_are(
    tmp_path: Path, texts: dict[str, str]
) -> None:
    with_networkd(tmp_path)
    wants = tmp_path / "systemd/system/multi-user.target.wants"
    os.symlink("/lib/systemd/system/NetworkManager.service", wants / "NetworkManager.service")
    put(tmp_path, texts)
    written = network_files(tmp_path, tmp_path, PROMOTION)
    assert str(SLAVE) in "".join(text or "" for text in written.values())


def test_a_file_that_nobody_could_read_is_taken_as_it_is(tmp_path: Path) -> None:
    put(tmp_path, {"netplan/a.yaml": "network: &odd\n  ethernets: {}\n"})
    assert network_files(tmp_path, tmp_path, PROMOTION) == {}


def claimed(tmp_path: Path) -> tuple[Paths, PromotionParts]:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    document.save_promotion(paths, PROMOTION)
    return paths, promotion_host.build(paths)


@pytest.mark.parametrize("choice", [NetworkChoice.MASTERS, NetworkChoice.KEEP])
def test_the_prepared_etc_looks_names_up_where_the_masters_link_leads_nowhere(
    tmp_path: Path, choice: NetworkChoice
) -> None:
    paths, parts = claimed(tmp_path)
    etc, tree = paths.at("/etc"), paths.replica / "tree"
    for folder in (etc, tree / "etc", tree / SPOOL_IN_TREE / "facts"):
        folder.mkdir(parents=True)
    (etc / "resolv.conf").write_text("nameserver 198.51.100.1\n")
    os.symlink("../run/systemd/resolve/stub-resolv.conf", tree / "etc/resolv.conf")
    told = MasterFacts(network=NetworkFacts(dns=("192.0.2.53",)))
    (tree / SPOOL_IN_TREE / "facts/network.json").write_bytes(render_facts(told)["network.json"])
    parts.etc.prepare(replace(PROMOTION, network=replace(PLAN, choice=choice)))
    prepared = (tmp_path / PREPARED / "resolv.conf").read_text().splitlines()
    assert prepared[-1] == ("nameserver 192.0.2.53" if choice is NetworkChoice.MASTERS else "nameserver 198.51.100.1")


def test_a_promotion_that_goes_on_may_keep_its_own_network_after_all(tmp_path: Path) -> None:
    paths, parts = claimed(tmp_path)
    paths.at("/etc").mkdir()
    assert promote._with_answer(parts, PROMOTION, Answers()) is PROMOTION
    assert promote._with_answer(parts, PROMOTION, Answers(NetworkChoice.MASTERS)) is PROMOTION
    kept = promote._with_answer(parts, PROMOTION, Answers(NetworkChoice.KEEP))
    assert kept.network == NetworkPlan(NetworkChoice.KEEP, not_taken=(MASTER,))  # where the old MASTER is looked for
    seen = SimpleNamespace(promotion=kept, facts=SimpleNamespace(etc_exchanged=True))
    promote._keep_answer(paths, cast("promote.Prospect", seen))
    noted = document.load_promotion(paths)
    assert noted is not None
    assert noted.network == kept.network
    assert "The network files in /etc are the MASTER's" in noted.notes[0]
    # one that goes on with the cards that it was claimed with is asked nothing
    mapped = replace(PROMOTION, network=replace(PLAN, choice=NetworkChoice.MAPPED, pairs=(("eth0", "eth7"),)))
    again = Answers(NetworkChoice.MAPPED, pairs=mapped.network.pairs)
    assert promote._with_answer(parts, mapped, again) is mapped
    # back again: as long as /etc is not the one that was prepared with the own network
    inode = os.lstat(paths.at("/etc")).st_ino
    with pytest.raises(NotReady, match="part of /etc"):
        promote._with_answer(parts, replace(kept, etc_inode=inode), Answers(NetworkChoice.MASTERS))


@pytest.mark.usefixtures("card")
def test_nethserver_is_told_the_standby_address_and_then_to_write_its_network_anew(tmp_path: Path) -> None:
    database, events = tmp_path / esmith.FILE, tmp_path / "sbin/e-smith/signal-event"
    for file in (database, events, tmp_path / "etc/nethserver-release"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o640)
    database.write_text("eth7=ethernet|bootproto|none|ipaddr|10.77.0.1|netmask|255.255.255.0|role|green\nz=zone|x|1\n")
    events.write_text(f"#!/bin/sh\necho \"$1 $(grep -c '=alias' {database})\" >>{tmp_path}/told\n")
    events.chmod(0o755)
    notes: list[str] = []
    guard = Rollback(Paths(tmp_path), SystemClock(), 0)
    PromotionNetwork(Paths(tmp_path), lambda: PROMOTION, notes.append, guard).activate()
    assert notes == []
    assert (tmp_path / "told").read_text().splitlines() == ["nethserver-hosts-save 1", "interface-update 1"]
    lines = [line for line in database.read_text().splitlines() if not line.startswith("#")]
    assert lines == [
        "eth7=ethernet|bootproto|none|ipaddr|10.77.0.1|netmask|255.255.255.0|role|green",
        "eth7:0=alias|ipaddr|10.77.0.2|netmask|255.255.255.0|role|alias",
        "z=zone|x|1",
    ]
    assert database.stat().st_mode & 0o777 == 0o640
