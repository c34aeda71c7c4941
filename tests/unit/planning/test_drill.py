"""What a drill's sandbox is made of, and what a drill says that it leaves out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.errors import NotReady
from hotsync.model.drill_room import Card, Cover
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan
from hotsync.model.report import Verdict
from hotsync.planning.drill import LEAST, RoomFacts, check_wires, left_out, plan_room

GIBIBYTE = 2**30
NETWORK = NetworkPlan(
    NetworkChoice.MASTERS,
    "master",
    addresses=(Address("eth0", "192.0.2.1", 24),),
    gateways=(Address("eth0", "192.0.2.254", 32),),
    standby=(Address("eth0", "192.0.2.2", 24),),
)
FACTS = RoomFacts(
    host_name="slave",
    free=100 * GIBIBYTE,
    limit=50 * GIBIBYTE,
    seconds=7200,
    mounts=(("/", "ext4"), ("/proc", "proc"), ("/run", "tmpfs"), ("/var", "xfs"), ("/boot", "ext4")),
    cards=(("eth0", "02:00:00:00:00:01"), ("eth1", "02:00:00:00:00:02")),
    network=NETWORK,
)


def test_every_local_file_system_is_covered_outer_ones_first_and_none_of_the_systems_own() -> None:
    mounts = (*FACTS.mounts, ("/var/lib/mysql", "ext4"), ("/srv", "btrfs"), ("/mnt/nas", "nfs4"))
    plan = plan_room(replace(FACTS, mounts=mounts))
    assert plan.covers == (Cover(""), Cover("/srv"), Cover("/var"), Cover("/var/lib/mysql"))


def test_what_is_mounted_over_something_is_what_counts() -> None:
    plan = plan_room(replace(FACTS, mounts=(*FACTS.mounts, ("/var", "nfs4"))))
    assert plan.covers == (Cover(""),)


def test_the_client_sits_on_the_wire_of_production_and_has_the_gateways_address() -> None:
    plan = plan_room(FACTS)
    client = (Address("eth0", "192.0.2.253", 24), Address("eth0", "192.0.2.254", 32))
    assert plan.cards == (Card("eth0", "02:00:00:00:00:01", client), Card("eth1", "02:00:00:00:00:02"))
    assert plan.asked == ("192.0.2.1",)


def test_on_a_bridge_the_client_sits_at_its_port() -> None:
    bridged = replace(NETWORK, addresses=(Address("br0", "192.0.2.1", 24),), gateways=(), standby=())
    plan = plan_room(replace(FACTS, network=bridged, wires={"br0": "eth1"}))
    assert plan.cards[1].addresses == (Address("eth1", "192.0.2.254", 24),)
    assert plan.asked == ("192.0.2.1",)


def test_an_address_without_a_wire_is_said_to_be_left_out() -> None:
    elsewhere = replace(NETWORK, addresses=(*NETWORK.addresses, Address("vlan9", "198.51.100.1", 24)))
    facts = replace(FACTS, network=elsewhere)
    assert plan_room(facts).asked == ("192.0.2.1",)
    assert [said for said in left_out(facts) if "client" in said] == [
        "questions of a client at 198.51.100.1/24: there is no wire of a card on which it could ask"
    ]


GLOBAL, ULA = Address("eth0", "2001:db8::1", 64), Address("eth0", "fd12:3456::1", 64)
GATEWAY_6 = Address("eth0", "2001:db8::fffe", 128)


def test_beside_ipv4_the_client_only_looks_whether_the_addresses_of_ipv6_answer_and_that_is_said() -> None:
    both = replace(NETWORK, addresses=(GLOBAL, *NETWORK.addresses, ULA), gateways=(*NETWORK.gateways, GATEWAY_6))
    facts = replace(FACTS, network=both)
    plan = plan_room(facts)
    assert (plan.asked, plan.reached) == (("192.0.2.1",), ("2001:db8::1", "fd12:3456::1"))
    assert plan.cards[0].addresses == (
        Address("eth0", "2001:db8::fff", 64),
        Address("eth0", "192.0.2.253", 24),
        Address("eth0", "fd12:3456::fff", 64),
        Address("eth0", "192.0.2.254", 32),
        GATEWAY_6,
    )
    assert [said for said in left_out(facts) if "client" in said] == [
        "the services at 2001:db8::1, fd12:3456::1: a client asks them by IPv4, and by IPv6 only whether these "
        "addresses answer"
    ]


def test_a_server_with_ipv6_alone_is_asked_by_that() -> None:
    facts = replace(FACTS, network=replace(NETWORK, addresses=(GLOBAL, ULA), gateways=(GATEWAY_6,), standby=()))
    assert (plan_room(facts).asked, plan_room(facts).reached) == (("2001:db8::1", "fd12:3456::1"), ())
    assert [said for said in left_out(facts) if "client" in said] == []


def test_a_drill_takes_what_the_setting_allows_and_never_the_room_of_generations() -> None:
    assert plan_room(FACTS).size == 50 * GIBIBYTE
    assert plan_room(replace(FACTS, free=8 * GIBIBYTE)).size == 6 * GIBIBYTE
    with pytest.raises(NotReady, match="a drill needs 512 MiB"):
        plan_room(replace(FACTS, free=LEAST))


def test_what_is_left_out_is_named() -> None:
    facts = replace(
        FACTS,
        mounts=(*FACTS.mounts, ("/mnt/nas", "nfs4"), ("/media/cd", "iso9660")),
        streamed=(("postgresql/15-main", "/var/lib/postgresql/15/main"),),
        fences=("its HotSync", "FenceCommand"),
    )
    said = left_out(facts)
    assert said[0].startswith("the fences (its HotSync, FenceCommand)")
    assert any(each.startswith("/mnt/nas: nfs4") for each in said)
    assert any(each.startswith("/media/cd: iso9660") for each in said)
    assert any("standby of postgresql/15-main" in each for each in said)
    assert any("hardware" in each for each in said)
    assert not any("/proc" in each or "/boot" in each or "/run" in each for each in said)
    assert plan_room(facts).emptied == ("/var/lib/postgresql/15/main",)


def test_an_address_that_would_come_to_another_wire_than_it_is_on_is_a_fault() -> None:
    here, elsewhere = {"192.0.2.1": frozenset({"eth0"})}, {"192.0.2.1": frozenset({"eth1"})}
    assert check_wires(replace(FACTS, heard=here)).verdict is Verdict.GREEN
    found = check_wires(replace(FACTS, heard=elsewhere))
    assert (found.verdict, found.detail) == (
        Verdict.RED, "192.0.2.1/24 is on the wire of eth1 and would come to eth0"
    )  # fmt: skip
    both = {"192.0.2.1": frozenset({"eth0", "eth1"})}
    assert check_wires(replace(FACTS, heard=both)).verdict is Verdict.GREEN


@pytest.mark.parametrize("heard", [{}, {"192.0.2.1": frozenset[str]()}])
def test_a_silent_master_tells_nothing_of_wires(heard: dict[str, frozenset[str]]) -> None:
    assert check_wires(replace(FACTS, heard=heard)).verdict is Verdict.GREEN


def test_a_promotion_that_takes_no_address_is_found_by_nobody() -> None:
    assert check_wires(replace(FACTS, network=NetworkPlan(NetworkChoice.MAPPED))).verdict is Verdict.RED
    assert check_wires(replace(FACTS, network=NetworkPlan(NetworkChoice.KEEP))).verdict is Verdict.AMBER
