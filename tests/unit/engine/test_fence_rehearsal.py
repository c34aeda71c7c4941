"""A rehearsal of the fences tries each way that is set up, and never runs or says what stops a MASTER."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.backends import ssh
from hotsync.backends.ssh import Login
from hotsync.config.schema import Settings
from hotsync.engine.fence import known
from hotsync.engine.fence import rehearsal as engine
from hotsync.engine.fence import tiers as real
from hotsync.errors import CommandFailed, HotSyncError, PeerUnreachable, WrongPeer
from hotsync.model.fence import Tier
from hotsync.model.fence_rehearsal import Outcome, Rehearsed
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.state import store
from hotsync.system.command import Completed
from hotsync.system.paths import Paths
from hotsync.transport.dial import Callee
from hotsync.transport.presence import Presence
from tests.fakes.clock import TickingClock

PEER = Peer("master", "192.0.2.10", "f" * 64, "", "fe80::1%eth0")


@dataclass
class World:
    """A SLAVE, its settings and its MASTER; all that a rehearsal says, runs and logs in to is kept."""

    paths: Paths
    settings: Settings = field(default_factory=Settings)
    role: str = "master"
    epoch: int = 0
    trouble: HotSyncError | None = None
    connected: bool = True
    login: Login | HotSyncError = field(default_factory=lambda: Login("root", False, True))
    ends: HotSyncError | OSError | None = None
    said: list[int] = field(default_factory=list[int])
    ran: list[list[str]] = field(default_factory=list[list[str]])
    looked: list[str] = field(default_factory=list[str])

    def hail(self, callee: Callee, *_: object) -> SimpleNamespace:
        self.said += [callee.ours.epoch, callee.ours.released]
        if self.trouble is not None:
            raise self.trouble
        return SimpleNamespace(role=self.role, epoch=self.epoch)

    def look(self, host: str, *_: object) -> Login:
        self.looked.append(host)
        if isinstance(self.login, HotSyncError):
            raise self.login
        return self.login

    def run(self, argv: Sequence[str], **_: object) -> Completed:
        self.ran.append(list(argv))
        if self.ends is not None:
            raise self.ends
        return Completed(0, b"", b"")

    def rehearse(self) -> dict[Tier, Rehearsed]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(real, "load_identity", lambda _: None)
            for module in (known, real, engine):
                patch.setattr(module, "read_settings", lambda _: (self.settings, ()))
            patch.setattr(real, "is_own", lambda _: False)
            patch.setattr(real, "_knock", lambda *_: not isinstance(self.trouble, PeerUnreachable))
            patch.setattr(real, "hail", self.hail)
            patch.setattr(ssh, "look", self.look)
            patch.setattr(ssh, "run", self.run)
            patch.setattr("hotsync.system.command.run", self.run)
            patch.setattr(engine, "load_presence", lambda _: Presence(connected=self.connected))
            return {each.tier: each for each in engine.rehearse(self.paths, TickingClock())}

    def program(self, name: str, text: str = "", mode: int = 0o755) -> str:
        path = self.paths.root / name
        path.write_text(f"#!/bin/sh\n# {text or name}\n")
        path.chmod(mode)
        return str(path)

    def set(self, **props: str) -> None:
        self.settings = Settings.model_validate({"master_host": "192.0.2.10", **props})


def world_below(root: Path) -> World:
    paths = Paths(root)
    paths.state.mkdir(parents=True)
    store.save_role(paths, RoleRecord(Role.SLAVE, 0))
    store.save_peer(paths, PEER)
    world = World(paths)
    world.set()
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_below(tmp_path)


def test_a_master_that_answers_is_told_nothing_and_counts_as_reached(world: World) -> None:
    store.save_role(world.paths, RoleRecord(Role.SLAVE, 3, released=3))  # of a promotion that was undone
    (agent,) = world.rehearse().values()
    assert (agent.outcome, agent.detail) == (Outcome.WORKS, "it answers at fe80::1%eth0"), (
        "where it stays when it lets go"
    )
    assert world.said == [0, 0], "our epoch 3 would end the time of a MASTER at 0"


def test_one_at_a_higher_epoch_or_of_another_role_is_not_reached_by_a_fence(world: World) -> None:
    world.epoch = 5
    assert "epoch 5, this server at 0" in world.rehearse()[Tier.AGENT].detail
    world.role, world.epoch = "slave", 0
    assert "no MASTER" in world.rehearse()[Tier.AGENT].detail


def test_a_master_that_is_heard_and_does_not_answer_is_a_fault(world: World) -> None:
    world.set(fence_ssh="old-master")
    world.trouble = PeerUnreachable(address="192.0.2.10", port=273, reason="nobody is there")
    world.login = CommandFailed(program="ssh", status="exit 255", detail="Permission denied", line="ssh old-master")
    agent, login = world.rehearse().values()
    assert (agent.outcome, login.outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert "port open" in agent.hint
    assert "Permission denied" in login.detail
    assert "ssh old-master" in login.hint


def test_of_a_master_that_is_away_only_the_sites_program_is_learned(world: World) -> None:
    world.set(fence_ssh="old-master", fence_command=world.program("fence"), fence_test=world.program("test"))
    world.connected, world.trouble = False, PeerUnreachable(address="192.0.2.10", port=273, reason="nobody is there")
    found = world.rehearse()
    assert list(found) == [Tier.COMMAND]
    assert world.looked == []
    world.trouble = WrongPeer(address="192.0.2.10", seen="e" * 64, pinned="f" * 64)
    assert world.rehearse()[Tier.AGENT].outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("login", "outcome", "word"),
    [
        (Login("root", False, True), Outcome.WORKS, "may switch it off"),
        (Login("fence", False, True), Outcome.WORKS, "fence is let in"),
        (Login("fence", False, False), Outcome.FAILED, "may not switch it off"),
        (Login("fence", False, None), Outcome.FAILED, "may not be able"),
        (Login("root", True, True), Outcome.NOT_RUN, "command of its own, which was not run"),
    ],
)
def test_ssh_must_let_in_an_account_that_may_switch_off(
    world: World, login: Login, outcome: Outcome, word: str
) -> None:
    world.set(fence_ssh="old-master")
    world.login = login
    found = world.rehearse()[Tier.SSH]
    assert found.outcome is outcome
    assert word in found.detail
    assert world.ran == []


def test_the_sites_program_is_looked_at_and_only_its_test_is_run(world: World) -> None:
    fence = world.program("fence")
    world.set(fence_command=fence)
    found = world.rehearse()[Tier.COMMAND]
    assert (found.outcome, world.ran) == (Outcome.NOT_RUN, [])
    assert "it was not run" in found.detail
    test = world.program("test")
    world.set(fence_command=fence, fence_test=test)
    assert world.rehearse()[Tier.COMMAND].outcome is Outcome.WORKS
    assert world.ran == [[test, "master", "192.0.2.10"]]
    world.ends = CommandFailed(program=test, status="exit 1", detail="no route to the board", line=test)
    assert "no route to the board" in world.rehearse()[Tier.COMMAND].detail
    world.ends = OSError(8, "Exec format error")
    found = world.rehearse()[Tier.COMMAND]
    assert (found.outcome, found.detail) == (Outcome.FAILED, "Exec format error")


def test_a_program_that_somebody_else_may_change_and_a_test_that_is_the_program_are_not_run(world: World) -> None:
    fence = world.program("fence")
    (world.paths.root / "link").symlink_to(fence)
    os.link(fence, world.paths.root / "twin")
    for name in ("fence", "link", "twin", world.program("copy", "fence")):
        world.set(fence_command=fence, fence_test=str(world.paths.root / name))
        assert "very program" in world.rehearse()[Tier.COMMAND].detail
    world.set(fence_command=fence, fence_test=world.program("open", mode=0o777))
    assert "somebody else" in world.rehearse()[Tier.COMMAND].detail
    world.set(fence_command=world.program("loose", mode=0o777), fence_test=world.program("test"))
    assert "somebody else" in world.rehearse()[Tier.COMMAND].detail
    world.set(fence_command="/none", fence_test=world.program("test"))
    assert world.rehearse()[Tier.COMMAND].outcome is Outcome.FAILED
    assert world.ran == []


def test_without_a_master_there_is_nothing_to_try(world: World) -> None:
    store.forget_peer(world.paths)
    assert world.rehearse() == {}


NAMES = ("fence", "link", "twin", "copy", "test", "open", "none", "")
TROUBLES = (
    None,
    PeerUnreachable(address="192.0.2.10", port=273, reason="reset"),
    WrongPeer(address="192.0.2.10", seen="e" * 64, pinned="f" * 64),
)
FAILURES = (
    None,
    CommandFailed(program="x", status="exit 1", detail="no", line="x"),
    OSError(8, "Exec format error"),
)


@given(
    ssh_host=st.sampled_from(["", "old-master"]),
    command=st.sampled_from(NAMES),
    test=st.sampled_from(NAMES),
    ours=st.integers(0, 9),
    released=st.booleans(),
    theirs=st.integers(0, 9),
    role=st.sampled_from(["master", "slave"]),
    trouble=st.sampled_from(TROUBLES),
    connected=st.booleans(),
    login=st.builds(Login, st.sampled_from(["root", "fence"]), st.booleans(), st.sampled_from([True, False, None])),
    ends=st.sampled_from(FAILURES),
)
def test_whatever_is_set_up_and_whatever_the_master_says_a_rehearsal_runs_and_says_nothing_that_stops_it(
    ssh_host: str, command: str, test: str, ours: int, released: bool, theirs: int, role: str,
    trouble: HotSyncError | None, connected: bool, login: Login, ends: HotSyncError | OSError | None,
) -> None:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        world = world_below(Path(folder))
        store.save_role(world.paths, RoleRecord(Role.SLAVE, ours, released=ours if released else 0))
        program = world.program("fence")
        (world.paths.root / "link").symlink_to(program)
        os.link(program, world.paths.root / "twin")
        world.program("copy", "fence")
        world.program("test")
        world.program("open", mode=0o777)
        below = {name: f"{folder}/{name}" if name else "" for name in NAMES}
        world.set(fence_ssh=ssh_host, fence_command=below[command], fence_test=below[test])
        world.role, world.epoch, world.trouble, world.connected = role, theirs, trouble, connected
        world.login, world.ends = login, ends
        found = world.rehearse()
    assert set(world.said) <= {0}, "no MASTER holds itself at epoch 0, or is told of a released one"
    assert not any(real.SWITCH_OFF[-1] in argv for argv in world.ran)
    same = {"fence", "link", "twin", "copy"}
    for argv in world.ran:
        assert argv[0] == below[test] != below[command]
        assert not {command, test} <= same
        assert "open" not in (command, test)
    assert world.looked in ([], [ssh_host])
    assert all(result.detail for result in found.values())
    assert all(result.hint for result in found.values() if result.outcome is not Outcome.WORKS)
