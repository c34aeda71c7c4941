"""NethServer's networks database in a promotion that keeps this server's own network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hotsync.backends import production_units
from hotsync.backends.network import esmith
from hotsync.engine.network import own_database
from hotsync.engine.network.rollback import Rollback
from hotsync.engine.promotion.files import ASIDE
from hotsync.engine.promotion.network import PromotionNetwork
from hotsync.flows import promote
from hotsync.flows.promote_answers import Answers
from hotsync.model.entry import Kind
from hotsync.model.network.values import Address
from hotsync.model.promotion import ExchangeUnit, How, NetworkChoice, NetworkPlan, Promotion
from hotsync.system import files
from hotsync.system.clock import SystemClock
from hotsync.system.paths import Paths
from tests.contract.agent.pair import own_network
from tests.unit.flows.test_promote_past import Host

pytestmark = pytest.mark.contract

OWN = "eth9=ethernet|bootproto|none|ipaddr|10.77.0.2|netmask|255.255.255.0|role|green\n"
MASTERS = (
    "10.1.0.0=network|Mask|255.255.0.0\n"
    "eth7=ethernet|bootproto|none|ipaddr|10.77.0.1|netmask|255.255.255.0|role|green\n"
    "far=provider|interface|eth7|weight|1\n"
    "guests=zone|Interface|eth9|Network|10.2.0.0/24\n"
)
KEEP = NetworkPlan(NetworkChoice.KEEP)
MOVED = ExchangeUnit("var/lib/nethserver", How.EXCHANGE, Kind.DIRECTORY, 1, 1)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    events = tmp_path / "sbin/e-smith/signal-event"
    for file, text in (
        (tmp_path / esmith.FILE, OWN),
        (tmp_path / "var/lib/hotsync/replica/tree" / esmith.FILE, MASTERS),
        (tmp_path / "etc/nethserver-release", ""),
        (events, f'#!/bin/sh\necho "$1" >>{tmp_path}/told\n'),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    events.chmod(0o755)
    return Paths(tmp_path)


def lines(paths: Paths, path: str = esmith.FILE) -> list[str]:
    return [line for line in (paths.root / path).read_text().splitlines() if not line.startswith("#")]


def activated(paths: Paths, plan: NetworkPlan, *units: ExchangeUnit) -> list[str]:
    notes: list[str] = []
    promotion = Promotion(1, 1, "d", 1.0, 1.0, 1.0, plan, units)
    with own_network():
        PromotionNetwork(paths, lambda: promotion, notes.append, Rollback(paths, SystemClock(), 0)).activate()
    return notes


def told(paths: Paths) -> list[str]:
    file = paths.root / "told"
    return file.read_text().splitlines() if file.exists() else []


def _no_units(*_: object) -> frozenset[str]:
    return frozenset()


def test_the_database_moves_with_the_masters_network(paths: Paths) -> None:
    assert not any(own_database.kept(paths, choice) for choice in NetworkChoice if choice.takes_addresses)


def test_a_promotion_with_this_servers_own_network_leaves_its_database_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asked in ("active_units", "known_units"):  # no service manager runs here
        monkeypatch.setattr(production_units, asked, _no_units)
    host = Host(tmp_path)
    for path in ("etc/nethserver-release", esmith.FILE):
        host.world.write(path, MASTERS)
        (host.paths.root / path).parent.mkdir(parents=True, exist_ok=True)
        (host.paths.root / path).write_text(OWN)
    host.world.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    host.world.generation()
    files.write_atomic(promote.slave_run_stamp(host.paths), b"{}")
    seen = promote.prospect(host.paths, Answers(NetworkChoice.KEEP, force=True), SystemClock())
    assert own_database.is_own(seen.promotion)


def test_its_interfaces_stay_and_what_the_masters_says_beside_them_comes(paths: Paths) -> None:
    (note,) = activated(paths, KEEP)
    assert "10.1.0.0, guests." in note
    here = ["10.1.0.0=network|Mask|255.255.0.0", OWN.strip(), "guests=zone|Interface|eth9|Network|10.2.0.0/24"]
    assert lines(paths) == here
    assert told(paths) == ["nethserver-hosts-save", "interface-update"]


def test_no_event_writes_files_of_the_masters_database_where_its_own_network_is_chosen_late(paths: Paths) -> None:
    (paths.root / esmith.FILE).write_text(MASTERS)
    (paths.replica / "tree" / esmith.FILE).unlink()
    (note,) = activated(paths, KEEP, MOVED)
    assert "`networks` is the MASTER's" in note
    assert told(paths) == []


def test_the_masters_records_come_where_its_network_is_chosen_late(paths: Paths) -> None:
    standby = Address("eth7", "10.77.0.2", 24)
    activated(paths, replace(KEEP, choice=NetworkChoice.MASTERS, standby=(standby,)))
    alias = "eth7:0=alias|ipaddr|10.77.0.2|netmask|255.255.255.0|role|alias"
    assert sorted(lines(paths)) == sorted([*MASTERS.splitlines(), alias])
    assert lines(paths, f"{(paths.state / ASIDE).relative_to(paths.root)}/{esmith.FILE}") == [OWN.strip()]
    assert told(paths) == ["nethserver-hosts-save", "interface-update"]
