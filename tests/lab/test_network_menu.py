"""The network's menu, answered by a person on a terminal; a MASTER with a bridge, two networks, static routes and IPv6
on a SLAVE with other cards in another order; and files of the network with which nobody answers.
"""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lab import Host, Lab
from tests.lab.conftest import MASTER, SLAVE, make_waiting, own_name, sync
from tests.lab.production import promote
from tests.lab.test_other_cards import DMZ, NICS, RIGHT, reached

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800), pytest.mark.full]

SLAVES_DMZ, DMZ_ROUTER = "10.78.0.2", "10.78.0.9"
BRANCH, DMZ_BRANCH = "10.91.0.0/16", "10.92.0.0/16"
LAN_SIX, DMZ_SIX = "2001:db8:77::1", "2001:db8:78::1"
NETWORKD = "/etc/systemd/network"
BRIDGED = {
    "10-eth0.network": "[Match]\nName=eth0\n\n[Network]\nBridge=br0\n",
    "20-br0.netdev": "[NetDev]\nName=br0\nKind=bridge\n\n[Bridge]\nSTP=no\n",
    "20-br0.network": f"[Match]\nName=br0\n\n[Network]\nAddress={MASTER}/24\nAddress={LAN_SIX}/64\nIPv6AcceptRA=no\n"
    f"Gateway=10.77.0.254\n\n[Route]\nDestination={BRANCH}\nGateway=10.77.0.100\n",
    "10-eth1.network": f"[Match]\nName=eth1\n\n[Network]\nAddress={DMZ}/24\nAddress={DMZ_SIX}/64\nIPv6AcceptRA=no\n\n"
    f"[Route]\nDestination={DMZ_BRANCH}\nGateway={DMZ_ROUTER}\n",
}
ASKED = "What about the network?"


@pytest.fixture(scope="module")
def other_cards() -> Iterator[Lab]:
    """That MASTER, off, and a SLAVE with other cards, ready to be promoted; saved as `dead`."""
    lab = Lab.up(name=own_name("menu"), bare=True, network="networkd", nics=NICS)
    try:
        for name, text in BRIDGED.items():
            lab.master.write(f"{NETWORKD}/{name}", text)
        lab.master.stop()
        lab.master.boot()
        assert reached(lab, MASTER)
        make_ready(lab)
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="module")
def same_cards() -> Iterator[Lab]:
    """Two servers with the same cards, the MASTER off; saved as `ready` before that, and as `dead`."""
    lab = Lab.up(name=own_name("same"), bare=True, network="networkd")
    try:
        make_ready(lab)
        yield lab
    finally:
        lab.down()


def make_ready(lab: Lab) -> None:
    make_waiting(lab)
    # what stands for the Internet answers nobody here, so that the menu is asked
    lab.slave.run(["config", "setprop", "hotsync", "InternetProbe", "10.77.0.250:80"])
    lab.save("ready")
    lab.master.kill()
    lab.save("dead")


def typed(host: Host, *answers: str) -> tuple[int, str]:
    """Run hotsync-promote on a terminal for a person who types these lines; return how it ended, and what was seen."""
    leader, follower = pty.openpty()
    with host.spawn(["hotsync-promote"], stdin=follower, stdout=follower, stderr=follower) as going:
        os.close(follower)
        os.write(leader, "".join(f"{answer}\n" for answer in answers).encode())
        said = b""
        with suppress(OSError):  # the other end is closed
            while data := os.read(leader, 65536):
                said += data
    os.close(leader)
    return going.returncode, said.decode(errors="replace")


def role(host: Host) -> str:
    return host.run(["config", "getprop", "hotsync", "role"]).stdout.strip()


def shows(host: Host, *words: str) -> str:
    return host.run(["ip", *words]).stdout


def restart(lab: Lab) -> None:
    lab.slave.stop()
    lab.slave.boot()


def check_masters_network(lab: Lab) -> None:
    """All of it: the bridge with the right card, both networks, routes, IPv6, and the standby address."""
    slave = lab.slave
    assert "master br0" in shows(slave, "-o", "link", "show", "dev", "ens18")
    lan, dmz = (shows(slave, "-o", "address", "show", "dev", name) for name in ("br0", "enp1s0"))
    for address in (f"{MASTER}/24", f"{SLAVE}/24", f"{LAN_SIX}/64"):
        assert address in lan, lan
    for address in (f"{DMZ}/24", f"{DMZ_SIX}/64"):
        assert address in dmz, dmz
    assert reached(lab, MASTER)
    routes = shows(slave, "route", "show")
    assert f"{BRANCH} via 10.77.0.100 dev br0" in routes, routes
    assert f"{DMZ_BRANCH} via {DMZ_ROUTER} dev enp1s0" in routes, routes
    assert "default via 10.77.0.254 dev br0" in routes, routes


