"""A whole undo on a host in a folder: real files, replica, documents and journal; units and cards are noted only."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from hotsync.agent import guard
from hotsync.backends import loading_guard
from hotsync.backends.units import Units
from hotsync.cli.promote_render import outcome_document, show_outcome
from hotsync.engine.one_master.hold import LiveLines
from hotsync.engine.open_replica import open_replica
from hotsync.engine.undo import databases as undo_databases
from hotsync.engine.undo import host as undo_host
from hotsync.engine.undo.network import UndoNetwork
from hotsync.errors import CommandFailed, Refused, StepFailed, WrongRole
from hotsync.flows import promote_unit, undo_boot
from hotsync.flows import undo as flow
from hotsync.flows.promote_boot import at_boot
from hotsync.flows.undoing import undo_sentence
from hotsync.model.hold import HeardBy
from hotsync.model.identity import Peer, Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.plan import Outcome, StepRecord
from hotsync.model.promotion import NetworkChoice, NetworkPlan
from hotsync.model.undo import Undo
from hotsync.replica.reopen import STATE
from hotsync.state import configdb, store
from hotsync.state import promotion as document
from hotsync.state.hold import load_hold, note_superseded
from hotsync.state.runs import Runs
from hotsync.state.undo import load_undo
from hotsync.system import command
from hotsync.system.clock import SystemClock
from hotsync.system.command import Completed
from hotsync.system.paths import Paths
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
        document.save_promotion(self.paths, replace(self.promotion, digest=digest, network=PLAN))
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

    def boot(self) -> None:
        """What a power cut leaves of it, and what the next boot does before its network."""
        shutil.rmtree(self.paths.run, ignore_errors=True)
        at_boot(self.paths)

    @property
    def has_productions_etc(self) -> bool:
        promotion = flow.read_facts(self.paths, SystemClock()).promotion  # its document may be put away already
        return document.has_productions_etc(self.paths, promotion)

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
        assert undo_sentence(paths) == ""


MASTER, SLAVE = Address("eth7", "10.77.0.1", 24), Address("eth7", "10.77.0.2", 24)
PLAN = NetworkPlan(NetworkChoice.MASTERS, "", (MASTER,), (), (SLAVE,))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(command, "run", machine.run)
    monkeypatch.setattr(undo_host, "Mute", lambda _: Held(machine))
    own = Units(machine.run, machine.run)
    for module in (flow, undo_boot):
        monkeypatch.setattr(module, "UndoHost", partial(undo_host.UndoHost, own=own, read_units=lambda _: ()))
    monkeypatch.setattr(loading_guard, "hold", machine.note("hold clients"))
    monkeypatch.setattr(loading_guard, "is_held", lambda: True)
    monkeypatch.setattr(loading_guard, "admit", machine.note("admit clients"))
    monkeypatch.setattr(undo_databases, "servers", lambda *_: iter(()))
    monkeypatch.setattr(UndoNetwork, "own", machine.note("own network"))
    monkeypatch.setattr(UndoNetwork, "give_up", machine.note("production's addresses go"))
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


def test_the_report_after_an_undo_says_that_it_was_undone_and_shows_it(
    tmp_path: Path, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host(tmp_path / "host")
    host.become_master()
    begin(host)
    going = promote_unit.last(host.paths)
    assert "is being UNDONE" in going.ended.sentence
    host.undo_it()
    last = promote_unit.last(host.paths)
    assert last.promotion.epoch == 3
    assert last.undone is not None
    assert last.ended.sentence.startswith("The promotion to epoch 3 was undone at ")
    assert "is a SLAVE again, and epoch 3 is released" in last.ended.sentence
    record = StepRecord("claim", "claim epoch 3", "claim", 1.0, 2.0, Outcome.DONE)
    show_outcome(host.paths, last.ended, replace(last.promotion, records=(record,)), last.undone)
    said = capsys.readouterr().out
    assert "claim epoch 3" in said
    assert "Only a person can check" not in said
    shown = outcome_document(host.paths, last.ended, last.promotion, last.undone)
    assert shown["epoch"] == 3
    assert cast("dict[str, object]", shown["undone"])["kept"] == str(host.paths.undone / "3")
    shutil.rmtree(host.paths.undone)
    with pytest.raises(Refused, match="epoch 3 was undone, and its report was removed"):
        promote_unit.last(host.paths)
    with pytest.raises(Refused, match="never promoted"):
        promote_unit.last(Paths(tmp_path / "nothing"))


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
        machine.done.clear()
        host.boot()
        check_boot(host, machine)
        host.undo_it()
        host.check_own()
        host.check_slave()
        check_kept(host, before, after)  # type: ignore[arg-type]


def check_boot(host: Host, machine: Machine) -> None:
    """A boot in the middle brings nothing of production back, whatever the undo had done by then."""
    undo = load_undo(host.paths)
    if undo is None or undo.finished_at:
        assert not host.paths.held_flag.exists()
        return
    assert not host.paths.production_flag.exists()
    assert "UNDONE" in host.paths.at("/run/issue.d/hotsync.issue").read_text()
    held = ["mute all", "udevadm settle --timeout=20", "production's addresses go"]
    did = [what for what in machine.done if what in (*held, "own network")]
    assert host.paths.held_flag.exists() is host.has_productions_etc
    assert did == (held if host.has_productions_etc else []), "its own /etc has its own network, and its own mute"


def test_the_addresses_that_were_given_up_stay_away_until_the_undo_takes_its_own_network(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, seen = Host(tmp_path / "host"), list[bool]()
    host.become_master()

    def look(*_: object) -> None:
        seen.append(host.paths.held_flag.exists())

    monkeypatch.setattr(UndoNetwork, "give_up", look)
    monkeypatch.setattr(UndoNetwork, "own", look)
    host.undo_it()
    assert seen == [True, False]
    assert not host.paths.held_flag.exists()


def test_a_boot_in_the_middle_leaves_a_network_that_was_always_this_servers_own(
    tmp_path: Path, machine: Machine
) -> None:
    host = Host(tmp_path / "host")
    document.save_promotion(host.paths, replace(host.promotion, network=NetworkPlan(NetworkChoice.KEEP)))
    host.become_master()
    begin(host)
    host.boot()
    assert not host.paths.held_flag.exists()
    assert not host.paths.production_flag.exists()
    assert "mute all" in machine.done


def test_a_promotion_that_never_ended_is_held_by_a_boot_in_the_middle_of_its_undo_too(
    tmp_path: Path, machine: Machine
) -> None:
    host = Host(tmp_path / "host")
    host.promote()
    begin(host)
    host.boot()
    check_boot(host, machine)
    assert host.has_productions_etc
    host.undo_it()
    host.check_own()
    host.check_slave()


def begin(host: Host) -> None:
    """Only the first step of an undo: it says so, and nothing else has happened."""
    facts = flow.read_facts(host.paths, SystemClock())
    undo_host.UndoHost(host.paths, SystemClock(), facts.promotion, facts.undo).begin()


def test_the_boot_guard_that_the_flag_of_production_starts_asks_nobody_and_holds_it_as_well(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path / "host")
    host.become_master()
    begin(host)
    assert host.paths.production_flag.exists(), "it was cut before it went"
    monkeypatch.setattr("hotsync.system.paths.from_environment", lambda: host.paths)
    monkeypatch.setattr(guard, "guard_boot", machine.note("asks"))
    assert guard.main(["boot"]) == 0
    host.paths.at("/run/issue.d").mkdir(parents=True)
    assert "asks" not in machine.done
    assert host.paths.held_flag.exists()
    assert not host.paths.production_flag.exists()


@pytest.mark.parametrize("name", ["undo.json", "promotion.json"])
def test_what_cannot_be_read_takes_no_network_but_what_every_card_has_by_itself(
    tmp_path: Path, machine: Machine, name: str
) -> None:
    host, gone = Host(tmp_path / "host"), list[object]()
    host.become_master()
    begin(host)
    (host.paths.state / name).write_text("{")

    class Lines:
        def give_up(self, addresses: tuple[Address, ...], standby: tuple[Address, ...]) -> None:
            gone.append((addresses, standby))

    assert undo_boot.hold_undo(host.paths, SystemClock(), cast("LiveLines", Lines()))
    assert host.paths.held_flag.exists()
    assert not host.paths.production_flag.exists()
    assert gone == [((), ())]


def test_where_the_network_refuses_something_at_boot_nothing_of_production_starts_and_the_boot_goes_on(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path / "host")
    host.become_master()
    begin(host)

    def fail(*_: object) -> None:
        raise CommandFailed(program="ip", status="exit 1", detail="no", line="ip")

    monkeypatch.setattr(UndoNetwork, "give_up", fail)
    host.boot()
    assert host.paths.held_flag.exists()
    assert "mute all" in machine.done
    assert "UNDONE" in host.paths.at("/run/issue.d/hotsync.issue").read_text()


def test_who_hears_of_a_higher_epoch_in_the_middle_is_held_by_it_no_longer_when_it_is_a_slave(
    tmp_path: Path, machine: Machine
) -> None:
    host = Host(tmp_path / "host")
    host.become_master()
    begin(host)
    host.boot()
    assert note_superseded(host.paths, store.load_role(host.paths), 4, HeardBy.CALLED, 1.0)
    machine.done.clear()
    host.undo_it()
    host.check_own()
    host.check_slave()
    assert load_hold(host.paths) is None
    assert {"systemctl stop hotsync-hold.service", "systemctl stop hotsync-held-mail.service"} <= set(machine.done)


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
