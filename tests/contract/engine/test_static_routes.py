"""Static routes and MTUs of the MASTER: there as soon as it is promoted, checked, and gone again with a rollback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends.network import ifupdown
from hotsync.backends.network.live_routes import missing_routes, other_mtus, read_mtus
from hotsync.backends.network.snapshot import read_before, restore
from hotsync.engine.network.rollback import Rollback, put_back
from hotsync.engine.promotion.network import PromotionNetwork
from hotsync.engine.promotion.network_check import check_network
from hotsync.errors import CommandFailed
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.model.report import Verdict
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network
from tests.contract.engine.test_network_rollback import Calls, state_now

pytestmark = pytest.mark.contract

INTERFACES = """\
auto eth7
iface eth7 inet static
    address 10.77.0.1/24
    gateway 10.77.0.254
    mtu 1400
    pre-up logger "$IFACE comes up"
    up ip route add 10.9.0.0/16 via 10.77.0.9 dev eth7 metric 50
    up ip route add 10.8.0.0/16 via 192.0.2.9 dev eth7 onlink
    up ip route add 10.7.0.0/16 via 172.16.0.1 dev eth7
    up ip route add 172.16.0.1/32 dev eth7
    up ip route add default via 10.77.0.8 dev eth7 table 77
    up ip rule add from 10.77.0.1 table 77
iface eth7 inet6 static
    address 2001:db8:7::1/64
    up ip -6 route add 2001:db8:9::/48 via 2001:db8:7::9 dev eth7
auto br7
iface br7 inet static
    address 10.78.0.1/24
    bridge_ports eth8
    mtu 1380
