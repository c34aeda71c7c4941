"""Which ways to keep an old MASTER from serving are tried, in which order, and what the report says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.config.schema import Settings
from hotsync.engine.fence import switched_off
from hotsync.engine.fence import tiers as engine
from hotsync.engine.fence.tiers import fault_of
from hotsync.errors import CommandFailed, NotHeld, PeerUnreachable
from hotsync.model.facts import AddressFact, InterfaceFact, MasterFacts, NetworkFacts
from hotsync.model.fence import FenceResult, Tier, sentence_of, tiers_left
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.facts import render_facts
from hotsync.system.command import Completed
from hotsync.system.paths import Paths
from tests.fakes.clock import TickingClock

PEER = Peer("master", "192.0.2.10", "f" * 64, "", "fe80::1%eth0")
BY_HAND = FenceResult(Tier.PERSON, True)


@given(st.lists(st.booleans(), min_size=3, max_size=3), st.booleans(), st.booleans(), st.booleans())
def test_ways_are_tried_from_the_gentlest_on_until_one_reaches_the_master(
    works: list[bool], ssh: bool, program: bool, by_hand: bool
) -> None:
    would = dict(zip((Tier.AGENT, Tier.SSH, Tier.COMMAND), works, strict=True))
    results, named = [BY_HAND] if by_hand else [], ("master" if ssh else "", "/fence" if program else "")
    now = list[Tier]()
    while left := tiers_left(*named, results, now):
        now.append(left[0])
        results.append(FenceResult(left[0], would[left[0]], "said"))
    tried = [result.tier for result in results if result.tier is not Tier.PERSON]
    wanted = [Tier.AGENT, *([Tier.SSH] if ssh else []), *([Tier.COMMAND] if program else [])]
    assert tried == wanted[: len(tried)]
    reached = [tier for tier in tried if would[tier]]
    assert reached == tried[-1:] if reached else tried == wanted
    # a later run
    assert tiers_left(*named, results) == (() if reached else tuple(wanted))
    assert ("not fenced" in sentence_of(results)) is not bool(reached or by_hand)


def test_of_ways_that_were_tried_again_the_report_says_what_came_of_them_at_last() -> None:
    failed = FenceResult(Tier.AGENT, False, "nobody is there"), FenceResult(Tier.SSH, False, "no route to host")
    later = (*failed, FenceResult(Tier.AGENT, False, "reset"))
    assert "(agent: reset, ssh: no route to host)" in sentence_of(later)
    assert (
        sentence_of((*later, FenceResult(Tier.SSH, True))) == "The old MASTER was fenced: it was switched off by ssh."
    )


def test_nothing_is_said_of_a_fence_before_there_was_one() -> None:
    assert sentence_of(()) == ""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    store.save_role(paths, RoleRecord(Role.SLAVE, 0, claim=1))
    store.save_peer(paths, PEER)
    document.save_promotion(paths, Promotion(1, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), ()))
    monkeypatch.setattr(engine, "load_identity", lambda _: None)
    monkeypatch.setattr(engine, "leads_here", lambda _: False)
    monkeypatch.setattr(engine, "called", lambda _: (frozenset({"203.0.113.5"}), 2222))
    monkeypatch.setattr(engine, "is_own", lambda _: False)
    monkeypatch.setattr(switched_off, "is_own", lambda _: False)
    monkeypatch.setattr(switched_off, "signs_of_life", lambda *_: ())
    return paths


def settings(monkeypatch: pytest.MonkeyPatch, **props: str) -> None:
    made = Settings.model_validate(props)
    monkeypatch.setattr(engine, "read_settings", lambda _: (made, ()))


def results(paths: Paths) -> tuple[FenceResult, ...]:
    promotion = document.load_promotion(paths)
    assert promotion is not None
    return promotion.fences


@pytest.fixture
def program(tmp_path: Path) -> Path:
    program = tmp_path / "fence"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_a_dead_master_is_switched_off_by_the_sites_program_and_each_way_is_kept(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    settings(monkeypatch, fence_ssh="old-master", fence_command=str(program))
    monkeypatch.setattr(engine, "_knock", lambda *_: False)
    ran: list[list[str]] = []

    def run(argv: list[str], **_: object) -> Completed:
        ran.append(argv)
        if argv[0] == "ssh":
            raise CommandFailed(program="ssh", status="exit 255", detail="no route to host", line="ssh")
        return Completed(0, b"", b"")

    monkeypatch.setattr("hotsync.engine.fence.tiers.command.run", run)
    engine.fence(paths, TickingClock())
    agent, ssh, site = results(paths)
    assert (agent.tier, agent.reached, ssh.tier, ssh.reached) == (Tier.AGENT, False, Tier.SSH, False)
    assert (site.tier, site.reached) == (Tier.COMMAND, True)
    assert ran[0][-5:] == ["--", "old-master", "systemctl", "--no-block", "poweroff"]
    assert {"BatchMode=yes", "StrictHostKeyChecking=yes", "ControlPath=none"} <= set(ran[0])
    assert ran[1] == [str(program), "master", "192.0.2.10"]
    engine.fence(paths, TickingClock())  # a promotion that was cut after it
    assert len(ran) == 2
    assert engine.fences_left(paths, Promotion(1, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), ())) == tuple(Tier)[:3]


def test_a_program_that_the_kernel_does_not_start_is_a_fence_that_failed_and_no_end_of_the_promotion(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "fence"
    program.write_text("no first line\n")
    program.chmod(0o755)
    settings(monkeypatch, fence_command=str(program))
    monkeypatch.setattr(engine, "_knock", lambda *_: False)

    def run(*_: object, **__: object) -> Completed:
        raise OSError(8, "Exec format error")

    monkeypatch.setattr("hotsync.engine.fence.tiers.command.run", run)
    engine.fence(paths, TickingClock())
    assert results(paths)[1] == FenceResult(Tier.COMMAND, False, "Exec format error")


def test_a_promotion_that_goes_on_tries_again_what_had_failed_and_stops_where_the_master_is_back(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(monkeypatch, master_host="192.0.2.10", fence_ssh="old-master")
    monkeypatch.setattr(engine, "_knock", lambda *_: False)

    def run(*_: object, **__: object) -> Completed:
        raise CommandFailed(program="ssh", status="exit 255", detail="no route to host", line="ssh")

    monkeypatch.setattr("hotsync.engine.fence.tiers.command.run", run)
    engine.fence(paths, TickingClock())
    promotion = document.load_promotion(paths)
    assert promotion is not None
    assert engine.fences_left(paths, promotion) == (Tier.AGENT, Tier.SSH)
    monkeypatch.setattr(engine, "_knock", lambda *_: True)
    monkeypatch.setattr(engine, "watch_it_leave", lambda *_: "it has given up its addresses")
    for _ in range(2):
        engine.fence(paths, TickingClock())
    tiers = [(result.tier, result.reached) for result in results(paths)]
    assert tiers == [(Tier.AGENT, False), (Tier.SSH, False), (Tier.AGENT, True)]


def test_a_promotion_that_goes_on_and_has_the_masters_address_does_not_switch_itself_off(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(monkeypatch, fence_ssh="192.0.2.10")
    ran: list[object] = []
    monkeypatch.setattr(engine, "_knock", lambda *_: False)
    monkeypatch.setattr(engine, "leads_here", lambda _: True)
    monkeypatch.setattr(engine, "is_own", lambda address: address == PEER.address)
    monkeypatch.setattr("hotsync.engine.fence.tiers.command.run", lambda *argv, **_: ran.append(argv))
    engine.fence(paths, TickingClock())
    agent, ssh = results(paths)
    assert agent.detail == (
        "fe80::1%eth0 port 273 does not answer: nobody is there, and 192.0.2.10 is this server's own address by now"
    )
    assert not ssh.reached
    assert "192.0.2.10 is this server itself now" in ssh.detail
    assert ran == []


def test_in_a_switchover_only_the_master_itself_is_asked_until_it_has_confirmed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(monkeypatch, fence_ssh="old-master")
    planned = Promotion(1, 7, "d", 1.0, 1.0, 1.0, NetworkPlan(), (), planned=True)
    failed, reached = FenceResult(Tier.AGENT, False), FenceResult(Tier.AGENT, True)
    assert engine.fences_left(paths, replace(planned, fences=(failed,))) == (Tier.AGENT,)
    assert engine.fences_left(paths, replace(planned, fences=(failed, reached))) == ()


def test_a_master_whose_hotsync_answers_is_not_switched_off(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, master_host="192.0.2.10", fence_ssh="old-master")
    monkeypatch.setattr(engine, "_knock", lambda *_: True)
    monkeypatch.setattr(engine, "watch_it_leave", lambda *_: "it has given up its addresses")
    engine.fence(paths, TickingClock())
    (agent,) = results(paths)
    assert agent == FenceResult(Tier.AGENT, True, "it has given up its addresses")


def test_a_master_whose_hotsync_hears_and_does_not_hold_it_is_switched_off(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(monkeypatch, master_host="192.0.2.10", fence_ssh="old-master")

    def serves_on(*_: object) -> str:
        raise NotHeld(epoch=1, address="192.0.2.10", reason="it has not written down that it holds itself")

    monkeypatch.setattr(engine, "watch_it_leave", serves_on)
    monkeypatch.setattr("hotsync.engine.fence.tiers.command.run", lambda *_, **__: Completed(0, b"", b""))
    engine.fence(paths, TickingClock())
    agent, ssh = results(paths)
    assert (agent.reached, ssh.tier, ssh.reached) == (False, Tier.SSH, True)
    assert agent.detail == "It heard of epoch 1 at 192.0.2.10, but it has not written down that it holds itself"


def test_a_master_that_was_told_to_switch_off_and_answers_on_is_cut_off_by_the_next_way(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    """An order is none until it is carried out: before that no address of it is taken."""
    settings(monkeypatch, fence_ssh="old-master", fence_command=str(program))
    monkeypatch.setattr(engine, "_knock", lambda *_: False)
    ran: list[str] = []

    def run(argv: list[str], **_: object) -> Completed:
        ran.append(argv[0])
        return Completed(0, b"", b"")

    def look(*_: object) -> tuple[str, ...]:
        return () if str(program) in ran else ("02:0a holds 192.0.2.10", "192.0.2.10 answers ping")

    monkeypatch.setattr("hotsync.engine.fence.tiers.command.run", run)
    monkeypatch.setattr(switched_off, "signs_of_life", look)
    said: list[str] = []
    engine.fence(paths, TickingClock(), said.append)
    _, ssh, site = results(paths)
    assert not ssh.reached
    assert ssh.detail == ("It still answered 120 seconds after that (02:0a holds 192.0.2.10; 192.0.2.10 answers ping)")
    assert site.reached
    assert 3 < len(said) < 20  # it is said now and then
    assert said[0] == "The old MASTER still answers (02:0a holds 192.0.2.10): it is waited for, 119 s at most."


def test_who_has_stopped_is_asked_where_it_was_called_if_that_is_its_own_address(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hypervisor that ends it stays on; a MASTER whose production wire is out answers elsewhere."""
    asked: list[tuple[str, list[str], set[int]]] = []

    def look(peer: str, _: int, master: tuple[Address, ...], services: set[int]) -> tuple[str, ...]:
        asked.append((peer, [each.address for each in master], services))
        return ()

    monkeypatch.setattr(switched_off, "signs_of_life", look)
    facts = paths.replica / "tree/var/lib/hotsync/spool/facts"
    facts.mkdir(parents=True)
    network = NetworkFacts("master", (InterfaceFact("eth1", addresses=(AddressFact("203.0.113.5", 24),)),))
    for name, content in render_facts(MasterFacts(network=network)).items():
        (facts / name).write_bytes(content)
    promotion = document.load_promotion(paths)
    assert promotion is not None
    for further in ("203.0.113.5", "203.0.113.66"):
        switched_off.asking(paths, PEER, promotion, [further], 2222)()
    monkeypatch.setattr(switched_off, "is_own", lambda address: address == PEER.address)
    switched_off.asking(paths, PEER, promotion)()
    assert asked == [
        ("192.0.2.10", ["203.0.113.5"], {2222}),
        ("192.0.2.10", [], {2222}),
        ("fe80::1%eth0", [], set()),
    ]


