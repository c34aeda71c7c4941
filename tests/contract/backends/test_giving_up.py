"""Which addresses go from a real interface when some are given up, and which must stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network import giving_up, ifupdown
from hotsync.engine.one_master.hold import LiveLines
from hotsync.model.hold import to_give_up
from hotsync.model.network.values import Address
from hotsync.system import command
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

STANDBY, PRODUCTION = Address("eth7", "10.99.8.2", 24), Address("eth7", "10.99.8.1", 24)
SWITCH = giving_up.PROMOTE / "eth7/promote_secondaries"
OTHER, GATEWAY = Address("eth7", "192.0.2.1", 24), "10.99.8.254"


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """What a promoted MASTER has: its own address came first, production's was added to it later."""
    with own_network():
        command.run(["ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far7"])
        for name in ("eth7", "far7"):
            command.run(["ip", "link", "set", name, "up"])
        for address in (STANDBY, PRODUCTION, OTHER):
            command.run(["ip", "address", "add", str(address), "dev", "eth7"])
        SWITCH.write_text("0\n")
        live.prefer(PRODUCTION)
        live.set_gateway(Address("eth7", GATEWAY, 32), PRODUCTION, on_link=True)
        yield


def addresses() -> set[str]:
    shown = json.loads(command.run(["ip", "-4", "-j", "address", "show", "dev", "eth7"]).text)
    return {address["local"] for link in shown for address in link["addr_info"]}


def test_who_gives_the_first_address_of_a_network_away_keeps_those_that_came_later_with_their_routes() -> None:
    giving_up.give_up((STANDBY,))
    assert addresses() == {PRODUCTION.address, OTHER.address}
    assert f"src {PRODUCTION.address}" in command.run(["ip", "route", "get", "10.99.8.77"]).text
    routes = command.run(["ip", "route"]).text
    assert f"default via {GATEWAY} dev eth7" in routes
    giving_up.give_up((STANDBY,))
    assert addresses() == {PRODUCTION.address, OTHER.address}
    assert SWITCH.read_text() == "0\n", "it is as it was"


def test_in_a_container_whose_kernel_settings_cannot_be_written_it_keeps_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_up, "PROMOTE", tmp_path)
    giving_up.give_up((STANDBY,))
    assert addresses() == {PRODUCTION.address, OTHER.address}
    assert f"src {PRODUCTION.address}" in command.run(["ip", "route", "get", "10.99.8.77"]).text
    assert f"default via {GATEWAY} dev eth7" in command.run(["ip", "route"]).text


def test_a_server_that_holds_itself_gives_all_of_productions_addresses_up() -> None:
    for _ in range(2):
        giving_up.give_up((PRODUCTION, OTHER))
        assert addresses() == {STANDBY.address}
        # it is reached and reaches others at the address that stays
        assert command.run(["ip", "route"]).text.splitlines() == [
            f"default via {GATEWAY} dev eth7 ",
            f"10.99.8.0/24 dev eth7 proto kernel scope link src {STANDBY.address} ",
        ]
    giving_up.give_up((STANDBY,))
    assert addresses() == set()
    assert command.run(["ip", "route"]).text == ""


def test_the_addresses_are_gone_before_the_network_manager_stops_and_what_it_brings_back_goes_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[set[str]] = []

    def stop_managers() -> None:
        seen.append(addresses())
        live.add(PRODUCTION)

    monkeypatch.setattr(giving_up, "stop_managers", stop_managers)
    LiveLines().give_up((PRODUCTION, OTHER), (STANDBY,))
    assert seen == [{STANDBY.address}]
    assert addresses() == {STANDBY.address}


def test_an_address_on_an_ordinary_bridge_is_given_up_and_that_on_a_bridge_of_containers_stays() -> None:
    lan, dock = Address("br-lan", "198.51.100.10", 24), Address("docker0", "172.17.0.1", 16)
    for address in (lan, dock):
        command.run(["ip", "link", "add", address.interface, "type", "bridge"])
        live.add(address)
    giving_up.give_up(to_give_up(live.read_addresses(without_routers=True), (STANDBY, PRODUCTION, OTHER)))
    here = live.read_addresses()
    assert lan not in here
    assert {dock, STANDBY, PRODUCTION, OTHER} <= set(here)


