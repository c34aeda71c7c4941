"""Two servers with cards of the same names on real wires: as they should be, and with the cables changed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.engine.promotion import host as promotion_host
from hotsync.flows import cards
from hotsync.flows.promote_network import NetworkView, plan_for
from hotsync.model.facts import AddressFact, InterfaceFact, MasterFacts, NetworkFacts, RouteFact
from hotsync.model.promotion import NetworkChoice
from hotsync.state.facts import render_facts
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

INTERFACES = """\
auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
    address 198.51.100.10/24
    gateway 198.51.100.1
auto eth1
iface eth1 inet static
    address 203.0.113.10/24
"""
TOLD = NetworkFacts(
    "master",
    (
        InterfaceFact("eth0", "02:00:00:00:00:01", up=True, addresses=(AddressFact("198.51.100.10", 24),)),
        InterfaceFact("eth1", "02:00:00:00:00:02", up=True, addresses=(AddressFact("203.0.113.10", 24),)),
    ),
    (RouteFact("default", "eth0", "198.51.100.1"),),
)
SWAPPED, KEPT = "--map eth0=eth1 --map eth1=eth0", "--map eth0=eth0 --map eth1=eth1"


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    """A SLAVE that has addresses on none of its cards: behind eth0 is `near`, behind eth1 `far`."""
    found = Paths(tmp_path)
    facts = found.replica / "tree/var/lib/hotsync/spool/facts"
    for etc in (found.replica / "tree/etc", found.at("/etc")):
        (etc / "network").mkdir(parents=True)
        (etc / "network/interfaces").write_text(INTERFACES)
    facts.mkdir(parents=True)
    for name, content in render_facts(MasterFacts(network=TOLD)).items():
        (facts / name).write_bytes(content)
    with own_network():
        others = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        try:
            own = Path("/proc/thread-self/ns/net").stat().st_ino
            while Path(f"/proc/{others.pid}/ns/net").stat().st_ino == own:
                time.sleep(0.01)
            for name, wire in (("eth0", "near"), ("eth1", "far")):
                command.run(["ip", "link", "add", name, "type", "veth", "peer", "name", wire])
                command.run(["ip", "link", "set", wire, "netns", str(others.pid)])
                command.run(["ip", "link", "set", name, "up"])
                command.run(["nsenter", "-t", str(others.pid), "-n", "ip", "link", "set", wire, "up"])
                # each answers for its own addresses only
                knob = f"/proc/sys/net/ipv4/conf/{wire}/arp_ignore"
                command.run(["nsenter", "-t", str(others.pid), "-n", "sh", "-c", f"echo 1 >{knob}"])
            (tmp_path / "others").write_text(str(others.pid))
            yield found
        finally:
            others.kill()
            others.wait()


def gateway_behind(paths: Paths, wire: str) -> None:
    inside = ["nsenter", "-t", (paths.root / "others").read_text(), "-n"]
    command.run([*inside, "ip", "address", "add", "198.51.100.1/24", "dev", wire])


def seen(paths: Paths) -> NetworkView:
    return plan_for(promotion_host.build(paths), None, (), asked=False)


def test_who_answers_on_the_wire_of_another_card_is_asked_about_until_somebody_says_which_is_which(
    paths: Paths,
) -> None:
    gateway_behind(paths, "far")
    view = seen(paths)
    assert (view.plan.choice, view.found.missing, view.found.crossed) == (NetworkChoice.MASTERS, (), ())
    found = view.heard()
    assert found.crossed == ("the MASTER's eth0 seems to be eth1 here: 198.51.100.1 answers on its wire",)
    assert (found.proposal, found.same) == (SWAPPED, KEPT)
    assert cards.is_open(paths)
    cards.confirm(paths, (("eth0", "eth0"), ("eth1", "eth1")))
    assert not cards.is_open(paths)
    view = seen(paths)
    assert (view.plan.choice, view.heard().crossed) == (NetworkChoice.MASTERS, ())
    cards.confirm(paths, (("eth0", "eth1"), ("eth1", "eth0")))
    view = seen(paths)
    assert (view.plan.choice, view.heard().crossed) == (NetworkChoice.MAPPED, ())
    assert {str(each): each.interface for each in view.plan.addresses} == {
        "198.51.100.10/24": "eth1",
        "203.0.113.10/24": "eth0",
    }


def test_an_address_of_this_server_in_the_network_of_another_card_is_asked_about(paths: Paths) -> None:
    command.run(["ip", "address", "add", "198.51.100.20/24", "dev", "eth1"])
    assert seen(paths).heard().crossed == (
        "the MASTER's eth0 seems to be eth1 here: it is in the network 198.51.100.0/24",
    )


def test_an_ordinary_pair_raises_no_doubt(paths: Paths) -> None:
    assert seen(paths).heard().crossed == ()  # nobody says anything
    gateway_behind(paths, "near")
    command.run(["ip", "address", "add", "198.51.100.20/24", "dev", "eth0"])
    assert seen(paths).heard().crossed == ()
    command.run(["ip", "address", "add", "203.0.113.20/24", "dev", "eth1"])
    assert seen(paths).heard().crossed == ()
    assert not cards.is_open(paths)