def test_who_has_stopped_is_asked_at_productions_addresses_also_where_none_of_them_is_taken(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The MASTER may be known here by the address of a cable of its own, which is out."""
    asked: list[list[str]] = []

    def look(_: str, __: int, master: tuple[Address, ...], ___: set[int]) -> tuple[str, ...]:
        asked.append([each.address for each in master])
        return ()

    monkeypatch.setattr(switched_off, "signs_of_life", look)
    promotion = document.load_promotion(paths)
    assert promotion is not None
    kept = NetworkPlan(NetworkChoice.KEEP, not_taken=(Address("eth0", "203.0.113.5", 24),))
    switched_off.asking(paths, PEER, replace(promotion, network=kept))()
    assert asked == [["203.0.113.5"]]


def test_one_that_answers_nonsense_is_not_counted_as_reached(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, master_host="192.0.2.10")
    monkeypatch.setattr(engine, "_knock", lambda *_: True)

    def refuse(*_: object) -> None:
        raise PeerUnreachable(address="192.0.2.10", port=273, reason="reset")

    monkeypatch.setattr(engine, "watch_it_leave", refuse)
    engine.fence(paths, TickingClock())
    (agent,) = results(paths)
    assert not agent.reached
    assert "reset" in agent.detail


def test_without_a_peer_there_is_nobody_to_fence(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch)
    store.forget_peer(paths)
    engine.fence(paths, TickingClock())
    assert results(paths) == ()


def test_a_program_that_somebody_else_may_change_is_not_run(tmp_path: Path) -> None:
    program = tmp_path / "fence"
    assert "no absolute path" in fault_of(Path("fence"))
    assert fault_of(program)
    program.write_text("")
    assert "run" in fault_of(program)
    program.chmod(0o777)
    assert "somebody else" in fault_of(program)
    program.chmod(0o755)
    assert fault_of(program) == ""
    assert "run" in fault_of(tmp_path)
