"""Who has an address is asked on a real wire, and told there: IPv4 by ARP, IPv6 by neighbour discovery."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network.wires import Wire, answering
from hotsync.engine.drill.facts import heard_on
from hotsync.model.network.values import Address
from hotsync.system import command
from tests.contract.agent.pair import own_network, until
from tests.contract.other_computer import Computer, other_computer

pytestmark = pytest.mark.contract

FOUR, GLOBAL, LOCAL = "10.77.0.1", "2001:db8:77::1", "fd00:77::1"
THEIRS = (f"{FOUR}/24", f"{GLOBAL}/64", f"{LOCAL}/64")


@pytest.fixture
def there() -> Iterator[Computer]:
    with own_network(), other_computer(*THEIRS) as found:
        yield found


def at(address: str, card: str = "eth7") -> Address:
    return Address(card, address, 64 if ":" in address else 24)


def test_whoever_has_an_address_answers_in_both_families_and_nobody_for_one_that_is_free(there: Computer) -> None:
    asked = [at(each) for each in (FOUR, GLOBAL, LOCAL, "10.77.0.9", "2001:db8:77::9")]
    assert answering(asked, 1.5) == dict.fromkeys(asked[:3], there.mac())
    assert live.holders(asked, 1.5) == dict.fromkeys((FOUR, GLOBAL, LOCAL), there.mac())
    # nothing was taken for it
    assert live.read_addresses() == ()
    assert there.knows(GLOBAL) == there.knows("2001:db8:77::9") == ""


def test_a_card_without_any_ipv6_can_ask_all_the_same(there: Computer) -> None:
    command.run(["sysctl", "-qw", "net.ipv6.conf.eth7.disable_ipv6=1"])
    assert live.holders([at(GLOBAL)], 5.0) == {GLOBAL: there.mac()}


def test_an_address_is_found_however_it_is_written(there: Computer) -> None:
    odd = Address("eth7", "2001:DB8:77:0::1", 64)
    assert answering([odd, at(GLOBAL)], 5.0) == dict.fromkeys([odd, at(GLOBAL)], there.mac())


def test_each_wire_is_asked_for_itself_though_the_same_address_is_on_both(there: Computer) -> None:
    there.take("fe80::1/64")
    with other_computer("2001:db8:78::1/64", card="eth8") as other:
        found = live.heard(["eth7", "eth8", "eth9"], ["fe80::1", GLOBAL, "2001:db8:78::1"], 1.5)
        assert found == {
            "eth7": {"fe80::1": there.mac(), GLOBAL: there.mac()},
            "eth8": {"2001:db8:78::1": other.mac()},
            "eth9": {},
        }
        assert heard_on([("eth7", ""), ("eth8", "")], [at(GLOBAL)]) == {GLOBAL: frozenset({"eth7"})}


def test_a_cable_that_is_out_is_silence(there: Computer) -> None:
    there.falls_silent()
    assert answering([at(FOUR), at(GLOBAL)], 0.3) == {}
    command.run(["ip", "link", "set", "eth7", "down"])
    assert answering([at(FOUR), at(GLOBAL)], 0.3) == {}


def test_who_is_about_to_take_an_address_is_heard_and_does_not_lose_it_by_the_question(there: Computer) -> None:
    """Asked from ::, as RFC 4862 has it for who takes an address, it would call its own one a duplicate."""
    new = "2001:db8:77::7"
    there.run("sysctl", "-qw", f"net.ipv6.conf.{there.card}.dad_transmits=3")
    wire = Wire("eth7")
    try:
        with ThreadPoolExecutor(max_workers=1) as pool:
            found = pool.submit(live.holders, [at(new)], 20.0)
            until(found.running, "the other thread asks")
            wire.ask(new)
            there.take(f"{new}/64", carefully=True)
            for _ in range(5):
                wire.ask(new)
            assert "tentative" in there.flags_of(new)
            assert found.result() == {new: there.mac()}
        until(lambda: "tentative" not in there.flags_of(new), "it has looked whether somebody has the address")
        assert there.flags_of(new) == set()
    finally:
        wire.close()


@pytest.mark.parametrize("address", [FOUR, GLOBAL])
def test_the_neighbours_hear_at_once_that_an_address_lives_here_now(there: Computer, address: str) -> None:
    """A promotion takes an address that everybody still believes to be at the MASTER's card."""
    there.run("ip", "address", "flush", "dev", there.card, "scope", "global")
    there.take("10.77.0.5/24")
    there.take("2001:db8:77::5/64")
    there.run("ip", "neighbour", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", there.card, "nud", "stale")
    live.add(at(address))
    live.announce([at(address)])
    (own,) = json.loads(command.run(["ip", "-j", "link", "show", "dev", "eth7"]).text)
    until(lambda: there.knows(address) == own["address"], f"{address} is known to be at {own['address']}")
