"""The order of a rejoin, its addresses, its name: by tables, cut everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.errors import NotReady
from hotsync.model.entry import Kind
from hotsync.model.network import Address, Interface, NetworkState
from hotsync.model.plan import Outcome, StepFor, StepRecord
from hotsync.model.ports.rejoining import Rejoining
from hotsync.model.rejoin import REPLICA, Part, Rejoin, Terms, Way
from hotsync.model.rejoin_addresses import address_of_master, as_slave, host_name_as_slave, own_addresses
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
    assert own_addresses((), PRODUCTION, (kept,), (kept, live, *PRODUCTION)) == (kept, live)


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
