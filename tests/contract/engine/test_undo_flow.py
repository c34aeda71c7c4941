"""A whole undo on a host in a folder: real files, replica, documents and journal; units and cards are noted only."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from hotsync.backends import loading_guard
from hotsync.backends.units import Units
from hotsync.engine import undo_databases, undo_host
from hotsync.engine.open_replica import open_replica
from hotsync.engine.undo_network import UndoNetwork
from hotsync.errors import StepFailed, WrongRole
from hotsync.flows import undo as flow
from hotsync.flows.promote_boot import at_boot
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.promotion import NetworkChoice, NetworkPlan
from hotsync.model.undo import Undo
from hotsync.replica.reopen import STATE
from hotsync.state import configdb, store
from hotsync.state import promotion as document
from hotsync.state.runs import Runs
from hotsync.state.undo import load_undo
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.command import Completed
from tests.contract.engine.test_promotion_files import dying_at
from tests.contract.engine.test_undo_files import Promoted, check_kept, use
from tests.support.dying import Cut

pytestmark = pytest.mark.contract


@dataclass
class Machine:
    """What is done to units and cards, in order."""

    done: list[str] = field(default_factory=list[str])

    def run(self, argv: Sequence[str], **_: object) -> Completed:
        words = list(argv)
        if words[0] in ("cp",):
            return real_run(words, timeout=60)
        self.done.append(" ".join(words[:3]))
        return Completed(0, b"", b"")

    def note(self, what: str) -> Callable[..., None]:
        def noted(*_: object, **__: object) -> None:
            self.done.append(what)

        return noted


real_run = command.run


@dataclass
class Held:
    """The mute: what it was asked to hold."""

    machine: Machine

    def related(self, units: Iterable[str]) -> frozenset[str]:
        return frozenset(units)

    def apply(self, units: Iterable[str]) -> tuple[str, ...]:
        self.machine.done.append(f"mute {'all' if list(units) else 'as it is'}")
        return ()


class Host(Promoted):
    """A SLAVE that was promoted, with all its documents."""

    def __init__(self, root: Path, dice: random.Random | None = None) -> None:
        super().__init__(root, dice=dice)
        configdb.ensure_records(self.paths)
        configdb.configuration(self.paths).set_props("hotsync", {"role": "slave", "MasterHost": "10.77.0.1"})
        store.save_role(self.paths, RoleRecord(Role.SLAVE, 2))
        store.save_peer(self.paths, Peer("master", "10.77.0.1", "f" * 64, ""))
        with open_replica(self.paths, SystemClock()).hold() as opened:
            digest = opened.manifest.digest
        plan = NetworkPlan(NetworkChoice.KEEP)
        document.save_promotion(self.paths, replace(self.promotion, digest=digest, network=plan))
        store.save_role(self.paths, RoleRecord(Role.SLAVE, 2, claim=3))
        open_replica(self.paths, SystemClock()).close("claimed")

    def become_master(self) -> None:
        self.promote()
        store.save_role_and_flag(self.paths, RoleRecord(Role.MASTER, 3))
        configdb.configuration(self.paths).set_props("hotsync", {"role": "master", "MasterHost": ""})
        document.save_promotion(self.paths, replace(self.promotion, finished_at=9.0))

    def live(self) -> dict[str, object]:  # type: ignore[override]
        # a boot in the middle must find the link, until all is done
        return {path: item for path, item in super().live().items() if "sysinit.target.wants" not in path}

    def undo_it(self) -> Undo:
        flow.run(self.paths, SystemClock(), False, lambda *_: None, lambda _: None)
        undo = load_undo(self.paths)
        assert undo is not None
        return undo

    def check_slave(self) -> None:
        paths = self.paths
        role = store.load_role(paths)
        assert (role.role, role.epoch, role.claim, role.released) == (Role.SLAVE, 3, None, 3)
        assert not paths.production_flag.exists()
        props = configdb.configuration(paths).props(["hotsync"])["hotsync"]
        assert (props["role"], bool(props["MasterHost"]), props["SlaveHost"]) == ("slave", True, "")
        replica = open_replica(paths, SystemClock())
        assert replica.closed == ""
        with replica.hold() as opened:
            assert not opened.manifest.meta(STATE)
        assert document.load_promotion(paths) is None
        left = {"folders-before.json", "network-before.json", "aside", "promotion.json"}
        assert left & {path.name for path in paths.state.iterdir()} == set()
        assert flow.undo_sentence(paths) == ""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(command, "run", machine.run)
    monkeypatch.setattr(undo_host, "Mute", lambda _: Held(machine))
    own = Units(machine.run, machine.run)
    monkeypatch.setattr(flow, "UndoHost", partial(undo_host.UndoHost, own=own, read_units=lambda _: ()))
    monkeypatch.setattr(loading_guard, "hold", machine.note("hold clients"))
    monkeypatch.setattr(loading_guard, "is_held", lambda: True)
    monkeypatch.setattr(loading_guard, "admit", machine.note("admit clients"))
    monkeypatch.setattr(undo_databases, "servers", lambda *_: iter(()))
    monkeypatch.setattr(UndoNetwork, "own", machine.note("own network"))
    monkeypatch.setattr(undo_host, "say_released", machine.note("say released"))
    return machine


def test_after_use_everything_is_as_before_the_promotion_and_what_was_written_is_kept(
    tmp_path: Path, machine: Machine
) -> None:
    host = Host(tmp_path / "host")
    host.become_master()
    before = host.live()
    use(host)
    after = host.live()
    seen = flow.prospect(host.paths, SystemClock())
    assert (seen.written.files, seen.written.deleted, seen.facts.undo.was_master) == (4, 1, True)
    undo = host.undo_it()
    host.check_own()
    host.check_slave()
    check_kept(host, before, after)  # type: ignore[arg-type]
    assert undo.made == 2
    assert (host.paths.undone / "3/promotion.json").exists()
    mute = [what for what in machine.done if what.startswith(("mute", "hold", "admit", "own", "say"))]
    assert mute == ["hold clients", "mute all", "mute all", "admit clients", "own network", "say released"]
    run = Runs(host.paths.runs).last(flow.COMMAND)
    assert run is not None
    assert run.exit_code == 0
    with pytest.raises(WrongRole):
        flow.prospect(host.paths, SystemClock())


def test_a_claim_before_anything_moved_is_only_given_up(tmp_path: Path, machine: Machine) -> None:
    host = Host(tmp_path / "host")
    undo = host.undo_it()
    host.check_own()
    host.check_slave()
    assert (undo.made, undo.was_master, undo.served) == (0, False, 0.0)
    assert "mute all" not in machine.done, "what runs here is this server's own"


def test_killed_before_any_change_and_booted_it_says_so_starts_nothing_and_goes_on(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, dice: random.Random, full_size: bool
) -> None:
    dry = Host(tmp_path / "dry")
    dry.become_master()
    use(dry)
    with dying_at(0, monkeypatch) as count:
        dry.undo_it()
    every = range(1, count[0] + 1)
    for number in every if full_size else dice.sample(every, 14):
        host = Host(tmp_path / str(number))
        host.become_master()
        before = host.live()
        use(host)
        after = host.live()
        with suppress(Cut, StepFailed), dying_at(number, monkeypatch):
            host.undo_it()
        if store.load_role(host.paths).role is Role.MASTER and load_undo(host.paths) is not None:
            at_boot(host.paths)
            assert not host.paths.production_flag.exists()
            assert "UNDONE" in host.paths.at("/run/issue.d/hotsync.issue").read_text()
        host.undo_it()
        host.check_own()
        host.check_slave()
        check_kept(host, before, after)  # type: ignore[arg-type]


def test_after_an_undo_it_can_be_promoted_again_at_an_epoch_that_its_master_does_not_take(
    tmp_path: Path, machine: Machine
) -> None:
    host = Host(tmp_path / "host")
    host.become_master()
    use(host)
    host.undo_it()
    role = store.load_role(host.paths)
    assert role.next_epoch == 5
    units, folders = host.layout.units, host.layout.folders
    assert units
    again = json.loads((host.paths.undone / "3/promotion.json").read_text())
    assert len(again["units"]) == len(units)
    assert len(again["folders"]) == len(folders)
    assert os.listdir(host.paths.undone) == ["3"]
