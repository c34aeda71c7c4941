"""The address of its own that a rejoined server takes on a real card, once the other server has let it go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotsync.backends.network import addresses as live
from hotsync.backends.network import giving_up
from hotsync.engine.rejoin.network import FREE_SECONDS, LiveNetwork
from hotsync.errors import AddressTaken
from hotsync.model.network.values import Address
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network
from tests.contract.other_computer import Computer, other_computer

pytestmark = pytest.mark.contract

OWN = (Address("eth7", "10.77.0.2", 24), Address("eth7", "2001:db8:77::2", 64))


@pytest.fixture(params=OWN, ids=["IPv4", "IPv6"])
def own(request: pytest.FixtureRequest) -> Address:
    found: Address = request.param
    return found


@pytest.fixture
def master(own: Address, monkeypatch: pytest.MonkeyPatch) -> Iterator[Computer]:
    monkeypatch.setattr(giving_up, "start_managers", lambda: None)
    with own_network(), other_computer(str(own)) as found:
        yield found


class Waiting(SystemClock):
    """A clock on which a second is gone at once; the other server lets its addresses go in the third one."""

    def __init__(self, master: Computer, last: int) -> None:
        self.master, self.last, self.waited = master, last, 0

    def sleep(self, seconds: float) -> None:
        assert seconds == 1.0
        self.waited += 1
        if self.waited == self.last:
            self.master.run("ip", "address", "flush", "dev", self.master.card, "scope", "global")


def test_an_address_is_taken_once_nobody_answers_for_it(master: Computer, own: Address, tmp_path: Path) -> None:
    clock = Waiting(master, 3)
    LiveNetwork(Paths(tmp_path), clock).take([own], [])
    assert clock.waited == 3
    assert live.read_addresses() == (own,)


def test_one_that_somebody_keeps_is_not_taken_and_is_as_soon_as_it_is_free(
    master: Computer, own: Address, tmp_path: Path
) -> None:
    clock, paths = Waiting(master, 0), Paths(tmp_path)
    paths.run.mkdir(parents=True)
    paths.held_flag.touch()
    with pytest.raises(AddressTaken, match=f"Somebody else still has {own.address} ") as caught:
        LiveNetwork(paths, clock).take([own], [])
    assert master.mac() in caught.value.sentence
    assert clock.waited == FREE_SECONDS
    assert live.read_addresses() == ()
    assert paths.held_flag.exists(), "no network manager takes it either"
    LiveNetwork(paths, Waiting(master, 1)).take([own], [])
    assert live.read_addresses() == (own,)


def test_its_static_routes_are_there_again_with_its_own_address_as_their_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_up, "start_managers", lambda: None)
    file = tmp_path / "etc/network/interfaces"
    file.parent.mkdir(parents=True)
    stanza = f"iface eth7 inet static\n    address {OWN[0]}\n    up ip route add 10.9.0.0/16 via 10.77.0.9\n"
    file.write_text(stanza.replace("10.77.0.9", "10.77.0.9 dev eth7"))
    with own_network(), other_computer("10.77.0.1/24"):
        LiveNetwork(Paths(tmp_path), SystemClock()).take(OWN[:1], [])
        shown = command.run(["ip", "route", "show", "10.9.0.0/16"]).text
    assert shown.strip() == "10.9.0.0/16 via 10.77.0.9 dev eth7 proto static src 10.77.0.2"
