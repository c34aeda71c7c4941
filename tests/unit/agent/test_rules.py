"""Who is served, by role, epoch and claim; and the one generation that may be in flight."""

from __future__ import annotations

import itertools
import socket
import threading
from typing import cast

import pytest

from hotsync.agent import session
from hotsync.agent import slot as slots
from hotsync.agent.gate import in_words
from hotsync.agent.here import Here, host_name
from hotsync.agent.refusals import check_role
from hotsync.agent.slot import MAX_BULKS, Slot
from hotsync.config.schema import PROPS, Settings
from hotsync.config.values import Number
from hotsync.errors import EpochReleased, HotSyncError, NotPaired, PeerBusy, PeerRefused, StaleEpoch
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.transport.messages import Open
from hotsync.transport.rsync import RsyncTerms

TERMS = RsyncTerms(sender="3.5.0", symtimes=True, iconv=True, stall_seconds=60)


def here(role: Role, epoch: int = 0, claim: int | None = None, *, enabled: bool = True) -> Here:
    return Here(Settings(enabled=enabled), RoleRecord(role, epoch, claim), None)


def call(role: str, epoch: int = 0) -> Open:
    document = {"connection": "control", "role": role, "host": "h", "version": "1", "clock": 0.0, "epoch": epoch}
    return Open.model_validate(document)


def verdict(server: Here, first: Open) -> str:
    try:
        check_role(server, first)
    except HotSyncError as error:
        return error.code
    return "served"


def test_a_slave_serves_its_master_only_at_an_epoch_that_is_not_lower() -> None:
    assert verdict(here(Role.SLAVE, 3), call("master", 3)) == "served"
    assert verdict(here(Role.SLAVE, 3), call("master", 4)) == "served"
    assert verdict(here(Role.SLAVE, 3), call("master", 2)) == "refused.epoch"


@pytest.mark.parametrize("epoch", [0, 3, 4, 5, 99])
def test_no_master_of_any_epoch_is_served_during_a_promotion(epoch: int) -> None:
    assert verdict(here(Role.SLAVE, 3, claim=4), call("master", epoch)) == "refused.epoch"


def test_two_servers_of_one_role_serve_each_other_at_no_epoch() -> None:
    for role, ours, theirs in itertools.product(("master", "slave"), range(3), range(3)):
        assert verdict(here(Role(role), ours), call(role, theirs)) != "served"


def test_an_older_master_hears_of_the_newer_one() -> None:
    assert verdict(here(Role.MASTER, 5), call("master", 4)) == "refused.epoch"


def test_a_server_without_role_or_disabled_serves_nobody() -> None:
    for role, epoch in itertools.product(("master", "slave"), range(3)):
        assert verdict(here(Role.NONE), call(role, epoch)) == "peer.refused"
        assert verdict(here(Role.SLAVE, enabled=False), call(role, epoch)) == "peer.refused"


def test_the_refusal_of_a_superseded_master_is_told_from_its_side() -> None:
    with pytest.raises(StaleEpoch, match="it is at epoch 1, its peer at epoch 2"):
        check_role(here(Role.SLAVE, 1, claim=2), call("master", 1))


def test_a_slave_that_gave_its_promotion_up_says_so_to_a_master_below_it_and_serves_one_above_it() -> None:
    released = Here(Settings(), RoleRecord(Role.SLAVE, 2, released=2), None)
    with pytest.raises(EpochReleased, match="epoch 2 up; this one is at epoch 1"):
        check_role(released, call("master", 1))
    check_role(released, call("master", 3))
    claimed = Here(Settings(), RoleRecord(Role.SLAVE, 2, claim=4, released=2), None)
    with pytest.raises(StaleEpoch):
        check_role(claimed, call("master", 3))


def test_the_peer_may_call_from_its_set_paired_and_link_local_address() -> None:
    settings = Settings(master_host="10.0.0.1", slave_host="10.0.0.2")
    peer = Peer("m", "10.0.0.7", "f", "c", "fe80::7%eth0")
    assert Here(settings, RoleRecord(Role.SLAVE), None).peer_addresses == {"10.0.0.1"}
    assert Here(settings, RoleRecord(Role.MASTER), None).peer_addresses == {"10.0.0.2"}
    assert Here(settings, RoleRecord(Role.SLAVE), peer).peer_addresses == {"10.0.0.1", "10.0.0.7", "fe80::7"}


def test_once_paired_a_neighbour_may_knock_from_any_link_local_address_and_a_stranger_never() -> None:
    settings = Settings(master_host="10.0.0.1")
    peer = Peer("master", "10.0.0.7", "ff", "", "fe80::7%eth0")
    paired, alone = (Here(settings, RoleRecord(Role.SLAVE), each) for each in (peer, None))
    assert paired.may_call("fe80::9")
    assert paired.may_call("10.0.0.7")
    assert not paired.may_call("10.0.0.9")
    assert not paired.may_call("2001:db8::9")
    assert not paired.may_call("169.254.0.9")
    assert not paired.may_call("nonsense")
    assert not alone.may_call("fe80::9")


