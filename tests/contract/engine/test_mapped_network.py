"""The MASTER's network on a server whose cards have other names: proposed, confirmed, planned, and its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network import ifupdown
from hotsync.engine.promotion import host as promotion_host
from hotsync.engine.promotion.network import network_files
from hotsync.engine.promotion.prepared_etc import OwnEtc, PreparedEtc
from hotsync.errors import ConfigError, NotReady
from hotsync.flows import cards
from hotsync.flows.network_cards import read_cards
from hotsync.flows.promote_network import plan_for
from hotsync.model.facts import AddressFact, InterfaceFact, MasterFacts, NetworkFacts
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state.cards import cards_path, load_pairs
from hotsync.state.facts import render_facts
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

INTERFACES = """\
auto lo
iface lo inet loopback
source interfaces.d/*
auto eth0
iface eth0 inet static
    address 10.77.0.1/24
    gateway 10.77.0.254
"""
WAN = "allow-hotplug eth1\niface eth1 inet dhcp\n"
TOLD = NetworkFacts(
    "master",
    (
        InterfaceFact("eth0", "02:00:00:00:00:01", up=True, addresses=(AddressFact("10.77.0.1", 24),)),
        InterfaceFact("eth1", "02:00:00:00:00:02", addresses=(AddressFact("192.0.2.7", 24, dynamic=True),)),
    ),
)
PAIRS = (("eth0", "enp7"), ("eth1", "enp8"))


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    found = Paths(tmp_path)
    tree = found.replica / "tree"
    facts = tree / "var/lib/hotsync/spool/facts"
    for etc in (tree / "etc", found.at("/etc")):
        (etc / "network/interfaces.d").mkdir(parents=True)
        (etc / "network/interfaces").write_text(INTERFACES)
    (tree / "etc/network/interfaces.d/wan").write_text(WAN)
    facts.mkdir(parents=True)
    for name, content in render_facts(MasterFacts(network=TOLD)).items():
        (facts / name).write_bytes(content)
    with own_network():
        for name, address in (("enp8", "203.0.113.2/24"), ("enp7", "10.77.0.2/24")):
            command.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"tap-{name}"])
            command.run(["ip", "address", "add", address, "dev", name])
            command.run(["ip", "link", "set", name, "up"])
        yield found


def test_other_cards_are_proposed_and_refused_until_somebody_says_which_is_which(paths: Paths) -> None:
    assert cards.is_open(paths)
    seen = cards.cards_of(paths)
    proposed = {each.card: (each.here, each.reason) for each in seen.proposal()}
    assert proposed["eth0"] == ("enp7", "it is in the network 10.77.0.0/24")
    parts = promotion_host.build(paths)
    view = plan_for(parts, None, (), asked=True)
    assert (view.plan.choice, view.found.missing) == (NetworkChoice.MASTERS, ("eth0", "eth1"))
    assert "--map eth0=enp7" in view.found.proposal
    with pytest.raises(NotReady, match="nobody said") as caught:
        plan_for(parts, NetworkChoice.MAPPED, (), asked=True)
    assert "--map eth0=enp7" in caught.value.hint


def test_a_confirmed_mapping_is_what_a_promotion_does_without_a_word(paths: Paths) -> None:
    with pytest.raises(ConfigError, match="enp9 is no network card"):
        cards.confirm(paths, (("eth0", "enp9"), ("eth1", "enp8")))
    assert cards.confirm(paths, PAIRS) == PAIRS == load_pairs(paths)
    assert not cards.is_open(paths)
    view = plan_for(promotion_host.build(paths), None, (), asked=True)
    plan = view.plan
    assert (plan.choice, plan.system, plan.own_system) == (NetworkChoice.MAPPED, "ifupdown", False)
    assert plan.addresses == (Address("enp7", "10.77.0.1", 24), Address("enp8", "192.0.2.7", 24))
    assert plan.gateways == (Address("enp7", "10.77.0.254", 32),)
    assert (view.found.missing, view.found.leases) == ((), ("192.0.2.7/24 of eth1",))
    assert view.found.mapping == "eth0 -> enp7, eth1 -> enp8"


def test_a_server_whose_addresses_were_lent_has_none_for_the_old_master_to_come_back_with(paths: Paths) -> None:
    parts = promotion_host.build(paths)
    assert plan_for(parts, None, (), asked=True).found.standby_lacking == ""
    command.run(["ip", "address", "del", "203.0.113.2/24", "dev", "enp8"])
    command.run(["ip", "address", "change", "10.77.0.2/24", "dev", "enp7", "valid_lft", "900", "preferred_lft", "900"])
    command.run(["ip", "link", "add", "docker0", "type", "bridge"])
    command.run(["ip", "address", "add", "172.17.0.1/16", "dev", "docker0"])
    found = [address for address in live.read_addresses(fixed_only=True) if address.interface != "docker0"]
    for address in found:  # what this test's network has besides
        command.run(["ip", "address", "del", str(address), "dev", address.interface])
    view = plan_for(parts, None, (), asked=True)
    assert view.found.standby_lacking == "its own (10.77.0.2) was lent by DHCP, or is the MASTER's"
    command.run(["ip", "address", "del", "10.77.0.2/24", "dev", "enp7"])
    assert plan_for(parts, None, (), asked=True).found.standby_lacking == "it has none"
    assert plan_for(parts, NetworkChoice.KEEP, (), asked=True).found.standby_lacking == ""


def test_a_confirmed_mapping_of_a_card_that_is_gone_is_told_and_not_used(paths: Paths) -> None:
    cards.confirm(paths, PAIRS)
    command.run(["ip", "link", "delete", "enp8"])
    seen = read_cards(promotion_host.build(paths).ground)
    assert seen.confirmed == ()
    assert "enp8 is no network card of this server" in seen.stale
    cards_path(paths).write_text("{}")
    assert "its schema is None" in read_cards(promotion_host.build(paths).ground).stale


def test_the_prepared_etc_has_the_network_of_the_cards_here_and_none_of_the_old_files(paths: Paths) -> None:
    tree_etc = paths.replica / "tree/etc"
    (tree_etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    plan = plan_for(promotion_host.build(paths), None, PAIRS, asked=True).plan
    promotion = Promotion(1, 1, "d", 1.0, 1.0, 1.0, plan, ())
    document.save_promotion(paths, promotion)
    etc = PreparedEtc(
        paths, lambda: OwnEtc(frozenset(), frozenset()), lambda part, what: network_files(tree_etc, part, what)
    )
    etc.prepare(promotion)
    ready = paths.at("/.hotsync-etc")
    assert os.listdir(ready / "network/interfaces.d") == []
    state = ifupdown.read(ready)
    assert [str(each) for each in state.addresses] == [
        "10.77.0.1/24", "10.77.0.2/24", "192.0.2.7/24", "203.0.113.2/24",
    ]  # fmt: skip
    assert {each.name for each in state.interfaces} == {"lo", "enp7", "enp8"}
    assert state.uses_dhcp == ()


def test_files_that_may_hold_keys_are_for_root_or_for_networkd_only(paths: Paths) -> None:
    tree_etc = paths.replica / "tree/etc"
    (tree_etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tree_etc / "group").write_text("root:x:0:\nsystemd-network:x:998:\n")
    plan = replace(NetworkPlan(), choice=NetworkChoice.KEEP)
    promotion = Promotion(1, 1, "d", 1.0, 1.0, 1.0, plan, ())
    document.save_promotion(paths, promotion)
    texts = {
        "NetworkManager/system-connections/a": "a",
        "systemd/network/w.netdev": "key",
        "systemd/network/w.network": "",
    }
    PreparedEtc(paths, lambda: OwnEtc(frozenset(), frozenset()), lambda _part, _what: texts).prepare(promotion)
    ready = paths.at("/.hotsync-etc")
    seen = [(os.stat(ready / path).st_mode & 0o777, os.stat(ready / path).st_gid) for path in texts]
    assert seen == [(0o600, 0), (0o640, 998), (0o644, 0)]
