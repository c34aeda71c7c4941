"""A superseded MASTER: what it lets go, in which order, after any cut, and how it comes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.backends.mute import Mute
from hotsync.backends.production_units import ProductionUnits
from hotsync.backends.units import ALL, DAEMON, Units
from hotsync.engine.one_master import hold as engine
from hotsync.engine.one_master.hold import Holding, refuse_if_held
from hotsync.errors import CommandFailed, StaleEpoch
from hotsync.model.facts import UnitFact
from hotsync.model.handover import HandOver, Stage
from hotsync.model.hold import MOST_AHEAD, HeardBy, Hold, is_superseded, next_after_release, to_give_up
from hotsync.model.identity import Role, RoleRecord
from hotsync.model.network.values import Address
from hotsync.model.promotion import NetworkPlan, Promotion
from hotsync.state import promotion as document
from hotsync.state import store
from hotsync.state.handover import has_left, save_handover
from hotsync.state.hold import (
    drop_hold,
    drop_released,
    held,
    load_hold,
    load_released,
    note_released,
    note_superseded,
    save_hold,
)
from hotsync.system.command import Completed
from hotsync.system.paths import Paths
from tests.support.sizes import examples

OURS = Address("eth0", "192.0.2.10", 24)
OTHER = Address("eth1", "198.51.100.10", 24)
STANDBY = Address("eth0", "192.0.2.20", 24)
BRIDGE = Address("docker0", "172.17.0.1", 16)
GATEWAY = Address("eth0", "192.0.2.1", 32)
UNITS = (
    UnitFact("dovecot.service", "enabled", True),
    UnitFact("shop.timer", "enabled", False),
    UnitFact("ssh.service", "enabled", True),
    UnitFact("hotsyncd.service", "enabled", True),
)


class PowerCut(BaseException):
    """The machine dies here."""


@dataclass
class Machine:
    """A MASTER: its network, its units, and a number of doings after which it dies."""

    addresses: list[Address] = field(default_factory=lambda: [OURS, OTHER, STANDBY, BRIDGE])
    active: set[str] = field(default_factory=lambda: {"dovecot.service", "ssh.service", *ALL, "ran-by-hand.service"})
    enabled: set[str] = field(default_factory=lambda: set(ALL))
    done: list[str] = field(default_factory=list)
    started: list[set[str]] = field(default_factory=list)
    dies_after: int = -1
    stubborn: frozenset[Address] = frozenset()

    def does(self, what: str) -> None:
        if len(self.done) == self.dies_after:
            self.dies_after = -1
            raise PowerCut
        self.done.append(what)

    def served(self) -> tuple[Address, ...]:
        return tuple(self.addresses)

    def gateways(self) -> tuple[Address, ...]:
        return (GATEWAY,)

    def give_up(self, addresses: tuple[Address, ...], standby: tuple[Address, ...]) -> None:
        for address in addresses:
            self.does(f"address {address}")
            if address not in self.stubborn:
                self.addresses.remove(address)
        assert set(standby) <= set(self.addresses)

    def restore(self, addresses: tuple[Address, ...], gateways: tuple[Address, ...]) -> None:
        self.does("restore")
        self.addresses += [address for address in addresses if address not in self.addresses]
        assert gateways == (GATEWAY,)

    def own(self, argv: Sequence[str]) -> Completed:
        self.does(f"{argv[1]} {argv[-1]}")
        {"disable": self.enabled, "stop": self.active}[argv[1]].discard(argv[-1])
        return Completed(0, b"", b"")

    def systemctl(self, words: Sequence[str]) -> str:
        if words[0] == "list-units":
            return "".join(f"{unit} loaded active running x\n" for unit in sorted(self.active))
        if words[0] == "stop":
            self.does("stop units")
            self.active -= set(words[2:])
        elif words[0] == "daemon-reload":
            self.does("reload")
        return ""


def holding(paths: Paths, machine: Machine) -> Holding:
    return Holding(
        paths,
        Mute(paths, machine.systemctl),
        machine,
        Units(machine.own, machine.own),
        lambda _: UNITS,
        lambda: frozenset(machine.active),
        lambda: frozenset({"dovecot.service", "shop.timer", "ssh.service"}),
    )


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return make(tmp_path / "host")


def make(root: Path) -> Paths:
    shutil.rmtree(root, ignore_errors=True)
    paths = Paths(root)
    paths.state.mkdir(parents=True)
    store.save_role_and_flag(paths, RoleRecord(Role.MASTER, epoch=3))
    network = NetworkPlan(standby=(STANDBY,))
    document.save_promotion(paths, Promotion(3, 7, "d", 1.0, 1.0, 1.0, network, (), finished_at=2.0))
    return paths


def is_held(paths: Paths, machine: Machine) -> bool:
    """Return whether nothing of production is left, and what the machine needs is."""
    assert {"ssh.service", DAEMON, "ran-by-hand.service"} <= machine.active
    gone = set(machine.addresses) == {STANDBY, BRIDGE}
    stopped = not machine.active & {"dovecot.service", "hotsync.timer", "hotsync-watch.service"}
    muted = {"dovecot.service", "shop.timer"} <= Mute(paths, machine.systemctl).muted()
    return gone and stopped and muted and not paths.production_flag.exists() and paths.held_flag.exists()


def test_a_superseded_master_gives_up_its_addresses_first_and_then_stops_and_holds_its_units(paths: Paths) -> None:
    machine = Machine()
    save_hold(paths, Hold(4, 5.0))
    done = holding(paths, machine).apply()
    assert is_held(paths, machine)
    assert [line for line in machine.done if line.startswith("address")] == machine.done[:2]
    assert done is not None
    assert {"dovecot.service", "ssh.service", "ran-by-hand.service"} <= set(done.ran)
    assert (done.addresses, done.gateways) == ((OURS, OTHER), (GATEWAY,))
    assert load_hold(paths) == done


def test_a_server_that_was_not_superseded_is_left_alone(paths: Paths) -> None:
    machine = Machine()
    assert holding(paths, machine).apply() is None
    assert machine.done == []
    assert paths.production_flag.exists()


@settings(max_examples=examples(12), deadline=None)
@given(cut=st.integers(min_value=0, max_value=16), second=st.integers(min_value=0, max_value=16))
def test_a_hold_that_is_cut_anywhere_is_finished_by_doing_it_again(
    tmp_path_factory: pytest.TempPathFactory, cut: int, second: int
) -> None:
    paths = make(tmp_path_factory.getbasetemp() / "cut")
    machine = Machine(dies_after=cut)
    save_hold(paths, Hold(4, 5.0))
    for again in (second, -1):
        try:
            holding(paths, machine).apply()
        except PowerCut:
            assert not paths.production_flag.exists()  # nothing that is muted starts from here on
            machine.done, machine.dies_after = [], again
    machine.dies_after = -1
    holding(paths, machine).apply()
    assert is_held(paths, machine)
    hold = load_hold(paths)
    assert hold is not None
    assert {"dovecot.service", "ran-by-hand.service"} <= set(hold.ran)
    assert hold.addresses == (OURS, OTHER)


def test_the_addresses_wait_for_nothing_that_systemd_may_take_long_to_tell(paths: Paths) -> None:
    machine = Machine()
    save_hold(paths, Hold(4, 5.0))

    def late(_: object) -> NoReturn:
        raise AssertionError("what belongs to production is asked while clients wait")

    quick = replace(holding(paths, machine), mute=Mute(paths, late), read_units=late)
    hold = quick.leave()
    assert hold is not None
    assert set(machine.addresses) == {STANDBY, BRIDGE}
    assert "dovecot.service" in machine.active
    assert "dovecot.service" in hold.ran
    assert load_hold(paths) == hold
    assert has_left(paths)
    assert not paths.production_flag.exists()


def test_where_systemd_does_not_answer_the_addresses_go_all_the_same_and_what_ran_is_asked_before_it_stops(
    paths: Paths,
) -> None:
    machine, silent = Machine(), [True]
    save_hold(paths, Hold(4, 5.0))

    def active() -> frozenset[str]:
        if silent:
            raise CommandFailed(program="systemctl", status="no end", detail="it hangs", line="systemctl")
        return frozenset(machine.active)

    deaf = replace(holding(paths, machine), active_units=active)
    with pytest.raises(CommandFailed):
        deaf.apply()
    assert set(machine.addresses) == {STANDBY, BRIDGE}
    assert "dovecot.service" in machine.active
    silent.clear()
    done = deaf.apply()
    assert is_held(paths, machine)
    assert done is not None
    assert "dovecot.service" in done.ran
    assert done.addresses == (OURS, OTHER)


def test_what_a_hand_over_has_stopped_is_known_to_have_run_unless_it_was_given_up(paths: Paths) -> None:
    machine = Machine()
    over = HandOver(Stage.READY, 3, 1.0, ran=("mailman.service",))
    save_handover(paths, over)
    save_hold(paths, Hold(4, 5.0, planned=True))
    hold = holding(paths, machine).leave()
    assert hold is not None
    assert {"mailman.service", "dovecot.service"} <= set(hold.ran)
    save_hold(paths, Hold(4, 5.0))
    save_handover(paths, replace(over, resumed=True))
    hold = holding(paths, machine).leave()
    assert hold is not None
    assert "mailman.service" not in hold.ran


def release(paths: Paths, machine: Machine, epoch: int) -> Iterator[str]:
    class Started(ProductionUnits):
        def start(self, unit: str) -> None:
            machine.does(f"start {unit}")

        def start_all(self, units: Sequence[str]) -> None:
            machine.does("start what ran")
            machine.started.append(set(units))
            machine.active |= set(units)

        def reload(self) -> None:
            machine.does("reload")

    yield from holding(paths, machine).release(epoch, "by its word", Started(paths), 9.0)


@settings(max_examples=examples(8), deadline=None)
@given(cut=st.integers(min_value=0, max_value=5))
def test_by_the_administrators_word_it_serves_again_above_the_other_servers_epoch(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    paths = make(tmp_path_factory.getbasetemp() / "back")
    machine = Machine()
    save_hold(paths, Hold(4, 5.0))
    holding(paths, machine).apply()
    machine.done, machine.dies_after = [], cut
    try:
        list(release(paths, machine, 5))
    except PowerCut:
        list(release(paths, machine, 5))
    assert store.load_role(paths) == RoleRecord(Role.MASTER, 5, None, 9.0, "by its word")
    assert set(machine.addresses) == {OURS, OTHER, STANDBY, BRIDGE}
    assert {"dovecot.service", "shop.timer"} <= machine.active
    assert machine.started == [{"dovecot.service", "shop.timer"}], "the machine's own were never stopped"
    assert paths.production_flag.exists()
    assert not paths.held_flag.exists()
    assert Mute(paths, machine.systemctl).muted() == frozenset()
    assert load_hold(paths) is None


def test_who_is_held_may_neither_sync_nor_save(paths: Paths) -> None:
    refuse_if_held(paths)
    save_hold(paths, Hold(4, 5.0))
    with pytest.raises(StaleEpoch) as raised:
        refuse_if_held(paths)
    assert "epoch 4" in raised.value.sentence
    assert "rejoin --as-master" in raised.value.hint


def test_nothing_gives_a_held_server_the_production_flag(paths: Paths) -> None:
    save_hold(paths, Hold(4, 5.0))
    store.set_production(paths, True)
    assert not paths.production_flag.exists()
    save_hold(paths, Hold(4, 5.0, released=True))
    store.set_production(paths, True)
    assert paths.production_flag.exists()


@pytest.mark.parametrize(
    ("record", "theirs", "ends"),
    [
        (RoleRecord(Role.MASTER, 3), 4, True),
        (RoleRecord(Role.MASTER, 3), 3, False),
        (RoleRecord(Role.MASTER, 3), 2, False),
        (RoleRecord(Role.SLAVE, 3), 4, False),
        (RoleRecord(Role.SLAVE, 3, claim=4), 5, False),
        (RoleRecord(Role.NONE), 1, False),
    ],
)
def test_a_higher_epoch_ends_the_time_of_a_master_only(record: RoleRecord, theirs: int, ends: bool) -> None:
    assert is_superseded(record, theirs) is ends


def test_what_is_heard_again_is_no_news_and_keeps_what_was_written_down(paths: Paths) -> None:
    record = RoleRecord(Role.MASTER, 3)
    assert note_superseded(paths, record, 4, HeardBy.CALLED, 5.0)
    first = load_hold(paths)
    assert first == Hold(4, 5.0, HeardBy.CALLED)
    save_hold(paths, replace(first, begun=True, ran=("dovecot.service",)))
    assert not note_superseded(paths, record, 4, HeardBy.CALLING, 6.0)
    assert note_superseded(paths, record, 5, HeardBy.CALLING, 7.0)
    assert load_hold(paths) == Hold(5, 5.0, HeardBy.CALLED, begun=True, ran=("dovecot.service",))


@pytest.mark.parametrize(
    ("record", "held_by", "released", "wanted"),
    [
        (RoleRecord(Role.MASTER, 3), 0, 4, 5),  # it never heard of the promotion, and goes on
        (RoleRecord(Role.MASTER, 3), 4, 4, 5),  # it holds itself by it
        (RoleRecord(Role.MASTER, 5), 4, 4, 5),  # it was cut after it had taken the epoch
        (RoleRecord(Role.MASTER, 6), 0, 4, None),  # long ago
        (RoleRecord(Role.MASTER, 3), 6, 4, None),  # held by a newer promotion
        (RoleRecord(Role.SLAVE, 3), 0, 4, None),
        (RoleRecord(Role.MASTER, 3), 4, 3 + MOST_AHEAD, None),  # no epoch that a pair comes to
    ],
)
def test_a_released_epoch_lets_the_old_master_take_the_one_above_it(
    record: RoleRecord, held_by: int, released: int, wanted: int | None
) -> None:
    assert next_after_release(record, held_by, released) == wanted


def test_the_epoch_above_a_released_one_is_left_to_the_old_master() -> None:
    assert RoleRecord(Role.SLAVE, 3).next_epoch == 4
    released = RoleRecord(Role.SLAVE, 4, released=4)
    assert released.has_released
    assert released.next_epoch == 6
    assert not replace(released, claim=6).has_released, "a claim is a promotion of its own"
    assert not replace(released, epoch=5).has_released, "its MASTER has taken the next one"
    assert replace(released, epoch=5).next_epoch == 6


def test_a_release_is_written_down_once_and_only_where_it_changes_anything(paths: Paths) -> None:
    record = RoleRecord(Role.MASTER, 3)
    assert not note_released(paths, RoleRecord(Role.SLAVE, 3), 4)
    assert note_released(paths, record, 4)
    assert not note_released(paths, record, 4)
    assert load_released(paths) == 4
    drop_released(paths)
    drop_released(paths)
    assert load_released(paths) == 0
    assert not note_released(paths, RoleRecord(Role.MASTER, 5), 4), "it has acted upon it"
    save_hold(paths, Hold(6, 5.0))
    assert not note_released(paths, record, 4), "a newer promotion holds it"


@pytest.mark.parametrize("text", [b"", b"[]", b'{"epoch": "4"}', b'{"epoch": null}'])
def test_a_release_that_cannot_be_read_is_none(paths: Paths, text: bytes) -> None:
    paths.released_file.write_bytes(text)
    assert load_released(paths) == 0


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"schema": 9}', b'{"schema": 1, "epoch": "x"}'])
def test_a_document_that_cannot_be_read_holds_all_the_same(paths: Paths, text: bytes) -> None:
    paths.hold_file.write_bytes(text)
    assert held(paths) is not None
    drop_hold(paths)
    assert held(paths) is None


def test_bridges_of_containers_and_standby_addresses_stay() -> None:
    assert to_give_up((OURS, STANDBY, BRIDGE), (STANDBY,)) == (OURS,)


def test_a_bridge_of_the_administrators_is_productions_whatever_it_is_called(paths: Paths) -> None:
    """What a promotion takes over is given up: else two servers have one address."""
    lan, docks = Address("br-lan", "192.0.2.10", 24), Address("docker-lan", "198.51.100.10", 24)
    assert to_give_up((lan, docks, BRIDGE), ()) == (lan, docks)
    network = paths.at("/etc/network")
    network.mkdir(parents=True)
    (network / "interfaces").write_text("iface docker0 inet static\n address 172.17.0.1/16\n bridge_ports eth0\n")
    machine = Machine(addresses=[lan, BRIDGE, STANDBY])
    save_hold(paths, Hold(4, 5.0))
    done = holding(paths, machine).apply()
    assert machine.addresses == [STANDBY]
    assert done is not None
    assert done.addresses == (lan, BRIDGE)
    assert has_left(paths)


def test_it_is_not_said_that_the_addresses_are_given_up_while_one_is_up(paths: Paths) -> None:
    machine = Machine(stubborn=frozenset({OTHER}))
    save_hold(paths, Hold(4, 5.0))
    made = holding(paths, machine)
    made.apply()
    assert made.staying() == (OTHER,)
    assert "dovecot.service" not in machine.active  # all else is done
    assert not has_left(paths)
    machine.stubborn = frozenset()
    made.apply()
    assert (made.staying(), has_left(paths)) == ((), True)
    machine.addresses.append(OTHER)  # somebody brings it back
    machine.stubborn = frozenset({OTHER})
    made.apply()
    assert not has_left(paths)


def test_the_real_parts_are_what_is_used_by_itself(paths: Paths) -> None:
    made = Holding(paths, Mute(paths))
    assert isinstance(made.lines, engine.LiveLines)


def test_a_superseded_master_holds_what_its_administrator_wrote_whatever_it_is_called(paths: Paths) -> None:
    """The job ran on both servers, since its name began like those of the machine's disks."""
    folder = paths.at("/etc/systemd/system")
    folder.mkdir(parents=True)
    for unit in ("zfs-autobackup.timer", "zfs-keys.service"):
        early = "[Unit]\nBefore=zfs-mount.service\n" if unit == "zfs-keys.service" else ""
        (folder / unit).write_text(f"{early}[Install]\nWantedBy=x.target\n")
    mine = {"zfs-autobackup.timer", "run-backup.timer"}
    machine = Machine(active={*mine, "zfs-keys.service", "zfs-zed.service", "ssh.service", DAEMON})
    told = [UnitFact(unit, "enabled", True, unit == "zfs-autobackup.timer") for unit in sorted(machine.active)]
    save_hold(paths, Hold(4, 5.0))
    replace(holding(paths, machine), read_units=lambda _: tuple(told)).apply()
    assert machine.active == {"zfs-keys.service", "zfs-zed.service", "ssh.service", DAEMON}
    assert Mute(paths, machine.systemctl).muted() >= mine
