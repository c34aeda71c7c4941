"""A promotion with an older generation is planned on that one, before anything is changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hotsync.backends import production_units
from hotsync.engine.promotion.master_facts import read_told
from hotsync.flows import promote
from hotsync.flows.promote_answers import Answers
from hotsync.flows.promote_past import look_back, viewed
from hotsync.model.promotion import NetworkChoice
from hotsync.system import files
from hotsync.system.clock import SystemClock
from tests.unit.flows.test_promote_past import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A SLAVE whose MASTER had another name and another application in its first generation."""
    made = Host(tmp_path)
    for name in ("old", "new"):
        made.clock.time += 600
        made.world.write("etc/hostname", f"{name}.example.com\n")
        made.world.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        made.world.write(f"srv/{name}/file", name)
        made.world.generation()
    files.write_atomic(promote.slave_run_stamp(made.paths), b"{}")
    return made


def _no_units(*_: object) -> frozenset[str]:
    return frozenset()


def test_the_plan_is_that_of_the_older_generation_and_nothing_is_left_of_the_look(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asked in ("active_units", "known_units"):  # no service manager runs here
        monkeypatch.setattr(production_units, asked, _no_units)
    past = look_back(host.paths, host.clock, "4")
    assert past is not None
    with viewed(host.paths, SystemClock(), past) as view:
        assert read_told(view).network.host_name == "old.example.com"
        assert not (view.replica / "tree/srv/new").exists()
        seen = promote.prospect(view, Answers(NetworkChoice.KEEP, force=True), SystemClock(), past)
    assert (seen.promotion.generation, seen.promotion.back, seen.becomes) == (4, past.back, 6)
    assert seen.promotion.collected_at == past.wanted.collected_at
    assert seen.undone == past.undone
    assert read_told(host.paths).network.host_name == "new.example.com"
    assert list((host.paths.replica / "pins").iterdir()) == []


def test_what_a_command_that_was_killed_has_left_is_taken_away_and_that_of_one_that_lives_is_not(host: Host) -> None:
    past = look_back(host.paths, host.clock, "4")
    assert past is not None
    pins = host.paths.replica / "pins"
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    (pins / f"past-{ended.pid}/tree/srv").mkdir(parents=True)
    (pins / "past-1/tree").mkdir(parents=True)
    with viewed(host.paths, SystemClock(), past):
        assert len(list(pins.iterdir())) == 2
    assert [left.name for left in pins.iterdir()] == ["past-1"]