@pytest.mark.parametrize(("name", "shown"), [("a.b-c_1", "a.b-c_1"), ("-x", "x"), ("é$(id)", "id"), ("", "localhost")])
def test_any_host_name_becomes_one_that_fits_a_message(name: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    assert host_name() == shown


def test_the_log_has_the_reason_and_what_to_do() -> None:
    assert in_words(PeerRefused(reason="it is busy", hint="Wait.")) == "it is busy. Wait."
    assert in_words(NotPaired(address="a")).startswith("This server is not paired with a yet. Set the password")


@pytest.fixture
def slot(monkeypatch: pytest.MonkeyPatch) -> tuple[Slot, list[object]]:
    ended: list[object] = []
    monkeypatch.setattr(slots, "cut", ended.append)
    monkeypatch.setattr(slots, "ENDING_SECONDS", 0.05)
    return Slot(), ended


def line(name: str) -> socket.socket:
    return cast("socket.socket", name)


def test_a_new_run_cuts_off_the_one_before(slot: tuple[Slot, list[object]]) -> None:
    flights, ended = slot
    flights.take(1, TERMS, line("old")).ready = True
    flights.take(1, TERMS, line("new")).ready = True
    assert ended == ["old"]
    with pytest.raises(PeerRefused):
        flights.check(1, line("old"))
    assert flights.check(1, line("new")).number == 1


def test_a_new_run_waits_for_the_receivers_of_the_one_before(slot: tuple[Slot, list[object]]) -> None:
    flights, ended = slot
    flights.take(1, TERMS, line("old")).ready = True
    with flights.bulk(1, line("bulk")), pytest.raises(PeerBusy, match="has not ended yet"):
        flights.take(1, TERMS, line("new"))
    assert ended == ["old", "bulk"]
    flights.take(1, TERMS, line("new"))


def test_a_run_that_hung_up_leaves_its_receivers_to_be_waited_for(slot: tuple[Slot, list[object]]) -> None:
    flights, _ = slot
    flights.take(1, TERMS, line("old")).ready = True
    with flights.bulk(1, line("bulk")):
        flights.release(line("old"))
        with pytest.raises(PeerBusy):
            flights.take(1, TERMS, line("new"))


def test_nothing_is_sent_into_what_is_not_ready_or_is_being_committed(slot: tuple[Slot, list[object]]) -> None:
    flights, _ = slot
    flight = flights.take(1, TERMS, line("run"))
    with pytest.raises(PeerRefused), flights.bulk(1, line("early")):
        pass
    flight.ready = True
    with pytest.raises(PeerRefused), flights.bulk(2, line("other generation")):
        pass
    with flights.commit(1, line("run")), pytest.raises(PeerRefused), flights.bulk(1, line("late")):
        pass


def test_nothing_is_committed_while_a_receiver_still_writes(slot: tuple[Slot, list[object]]) -> None:
    flights, _ = slot
    flights.take(1, TERMS, line("run")).ready = True
    with flights.bulk(1, line("bulk")), pytest.raises(PeerBusy), flights.commit(1, line("run")):
        pytest.fail("it was committed")
    with flights.commit(1, line("run")):
        pass
    with pytest.raises(PeerRefused), flights.commit(1, line("run")):
        pytest.fail("it was committed twice")


def test_a_commit_waits_for_a_receiver_that_is_about_to_end(
    slot: tuple[Slot, list[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "ENDING_SECONDS", 20)
    flights, _ = slot
    flights.take(1, TERMS, line("run")).ready = True
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def receive() -> None:
        with flights.bulk(1, line("bulk")):
            inside.set()
            leave.wait()
            order.append("received")

    thread = threading.Thread(target=receive)
    thread.start()
    inside.wait()
    threading.Timer(0.05, leave.set).start()
    with flights.commit(1, line("run")):
        order.append("committed")
    thread.join()
    assert order == ["received", "committed"]


def test_while_a_generation_is_committed_no_other_run_begins(slot: tuple[Slot, list[object]]) -> None:
    flights, ended = slot
    flights.take(1, TERMS, line("run")).ready = True
    with flights.commit(1, line("run")), pytest.raises(PeerBusy, match="being committed"):
        flights.take(2, TERMS, line("other"))
    assert ended == []


def test_transfers_at_once_are_limited(slot: tuple[Slot, list[object]]) -> None:
    from contextlib import ExitStack

    flights, _ = slot
    flights.take(1, TERMS, line("run")).ready = True
    with ExitStack() as stack:
        for number in range(MAX_BULKS):
            stack.enter_context(flights.bulk(1, line(f"bulk {number}")))
        with pytest.raises(PeerRefused, match="too many"):
            stack.enter_context(flights.bulk(1, line("one more")))


def test_who_waits_hears_that_work_goes_on_well_before_the_shortest_silence_that_a_setting_allows() -> None:
    """`StallSeconds 5` and a sign of life every 5 seconds: a commit of 30,000 paths was called silent."""
    (stall,) = [prop.kind for prop in PROPS if prop.name == "StallSeconds"]
    assert isinstance(stall, Number)
    assert stall.low >= session.WORKING_SECONDS * 2
