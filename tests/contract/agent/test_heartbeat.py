"""The MASTER's daemon: pairs by itself, keeps the heart beating, comes back, and hears that it was superseded."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hotsync.agent.here import Surroundings
from hotsync.engine.fence import agent as fence_agent
from hotsync.engine.fence.rehearsal import rehearse
from hotsync.engine.fence.tiers import fence, say_released
from hotsync.engine.promotion import roles as engine_roles
from hotsync.engine.promotion.roles import PromotionRoles
from hotsync.errors import ConfigError, EpochReleased, ExitCode, StaleEpoch
from hotsync.flows.hold import serve_again
from hotsync.manifest.store import Manifest
from hotsync.model.fence import Tier
from hotsync.model.fence_rehearsal import Outcome
from hotsync.model.hold import HeardBy
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state.handover import note_left
from hotsync.state.hold import held, load_released
from hotsync.state.runbook import load_runbook, save_runbook
from hotsync.state.store import forget_peer, load_role, save_peer, save_role
from hotsync.system import command
from hotsync.transport.client import PeerLink
from hotsync.transport.dial import Callee, hail
from hotsync.transport.presence import PresenceBook, load_presence
from tests.contract.agent.pair import MASTER_ADDRESS, PORT, SLAVE_ADDRESS, STRANGER_ADDRESS, Host, Pair, until

pytestmark = pytest.mark.contract


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotsync.agent.heartbeat.HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr("hotsync.agent.heartbeat._backoff", lambda _: 0.1)
    monkeypatch.setattr("hotsync.agent.daemon.LOOK_SECONDS", 0.1)


def test_two_daemons_with_one_password_pair_by_themselves_and_know_of_each_other(hosts: Pair) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).verdict == "green", "the MASTER hears the SLAVE's readiness")
    master, slave = load_presence(hosts.master.paths), load_presence(hosts.slave.paths)
    assert (master.connected, master.role, master.sentence) == (True, "slave", "It could.")
    assert (slave.connected, slave.role) == (True, "master")
    assert slave.last_seen > 0
    assert (slave.interval_minutes, master.interval_minutes) == (hosts.master.here.settings.interval_minutes, 0)


def test_a_slave_hears_of_the_interval_that_is_set_on_its_master_alone(hosts: Pair) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.slave.paths).connected, "they meet")
    hosts.master.set("hotsync", IntervalMinutes="240")
    until(lambda: load_presence(hosts.slave.paths).interval_minutes == 240, "the SLAVE hears of it")


def test_a_slave_says_what_its_replicas_have_applied_only_when_it_is_asked(hosts: Pair) -> None:
    asked: list[int] = []

    def applied() -> dict[str, str]:
        asked.append(1)
        return {"mariadb/default": "77 0-77-5,1-77-2"}

    hosts.slave.stop()
    hosts.slave.applied = applied
    hosts.slave.start()
    hosts.pair()
    with hosts.link() as link:
        assert link.alive().applied == {}
        assert asked == []
        assert link.alive(asks=True).applied == {"mariadb/default": "77 0-77-5,1-77-2"}


def test_settings_that_break_at_the_instant_of_a_connection_leave_none_behind(
    hosts: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    links: list[PeerLink] = []
    closed: list[PeerLink] = []
    connect, close, found_at = PeerLink.connect.__func__, PeerLink.close, Surroundings.found_at  # type: ignore[attr-defined]

    def connected(*args: Any, **kwargs: Any) -> PeerLink:
        links.append(connect(PeerLink, *args, **kwargs))
        return links[-1]

    def broken_once(around: Surroundings, address: str) -> None:
        if around.paths == hosts.master.paths and len(links) == 1:
            raise ConfigError(document="configuration", faults="one")
        found_at(around, address)

    def closes(link: PeerLink) -> None:
        closed.append(link)
        close(link)

    monkeypatch.setattr(PeerLink, "connect", connected)
    monkeypatch.setattr(PeerLink, "close", closes)
    monkeypatch.setattr(Surroundings, "found_at", broken_once)
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "the next attempt holds")
    assert closed == links[:1]


def test_the_runbook_that_the_slave_made_is_on_the_master_a_moment_later_and_so_is_the_next(hosts: Pair) -> None:
    save_runbook(hosts.slave.paths, "Runbook: master is dead\n   [ ] Switch it off. \u00fc\n")
    hosts.master.start()
    until(lambda: load_runbook(hosts.master.paths) == load_runbook(hosts.slave.paths), "the MASTER has it")
    fetched = hosts.master.paths.runbook.stat()
    assert fetched.st_mode & 0o777 == 0o600
    until(lambda: load_presence(hosts.master.paths).connected, "the heart beats on")
    assert hosts.master.paths.runbook.stat().st_ino == fetched.st_ino, "it is not fetched again"
    save_runbook(hosts.slave.paths, "\n".join(f"line {number}" for number in range(1000)) + "\n")
    until(lambda: load_runbook(hosts.master.paths).endswith("line 999\n"), "the MASTER has the next")


def test_a_slave_that_comes_back_is_met_again(hosts: Pair, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        hosts.master.start()
        until(lambda: load_presence(hosts.master.paths).connected, "they meet")
        hosts.slave.stop()
        until(lambda: load_presence(hosts.master.paths).trouble is not None, "the MASTER misses its SLAVE")
        assert not load_presence(hosts.master.paths).connected
        hosts.slave.start()
        until(lambda: load_presence(hosts.master.paths).connected, "they meet again")
    assert load_presence(hosts.master.paths).trouble is None
    assert "answers again" in caplog.text


def test_a_slave_that_forgot_its_master_but_has_the_password_pairs_again(hosts: Pair) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    forget_peer(hosts.slave.paths)
    until(lambda: hosts.slave.here.peer is not None, "they pair again")


def test_a_wrong_password_is_said_once_and_not_with_every_attempt(
    hosts: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    hosts.master.set("rsyncd", password="wrong")
    hosts.master.start()
    until(lambda: "slowed down" in caplog.text, "the MASTER has tried more than once")
    assert sum("The SLAVE: Pairing with" in line and "differ" in line for line in caplog.messages) == 1
    assert hosts.slave.here.peer is None


def test_a_password_put_right_on_both_sides_pairs_without_a_restart(hosts: Pair) -> None:
    hosts.master.set("rsyncd", password="wrong")
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).trouble is not None, "it fails")
    for host in (hosts.master, hosts.slave):
        host.set("rsyncd", password="a new one for both")
    until(lambda: hosts.master.here.peer is not None, "they pair")


def test_a_running_master_hears_that_it_was_superseded(hosts: Pair) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    save_role(hosts.slave.paths, RoleRecord(Role.SLAVE, epoch=0, claim=1))
    until(lambda: load_presence(hosts.master.paths).superseded_by == 1, "the MASTER hears of the claim")


def test_a_master_that_hears_of_a_claim_writes_down_that_it_holds_itself(hosts: Pair) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    assert held(hosts.master.paths) is None
    save_role(hosts.slave.paths, RoleRecord(Role.SLAVE, epoch=0, claim=1))
    until(lambda: held(hosts.master.paths) is not None, "the MASTER writes it down")
    hold = held(hosts.master.paths)
    assert hold is not None
    assert (hold.epoch, hold.heard_by, hold.begun) == (1, HeardBy.CALLING, False)


def test_a_master_that_is_called_by_a_higher_epoch_holds_itself_too(paired: Pair) -> None:
    paired.master.start()
    save_role(paired.slave.paths, RoleRecord(Role.SLAVE, epoch=0, claim=1))
    paired.slave.stop()
    there = paired.slave.here
    assert there.peer is not None
    callee = Callee(MASTER_ADDRESS, PORT, there.ours, paired.slave.around.identity, there.peer.fingerprint)
    hail(callee, paired.slave.clock, 5.0)
    hold = held(paired.master.paths)
    assert hold is not None
    assert hold.epoch == 1


def test_a_master_hears_that_a_promotion_was_given_up_holds_itself_not_and_takes_the_next_epoch(hosts: Pair) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    save_role(hosts.slave.paths, RoleRecord(Role.SLAVE, epoch=1, released=1))
    until(lambda: load_released(hosts.master.paths) == 1, "the MASTER writes it down")
    assert held(hosts.master.paths) is None
    with pytest.raises(EpochReleased) as caught, hosts.link():
        pass
    assert (caught.value.facts["ours"], caught.value.facts["theirs"]) == (0, 1)
    assert serve_again(hosts.master.paths, hosts.master.clock)
    until(lambda: load_role(hosts.slave.paths).epoch == 2, "they meet again, and the SLAVE takes that epoch over")
    assert load_role(hosts.slave.paths).released == 0
    assert load_released(hosts.master.paths) == 0
    assert held(hosts.master.paths) is None


def test_a_master_that_cannot_call_hears_it_from_who_gave_up(paired: Pair) -> None:
    paired.master.start()
    save_role(paired.slave.paths, RoleRecord(Role.SLAVE, epoch=1, released=1))
    paired.slave.stop()
    assert say_released(paired.slave.paths, paired.slave.clock, 1) == MASTER_ADDRESS
    assert load_released(paired.master.paths) == 1
    assert held(paired.master.paths) is None
    paired.master.stop()
    assert say_released(paired.slave.paths, paired.slave.clock, 1) == ""


def test_a_slave_that_became_master_stops_serving_and_starts_to_call(hosts: Pair) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    save_role(hosts.slave.paths, RoleRecord(Role.MASTER, epoch=1))
    until(lambda: load_presence(hosts.master.paths).superseded_by == 1, "the old MASTER hears of the new one")


def promoted(hosts: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """What hotsync-promote does with role and settings, by its own steps."""
    monkeypatch.setattr(engine_roles, "_arrange_units", lambda: None)
    paths = hosts.slave.paths
    with Manifest(paths.manifest) as manifest, manifest.transaction():
        manifest.set_generation(7, "d" * 64)
    port = PromotionRoles(paths, hosts.slave.clock)
    port.claim(Promotion(1, 7, "d" * 64, 1.0, 1.0, 1.0, NetworkPlan(), ()))
    port.become_master(1)
    port.settle()
    port.finish()


def test_after_a_promotion_the_old_master_that_boots_hears_that_it_was_superseded(
    hosts: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    hosts.master.stop()
    promoted(hosts, monkeypatch)
    assert hosts.slave.here.settings.slave_host == ""
    hosts.slave.stop()
    hosts.slave.start()  # as after its own boot
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).superseded_by == 1, "the old MASTER hears of the new one")
    with pytest.raises(StaleEpoch) as caught:
        hosts.link()
    assert caught.value.exit_code == ExitCode.REFUSED


def test_a_master_that_cannot_reach_its_slave_asks_by_the_link_local_address_whether_it_was_superseded(
    hosts: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    hosts.master.stop()
    peer = hosts.master.here.peer
    assert peer is not None
    # lo has no link-local address, so another of the SLAVE's stands for it, and one where nobody answers for its own
    save_peer(hosts.master.paths, replace(peer, link_local=SLAVE_ADDRESS))
    hosts.master.set("hotsync", SlaveHost=STRANGER_ADDRESS)
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).trouble is not None, "it is not reached")
    assert load_presence(hosts.master.paths).superseded_by == 0
    promoted(hosts, monkeypatch)
    until(lambda: load_presence(hosts.master.paths).superseded_by == 1, "the old MASTER hears of the new one")
    # held, it goes on asking there: nobody calls it, and it hears that the promotion was given up
    until(lambda: held(hosts.master.paths) is not None, "it holds itself")
    save_role(hosts.slave.paths, RoleRecord(Role.SLAVE, epoch=1, released=1))
    until(lambda: load_released(hosts.master.paths) == 1, "the held MASTER hears that by its own question")


def test_each_hears_where_the_other_stays_with_another_card_than_on_the_day_of_their_pairing(hosts: Pair) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    hosts.master.stop()

    def both_know(address: str) -> bool:
        return {peer.link_local for peer in (hosts.master.here.peer, hosts.slave.here.peer) if peer} == {address}

    assert both_know("")
    for address in ("fe80::77", "fe80::78"):
        command.run(["ip", "address", "flush", "dev", "lo", "scope", "link"])
        command.run(["ip", "address", "add", f"{address}/64", "dev", "lo", "nodad"])
        hosts.master.start()
        until(partial(both_know, f"{address}%lo"), "both know the new one")
        hosts.master.stop()
    command.run(["ip", "address", "flush", "dev", "lo", "scope", "link"])
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet again")
    assert both_know("fe80::78%lo"), "who has none for now keeps the way that is known"


def test_who_is_connected_stays_so_when_it_is_told_where_a_server_stays(paired: Pair) -> None:
    with paired.link() as before:
        command.run(["ip", "address", "add", "fe80::77/64", "dev", "lo", "nodad"])
        with paired.link() as after:
            peer = paired.slave.here.peer
            assert peer is not None
            assert (peer.link_local, after.stays_at) == ("fe80::77%lo", "fe80::77%lo")
            paired.slave.clock.sleep(1)  # the daemon has looked again by then
            assert before.alive().clock > 0
            assert after.alive().clock > 0


def test_a_promoted_master_without_a_slave_asks_its_former_peer_and_each_hears_who_is_newer(
    hosts: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    hosts.master.set("hotsync", SlaveHost=STRANGER_ADDRESS)  # it cannot call any more, only be called
    peer = hosts.slave.here.peer
    assert peer is not None
    save_peer(hosts.slave.paths, replace(peer, link_local=MASTER_ADDRESS))  # lo has none of its own
    promoted(hosts, monkeypatch)
    assert not hosts.slave.here.settings.slave_host
    until(lambda: held(hosts.master.paths) is not None, "the old MASTER is called and holds itself")
    assert held(hosts.slave.paths) is None


def test_a_promotion_asks_the_masters_daemon_to_hold_it_and_names_a_program_that_is_not_needed_then(
    paired: Pair,
) -> None:
    paired.master.start()
    paths = paired.slave.paths
    paired.slave.set("hotsync", FenceCommand="/usr/bin/false")
    save_role(paths, RoleRecord(Role.SLAVE, epoch=0, claim=1))
    document.save_promotion(paths, Promotion(1, 0, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    with hold_unit(paired.master):
        fence(paths, paired.slave.clock)
    assert held(paired.master.paths) is not None
    promotion = document.load_promotion(paths)
    assert promotion is not None
    (agent,) = promotion.fences
    assert (agent.tier, agent.reached) == (Tier.AGENT, True)
    assert agent.detail == f"it heard of epoch 1 at {MASTER_ADDRESS}, holds itself and has given up its addresses"


@contextmanager
def hold_unit(host: Host) -> Iterator[None]:
    """hotsync-hold.path and its service, as far as the other server sees them: the addresses go a moment later."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            if held(host.paths) is not None:
                note_left(host.paths)
            ended.wait(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_master_whose_disk_takes_nothing_and_that_keeps_its_addresses_is_fenced_by_the_next_way(
    paired: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fence_agent, "LEAVES_SECONDS", 1.0)
    paths, disk = paired.slave.paths, os.fspath(paired.master.paths.state)
    program = tmp_path / "cut-off"
    program.write_text(
        f"#!/bin/sh\nip address del {MASTER_ADDRESS}/32 dev lo\nip route del local {MASTER_ADDRESS} table local\n"
    )
    program.chmod(0o755)
    paired.slave.set("hotsync", FenceCommand=str(program))
    save_role(paths, RoleRecord(Role.SLAVE, epoch=0, claim=1))
    document.save_promotion(paths, Promotion(1, 0, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    paired.master.start()
    command.run(["mount", "--bind", disk, disk])
    try:
        command.run(["mount", "-o", "remount,bind,ro", disk])
        fence(paths, paired.slave.clock)
    finally:
        command.run(["umount", disk])
    assert held(paired.master.paths) is not None
    assert not paired.master.paths.hold_file.exists()
    promotion = document.load_promotion(paths)
    assert promotion is not None
    agent, site = promotion.fences
    assert not agent.reached
    assert "still has its addresses" in agent.detail
    assert (site.tier, site.reached) == (Tier.COMMAND, True)


def test_an_earlier_hold_of_the_same_boot_does_not_say_that_this_one_has_given_up_its_addresses(
    paired: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence_agent, "LEAVES_SECONDS", 1.0)
    note_left(paired.master.paths)
    paired.master.start()
    save_role(paired.slave.paths, RoleRecord(Role.SLAVE, epoch=0, claim=1))
    document.save_promotion(paired.slave.paths, Promotion(1, 0, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    fence(paired.slave.paths, paired.slave.clock)
    promotion = document.load_promotion(paired.slave.paths)
    assert promotion is not None
    (agent,) = promotion.fences
    assert not agent.reached
    assert "still has its addresses" in agent.detail


def test_a_rehearsal_of_the_fences_reaches_the_masters_daemon_and_changes_nothing_there(hosts: Pair) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    # as after a promotion that was undone, and which the MASTER has not heard of
    save_role(hosts.slave.paths, RoleRecord(Role.SLAVE, epoch=4, released=4))
    hosts.slave.stop()
    role = load_role(hosts.master.paths)
    (agent,) = rehearse(hosts.slave.paths, hosts.slave.clock)
    assert (agent.outcome, agent.detail) == (Outcome.WORKS, f"it answers at {MASTER_ADDRESS}")
    assert held(hosts.master.paths) is None
    assert load_released(hosts.master.paths) == 0
    assert load_role(hosts.master.paths) == role


def test_a_call_of_the_slave_that_has_ended_leaves_it_connected(hosts: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.master.start()
    until(lambda: load_presence(hosts.master.paths).connected, "they meet")
    ended: list[PresenceBook] = []
    gone = PresenceBook.gone

    def noticed(book: PresenceBook) -> None:
        gone(book)
        ended.append(book)

    monkeypatch.setattr(PresenceBook, "gone", noticed)
    assert all(each.outcome is Outcome.WORKS for each in rehearse(hosts.slave.paths, hosts.slave.clock))
    until(lambda: bool(ended), "the MASTER notices that the call has ended")
    until(lambda: load_presence(hosts.master.paths).connected, "the heart beats on")
    assert len(ended) == 1, "it did not have to call anew"


def test_the_sites_program_is_run_for_a_master_that_is_dead(paired: Pair) -> None:
    paths = paired.slave.paths
    paired.slave.set("hotsync", FenceCommand="/usr/bin/false")
    document.save_promotion(paths, Promotion(1, 0, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    fence(paths, paired.slave.clock)
    promotion = document.load_promotion(paths)
    assert promotion is not None
    agent, site = promotion.fences
    assert (agent.reached, site.tier, site.reached) == (False, Tier.COMMAND, False)
    assert "exit 1" in site.detail