"""
WAYS = (
    "-4 unicast 10.9.0.0/16 via 10.77.0.9 dev eth7 table main proto static scope global src 10.77.0.1 metric 50",
    "-4 unicast 10.8.0.0/16 via 192.0.2.9 dev eth7 table main proto static scope global onlink",
    "-4 unicast 10.7.0.0/16 via 172.16.0.1 dev eth7 table main proto static scope global",
    "-4 unicast 172.16.0.1 dev eth7 table main proto static scope link src 10.77.0.1",
    "-4 unicast default via 10.77.0.8 dev eth7 table 77 proto static scope global src 10.77.0.1",
    "-6 unicast 2001:db8:9::/48 via 2001:db8:7::9 dev eth7 table main proto static scope global src 2001:db8:7::1 "
    "metric 1024 pref medium",
)
PLAN = NetworkPlan(
    NetworkChoice.MASTERS,
    "master",
    (Address("eth7", "10.77.0.1", 24), Address("eth7", "2001:db8:7::1", 64), Address("br7", "10.78.0.1", 24)),
    (Address("eth7", "10.77.0.254", 32),),
    (Address("eth7", "10.77.0.2", 24),),
)
PROMOTION = Promotion(1, 1, "d", 1.0, 1.0, 1.0, PLAN, ())


class NoTimer(Calls):
    """A systemd that is ill."""

    def start(self, seconds: int) -> None:
        raise CommandFailed(program="systemd-run", status="exit 1", detail="Connection refused", line="systemd-run")


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    found = Paths(tmp_path)
    for etc in (found.replica / "tree/etc", found.at("/etc")):
        (etc / "network").mkdir(parents=True)
        (etc / "network/interfaces").write_text(INTERFACES)
    with own_network():
        for words in (
            "link add eth7 type veth peer name far7",
            "link add eth8 type veth peer name far8",
            "link set far7 up",
            "link set eth7 up",
            "address add 10.77.0.2/24 dev eth7",
            "address add 2001:db8:7::2/64 dev eth7 nodad",
        ):
            command.run(["ip", *words.split()])
        yield found


def ip(words: str) -> None:
    command.run(["ip", *words.split()])


def mtus() -> dict[str, int]:
    return dict(read_before().mtus)


@pytest.mark.parametrize("step", ["take_addresses", "activate"])
def test_routes_and_sizes_of_packets_are_there_at_once_however_often(paths: Paths, step: str) -> None:
    notes: list[str] = []
    network = PromotionNetwork(paths, lambda: PROMOTION, notes.append, Rollback(paths, SystemClock(), 0))
    ip("route add 10.9.0.0/16 via 10.77.0.77 metric 50")  # the MASTER's takes its place
    for _ in range(2):
        getattr(network, step)()
        routes = read_before().routes
        for way in WAYS:
            assert way in routes
        assert len([route for route in routes if " 10.9.0.0/16 " in route]) == 1
        assert (mtus()["eth7"], mtus()["br7"]) == (1400, 1380)
    said = [note for note in notes if "/etc/network/interfaces" in note]
    if step == "take_addresses":
        assert notes == []  # its files are not there yet
    else:
        assert notes == said
        assert '`logger "eth7 comes up"`, `ip rule add from 10.77.0.1 table 77`.' in said[0]
        assert "route add" not in said[0]
    check = check_network(paths, PLAN)
    assert (check.verdict, check.detail) == (Verdict.GREEN, "10.77.0.1/24, 2001:db8:7::1/64, 10.78.0.1/24")


def test_a_check_says_what_is_missing(paths: Paths) -> None:
    PromotionNetwork(paths, lambda: PROMOTION, print, Rollback(paths, SystemClock(), 0)).take_addresses()
    ip("link set br7 mtu 1300")
    check = check_network(paths, PLAN)
    assert (check.verdict, check.detail) == (
        Verdict.AMBER,
        "another MTU than the MASTER's: br7 has 1300, not 1380",
    )
    ip("route flush table 77")
    ip("-6 route del 2001:db8:9::/48")
    check = check_network(paths, PLAN)
    assert check.verdict is Verdict.RED
    assert "default via 10.77.0.8 dev eth7 table 77, 2001:db8:9::/48 via 2001:db8:7::9 dev eth7" in check.detail
    ip("address del 10.78.0.1/24 dev br7")
    assert check_network(paths, PLAN).detail == "not up: 10.78.0.1/24 on br7"


def test_a_route_that_the_network_does_not_take_is_noted_and_the_others_are_there(paths: Paths) -> None:
    text = INTERFACES.replace("172.16.0.1 dev eth7", "172.16.9.9 dev eth7", 1)
    (paths.replica / "tree/etc/network/interfaces").write_text(text)
    notes: list[str] = []
    PromotionNetwork(paths, lambda: PROMOTION, notes.append, Rollback(paths, SystemClock(), 0)).take_addresses()
    (note,) = notes
    assert "did not take the route 10.7.0.0/16 via 172.16.9.9 dev eth7" in note
    routes = read_before().routes
    assert {way for way in WAYS if " 10.7.0.0/16 " not in way} <= set(routes)


def test_a_rollback_gives_back_the_routes_of_several_ways_and_the_sizes_of_packets(paths: Paths) -> None:
    for words in (
        "route add default nexthop via 10.77.0.5 weight 3 nexthop via 10.77.0.6",
        "-6 route add default proto static metric 7 nexthop via 2001:db8:7::5 nexthop via 2001:db8:7::6",
        "route append 10.6.0.0/16 via 10.77.0.5",
        "route append 10.6.0.0/16 via 10.77.0.6",
        "route add 10.9.0.0/16 via 10.77.0.7 metric 50 mtu lock 1300",
        "route add 10.5.0.0/16 via 10.77.0.7 table 78",
        "route add blackhole 10.4.0.0/16",
        "link set eth7 mtu 1480",
    ):
        ip(words)
    was, sizes = state_now(), mtus()
    assert any(line.count("nexthop via 10.77.0") == 2 for line in was[2])
    rollback = Rollback(paths, SystemClock(), 600, "10.77.0.5", Calls())
    assert rollback.arm(["br7"]) is not None
    PromotionNetwork(paths, lambda: PROMOTION, print, Rollback(paths, SystemClock(), 0)).take_addresses()
    ip("route flush 10.6.0.0/16")
    assert state_now() != was
    assert put_back(paths)
    assert (state_now(), mtus()) == (was, sizes)
    assert restore(read_before()) == []
    assert (state_now(), mtus()) == (was, sizes)


def test_what_others_added_meanwhile_stays(paths: Paths) -> None:
    before = read_before()
    ip("link add eth9 type veth peer name far9")
    for words in (
        "link set eth9 up",
        "route add 10.3.0.0/16 dev eth9",
        "route add 10.2.0.0/16 dev eth7 proto bird",
    ):
        ip(words)
    ip("route add 10.1.0.0/16 dev eth7")
    assert restore(before) == []
    routes = " ".join(read_before().routes)
    assert "10.3.0.0/16 dev eth9" in routes
    assert "10.2.0.0/16 dev eth7" in routes
    assert "10.1.0.0/16" not in routes


def test_where_no_timer_can_be_had_that_is_said_and_the_network_is_changed(paths: Paths) -> None:
    said: list[str] = []
    rollback = Rollback(paths, SystemClock(), 1, "10.77.0.2", NoTimer(), said.append)
    PromotionNetwork(paths, lambda: PROMOTION, print, rollback).take_addresses()
    assert check_network(paths, PLAN).verdict is Verdict.GREEN
    (sentence,) = said
    assert "systemd starts no timer that puts the network back if nobody answers (Connection refused)" in sentence


def test_an_interface_that_is_not_here_is_no_fault(paths: Paths) -> None:

    state = ifupdown.parse({"x": INTERFACES.replace("eth7", "eth9")})
    assert (missing_routes(state, read_mtus()), other_mtus(state, read_mtus())) == ((), ())
    del paths
