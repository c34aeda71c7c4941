"""A MASTER, in a network of its own, that is told to stop and answers on for a while: before it is silent that is no
fence."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotsync.config.schema import Settings
from hotsync.engine.fence import switched_off
from hotsync.engine.fence import tiers as engine
from hotsync.model.fence import FenceResult, Tier
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkChoice, NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network

pytestmark = pytest.mark.contract

PRODUCTION = Address("eth7", "198.51.100.10", 24)
STAYS_SECONDS = 3.0


@pytest.fixture
def master() -> Iterator[subprocess.Popen[bytes]]:
    """A network that lasts as long as one process, as a server's until it is off; it answers for its address."""
    with own_network():
        process = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        try:
            inside = ["nsenter", "-t", str(process.pid), "-n", "ip"]
            command.run(["ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far7"])
            own = Path("/proc/thread-self/ns/net").stat().st_ino
            while Path(f"/proc/{process.pid}/ns/net").stat().st_ino == own:
                time.sleep(0.01)
            command.run(["ip", "link", "set", "far7", "netns", str(process.pid)])
            command.run(["ip", "address", "add", "198.51.100.20/24", "dev", "eth7"])
            command.run(["ip", "link", "set", "eth7", "up"])
            command.run([*inside, "address", "add", str(PRODUCTION), "dev", "far7"])
            command.run([*inside, "link", "set", "far7", "up"])
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def fence(
    tmp_path: Path, master: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[list[FenceResult], list[str], float]]:
    """Fence with a program of these words; return what came of each way, what was said, and how long it took."""
    paths, program = Paths(tmp_path), tmp_path / "fence"
    paths.state.mkdir(parents=True)
    store.save_role(paths, RoleRecord(Role.SLAVE, 0, claim=1))
    store.save_peer(paths, Peer("master", PRODUCTION.address, "f" * 64, ""))
    network = NetworkPlan(NetworkChoice.MASTERS, addresses=(PRODUCTION,))
    document.save_promotion(paths, Promotion(1, 7, "d", 1.0, 1.0, 1.0, network, ()))
    made = Settings.model_validate({"fence_command": str(program)})
    monkeypatch.setattr(engine, "read_settings", lambda _: (made, ()))
    monkeypatch.setattr(engine, "load_identity", lambda _: None)

    def run(words: str) -> tuple[list[FenceResult], list[str], float]:
        program.write_text(f"#!/bin/sh\n{words.format(pid=master.pid)}\n")
        program.chmod(0o755)
        said, began = list[str](), time.monotonic()
        engine.fence(paths, SystemClock(), said.append)
        promotion = document.load_promotion(paths)
        assert promotion is not None
        return [each for each in promotion.fences if each.tier is Tier.COMMAND], said, time.monotonic() - began

    return run


def test_a_program_that_only_begins_to_switch_the_master_off_is_waited_for(
    fence: Callable[[str], tuple[list[FenceResult], list[str], float]],
) -> None:
    (site,), said, seconds = fence(f"(sleep {STAYS_SECONDS}; kill {{pid}}) >/dev/null 2>&1 &")
    assert site.reached
    assert seconds >= STAYS_SECONDS
    assert "nothing of it answers" in site.detail
    assert said
    assert "The old MASTER still answers (" in said[0]
    assert PRODUCTION.address in said[0]


def test_one_that_ends_well_and_leaves_the_master_on_is_no_fence(
    fence: Callable[[str], tuple[list[FenceResult], list[str], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switched_off, "SECONDS", 3.0)
    (site,), said, _ = fence("exit 0")
    assert not site.reached
    assert site.detail.startswith("It still answered 3 seconds after that (")
    assert f"holds {PRODUCTION.address}" in site.detail
    assert said


def test_a_master_that_is_off_costs_a_moment_and_nothing_is_said(
    fence: Callable[[str], tuple[list[FenceResult], list[str], float]],
) -> None:
    (site,), said, seconds = fence("kill {pid}; sleep 0.5")
    assert site.reached
    assert said == []
    assert seconds < 10