def test_by_choice_4_the_proposal_is_shown_and_one_word_maps_the_cards(other_cards: Lab) -> None:
    other_cards.revert("dead")
    code, said = typed(other_cards.slave, "4", "y", "slave")
    assert code in (0, 1), said
    assert "This server has other network cards than the MASTER." in said
    assert ASKED in said
    assert role(other_cards.slave) == "master"
    restart(other_cards)
    check_masters_network(other_cards)


def test_by_choice_4_a_person_may_say_it_card_by_card(other_cards: Lab) -> None:
    other_cards.revert("dead")
    code, said = typed(other_cards.slave, "4", "n", "ens18", "enp1s0", "slave")
    assert code in (0, 1), said
    restart(other_cards)
    check_masters_network(other_cards)


def test_a_mapping_said_beforehand_brings_bridge_routes_and_ipv6_and_asks_nothing(other_cards: Lab) -> None:
    other_cards.revert("dead")
    code, document, said = promote(other_cards.slave, *RIGHT)
    assert code in (0, 1), (document, said)
    restart(other_cards)
    check_masters_network(other_cards)


def test_choice_1_is_refused_where_cards_are_missing_and_nothing_is_changed(other_cards: Lab) -> None:
    other_cards.revert("dead")
    code, said = typed(other_cards.slave, "1")
    assert code == 3, said
    assert "eth0=ens18" in said
    assert role(other_cards.slave) == "slave"
    assert reached(other_cards, SLAVE)


def test_choice_2_stops_and_what_was_set_up_by_hand_is_kept_by_the_next_run(other_cards: Lab) -> None:
    other_cards.revert("dead")
    slave = other_cards.slave
    code, said = typed(slave, "2")
    assert code == 3, said
    assert "the network is to be fixed first" in said
    assert role(slave) == "slave"
    by_hand = f"[Network]\nAddress={MASTER}/24\n"
    slave.write(f"{NETWORKD}/10-ens18.network.d/by-hand.conf", by_hand)
    slave.run(["networkctl", "reload"])
    code, said = typed(slave, "3", "slave")
    assert code in (0, 1), said
    assert role(slave) == "master"
    for _ in range(2):
        assert reached(other_cards, MASTER)
        assert f"{MASTER}/24" in shows(slave, "-o", "address", "show", "dev", "ens18")
        restart(other_cards)


def test_by_choice_3_it_keeps_its_own_network_over_a_boot(other_cards: Lab) -> None:
    other_cards.revert("dead")
    slave = other_cards.slave
    code, said = typed(slave, "3", "slave")
    assert code in (0, 1), said
    assert role(slave) == "master"
    for _ in range(2):
        shown = shows(slave, "-o", "address", "show")
        assert f"{SLAVE}/24" in shown
        assert f"{SLAVES_DMZ}/24" in shown
        assert not {f"{MASTER}/24", f"{DMZ}/24", "br0"} & set(shown.split())
        assert reached(other_cards, SLAVE)
        restart(other_cards)


def test_by_choice_1_a_server_with_the_same_cards_has_the_masters_network(same_cards: Lab) -> None:
    same_cards.revert("dead")
    code, said = typed(same_cards.slave, "1", "slave")
    assert code in (0, 1), said
    assert "No Internet connection was found." in said
    assert role(same_cards.slave) == "master"
    for _ in range(2):
        assert reached(same_cards, MASTER)
        shown = shows(same_cards.slave, "-o", "address", "show", "dev", "eth0")
        assert {f"{MASTER}/24", f"{SLAVE}/24"} <= set(shown.split())
        restart(same_cards)


def test_files_that_cut_the_server_off_are_gone_before_the_next_boot(same_cards: Lab) -> None:
    """A MASTER's file that switches its card off: it was never read there, and the SLAVE is the first to read it."""
    same_cards.revert("ready")
    drop_in = f"{NETWORKD}/10-eth0.network.d/off.conf"
    same_cards.master.write(drop_in, "[Link]\nActivationPolicy=always-down\n")
    assert sync(same_cards)["exit_code"] in (0, 1)
    slave = same_cards.slave
    slave.run(["config", "setprop", "hotsync", "RollbackSeconds", "15", "NetworkProbe", "10.77.0.100"])
    same_cards.master.kill()
    code, document, said = promote(slave, "--network", "1")
    assert code == 1, (document, said)
    assert "Its own network files are in /etc again" in " ".join(document["notes"]), document["notes"]
    for _ in range(2):
        assert reached(same_cards, SLAVE)
        assert reached(same_cards, MASTER)
        assert role(slave) == "master"
        restart(same_cards)
    assert "always-down" in slave.read(f"/var/lib/hotsync/network-files/promotion-1{drop_in.removeprefix('/etc')}")
