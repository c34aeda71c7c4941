"""The order of a rejoin, its addresses, its name: by tables, cut everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.errors import NotReady
from hotsync.model.entry import Kind
from hotsync.model.network.values import Address, Interface, NetworkState
from hotsync.model.plan import Outcome, StepFor, StepRecord
from hotsync.model.ports.rejoining import Rejoining
from hotsync.model.rejoin import REPLICA, Part, Rejoin, Terms, Way
from hotsync.model.rejoin_addresses import address_of_master, as_slave, host_name_as_slave, of_production, own_addresses
from hotsync.planning.rejoin import RejoinFacts, plan_rejoin

REJOIN = Rejoin(
    Terms(2, 7, "d" * 64),
    1.0,
    "/var/lib/hotsync/vault/x",
    (Part("home", Way.MOVE, Kind.DIRECTORY, 5), Part("srv/disk", Way.CARRY, Kind.DIRECTORY, 6)),
    master_host="10.77.0.1",
    own=(Address("eth0", "10.77.0.2", 24),),
)
ORDER = [
    "rejoin.begin", "rejoin.files", REPLICA, "rejoin.move:srv/disk", "rejoin.move:home", "rejoin.generation",
    "rejoin.clear:srv/disk", "rejoin.told", "rejoin.network", "rejoin.role", "rejoin.addresses", "rejoin.finish",
]  # fmt: skip


def keys(plan: tuple[StepFor[Rejoining], ...]) -> list[str]:
    return [step.key for step in plan]


def test_the_vault_comes_before_anything_moves_and_the_role_when_all_is_there() -> None:
    assert keys(plan_rejoin(RejoinFacts(REJOIN))) == ORDER


@pytest.mark.parametrize("done", range(len(ORDER)))
def test_what_is_done_does_not_appear_again(done: int) -> None:
    records = tuple(StepRecord(key, "", "", 0.0, 0.0, Outcome.DONE) for key in ORDER[:done])
    failed = (StepRecord(ORDER[done], "", "", 0.0, 0.0, Outcome.FAILED),)
    begun = replace(REJOIN, records=(*records, *failed))
    assert keys(plan_rejoin(RejoinFacts(begun, begun=True))) == ORDER[done:]


def test_data_moves_only_when_the_replica_has_all_copies() -> None:
    made = replace(REJOIN, records=(StepRecord(REPLICA, "", "", 0.0, 0.0, Outcome.DONE),))
    assert not REJOIN.is_moving
    assert not made.is_moving
    assert [part.path for part in made.to_copy] == ["srv/disk"]
    assert replace(made, copied=("srv/disk",)).is_moving


def test_a_finished_one_has_nothing_left() -> None:
    assert plan_rejoin(RejoinFacts(replace(REJOIN, finished_at=2.0), begun=True)) == ()


PRODUCTION = (Address("eth0", "10.77.0.1", 24), Address("eth1", "192.168.5.1", 16))
TOLD = Address("", "10.77.0.2", 24)


def test_productions_addresses_are_what_it_gave_up_what_its_files_say_and_what_the_other_one_serves_with() -> None:
    lease, old = Address("eth2", "198.51.100.7", 24), Address("eth2", "198.51.100.8", 24)
    told = (Address("", "198.51.100.7", 24), Address("", "2001:db8:0:0::1", 64))
    six, standby = Address("eth0", "2001:db8::1", 64), Address("eth0", "10.77.0.2", 24)
    assert of_production(PRODUCTION, (), (), (), ()) == PRODUCTION
    assert of_production((), (*PRODUCTION, standby), (), (), (standby,)) == PRODUCTION
    assert of_production((), PRODUCTION[:1], (*PRODUCTION, lease, old, six), told, ()) == (PRODUCTION[0], lease, six)
    # the other server's interfaces, and what this one never had, are not taken
    assert of_production((), (), (), (TOLD,), ()) == ()


def test_it_takes_the_address_that_is_kept_for_it_on_the_card_of_that_network() -> None:
    assert own_addresses((TOLD,), PRODUCTION, (), ()) == (Address("eth0", "10.77.0.2", 24),)
    other = Address("", "192.168.77.9", 16)
    assert own_addresses((TOLD, other), PRODUCTION, (), ())[1] == Address("eth1", "192.168.77.9", 16)


def test_the_master_calls_from_its_address_in_the_same_network() -> None:
    assert address_of_master((Address("eth1", "192.168.77.9", 16),), PRODUCTION) == "192.168.5.1"
    assert address_of_master((Address("eth0", "10.77.0.2", 24),), PRODUCTION) == "10.77.0.1"
    assert address_of_master((Address("eth0", "172.16.0.1", 24),), PRODUCTION) == ""


def test_one_of_no_network_of_this_server_is_not_taken() -> None:
    with pytest.raises(NotReady, match="no address is known"):
        own_addresses((Address("", "172.16.0.1", 24),), PRODUCTION, (), PRODUCTION)


def test_without_one_it_takes_what_it_kept_or_has() -> None:
    kept, live = Address("eth0", "10.77.0.9", 24), Address("eth1", "192.168.5.9", 16)
    bridge = Address("docker0", "172.17.0.1", 16)
    assert own_addresses((), PRODUCTION, (kept,), (kept, live, bridge, *PRODUCTION)) == (kept, live)
    with pytest.raises(NotReady):
        own_addresses((), PRODUCTION, (), (bridge,))
    assert own_addresses((), PRODUCTION, (), (bridge,), {"docker0"}) == (bridge,)  # a file makes it
    lan = Address("br-lan", "10.77.0.9", 24)
    assert own_addresses((), PRODUCTION, (), (bridge, lan)) == (lan,)


def test_the_files_lose_productions_addresses_and_ask_nobody_for_another() -> None:
    state = NetworkState(
        (
            Interface("eth0", addresses=PRODUCTION[:1], gateways=(Address("eth0", "10.77.0.254", 32),), dhcp6=True),
            Interface("eth1", addresses=(PRODUCTION[1], Address("eth1", "192.168.5.77", 16))),
        )
    )
    own = (Address("eth0", "10.77.0.2", 24),)
    found = as_slave(state, PRODUCTION, own)
    assert found.addresses == (*own, Address("eth1", "192.168.5.77", 16))
    assert found.gateways == state.gateways
    assert not found.uses_dhcp
    assert as_slave(found, PRODUCTION, own) == found


def test_where_production_had_a_lease_no_other_is_asked_for_and_what_came_with_it_is_said() -> None:
    lease, gateway = Address("eth0", "10.77.0.1", 24), Address("eth0", "10.77.0.254", 32)
    state = NetworkState((Interface("eth0", dhcp4=True), Interface("eth1", dhcp4=True), Interface("eth2", dhcp4=True)))
    own = (Address("eth0", "10.77.0.2", 24),)
    found = as_slave(state, (lease, PRODUCTION[1]), own, (gateway,), ("10.77.0.53",))
    assert found.interfaces == (
        Interface("eth0", addresses=own, gateways=(gateway,), dns=("10.77.0.53",)),
        Interface("eth1"),
        Interface("eth2", dhcp4=True),
    )
    assert as_slave(found, (lease, PRODUCTION[1]), own, (gateway,), ("10.77.0.53",)) == found


@pytest.mark.parametrize(
    ("name", "peer", "wanted"),
    [
        ("mail", "spare", "spare"),
        ("mail.example.org", "spare.example.org", "spare.example.org"),
        ("mail", "", "mail-standby"),
        ("mail", "mail", "mail-standby"),
        ("mail.example.org", "", "mail-standby.example.org"),
    ],
)
def test_the_two_servers_stay_two_names(name: str, peer: str, wanted: str) -> None:
    assert host_name_as_slave(name, peer) == wanted
