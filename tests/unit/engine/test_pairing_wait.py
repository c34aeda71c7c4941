"""A run that finds the daemon pairing waits for what comes of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hotsync.engine.sync.host import SyncHost
from hotsync.errors import PeerBusy
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.state.store import save_peer, save_role
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths

PEER = Peer("slave", "10.77.0.2", "ab" * 32, "certificate", "", 1.0)


class Waits(SystemClock):
    """A clock whose waits take no time; each is given to a function instead."""

    def __init__(self, during: Callable[[int], None]) -> None:
        self.count = 0
        self._during = during

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.count += 1
        self._during(self.count)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    paths.run.mkdir(parents=True)
    paths.databases.mkdir(parents=True)
    paths.configuration.write_text(
        f"hotsync=service|SlaveHost|{PEER.address}|role|master\nrsyncd=service|password|correct horse\n"
    )
    save_role(paths, RoleRecord(Role.MASTER))
    return paths


@pytest.fixture
def daemon_pairs(paths: Paths) -> int:
    """The daemon's own attempt, going on."""
    descriptor = os.open(paths.run / "pairing.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_a_run_waits_for_the_daemons_pairing_and_takes_its_peer(paths: Paths, daemon_pairs: int) -> None:
    def ends_at_the_third(count: int) -> None:
        if count == 3:
            save_peer(paths, PEER)
            os.close(daemon_pairs)

    clock = Waits(ends_at_the_third)
    host = SyncHost.of_this_machine(paths, clock)
    host.check_may_sync(pairing=True)
    assert host.peer == PEER
    assert clock.count == 3


@pytest.mark.parametrize("by_hand", [True, False])
def test_only_a_person_does_not_wait_for_what_failed_before(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    asked: list[bool] = []

    def pair(*_: object, by_hand: bool) -> Peer:
        asked.append(by_hand)
        return PEER

    monkeypatch.setattr("hotsync.transport.pairing.pair", pair)
    host = SyncHost.of_this_machine(paths, SystemClock())
    host.check_may_sync(pairing=True, by_hand=by_hand)
    assert (asked, host.peer) == ([by_hand], PEER)


def test_a_pairing_that_never_ends_is_told_as_that(
    paths: Paths, daemon_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotsync.engine.sync.host._PAIRING_LOOKS", 12)
    clock = Waits(lambda _: None)
    with pytest.raises(PeerBusy, match="another pairing"):
        SyncHost.of_this_machine(paths, clock).check_may_sync(pairing=True)
    assert clock.count == 11
    os.close(daemon_pairs)