def test_static_routes_that_went_with_the_addresses_are_there_again_when_it_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ifupdown, which has set its interfaces up in this boot and does nothing more."""
    monkeypatch.setattr(giving_up, "stop_managers", lambda: None)
    monkeypatch.setattr(giving_up, "start_managers", lambda: None)
    way = "10.50.0.0/16 via 10.99.8.77 dev eth7"
    (tmp_path / ifupdown.FILE).parent.mkdir()
    (tmp_path / ifupdown.FILE).write_text(
        f"auto eth7\niface eth7 inet static\n    address {PRODUCTION}\n    up ip route add {way}\n"
    )
    command.run(["ip", "route", "add", *way.split(), "src", PRODUCTION.address])
    lines = LiveLines(tmp_path)
    lines.give_up((PRODUCTION, OTHER), (STANDBY,))
    assert f"src {PRODUCTION.address}" not in command.run(["ip", "route"]).text
    lines.restore((PRODUCTION, OTHER), ())
    assert f"{way} proto static src {PRODUCTION.address}" in command.run(["ip", "route"]).text


def all_of_6() -> set[str]:
    shown = json.loads(command.run(["ip", "-6", "-j", "address", "show", "dev", "eth7"]).text)
    return {address["local"] for link in shown for address in link["addr_info"]}


def test_the_way_into_a_network_of_ipv6_goes_with_its_last_address() -> None:
    """Also where ways of IPv4 must be given back: the kernel's own of IPv6 name no address."""
    mine, other = Address("eth7", "2001:db8:9::1", 64), Address("eth7", "2001:db8:8::1", 64)
    for address in (mine, other):
        live.add(address)
    giving_up.give_up((PRODUCTION, OTHER, mine))
    shown = command.run(["ip", "-6", "route"]).text
    assert "2001:db8:9::/64" not in shown
    assert "2001:db8:8::/64" in shown
    assert f"src {STANDBY.address}" in command.run(["ip", "-4", "route"]).text


def test_of_ipv6_global_and_local_ones_are_given_up_and_had_again_and_the_link_local_one_stays() -> None:
    (link_local,) = all_of_6()
    standby = Address("eth7", "2001:db8:9::2", 64)
    gone = (Address("eth7", "2001:db8:9::1", 64), Address("eth7", "fd00:9::1", 64))
    for address in (standby, *gone):
        live.add(address)
    live.set_gateway(Address("eth7", "2001:db8:9::fe", 128), gone[0], on_link=True)
    assert {standby, *gone} <= set(live.read_addresses())
    giving_up.give_up(gone)
    giving_up.give_up(gone)
    assert all_of_6() == {link_local, standby.address}
    giving_up.restore(gone)
    assert all_of_6() == {link_local, standby.address, *(each.address for each in gone)}


def test_an_interface_that_has_its_address_already_is_set_up_whole_by_ifup(tmp_path: Path) -> None:
    """As where a server was held since its boot, and is let go: networking.service has its whole work to do yet."""
    stanza = "auto eth7\niface eth7 inet static\n    address {}\n    up ip route add 10.50.0.0/16 via 10.99.8.77\n"
    interfaces = tmp_path / ifupdown.FILE
    interfaces.parent.mkdir()
    interfaces.write_text(stanza.format(PRODUCTION))
    (tmp_path / "state").mkdir()
    ifup = ["ifup", "--all", "--no-scripts", f"--interfaces={interfaces}", f"--state-dir={tmp_path / 'state'}"]
    state = tmp_path / "state/ifstate"
    assert command.run(ifup, ok=range(256)).returncode == 1, "it does not go on, or this test shows nothing"
    assert ifupdown.make_room(tmp_path, state) == (PRODUCTION,)
    assert addresses() == {STANDBY.address, OTHER.address}
    command.run(ifup)
    assert addresses() == {STANDBY.address, PRODUCTION.address, OTHER.address}
    assert "10.50.0.0/16 via 10.99.8.77" in command.run(["ip", "route"]).text
    assert ifupdown.make_room(tmp_path, state) == (), "what ifup has set up is left alone"
    interfaces.write_text("iface eth7 inet static\n    address of nobody\n")
    assert ifupdown.make_room(tmp_path, state) == ()
